"""The recorder: who answers never waits, what was answered becomes rows, and what is dropped is counted."""

from __future__ import annotations

import threading
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, Unavailable
from gnomon.events import AnswersKept, listening
from gnomon.flows.recorder import Recorder
from gnomon.plan.layout import Layout, make_layout
from tests.flows.small import SECOND, USER, T

GROUP = gn.FeatureGroup("g", entity=USER, timestamp="at", features=[gn.Feature("x", pl.Int64)])
LAYOUT = make_layout(GROUP, {"user": pl.Int64(), "at": pl.Datetime("us", "UTC"), "x": pl.Int64()})
NEVER = 3600.0
"""No commit by itself: tests flush."""


class Table:
    """Commits as a table does; raises the errors that it is given first."""

    def __init__(self) -> None:
        self.commits: list[dict[str, list[Any]]] = []
        self.errors: list[Exception] = []

    def __call__(self, group: gn.FeatureGroup, layout: Layout, rows: pl.DataFrame) -> None:
        if self.errors:
            raise self.errors.pop()
        self.commits.append(rows.to_dict(as_series=False))


@pytest.fixture
def table() -> Table:
    return Table()


def rows(*users: int, x: int = 1, at: Any = T) -> pl.DataFrame:
    return pl.DataFrame({"user": list(users), "at": [at] * len(users), "x": [x] * len(users)})


def test_what_has_gathered_is_one_commit_a_group(table):
    recorder = Recorder(table, every=NEVER)
    recorder.put(GROUP, LAYOUT, rows(1, 2))
    recorder.put(GROUP, LAYOUT, rows(3))
    assert table.commits == []
    recorder.flush()
    recorder.flush()
    assert table.commits == [{"user": [1, 2, 3], "at": [T] * 3, "x": [1] * 3}]
    recorder.close()


def test_two_answers_of_one_key_and_microsecond_are_one_row(table):
    recorder = Recorder(table, every=NEVER)
    recorder.put(GROUP, LAYOUT, rows(1, x=1))
    recorder.put(GROUP, LAYOUT, rows(1, x=2))
    recorder.put(GROUP, LAYOUT, rows(1, x=3, at=T + SECOND))
    recorder.close()
    assert table.commits == [{"user": [1, 1], "at": [T, T + SECOND], "x": [1, 3]}]


def test_it_commits_by_itself_and_closing_commits_the_rest_once(table):
    recorder = Recorder(table, every=0.001)
    recorder.put(GROUP, LAYOUT, rows(1))
    while not table.commits:
        threading.Event().wait(0.001)
    recorder.put(GROUP, LAYOUT, rows(2))
    recorder.close()
    recorder.close()
    assert sorted(user for commit in table.commits for user in commit["user"]) == [1, 2]


def test_what_does_not_fit_into_the_buffer_is_dropped_counted_and_told(table):
    recorder, seen = Recorder(table, every=NEVER, most=3), []
    with listening(seen.append):
        recorder.put(GROUP, LAYOUT, rows(1, 2))
        recorder.put(GROUP, LAYOUT, rows(3, 4))
        recorder.put(GROUP, LAYOUT, rows(5))
        recorder.close()
    assert table.commits[0]["user"] == [1, 2, 5]
    assert recorder.dropped == 2
    assert seen == [AnswersKept("g@1", 0, 2), AnswersKept("g@1", 3)]


@pytest.mark.parametrize("error", [Unavailable("the bucket is away"), OSError("no space left")])
def test_what_cannot_be_committed_just_now_is_tried_again(table, error):
    recorder = Recorder(table, every=NEVER)
    table.errors = [error]
    recorder.put(GROUP, LAYOUT, rows(1))
    recorder.flush()
    assert (table.commits, recorder.dropped) == ([], 0)
    recorder.flush()
    assert table.commits[0]["user"] == [1]
    recorder.close()


def test_what_never_fits_the_table_and_what_is_left_at_the_end_is_dropped_and_counted(table):
    recorder = Recorder(table, every=NEVER)
    table.errors = [DataError("of another type")]
    recorder.put(GROUP, LAYOUT, rows(1))
    recorder.flush()
    assert recorder.dropped == 1
    table.errors = [Unavailable("away")]
    recorder.put(GROUP, LAYOUT, rows(2, 3))
    recorder.close()
    assert (table.commits, recorder.dropped) == ([], 3)
