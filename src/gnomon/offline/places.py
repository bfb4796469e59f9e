"""Places: where the files of tables lie, and what Delta does not do there itself: lists, removals, and queues.

A place is told tables by name, and files by their names within a table, as Delta's log tells them.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from gnomon.locks import locked

LOG = "_delta_log"


class Place(ABC):
    """A folder of tables. Its errors are `OSError`; whoever calls says of which table."""

    options: Mapping[str, str] = {}
    """What reaches the files, as Delta and Polars take it."""
    hint: str
    """What a person can do where a table cannot be written."""
    unreadable: str
    """What a person can do where a table cannot be read."""

    @abstractmethod
    def uri(self, table: str) -> str:
        """The folder of a table."""

    @abstractmethod
    def queue(self, table: str) -> AbstractContextManager[None]:
        """Let writers of a table wait for each other where that can be had; commits alone decide who wrote.

        Raises: Unavailable if another writer holds the table too long.
        """

    @abstractmethod
    def tables(self) -> list[str]:
        """The names of the folders that hold a log, sorted."""

    @abstractmethod
    def holds(self, table: str) -> bool:
        """Whether the table has a log."""

    @abstractmethod
    def files(self, table: str) -> set[str]:
        """The table's files beside its log."""

    @abstractmethod
    def sizes(self, table: str, files: Iterable[str]) -> dict[str, int]:
        """The bytes of files; of those that are not there, nothing."""

    @abstractmethod
    def remove(self, table: str, files: Iterable[str]) -> None:
        """Remove files; those that are not there are ignored."""

    @abstractmethod
    def drop(self, table: str) -> None:
        """Remove a table with all its files; one that does not exist is ignored."""

    @abstractmethod
    def write(self, path: str, text: str) -> None:
        """Write a small file, named from the place on, whole or not at all."""

    @abstractmethod
    def read(self, path: str) -> str | None:
        """What `write` wrote; None if it is not there."""

    def stamp(self, table: str) -> object:
        """Differs between two tables that had one name after each other; None where that cannot be told at no cost."""
        return None

    def file(self, table: str, name: str) -> str:
        return f"{self.uri(table)}/{name}"


class Folder(Place):
    """A folder of a local disk, or of one that machines share."""

    hint = "is there room on the disk, and may this user write there?"
    unreadable = "if it stays so, its log is damaged: bring the folder back from a copy"

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return repr(str(self.path))

    def uri(self, table: str) -> str:
        return str(self.path / table)

    def queue(self, table: str) -> AbstractContextManager[None]:
        return locked(self.path / f"{table}.lock")

    def tables(self) -> list[str]:
        if not self.path.is_dir():
            return []
        return sorted(p.name for p in self.path.iterdir() if (p / LOG).is_dir())

    def holds(self, table: str) -> bool:
        return (self.path / table / LOG).is_dir()

    def stamp(self, table: str) -> object:
        try:
            first = (self.path / table / LOG / f"{0:020d}.json").stat()
        except FileNotFoundError:
            return None
        # The time of its last change tells even of a file that was put back with its old times, under its old number.
        return first.st_dev, first.st_ino, first.st_ctime_ns

    def files(self, table: str) -> set[str]:
        folder = self.path / table
        return {p.name for p in folder.iterdir() if p.name != LOG} if folder.is_dir() else set()

    def sizes(self, table: str, files: Iterable[str]) -> dict[str, int]:
        found = ((name, self.path / table / name) for name in files)
        return {name: path.stat().st_size for name, path in found if path.is_file()}

    def remove(self, table: str, files: Iterable[str]) -> None:
        for name in files:
            (self.path / table / name).unlink(missing_ok=True)

    def write(self, path: str, text: str) -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)

    def read(self, path: str) -> str | None:
        try:
            return (self.path / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def drop(self, table: str) -> None:
        shutil.rmtree(self.path / table, ignore_errors=True)
