"""MeteredStore: a store that tells of each call, as an event, how many keys it was for and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from gnomon import events
from gnomon.abc.online import Merge
from gnomon.events import OnlineCalled
from gnomon.online.wrappers.base import WrapperStore
from gnomon.time import monotonic


class MeteredStore(WrapperStore):
    """Emits an `OnlineCalled` for every call of `store` that goes to its server or file."""

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        with _Metered("read", len(keys)):
            return self._store.read(table, keys)

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        with _Metered("read_many", sum(len(keys) for _, keys in asked)):
            return self._store.read_many(asked, document)

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        with _Metered("update", len(keys)):
            self._store.update(table, keys, merge)

    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        # Its rows are counted as they go by: it may break on the way.
        count = [0]

        def counted() -> Iterator[tuple[bytes, bytes | memoryview]]:
            for row in rows:
                count[0] += 1
                yield row

        with _Metered("load", count):
            return self._store.load(table, counted())

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        with _Metered("delete", len(keys)):
            self._store.delete(table, keys)

    def drop(self, table: str) -> None:
        with _Metered("drop"):
            self._store.drop(table)

    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        with _Metered("scan"):
            return self._store.scan(table)

    def tables(self) -> list[str]:
        with _Metered("tables"):
            return self._store.tables()

    def swap(self, new: str, name: str) -> None:
        with _Metered("swap"):
            self._store.swap(new, name)

    def get_meta(self, name: str) -> bytes | None:
        with _Metered("get_meta"):
            return self._store.get_meta(name)

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        with _Metered("set_meta"):
            return self._store.set_meta(name, expected, value)


class _Metered:
    """Tells how a block went. `keys`: how many it is for, or where that stands when it has ended."""

    def __init__(self, method: str, keys: int | list[int] = 0) -> None:
        self._method = method
        self._keys = keys
        self._start = monotonic()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        keys = self._keys if isinstance(self._keys, int) else self._keys[0]
        failure = "" if kind is None else kind.__name__
        events.emit(OnlineCalled(self._method, keys, monotonic() - self._start, failure))
