"""Breaker: whether something that keeps failing is worth asking.

Closed, everything passes. After some failures in a row it opens: nothing passes for a while, so that nobody waits for
what will not come, and what is down is left in peace. Then it is half open: one call passes, and decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from gnomon.time import monotonic


class Breaker:
    """Thread-safe. `open_for`: seconds. `clock`: seconds that never go back."""

    def __init__(self, open_after: int, open_for: float, clock: Callable[[], float] = monotonic) -> None:
        self._open_after = open_after
        self._open_for = open_for
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._passes_at = 0.0
        """From when on a call passes again."""

    def wait(self) -> float:
        """Seconds until a call may pass; 0: now, and the caller must say what became of it.

        Half open, the first who asks is let through, and everybody else waits for as long again.
        """
        with self._lock:
            if self._failures < self._open_after:
                return 0.0
            now = self._clock()
            if now < self._passes_at:
                return self._passes_at - now
            self._passes_at = now + self._open_for
            return 0.0

    @property
    def failures(self) -> int:
        """How many in a row."""
        return self._failures

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._passes_at = self._clock() + self._open_for
