"""MemoryStore: tables as dictionaries of this process, with every promise of the seam."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from gnomon.abc.capabilities import Capabilities
from gnomon.abc.online import Merge, OnlineStore, check_distinct, check_merged, check_name, closed
from gnomon.errors import UsageError, not_found


class MemoryStore(OnlineStore):
    """Bytes by key in the memory of one process; gone with it. For tests, notebooks and small services."""

    capabilities = Capabilities(
        batch_keys=1 << 20,
        durable=False,
        multi_process=False,
        atomic_swap=True,
        in_process=True,
        reasons={
            "durable": "the values live in the memory of the process",
            "multi_process": "the memory of a process is its own",
        },
    )

    def __init__(self) -> None:
        # One lock for all: each method is one step for all others. Reentrant, so that a merge function that
        # looks at the store gets an answer and not a hanging thread.
        self._lock = threading.RLock()
        self._tables: dict[str, dict[bytes, bytes]] = {}
        self._meta: dict[str, bytes] = {}
        self._open = True

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """Open `memory://`: an empty store of its own, whoever else opens one."""
        if url != "memory://":
            raise UsageError("a store in memory has no place", at="online.url", hint="write `memory://`")
        return cls()

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._lock:
            get = self._find(table).get
            return [get(key) for key in keys]

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        check_distinct(keys)
        with self._lock:
            stored = self._find(table, create=bool(keys))
            if not keys:
                return
            merged = merge(range(len(keys)), [stored.get(key) for key in keys])
            check_merged(merged, len(keys))
            for key, value in zip(keys, merged, strict=True):
                if value is None:
                    stored.pop(key, None)
                else:
                    stored[key] = bytes(value)

    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        with self._lock:
            self._find(table, create=True)
        count = 0
        # The lock is not held while the caller makes the next row: that may take long, or need this store.
        for key, value in rows:
            # A view may be of a buffer that its owner fills again.
            copied = bytes(value)
            with self._lock:
                self._find(table, create=True)[key] = copied
            count += 1
        return count

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        with self._lock:
            stored = self._find(table)
            for key in keys:
                stored.pop(key, None)

    def drop(self, table: str) -> None:
        with self._lock:
            self._find(table)
            self._tables.pop(table, None)

    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        with self._lock:
            return iter(list(self._find(table).items()))

    def tables(self) -> list[str]:
        with self._lock:
            self._require_open()
            return sorted(self._tables)

    def swap(self, new: str, name: str) -> None:
        check_name("table", name)
        with self._lock:
            self._find(new)
            if new not in self._tables:
                raise not_found("Table", new, self._tables)
            self._tables[name] = self._tables.pop(new)

    def get_meta(self, name: str) -> bytes | None:
        check_name("document", name)
        with self._lock:
            self._require_open()
            return self._meta.get(name)

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        check_name("document", name)
        with self._lock:
            self._require_open()
            if self._meta.get(name) != expected:
                return False
            if value is None:
                self._meta.pop(name, None)
            else:
                self._meta[name] = value
            return True

    def close(self) -> None:
        with self._lock:
            self._open = False
            self._tables = {}
            self._meta = {}

    def _require_open(self) -> None:
        if not self._open:
            raise closed("this store in memory")

    def _find(self, table: str, *, create: bool = False) -> dict[bytes, bytes]:
        self._require_open()
        stored = self._tables.get(table)
        if stored is None:
            check_name("table", table)
            stored = {}
            if create:
                self._tables[table] = stored
        return stored
