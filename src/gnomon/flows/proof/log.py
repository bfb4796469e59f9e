"""The answer log: answers as they are given → a buffer → batches that a thread of the background writes.

The path of a question appends one reference, and nothing more: what is written of an answer is taken from it later, in
columns, many answers at once. It never waits and never fails for the log's sake; what finds the buffer full is dropped
and counted. Written when the store is closed, too.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.errors import GnomonError
from gnomon.flows.answer import OnlineFeatures
from gnomon.flows.compiled import Compiled
from gnomon.flows.fields import Fields
from gnomon.flows.question import Columns
from gnomon.time import monotonic

REQUEST_ID: ContextVar[str] = ContextVar("gnomon_request_id", default="")
"""What the request is called that is being answered: set by a server, and logged with the answer."""

_log = logging.getLogger(__name__)
_ALL = 1 << 32
_CHUNK = 256


@dataclass(slots=True, eq=False)
class Logged:
    """One answer, as references to what it was made of. Nothing in it is changed after it was given."""

    found: OnlineFeatures
    compiled: Compiled
    keys: Columns
    fields: Fields
    names: Sequence[Sequence[bytes]]
    """By job: the keys' bytes."""
    values: Sequence[Sequence[bytes | None] | None]
    """By job: the values that were read; None where there was no table to be asked."""
    t: NDArray[np.int64]
    seen: int
    """When the store was read."""
    request: str


@dataclass
class Counts:
    """What became of answers, since the process began."""

    answers: int = 0
    """Rows written."""
    dropped: int = 0
    """Answers that found the buffer full."""
    failed: int = 0
    """Rows that could not be written."""


Rows = tuple[str, pl.DataFrame]
"""A table, and rows for it."""
Encode = Callable[[list[Logged]], list[Rows]]
Write = Callable[[list[Rows]], int]
"""Writes rows, and returns how many."""


class AnswerLog:
    """The buffer and the thread that empties it. Thread-safe.

    Answers are made columns as soon as some hundred wait: kept as they are, with all that they refer to, they would
    give the garbage collector more to do than answering is.
    """

    def __init__(self, encode: Encode, write: Write, *, sample: float, every: float, buffer: int) -> None:
        """`sample`: the share of entities, 0 to 1; `every`: seconds between writes; `buffer`: answers that may wait."""
        self.counts = Counts()
        self._encode = encode
        self._write = write
        self._below = round(sample * _ALL)
        self._every = every
        self._size = buffer
        self._waiting: deque[Logged] = deque()
        self._made: list[Rows] = []
        self._working = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, answer: Logged) -> None:
        """Take an answer. Never blocks; costs some microseconds at most."""
        if not self.takes_all and not any(self.is_sampled(answer.names, i) for i in range(len(answer.t))):
            return
        if len(self._waiting) >= self._size:
            self.counts.dropped += 1
            return
        self._waiting.append(answer)
        if self._thread is None:
            self._start()
        if len(self._waiting) >= _CHUNK and not self._wake.is_set():
            self._wake.set()

    @property
    def takes_all(self) -> bool:
        """Whether every entity is in the sample."""
        return self._below >= _ALL

    def is_sampled(self, names: Sequence[Sequence[bytes]], row: int) -> bool:
        """Whether an entity is in the sample: by its key alone, so that it always is or never."""
        code = 0
        for of_job in names:
            code = crc32(of_job[row], code)
        return code < self._below

    def flush(self) -> None:
        """Write what waits, and return when it is written."""
        with self._working:
            self._take()
            rows, self._made = self._made, []
            if rows:
                n = sum(len(frame) for _, frame in rows)
                self._guarded(lambda: self._store(rows), n)

    def close(self) -> None:
        """Write what waits, and let the thread end."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _take(self) -> None:
        """Make columns of the answers that wait."""
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if batch:
            self._guarded(lambda: self._made.extend(self._encode(batch)), sum(len(one.t) for one in batch))

    def _store(self, rows: list[Rows]) -> None:
        self.counts.answers += self._write(rows)

    def _guarded(self, step: Callable[[], None], rows: int) -> None:
        """Do a step whose failure is counted: answers go on whatever becomes of their log."""
        try:
            step()
        except (GnomonError, OSError, pl.exceptions.PolarsError) as error:
            self.counts.failed += rows
            _log.error("%d answers could not be logged: %s", rows, error)

    def _start(self) -> None:
        with self._working:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="gnomon-answers", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        due = monotonic() + self._every
        while not self._closed:
            self._wake.wait(max(0.0, due - monotonic()))
            self._wake.clear()
            if monotonic() >= due:
                self.flush()
                due = monotonic() + self._every
            else:
                with self._working:
                    self._take()
