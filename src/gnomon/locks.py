"""A lock that processes share: one writer at a time for one file's name."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gnomon.errors import Unavailable
from gnomon.time import sleep

_STEP = 0.02


@contextmanager
def locked(path: Path, *, wait: float = 60.0) -> Iterator[None]:
    """Hold the lock of `path` within a `with` block. The system lets it go when a process dies.

    Units:  `wait` in seconds.
    Raises: Unavailable if another process holds it longer than `wait`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        left = wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if left <= 0:
                    raise Unavailable(
                        f"`{path.name}` is held by another process for over {wait:g} s",
                        at=str(path),
                        hint="wait for the other writer to finish, and try again",
                    ) from None
                sleep(_STEP)
                left -= _STEP
        yield
    finally:
        os.close(handle)
