"""WrapperStore: hands everything on to another store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from gnomon.abc.capabilities import Capabilities
from gnomon.abc.online import Merge, OnlineStore
from gnomon.errors import UsageError


class WrapperStore(OnlineStore):
    """Hands everything on to `store`; who inherits it says what is different. Closing it closes `store`."""

    def __init__(self, store: OnlineStore) -> None:
        self._store = store

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        raise UsageError(f"{cls.__name__} stands before another store, and has no URL", at="online.url")

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._store.read(table, keys)

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        return self._store.read_many(asked, document)

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        self._store.update(table, keys, merge)

    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        return self._store.load(table, rows)

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        self._store.delete(table, keys)

    def drop(self, table: str) -> None:
        self._store.drop(table)

    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        return self._store.scan(table)

    def tables(self) -> list[str]:
        return self._store.tables()

    def swap(self, new: str, name: str) -> None:
        self._store.swap(new, name)

    def get_meta(self, name: str) -> bytes | None:
        return self._store.get_meta(name)

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        return self._store.set_meta(name, expected, value)

    def server_time(self) -> int | None:
        return self._store.server_time()

    def close(self) -> None:
        self._store.close()
