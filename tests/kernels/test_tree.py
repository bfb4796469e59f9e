"""What a question to a hot key touches: its index, and at most one leaf for each edge of a window.

The keys have late rows, rows that were corrected and rows that were deleted; answers are those of all rows folded.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from gnomon.online.arrays import WordColumn
from gnomon.online.codec import FlatRows, fresh, nothing, pack
from gnomon.online.index import leaves_table
from gnomon.online.merge import merge
from gnomon.online.program import Program, make_program
from gnomon.online.values import encode
from gnomon.online.views import views_of
from gnomon.online.writer import Target, load, update
from gnomon.plan.layout import Output
from tests.online.hot import KEY, TABLE, CountingStore
from tests.online.made import make_layout
from tests.online.test_tree import check

TYPES = [pl.Int64(), pl.Float64(), pl.String(), pl.Boolean()]
LAYOUT = make_layout(TYPES, id_kind="int", declared=True)
LEAVES = leaves_table(TABLE)
SECOND = 1_000_000


def rows_of(ids: np.ndarray, known: np.ndarray, seed: int, dead: np.ndarray | None = None) -> FlatRows:
    """Rows of one key. A row happens two seconds after the one with the id before it."""
    rng = np.random.default_rng([seed, len(ids)])
    n = len(ids)
    nulls = rng.random(n) < 0.1
    shops = np.array(["", "north", "south", "a shop in the middle"])
    lanes = [
        pl.Series(rng.integers(-(2**60), 2**60, n)),
        pl.Series(np.where(rng.random(n) < 0.01, -0.0, rng.normal(0, 1e3, n))),
        pl.Series(shops[rng.integers(0, 4, n)]),
        pl.Series(rng.random(n) < 0.5),
    ]
    lanes = [pl.select(pl.when(pl.Series(~nulls)).then(lane)).to_series() for lane in lanes]
    gone = np.zeros(n, np.uint8) if dead is None else dead.astype(np.uint8)
    return fresh(
        np.array([0, n]), ids * 2 * SECOND, known, WordColumn(ids.copy()), tuple(map(encode, lanes)),
        content=rng.integers(0, 2**62, 2 * n), dead=gone,
    )  # fmt: skip


def batches_of(n: int) -> list[FlatRows]:
    """A history of n rows, in order; then rows that were missing, corrections, deletes; then new ones, one by one."""
    rng = np.random.default_rng(n)
    ids = np.arange(n, dtype=np.int64)
    late = np.sort(rng.choice(n, 40, replace=False))
    on_time = np.setdiff1d(ids, late)
    seconds = rng.integers(0, 5, on_time.size) * SECOND
    end = n * 2 * SECOND
    corrected = np.sort(rng.choice(on_time, 40, replace=False))
    deleted = np.sort(rng.choice(on_time, 40, replace=False))
    return [
        rows_of(on_time, on_time * 2 * SECOND + seconds, 1),
        rows_of(late, np.full(40, end), 2),
        rows_of(corrected, np.full(40, end + SECOND), 3),
        rows_of(deleted, np.full(40, end + 2 * SECOND), 4, np.ones(40)),
        *(rows_of(ids[:1] + n + i, (ids[:1] + n + i) * 2 * SECOND, 5) for i in range(3)),
    ]


def asked_for(n: int) -> list[Output]:
    """Every aggregate that records can tell, over four windows, one of them moved back."""
    made = []
    for share, offset in ((0.001, 0), (0.1, 0), (0.7, 0), (0.2, 0.3)):
        window, moved = int(share * n) * 2 * SECOND + 7, int(offset * n) * 2 * SECOND
        for function, lane, dtype in (
            ("count", -1, pl.Int64()),
            ("sum", 1, pl.Float64()),
            ("mean", 0, pl.Float64()),
            ("var", 1, pl.Float64()),
            ("min", 1, pl.Float64()),
            ("max", 2, pl.String()),
            ("first", 2, pl.String()),
            ("last", 0, pl.Int64()),
            ("n_distinct", 2, pl.Int64()),
            ("any", 3, pl.Boolean()),
            ("rate", -1, pl.Float64()),
            ("time_since_last", 0, pl.Duration("us")),
        ):
            where = 3 if function == "mean" else -1
            made.append(
                Output(function, function, dtype, input=lane, where=where, window=window, offset=moved)
            )
    return made


EDGES = 6
"""t; its distance from four windows' ends; and from where the window that was moved back ends."""


@cache
def scene(n: int) -> tuple[CountingStore, Program, bytes]:
    asked = asked_for(n)
    store, target = CountingStore(), Target(TABLE, LAYOUT, views_of(asked))
    held = nothing(LAYOUT, 1)
    for number, batch in enumerate(batches_of(n)):
        (update if number else load)(store, target, [KEY], batch)
        held = merge(LAYOUT, held, batch).rows
    return store, make_program(LAYOUT, TYPES, asked), bytes(pack(LAYOUT, held)[0])


SIZES: list[Any] = [10_000, 100_000, pytest.param(1_000_000, marks=pytest.mark.slow)]


@pytest.mark.parametrize("n", SIZES)
def test_a_question_reads_one_index_and_at_most_one_leaf_an_edge(n: int) -> None:
    store, program, value = scene(n)
    end = (n + 5) * 2 * SECOND
    rng = np.random.default_rng(3)
    for t in [end, *rng.integers(end, end + n * SECOND, 20 if n < 1_000_000 else 3).tolist()]:
        store.forget()
        check(store, program, value, t)
        assert store.reads[TABLE] == 1
        assert store.reads[LEAVES] <= EDGES
        assert store.reads[LEAVES] >= 1


@pytest.mark.parametrize("n", SIZES)
def test_appending_reads_and_writes_the_index_alone(n: int) -> None:
    store, program, _ = scene(n)
    target = Target(TABLE, LAYOUT, views_of(program.outputs))
    store.forget()
    update(store, target, [KEY], rows_of(np.array([2 * n]), np.array([4 * n * SECOND]), 6))
    scene.cache_clear()
    assert not store.reads[LEAVES]
    assert not store.writes[LEAVES]


@pytest.mark.parametrize("n", [10_000])
def test_the_past_is_answered_by_more_leaves_and_as_exactly(n: int) -> None:
    """Before corrections were known, leaves with corrected rows are looked at row by row."""
    store, program, value = scene(n)
    end = n * 2 * SECOND
    rng = np.random.default_rng(4)
    for t in [end - 1, end, end + SECOND, end + 2 * SECOND - 1, *rng.integers(0, end, 30).tolist()]:
        check(store, program, value, t)


def test_two_windows_that_share_their_edges_share_the_leaves() -> None:
    store, _, value = scene(10_000)
    outputs = [output for output in asked_for(10_000) if output.window == asked_for(10_000)[12].window]
    assert len(outputs) == 12
    store.forget()
    check(store, make_program(LAYOUT, TYPES, outputs), value, 10_005 * 2 * SECOND)
    assert store.reads[LEAVES] == 1
