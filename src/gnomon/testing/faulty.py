"""FaultyStore: a store before another one whose calls fail, dawdle and answer half, by a seed.

What it does is what servers do that go away: a write may have happened before its error, or a part of it. A test that
goes through it and tries again sees whether its code holds what `gnomon.abc.online` allows.

```python
store = FaultyStore(RedisStore.from_url(...), seed=1, failures=0.2)
```
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from gnomon.abc.online import Merge, OnlineStore
from gnomon.errors import Unavailable
from gnomon.online.wrappers.base import WrapperStore
from gnomon.time import sleep

T = TypeVar("T")


class FaultyStore(WrapperStore):
    """Fails, delays and tears the calls of `store`. What it answers is true, and what it acknowledges has happened."""

    def __init__(
        self,
        store: OnlineStore,
        *,
        seed: int,
        failures: float = 0.1,
        delays: float = 0.0,
        longest: float = 0.005,
    ) -> None:
        """`failures`, `delays`: how likely a call fails or is delayed, 0 to 1. `longest`: seconds of a delay."""
        super().__init__(store)
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._failures, self._delays, self._longest = failures, delays, longest
        self.failed = 0
        """Calls that failed so far."""

    def heal(self) -> None:
        """From now on nothing fails or is delayed."""
        self._failures = self._delays = 0.0

    def _draw(self) -> tuple[bool, float, float]:
        """Whether to fail, where in the call (0: before, 1: after), and how long to wait before."""
        with self._lock:
            fails = self._chance.random() < self._failures
            where = self._chance.choice([0.0, self._chance.random(), 1.0])
            wait = self._chance.uniform(0, self._longest) if self._chance.random() < self._delays else 0.0
            self.failed += fails
        return fails, where, wait

    def _call(self, what: str, whole: Callable[[], T], part: Callable[[float], object]) -> T:
        """Do the whole of a call; or some `part` of it, none or all, and then fail."""
        fails, where, wait = self._draw()
        if wait:
            sleep(wait)
        if not fails:
            return whole()
        if where == 1.0:
            whole()
        elif where > 0.0:
            part(where)
        raise Unavailable(f"the call of `{what}` is made to fail", hint="try again")

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._call("read", lambda: self._store.read(table, keys), _nothing)

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        return self._call("read_many", lambda: self._store.read_many(asked, document), _nothing)

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        # Positions of a part that begins at the first key are those of the whole.
        self._call(
            "update",
            lambda: self._store.update(table, keys, merge),
            lambda share: self._store.update(table, keys[: int(share * len(keys))], merge),
        )

    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        given = list(rows)
        return self._call(
            "load",
            lambda: self._store.load(table, given),
            lambda share: self._store.load(table, given[: int(share * len(given))]),
        )

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        self._call(
            "delete",
            lambda: self._store.delete(table, keys),
            lambda share: self._store.delete(table, keys[: int(share * len(keys))]),
        )

    def drop(self, table: str) -> None:
        self._call("drop", lambda: self._store.drop(table), _nothing)

    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        fails, where, _ = self._draw()
        return self._torn(self._store.scan(table), where) if fails else self._store.scan(table)

    def _torn(self, rows: Iterator[tuple[bytes, bytes]], where: float) -> Iterator[tuple[bytes, bytes]]:
        """Some of the rows, and then an error."""
        for i, row in enumerate(rows):
            if i >= 1_000 * where:
                break
            yield row
        raise Unavailable("the call of `scan` is made to fail", hint="try again")

    def tables(self) -> list[str]:
        return self._call("tables", self._store.tables, _nothing)

    def swap(self, new: str, name: str) -> None:
        self._call("swap", lambda: self._store.swap(new, name), _nothing)

    def get_meta(self, name: str) -> bytes | None:
        return self._call("get_meta", lambda: self._store.get_meta(name), _nothing)

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        return self._call("set_meta", lambda: self._store.set_meta(name, expected, value), _nothing)


def _nothing(share: float) -> None:
    """The part of a call that is done whole or not at all."""
