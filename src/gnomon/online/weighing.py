"""WeighingStore: a store that tells how many bytes of keys and values were put into it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from gnomon.abc.capabilities import Capabilities
from gnomon.abc.online import Merge, OnlineStore
from gnomon.errors import UsageError


class WeighingStore(OnlineStore):
    """Hands everything on to `store`, and counts by how much its tables grow.

    What `load` writes is taken for new, and what is dropped is not counted back: it weighs what is filled.
    """

    def __init__(self, store: OnlineStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.grown = 0
        """Bytes."""

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        raise UsageError("a store that weighs stands before another one, and has no URL", at="online.url")

    def _grow(self, size: int) -> None:
        with self._lock:
            self.grown += size

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._store.read(table, keys)

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        return self._store.read_many(asked, document)

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        grown: dict[int, int] = {}

        def weigh(positions: Sequence[int], old: list[bytes | None]) -> Sequence[bytes | memoryview | None]:
            merged = merge(positions, old)
            # By position: a store may ask again for the same keys, and what was answered last was written.
            for i, before, after in zip(positions, old, merged, strict=False):
                grown[i] = _weight(keys[i], after) - _weight(keys[i], before)
            return merged

        self._store.update(table, keys, weigh)
        self._grow(sum(grown.values()))

    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        size = 0

        def weighed() -> Iterator[tuple[bytes, bytes | memoryview]]:
            nonlocal size
            for key, value in rows:
                size += _weight(key, value)
                yield key, value

        count = self._store.load(table, weighed())
        self._grow(size)
        return count

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        held = self._store.read(table, keys)
        self._store.delete(table, keys)
        self._grow(-sum(_weight(key, value) for key, value in dict(zip(keys, held, strict=True)).items()))

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


def _weight(key: bytes, value: bytes | memoryview | None) -> int:
    """Bytes that a key takes with its value; none without one."""
    if value is None:
        return 0
    return len(key) + (value.nbytes if isinstance(value, memoryview) else len(value))
