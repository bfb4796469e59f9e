"""The seam of online stores: bytes by key, and nothing about features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from gnomon.abc.capabilities import Capabilities
from gnomon.errors import UsageError

Merge: TypeAlias = Callable[[Sequence[int], list[bytes | None]], Sequence[bytes | memoryview | None]]
"""(positions in `keys`, the stored value of each or None) → the new value of each; None deletes the key.

Pure: a store may call it again for keys that somebody else changed meanwhile, and may hold a lock around it.
Returning the very object that came in means "unchanged" and costs no write.
"""

NAME_BYTES = 255
"""The longest name of a table or a document, in UTF-8."""


class OnlineStore(ABC):
    """Bytes by key. Thread-safe. Opened once per process.

    Keys are bytes of any length, the empty key too. A table begins to exist with its first `update` or
    `load`; one that does not exist reads as empty. Names of tables and documents are texts of 1 to 255 bytes.

    Every method raises UsageError after `close`, and Unavailable (transient) if the server, file or disk
    cannot be reached. There is no transaction over data and document: write the data first and then the
    document that tells of it. Merging is idempotent, so what a crash leaves between the two is only done
    again.
    """

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the store can do: of the class, or of an open store where its server's settings decide."""

    @classmethod
    @abstractmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """Open what a line of gnomon.toml names; relative paths begin at `root`, the project's folder."""

    @abstractmethod
    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return one value per key, in the order of `keys`, all of one moment.

        Shape: n keys → n items, duplicates too; None where the key holds nothing.
        Cost:  one round trip for up to `capabilities.batch_keys` keys.
        """

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        """Return what `read` gives for each (table, keys), and then a document, read after all values.

        Shape: m tables → m lists. The values of one table are of one moment, those of two need not be.
        Cost:  a round trip each; a store across a network answers all in one.
        """
        return [self.read(table, keys) for table, keys in asked], self.get_meta(document)

    @abstractmethod
    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        """Replace the value of each key by `merge` of it, with no other writer in between.

        After an error some keys are written and some not; doing it again is safe. Fastest in key order.
        Raises: ValueError if a key stands twice in `keys`, or `merge` returns another number of values than
        it was given.
        """

    @abstractmethod
    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        """Write many keys whatever they held, the last of equal keys; return the number of rows.

        The fastest way in, most of all in key order and into an empty table. Other keys of the table
        stay. Readers see whole values, and see them arrive: load into a table of another name and `swap` it
        to publish all at once. `rows` is consumed once and never held whole.
        """

    @abstractmethod
    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        """Remove keys; those that hold nothing are ignored."""

    @abstractmethod
    def drop(self, table: str) -> None:
        """Remove a table with all that it holds; one that does not exist is ignored."""

    @abstractmethod
    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over keys and values, in no promised order, in bounded memory.

        Not of one moment: a key that stays is given once, a key written or deleted meanwhile once or not at
        all, always with a value that it held.
        """

    @abstractmethod
    def tables(self) -> list[str]:
        """Return the names of all tables, sorted."""

    @abstractmethod
    def swap(self, new: str, name: str) -> None:
        """Make the table `new` the table `name`, whose old content is gone.

        One step for readers where `capabilities.atomic_swap`. Afterwards no table is called `new`.
        Raises: NotFound if there is no table `new`.
        """

    @abstractmethod
    def get_meta(self, name: str) -> bytes | None:
        """Return a small document of book-keeping, or None. Documents live apart from tables."""

    @abstractmethod
    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        """Replace a document if it still is `expected` (None: absent) by `value` (None: delete it).

        Returns whether it did: False means that somebody else was faster.
        """

    def server_time(self) -> int | None:
        """The instant that the server's clock tells; None where there is no server."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of all resources. A second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_name(kind: str, name: str) -> bytes:
    """Return the UTF-8 of a table's or document's name.

    Raises: UsageError if it is empty or longer than `NAME_BYTES`.
    """
    encoded = name.encode()
    if not 0 < len(encoded) <= NAME_BYTES:
        raise UsageError(
            f"the name of a {kind} has 1 to {NAME_BYTES} bytes, not {len(encoded)}", at=name[:40]
        )
    return encoded


def check_distinct(keys: Sequence[bytes]) -> None:
    """Raise ValueError if a key stands twice: which of two merges came last would be nobody's decision."""
    if len(set(keys)) == len(keys):
        return
    seen: set[bytes] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"the key {key[:40]!r} stands twice in one update")
        seen.add(key)


def check_merged(merged: Sequence[bytes | memoryview | None], count: int) -> None:
    """Raise ValueError if a merge function did not answer for each key that it was given."""
    if len(merged) != count:
        raise ValueError(f"merge returned {len(merged)} values for {count} keys")


def closed(what: str) -> UsageError:
    """The error of using a store after `close`."""
    return UsageError(f"{what} is closed", hint="open it again, and close it after the last use")
