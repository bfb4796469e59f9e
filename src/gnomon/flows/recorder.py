"""Recorder: answers of external sources → rows of their groups, in the background.

Who answers a question hands over what was answered, and never waits. A thread commits what has gathered, every few
seconds and when the project is closed. What does not fit into the buffer, because answers come faster than they can be
committed or the offline store is away, is dropped and counted.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from gnomon.define.group import FeatureGroup
from gnomon.errors import DataError
from gnomon.events import AnswersKept, emit
from gnomon.plan.layout import Layout

EVERY = 2.0
"""Seconds between two commits of a group."""
MOST = 200_000
"""Rows that wait, of all groups together."""

_log = logging.getLogger("gnomon")

Insert = Callable[[FeatureGroup, Layout, pl.DataFrame], object]


@dataclass(frozen=True, slots=True)
class _Waiting:
    group: FeatureGroup
    layout: Layout
    rows: pl.DataFrame


class Recorder:
    """Thread-safe. `insert` commits rows to a group's table."""

    def __init__(self, insert: Insert, *, every: float = EVERY, most: int = MOST) -> None:
        self._insert = insert
        self._every = every
        self._most = most
        self._waiting: list[_Waiting] = []
        self._rows = 0
        self._dropped = 0
        self._state = threading.Lock()
        self._committing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gnomon recorder", daemon=True)
        self._thread.start()
        # A program that does not close its store ends without waiting for the thread.
        atexit.register(self.close)

    @property
    def dropped(self) -> int:
        """How many rows were dropped."""
        return self._dropped

    def put(self, group: FeatureGroup, layout: Layout, rows: pl.DataFrame) -> None:
        """Have rows committed some time later."""
        with self._state:
            fits = self._rows + len(rows) <= self._most
            if fits:
                self._waiting.append(_Waiting(group, layout, rows))
                self._rows += len(rows)
        if not fits:
            self._drop(group, len(rows))

    def flush(self) -> None:
        """Commit what waits now. What could not be committed, but may be later, waits on."""
        with self._committing:
            with self._state:
                waiting, self._waiting, self._rows = self._waiting, [], 0
            for ref in dict.fromkeys(one.group.ref for one in waiting):
                self._commit([one for one in waiting if one.group.ref == ref])

    def close(self) -> None:
        """Commit what waits, and end."""
        atexit.unregister(self.close)
        if not self._closing.is_set():
            self._closing.set()
            self._thread.join()
            self.flush()
            with self._state:
                waiting, self._waiting = self._waiting, []
            for one in waiting:
                self._drop(one.group, len(one.rows))

    def _run(self) -> None:
        while not self._closing.wait(self._every):
            self.flush()

    def _commit(self, waiting: list[_Waiting]) -> None:
        group, layout = waiting[-1].group, waiting[-1].layout
        # Two questions of one microsecond may have got two answers: a row of a state group is one for its key and time.
        rows = pl.concat([one.rows for one in waiting], how="diagonal_relaxed").unique(
            [*layout.key_names, layout.timestamp], keep="first", maintain_order=True
        )
        try:
            self._insert(group, layout, rows)
        except DataError as error:
            _log.warning("answers of `%s` do not fit its table: %s", group.ref, error)
            self._drop(group, len(rows))
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whatever it is, the rows are tried again
            _log.warning("answers of `%s` cannot be kept just now: %s", group.ref, error)
            self.put(group, layout, rows)
        else:
            emit(AnswersKept(group.ref, len(rows)))

    def _drop(self, group: FeatureGroup, rows: int) -> None:
        with self._state:
            self._dropped += rows
        emit(AnswersKept(group.ref, 0, rows))
