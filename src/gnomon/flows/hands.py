"""Hands: calls that somebody waits for only so long, made by a bounded number of threads.

A thread cannot be ended from outside. A call that takes too long is left to itself: who asked goes on without it, and
the thread comes back when the call has ended, or never. So that a function that hangs does not gather threads without
end, there are few of them for each function, and when all of them are late the next call is refused at once: it would
only wait for its time to run out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar

from gnomon.time import monotonic

MOST = 8
"""Threads of one function."""

Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class _Task:
    work: Callable[[], Any]
    ended: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    error: BaseException | None = None
    late: bool = False
    """Whether nobody waits any more."""


class Hands:
    """Up to `most` threads, started when needed. Thread-safe."""

    def __init__(self, name: str, most: int = MOST) -> None:
        self._name = name
        self._most = most
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._free = threading.Semaphore(most)
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._late = 0
        self._closed = False

    @property
    def late(self) -> int:
        """How many calls go on although nobody waits for them."""
        return self._late

    def call(self, work: Callable[[], Result], seconds: float) -> Result:
        """What `work` returns or raises, if it does so within `seconds`; waiting for a thread counts.

        Raises: TimeoutError, with words that can stand behind "it".
        """
        return self.start(work, seconds)()

    def start(self, work: Callable[[], Result], seconds: float) -> Callable[[], Result]:
        """Begin `work`, and return what waits for it, until `seconds` from now: for other things to do meanwhile.

        Both raise TimeoutError: this one if no thread becomes free in time.
        """
        end = monotonic() + seconds
        if self._late >= self._most:
            raise TimeoutError(f"was not called, for {self._late} earlier calls have not ended yet")
        if not self._free.acquire(timeout=max(seconds, 0)):
            raise TimeoutError("was not called in time, for all its threads were at work")
        task = _Task(work)
        self._give(task)

        def wait() -> Result:
            result: Result = self._wait(task, end)
            return result

        return wait

    def _wait(self, task: _Task, end: float) -> Any:
        if not task.ended.wait(max(end - monotonic(), 0)):
            with self._lock:
                if not task.ended.is_set():
                    task.late = True
                    self._late += 1
                    raise TimeoutError("took longer than it may")
        if task.error is not None:
            raise task.error
        return task.result

    def close(self) -> None:
        """Let the threads end, each after what it is doing. Nothing may be called afterwards."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in range(self._threads):
                    self._tasks.put(None)

    def _give(self, task: _Task) -> None:
        with self._lock:
            self._busy += 1
            more = self._busy > self._threads
            self._threads += more
        if more:
            # A daemon: one that hangs must not keep the process from ending.
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        self._tasks.put(task)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task.result = task.work()
            except BaseException as error:  # noqa: BLE001 - raised again by the one who waits for it
                task.error = error
            with self._lock:
                task.ended.set()
                self._busy -= 1
                self._late -= task.late
            self._free.release()
