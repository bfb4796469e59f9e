"""Leaves hold what they should: rows whole, in order, as many as they may, and the index tells the truth of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from gnomon.kernels import leaves as kernel
from gnomon.kernels import states
from gnomon.online import dictionary
from gnomon.online.codec import MAX, FlatRows, Layout, nothing, unpack
from gnomon.online.index import NO_LEAVES, View, leaf_key, leaves_table, read_index, tail_of
from gnomon.online.memory import MemoryStore
from gnomon.online.merge import KEEP_ALL, Retention, merge
from gnomon.online.program import make_program
from gnomon.online.sealing import LOST, Sizes, expired, grow, place_of, restate, serves
from gnomon.plan.layout import Output
from tests.online.hot import KEY, SMALL, TABLE, all_in_one, in_steps, named, written
from tests.online.made import Row, flat, listed, make_layout
from tests.online.test_program import TYPES as ALL_TYPES
from tests.online.test_tree import check, histories

TYPES = [pl.Int64()]
VIEWS = [View(0, -1, False, states.SUMS | states.SQUARES | states.EXTREMA | states.ENDS)]
NUMBERS = make_layout(TYPES, id_kind="int")


def row(number: int, **other: Any) -> Row:
    return replace(Row(0, number, number, number, (number,)), **other)


def sealed(rows: list[Row], sizes: Sizes, layout: Layout = NUMBERS) -> list[int]:
    """How many rows the leaves have, and the tail."""
    new = flat(layout, TYPES, rows, 1)
    grown = grow(layout, [], NO_LEAVES, [], nothing(layout, 0), nothing(layout, 1), new, KEEP_ALL, sizes)
    return [*grown.index.fields[kernel.ROWS].tolist(), grown.tail.n_rows]


def test_the_newest_rows_stay_in_the_tail_and_the_others_fill_leaves() -> None:
    sizes = Sizes(leaf=10, tail=5)
    assert sealed([row(i) for i in range(14)], sizes) == [14]
    assert sealed([row(i) for i in range(15)], sizes) == [10, 5]
    assert sealed([row(i) for i in range(47)], sizes) == [10, 10, 10, 10, 7]


def test_leaves_end_where_the_event_time_changes_if_that_is_near() -> None:
    sizes = Sizes(leaf=10, tail=5)
    assert sealed([row(i, event_time=i // 3) for i in range(40)], sizes)[:2] == [9, 12]
    # A day of events at one instant is cut all the same; the versions of a state's row are not.
    assert sealed([row(i, event_time=1) for i in range(40)], sizes) == [10, 10, 10, 10]
    state = make_layout(TYPES, kind="state", id_kind="int")
    assert sealed([row(i, event_time=1) for i in range(40)], sizes, state) == [40, 0]


def test_a_full_leaf_is_cut_into_halves() -> None:
    store = written(
        NUMBERS, TYPES, [[row(10 * i) for i in range(40)], [row(155), row(156)]], sizes=Sizes(8, 4)
    )
    value = store.read(TABLE, [KEY])[0]
    assert value is not None
    assert read_index(NUMBERS, value, "here").fields[kernel.ROWS].tolist() == [8, 5, 5, 8, 8]


def parts(layout: Layout, store: MemoryStore) -> tuple[list[FlatRows], FlatRows]:
    """The rows of each leaf, and of the tail, of the one key; it may have none."""
    (value,) = store.read(TABLE, [KEY])
    assert value is not None
    names = sorted(named(store, layout))
    if not names:
        return [], unpack(layout, [tail_of(value) if value[:3] == b"GN\x02" else value])
    index = read_index(layout, value, "here")
    keys = [leaf_key(KEY, name) for name in index.names(range(index.n_leaves))]
    return [unpack(layout, [leaf]) for leaf in store.read(leaves_table(TABLE), keys)], unpack(
        layout, [tail_of(value)]
    )


@settings(max_examples=80, deadline=None)
@given(histories())
def test_all_rows_are_somewhere_and_versions_of_one_are_together(
    history: tuple[Layout, list[list[Row]]],
) -> None:
    layout, batches = history
    store = written(layout, ALL_TYPES, batches)
    assert isinstance(store, MemoryStore)
    in_leaves, tail = parts(layout, store)
    everything = unpack(layout, [all_in_one(layout, ALL_TYPES, batches)])
    found = [r for rows in [*in_leaves, tail] for r in listed(layout, ALL_TYPES, rows)]
    # A delete stands beside its row, whatever time it came with.
    assert sorted(map(facts, found)) == sorted(map(facts, listed(layout, ALL_TYPES, everything)))
    idents = [set(idents_of(layout, rows)) for rows in [*in_leaves, tail]]
    assert sum(map(len, idents)) == len(set().union(*idents))
    for before, after in pairwise(in_leaves):
        assert before.event_time[-1] <= after.event_time[0]
    for rows in in_leaves:
        assert (np.diff(rows.event_time) >= 0).all()


def facts(row: Row) -> str:
    return repr(
        (0 if row.dead else row.event_time, row.known_at, row.row_id, row.values, row.dead, row.until)
    )


def idents_of(layout: Layout, rows: FlatRows) -> list[Any]:
    if layout.kind == "state":
        return rows.event_time.tolist()
    ids = rows.row_id
    return ids.to_list() if hasattr(ids, "to_list") else list(map(tuple, ids.pairs.tolist()))


@settings(max_examples=40, deadline=None)
@given(histories())
def test_records_that_were_kept_are_those_that_would_be_made_anew(
    history: tuple[Layout, list[list[Row]]],
) -> None:
    layout, batches = history
    asked = [
        Output("", "std", pl.Float64(), input=2),
        Output("", "last", pl.Decimal(38, 2), input=5, where=0),
    ]
    store = written(layout, ALL_TYPES, batches, asked)
    (value,) = store.read(TABLE, [KEY])
    if not named(store, layout) or value is None:
        return
    index = read_index(layout, value, "here")
    keys = [leaf_key(KEY, name) for name in index.names(range(index.n_leaves))]
    values = [leaf or b"" for leaf in store.read(leaves_table(TABLE), keys)]
    anew = restate(layout, index.views, index, values, unpack(layout, values))
    for held, made in zip(index.states, anew.states, strict=True):
        assert held.starts.tolist() == made.starts.tolist()
        assert held.records.tolist() == made.records.tolist()
    words = [view.word for view in index.views]
    assert serves(words, index.views)
    assert not serves(words, index.views[:1])


def test_rows_belong_where_their_time_is() -> None:
    store = written(NUMBERS, TYPES, [[row(10 * i) for i in range(40)]])
    value = store.read(TABLE, [KEY])[0]
    assert value is not None
    index = read_index(NUMBERS, value, "here")
    asked = [row(-5), row(0, row_id=-1), row(35), row(41, row_id=77), row(5000)]
    first, last = place_of(
        NUMBERS, index, merge(NUMBERS, nothing(NUMBERS, 1), flat(NUMBERS, TYPES, asked, 1)).rows
    )
    assert first.tolist() == last.tolist() == [0, 0, 0, 1, -1]


def test_a_leaf_goes_when_all_of_it_was_known_before_the_horizon() -> None:
    late = row(3, known_at=500)
    store = written(NUMBERS, TYPES, [[row(i) for i in range(40) if i != 3] + [late]])
    value = store.read(TABLE, [KEY])[0]
    assert value is not None
    index = read_index(NUMBERS, value, "here")
    gone = expired(NUMBERS, index.fields, Retention(12, 600))
    assert gone.tolist() == [False, True, True] + [False] * (index.n_leaves - 3)
    assert not expired(NUMBERS, index.fields, KEEP_ALL).any()


def test_too_many_different_values_are_counted_from_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "MOST_VALUES", 20)
    rows = [row(i, values=(i % 10 if i < 60 else i,)) for i in range(120)]
    asked = [Output("d", "n_distinct", pl.Int64(), input=0), Output("m", "max", pl.Int64(), input=0)]
    program = make_program(NUMBERS, TYPES, asked)
    batches = in_steps(rows, 7)
    for many in range(5, len(batches) + 1):
        store = written(NUMBERS, TYPES, batches[:many], asked)
        for t in (30, 61, 99, 200):
            check(store, program, all_in_one(NUMBERS, TYPES, batches[:many]), t)
    value = store.read(TABLE, [KEY])[0]
    assert value is not None
    index = read_index(NUMBERS, value, "here")
    assert [view.needs for view in index.views] == [states.EXTREMA | LOST]
    assert not index.dictionaries
    words = [view.word for view in index.views]
    assert serves(words, [View(0, -1, False, states.EXTREMA | states.DISTINCT)])


def test_rows_that_are_not_known_yet_are_in_no_record() -> None:
    rows = [row(i, known_at=MAX if i % 2 else i) for i in range(40)]
    asked = [Output("n", "count", pl.Int64())]
    store = written(NUMBERS, TYPES, [rows], asked)
    program = make_program(NUMBERS, TYPES, asked)
    for t in (0, 17, 100):
        check(store, program, all_in_one(NUMBERS, TYPES, [rows]), t)
    assert SMALL.leaf < len(rows)
