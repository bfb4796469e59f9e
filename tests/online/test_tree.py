"""Answers of hot keys are those of a value that holds all their rows, bit by bit, whatever was sealed and when."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.abc.online import OnlineStore
from gnomon.online import program as flat_program
from gnomon.online.codec import MAX, Layout
from gnomon.online.index import leaves_table
from gnomon.online.merge import Retention
from gnomon.online.program import NO_REQUEST, Program, RequestRows, make_program, request_rows
from gnomon.online.tree import Place, answer
from gnomon.online.values import encode
from gnomon.plan.layout import NONE, Output
from tests.online.hot import KEY, TABLE, all_in_one, leaves_of, named, written
from tests.online.made import Row, make_layout
from tests.online.test_program import POOLS, TYPES, bits, outputs

SPAN = 40
LEAVES = leaves_table(TABLE)

any_values = st.tuples(*(st.sampled_from([v for pool in pools for v in pool]) for pools in POOLS))
few_values = st.tuples(*(st.sampled_from(pools) for pools in POOLS)).map(
    lambda chosen: st.tuples(*(st.sampled_from(pool) for pool in chosen))
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Layout, list[list[Row]]]:
    """Batches of rows of one key, with corrections of every kind."""
    kind = draw(st.sampled_from(["event", "event", "event", "state"]))
    id_kind = draw(st.sampled_from(["int", "text", "hash"]))
    lag = draw(st.sampled_from([0, 0, 3]))
    layout = make_layout(TYPES, kind=kind, id_kind=id_kind, declared=draw(st.booleans()), lag=lag)
    values = draw(few_values)
    in_order = draw(st.booleans())
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 60))):
        at = number if in_order and draw(st.integers(0, 9)) else draw(st.integers(0, SPAN))
        known = at + draw(st.sampled_from([lag, lag, lag, 0, 9, 30]))
        if draw(st.integers(0, 30)) == 0:
            known = MAX
        sign = draw(st.sampled_from([1, -1]))
        row_id: Any = {"int": sign * number, "text": f"a-common-start-{number}", "hash": None}[id_kind]
        row = Row(0, at, known, row_id, draw(values))
        rows.append(row)
        if known != MAX:
            rows += draw(corrections(layout, row, values))
    if draw(st.booleans()):
        rows = draw(st.permutations(rows))
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    return layout, [rows[a:b] for a, b in pairwise([0, *cuts, len(rows)]) if a < b]


@st.composite
def corrections(draw: st.DrawFn, layout: Layout, row: Row, values: st.SearchStrategy[Any]) -> list[Row]:
    """What is said of a row later: mostly nothing."""
    match draw(st.integers(0, 11)):
        case 0:
            return [replace(row, known_at=row.known_at + 2, values=draw(values))]
        case 1 if layout.kind == "event" and layout.id_kind != "hash":
            return [
                replace(
                    row, event_time=draw(st.integers(0, SPAN)), known_at=row.known_at + 3, values=draw(values)
                )
            ]
        case 2:
            return [replace(row, known_at=row.known_at + 5, values=(), dead=True)]
        case 3 if layout.kind == "event":
            # Who deletes by id need not know when that was.
            later = row.known_at + 5
            return [replace(row, event_time=later, known_at=later, values=(), dead=True)]
        case 4:
            return [row]
    return []


def shown(answers: Any) -> Any:
    columns = [bits(column[0]) for column in answers.columns()]
    return columns, answers.statuses.tolist(), answers.event_times.tolist(), answers.errors.tolist()


def check(
    store: OnlineStore, program: Program, value: bytes, t: int, request: RequestRows = NO_REQUEST
) -> None:
    """The answers of the key in the store are those of the value."""
    at = np.array([t])
    got = shown(answer(program, store.read(TABLE, [KEY]), at, request, Place(store, TABLE, [KEY])))
    want = shown(flat_program.answer(program, [value], at, request))
    for i, output in enumerate(program.outputs):
        assert got[0][i] == want[0][i], (t, output)
        assert got[1][i] == want[1][i], (t, output)
    assert got[2:] == want[2:], t


def some_outputs(layout: Layout) -> st.SearchStrategy[list[Output]]:
    if layout.kind == "state":
        return st.just([Output("", "column", dtype, input=i) for i, dtype in enumerate(TYPES)])
    return outputs()


@settings(max_examples=150, deadline=None)
@given(histories(), st.data())
def test_answers_are_those_of_all_rows(history: tuple[Layout, list[list[Row]]], data: st.DataObject) -> None:
    layout, batches = history
    asked = data.draw(some_outputs(layout))
    max_age = data.draw(st.sampled_from([None, 3])) if layout.kind == "state" else None
    program = make_program(layout, TYPES, asked, max_age)
    store = written(layout, TYPES, batches, asked)
    own = data.draw(any_values)
    lanes = [encode(pl.Series([own[i]], dtype=dtype)) for i, dtype in enumerate(TYPES)]
    request = request_rows(lanes, 1) if program.takes_request else NO_REQUEST
    value = all_in_one(layout, TYPES, batches)
    for t in data.draw(st.lists(st.integers(-2, SPAN + 45), min_size=1, max_size=5)):
        check(store, program, value, t, request)


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(0, SPAN), st.integers(0, 60), st.data())
def test_behind_the_horizon_nothing_is_missed(
    history: tuple[Layout, list[list[Row]]], horizon: int, watermark: int, data: st.DataObject
) -> None:
    layout, batches = history
    asked = data.draw(some_outputs(layout))
    bounded = [output for output in asked if output.span is None or output.span < 99]
    if layout.kind == "event":
        bounded = [replace(output, window=12) if output.window == NONE else output for output in bounded]
    program = make_program(layout, TYPES, bounded)
    retention = Retention(horizon, max(horizon, watermark))
    store = written(layout, TYPES, batches, asked, retention=retention)
    assert leaves_of(store) == named(store, layout)
    everything, kept = all_in_one(layout, TYPES, batches), all_in_one(layout, TYPES, batches, retention)
    reach = max((output.span or 0 for output in bounded), default=0)
    for t in data.draw(st.lists(st.integers(horizon + reach, horizon + reach + 60), min_size=1, max_size=4)):
        whole, held = (shown(flat_program.answer(program, [v], np.array([t]))) for v in (everything, kept))
        # A correction of what was let go cannot be known by any value (decision 15).
        if whole == held:
            check(store, program, everything, t)
