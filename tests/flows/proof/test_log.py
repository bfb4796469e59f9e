"""The answer log: a buffer that neither blocks nor fails who answers, and that tells what it let go."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import polars as pl
import pytest

from gnomon.errors import Unavailable
from gnomon.flows.proof.log import AnswerLog, Logged, Rows


def answer(*users: int) -> Logged:
    nothing: Any = None
    keys = [str(user).encode() for user in users]
    return Logged(nothing, nothing, {}, {}, [keys], [None], np.zeros(len(users), np.int64), 0, "")


def encode(batch: list[Logged]) -> list[Rows]:
    """A row an entity, with its key."""
    return [("t", pl.DataFrame({"user": [int(k) for one in batch for k in one.names[0]]}))]


def count(rows: list[Rows]) -> int:
    return sum(len(frame) for _, frame in rows)


def log(write: Any, **options: Any) -> AnswerLog:
    return AnswerLog(encode, write, **{"sample": 1.0, "every": 3600.0, "buffer": 100, **options})


def test_a_full_buffer_drops_and_counts() -> None:
    one = log(count, buffer=3)
    for user in range(5):
        one.put(answer(user))
    one.close()
    assert (one.counts.answers, one.counts.dropped) == (3, 2)


def test_what_waits_is_written_at_the_end() -> None:
    written: list[int] = []

    def write(rows: list[Rows]) -> int:
        written.extend(user for _, frame in rows for user in frame["user"])
        return count(rows)

    one = log(write)
    for user in range(10):
        one.put(answer(user))
    one.close()
    assert written == list(range(10))
    one.close()


def test_a_thread_writes_beside() -> None:
    done = threading.Event()

    def write(rows: list[Rows]) -> int:
        done.set()
        return count(rows)

    one = log(write, every=0.01)
    one.put(answer(1))
    assert done.wait(10)
    one.close()


def test_who_cannot_write_fails_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def write(rows: list[Rows]) -> int:
        raise Unavailable("the bucket is away")

    one = log(write)
    one.put(answer(1, 2))
    one.flush()
    assert one.counts.failed == 2
    assert "the bucket is away" in caplog.text


def test_one_entity_is_always_in_the_sample_or_never() -> None:
    one = log(count, sample=0.25)
    chosen = {user for user in range(4000) if one.is_sampled([[str(user).encode()]], 0)}
    assert 800 < len(chosen) < 1200
    for _ in range(2):
        for user in range(4000):
            one.put(answer(user))
        waiting = {int(each.names[0][0]) for each in one._waiting}
        assert waiting <= chosen
    one.close()


def test_an_answer_about_many_is_kept_if_any_is_in_the_sample() -> None:
    one = log(count, sample=0.25)
    inside = next(u for u in range(100) if one.is_sampled([[str(u).encode()]], 0))
    outside = next(u for u in range(100) if not one.is_sampled([[str(u).encode()]], 0))
    one.put(answer(outside))
    one.put(answer(outside, inside))
    assert len(one._waiting) == 1
    one.close()


def test_many_that_wait_are_made_columns_before_they_are_written() -> None:
    """A thousand answers as they are would keep the garbage collector busy."""
    made = threading.Event()

    def columns(batch: list[Logged]) -> list[Rows]:
        made.set()
        return encode(batch)

    one = AnswerLog(columns, count, sample=1.0, every=3600.0, buffer=10_000)
    for user in range(1000):
        one.put(answer(user))
    assert made.wait(10)
    assert one.counts.answers == 0
    one.close()
    assert one.counts.answers == 1000
