"""WeighingStore: a store that tells how many bytes of keys and values were put into it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from gnomon.abc.online import Merge, OnlineStore
from gnomon.online.wrappers.base import WrapperStore


class WeighingStore(WrapperStore):
    """Hands everything on to `store`, and counts by how much its tables grow.

    What `load` writes is taken for new, and what is dropped is not counted back: it weighs what is filled.
    """

    def __init__(self, store: OnlineStore) -> None:
        super().__init__(store)
        self._lock = threading.Lock()
        self.grown = 0
        """Bytes."""

    def _grow(self, size: int) -> None:
        with self._lock:
            self.grown += size

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


def _weight(key: bytes, value: bytes | memoryview | None) -> int:
    """Bytes that a key takes with its value; none without one."""
    if value is None:
        return 0
    return len(key) + (value.nbytes if isinstance(value, memoryview) else len(value))
