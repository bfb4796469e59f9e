"""Places: where the files of a source lie. This machine's folders are here, object stores in `objects`."""

from __future__ import annotations

import glob
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from gnomon.abc.source import Part
from gnomon.errors import GnomonError, Unavailable, nearest


class Place(ABC):
    """A file, a folder or a glob. Files are told by their path or URL, which is also the name of their part."""

    location: str
    """The path or URL of the place itself."""
    options: Mapping[str, str] | None = None
    """What opens an object store; None: this machine."""

    @abstractmethod
    def find(self, endings: tuple[str, ...]) -> list[str]:
        """The files of the place, sorted: in a folder those in it and below with one of the endings.

        Files and folders that begin with `_` or `.`, by which other tools mark what is no data, do not count.
        """

    @abstractmethod
    def names_in(self, folder: str) -> list[str]:
        """The names of what lies in a folder of the place; none if there is no such folder."""

    @abstractmethod
    def is_there(self) -> bool:
        """Whether the place is there, if without files: a folder, or the one that a glob looks into."""

    @abstractmethod
    def parts(self, files: Sequence[str]) -> tuple[Part, ...]:
        """The files as parts, whose etags differ where their contents do. Raises: Unavailable if one has gone."""

    @abstractmethod
    def local(self, file: str) -> Path:
        """A file on this machine with the content of `file`, to be read only."""

    @abstractmethod
    def hint(self) -> str:
        """What to do if nothing is found."""

    def polars_options(self) -> dict[str, str | int] | None:
        """What Polars is given to open the files."""
        return None

    def failure(self, error: Exception) -> GnomonError | None:
        """What an error that was raised while files were read tells of the place."""
        return None

    def short(self, file: str) -> str:
        """A file as people know it: from the source's folder on."""
        folder = self.location.rstrip("/") + "/"
        return file.removeprefix(folder) if file.startswith(folder) else file.rpartition("/")[2]


class LocalPlace(Place):
    """Files of this machine. `name`: of the source."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.location = str(path)

    def find(self, endings: tuple[str, ...]) -> list[str]:
        if self.path.is_dir():
            found = [p for p in self.path.rglob("*") if p.name.endswith(endings) and self._is_data(p)]
        elif self.path.is_file():
            found = [self.path]
        else:
            names = glob.glob(self.location, recursive=True)  # noqa: PTH207 — Path.glob takes no absolute pattern
            found = [Path(name) for name in names if Path(name).is_file()]
        return [str(path) for path in sorted(found)]

    def _is_data(self, file: Path) -> bool:
        return file.is_file() and not any(
            part.startswith(("_", ".")) for part in file.relative_to(self.path).parts
        )

    def names_in(self, folder: str) -> list[str]:
        there = self.path / folder
        return sorted(p.name for p in there.iterdir()) if there.is_dir() else []

    def is_there(self) -> bool:
        path = self.path
        if glob.has_magic(self.location):
            path = next(folder for folder in path.parents if not glob.has_magic(str(folder)))
        return path.is_dir()

    def parts(self, files: Sequence[str]) -> tuple[Part, ...]:
        return tuple(self._part(Path(file)) for file in files)

    def _part(self, file: Path) -> Part:
        try:
            found = file.stat()
        except OSError as error:
            raise Unavailable(
                f"source `{self.name}`: `{self.short(str(file))}` has gone while it was being read: {error.strerror}",
                at=str(file),
                hint="run it again when the files stay",
            ) from None
        return Part(str(file), f"{found.st_size}-{found.st_mtime_ns}", size=found.st_size)

    def local(self, file: str) -> Path:
        return Path(file)

    def hint(self) -> str:
        if self.path.is_dir():
            return "the folder is empty; the columns and their types are told by the first files in it"
        if self.path.parent.is_dir():
            close = nearest(self.path.name, [p.name for p in self.path.parent.iterdir()])
            if close is not None:
                return f"did you mean `{close}`?"
            return "the folder is there, the file is not"
        return f"the folder `{self.path.parent}` does not exist; paths are relative to the project's folder"
