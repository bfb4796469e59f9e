"""DyingStore: an LMDB store whose process is killed just before one of its writes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Self

from gnomon.online.lmdb import LmdbStore


def die() -> None:
    """End this process at once, with nothing flushed and nothing told."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(LmdbStore):
    """`dying://folder?7` dies before its seventh write; with 0 it never does, and counts them."""

    writes: int = 0
    last: int = 0

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        folder, _, last = url.removeprefix("dying://").partition("?")
        store = cls(root / folder)
        store.last = int(last)
        return store

    def _next(self) -> None:
        self.writes += 1
        if self.writes == self.last:
            die()

    def update(self, *args: Any) -> None:
        self._next()
        super().update(*args)

    def load(self, *args: Any) -> int:
        self._next()
        return super().load(*args)

    def delete(self, *args: Any) -> None:
        self._next()
        super().delete(*args)

    def drop(self, *args: Any) -> None:
        self._next()
        super().drop(*args)

    def set_meta(self, *args: Any) -> bool:
        self._next()
        return super().set_meta(*args)
