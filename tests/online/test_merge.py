"""Row versions meet: the same rows in whatever order they arrive, and those that no answer needs go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gnomon.online.codec import MAX, MIN, FlatRows, Layout, pack, unpack
from gnomon.online.merge import KEEP_ALL, IdConflict, Merged, Retention, merge
from tests.online.made import Row, columns_of, content_of, flat, listed, make_layout

TYPES = [pl.Int64(), pl.String()]
KEYS = 2
HORIZON = 10


def empty(layout: Layout, keys: int = KEYS) -> FlatRows:
    return unpack(layout, [None] * keys)


def arrive(layout: Layout, held: FlatRows, rows: Sequence[Row], retention: Retention = KEEP_ALL) -> Merged:
    """Merge, and store and read what comes of it."""
    merged = merge(layout, held, flat(layout, TYPES, rows, held.n_keys), retention)
    buffer, offsets = pack(layout, merged.rows)
    values = [buffer[a:b].tobytes() for a, b in pairwise(offsets)]
    stored = unpack(layout, values)
    assert columns_of(stored) == columns_of(merged.rows)
    return replace(merged, rows=stored)


def rows_of(layout: Layout, *batches: Sequence[Row]) -> FlatRows:
    held = empty(layout)
    for batch in batches:
        held = arrive(layout, held, batch).rows
    return held


def without_counters(rows: FlatRows) -> list[Any]:
    return columns_of(replace(rows, counter=np.zeros(rows.n_keys, np.int64)))


@st.composite
def batches(draw: st.DrawFn) -> tuple[Layout, list[list[Row]]]:
    """A few batches over a small space, so that versions, ties, deletes and repeats abound."""
    kind = draw(st.sampled_from(["state", "event"]))
    id_kind = draw(st.sampled_from(["hash", "int", "text"]))
    layout = make_layout(TYPES, kind=kind, id_kind=id_kind, declared=draw(st.booleans()))
    made = []
    for _ in range(draw(st.integers(1, 3))):
        batch = []
        for _ in range(draw(st.integers(0, 5))):
            number = draw(st.integers(0, 2))
            row_id = {"hash": None, "int": number - 1, "text": "é" * number}[id_kind]
            value = draw(st.sampled_from([(1, "a"), (1, None), (2, "b")]))
            row = Row(
                draw(st.integers(0, KEYS - 1)),
                draw(st.integers(0, 3)),
                draw(st.integers(0, 4)),
                row_id,
                value,
            )
            if draw(st.integers(0, 4)) == 0:
                no_id = {"hash": None, "int": 0, "text": ""}[id_kind]
                row = replace(row, dead=True, values=(), row_id=no_id if kind == "state" else row_id)
            batch.append(row)
        made.append(batch)
    return layout, made


def ident_of(layout: Layout, row: Row) -> Any:
    if layout.kind == "state":
        return row.key, row.event_time
    return row.key, row.row_id if layout.id_kind != "hash" else tuple(content_of(row))


def visible_by_definition(layout: Layout, rows: Sequence[Row], t: int) -> set[Any]:
    """(identity, event_time, values) of the versions that count at t, as SEMANTICS §2 says it."""
    versions = defaultdict(list)
    for row in rows:
        versions[ident_of(layout, row)].append(row)
    seen = set()
    for ident, held in versions.items():
        first_known: dict[Any, Row] = {}
        for row in held:
            key = (row.row_id, tuple(content_of(row)))
            if not row.dead and (key not in first_known or row.known_at < first_known[key].known_at):
                first_known[key] = row
        known = [row for row in [*first_known.values(), *(r for r in held if r.dead)] if row.known_at <= t]
        if not known:
            continue
        latest = max(row.known_at for row in known)
        last = [row for row in known if row.known_at == latest]
        if any(row.dead for row in last):
            continue
        best = max(last, key=lambda row: (_rank(layout, row), _unsigned(row)))
        seen.add((ident, best.event_time, best.values))
    return seen


def _rank(layout: Layout, row: Row) -> Any:
    if layout.kind == "event" or layout.id_kind == "hash":
        return 0
    return row.row_id if layout.id_kind == "int" else str(row.row_id).encode()


def _unsigned(row: Row) -> tuple[int, ...]:
    return tuple(word % 2**64 for word in content_of(row))


def conflicts(layout: Layout, rows: Sequence[Row]) -> bool:
    """Whether some of the rows, by themselves, have two contents under one id and one known_at."""
    if layout.kind == "state":
        return False
    found: dict[Any, set[Any]] = defaultdict(set)
    for row in rows:
        if not row.dead:
            found[ident_of(layout, row), row.known_at].add(tuple(content_of(row)))
    return any(len(contents) > 1 for contents in found.values())


@settings(max_examples=150, deadline=None)
@given(batches())
def test_what_counts_at_any_time_is_what_the_semantics_say(case: tuple[Layout, list[list[Row]]]) -> None:
    layout, made = case
    everything = [row for batch in made for row in batch]
    assume(not conflicts(layout, everything))
    rows = listed(layout, TYPES, rows_of(layout, *made))
    for t in range(-1, 6):
        visible = [
            (ident_of(layout, row), row.event_time, row.values)
            for row in rows
            if row.known_at <= t < row.until and not row.dead
        ]
        assert len(visible) == len(set(visible))
        assert set(visible) == visible_by_definition(layout, everything, t)


@settings(max_examples=100, deadline=None)
@given(batches())
def test_order_and_grouping_of_arrival_leave_no_trace(case: tuple[Layout, list[list[Row]]]) -> None:
    layout, made = case
    everything = [row for batch in made for row in batch]
    assume(not conflicts(layout, everything))
    want = without_counters(rows_of(layout, everything))
    for order in permutations(made):
        assert without_counters(rows_of(layout, *order)) == want
    a, b, *rest = (flat(layout, TYPES, batch, KEYS) for batch in [*made, []])
    left = merge(layout, merge(layout, a, b).rows, rest[0]).rows if rest else merge(layout, a, b).rows
    right = merge(layout, a, merge(layout, b, rest[0]).rows).rows if rest else merge(layout, b, a).rows
    assert without_counters(left) == without_counters(right)


@settings(max_examples=100, deadline=None)
@given(batches())
def test_arriving_again_changes_nothing(case: tuple[Layout, list[list[Row]]]) -> None:
    layout, made = case
    everything = [row for batch in made for row in batch]
    assume(not conflicts(layout, everything))
    rows = rows_of(layout, *made)
    again = merge(layout, rows, rows)
    assert without_counters(again.rows) == without_counters(rows)
    assert again.duplicates == rows.n_rows
    assert again.rows.counter.tolist() == (2 * rows.counter).tolist()
    for batch in made:
        assert without_counters(arrive(layout, rows, batch).rows) == without_counters(rows)


@settings(max_examples=100, deadline=None)
@given(batches())
def test_rows_of_a_key_stand_in_order(case: tuple[Layout, list[list[Row]]]) -> None:
    layout, made = case
    assume(not conflicts(layout, [row for batch in made for row in batch]))
    rows = listed(layout, TYPES, rows_of(layout, *made))

    def place(row: Row) -> Any:
        known = row.known_at if layout.declared_known or layout.kind == "state" else 0
        row_id: Any = _unsigned(row) if layout.id_kind == "hash" else row.row_id
        return row.key, row.event_time, known, row_id

    assert [place(row) for row in rows] == sorted(place(row) for row in rows)


def test_one_id_with_two_contents_at_one_known_at_names_the_key() -> None:
    layout = make_layout(TYPES, id_kind="int")
    held = rows_of(layout, [Row(1, 0, 5, 7, (1, "a")), Row(0, 0, 5, 7, (2, "b"))])
    with pytest.raises(IdConflict) as caught:
        arrive(layout, held, [Row(1, 0, 5, 7, (2, "a"))])
    assert caught.value.keys.tolist() == [1]
    assert arrive(layout, held, [Row(1, 0, 6, 7, (2, "a"))]).rows.n_rows == 3


def test_ties_of_a_state_group_are_counted() -> None:
    layout = make_layout(TYPES, kind="state")
    merged = arrive(layout, empty(layout), [Row(0, 1, 1, None, (1, "a")), Row(0, 1, 1, None, (2, "b"))])
    assert merged.ties == 1
    assert merged.duplicates == 0


def test_content_that_was_deleted_stays_deleted() -> None:
    layout = make_layout(TYPES, id_kind="int")
    row = Row(0, 1, 1, 7, (1, "a"))
    rows = rows_of(layout, [row], [Row(0, 1, 5, 7, dead=True)], [replace(row, known_at=9)])
    assert [(r.known_at, r.until, r.dead) for r in listed(layout, TYPES, rows)] == [
        (1, 5, False),
        (5, MAX, True),
    ]


# ------------------------------------------------------------------------------------------------ retention


def test_events_behind_the_horizon_go_and_leave_their_times() -> None:
    layout = make_layout(TYPES)
    rows = [Row(0, t, t, None, (t, "")) for t in (3, 8, 10, 12)]
    held = arrive(layout, empty(layout), rows).rows
    merged = arrive(layout, held, [Row(0, 13, 13, None, (13, ""))], Retention(HORIZON, 13))
    assert merged.rows.event_time.tolist() == [10, 12, 13]
    assert (merged.late, merged.retired) == (0, 2)
    assert merged.rows.first_activation.tolist() == [3, MAX]
    assert merged.rows.newest_dropped.tolist() == [8, MIN]


def test_a_late_event_behind_the_horizon_is_counted_and_not_held() -> None:
    layout = make_layout(TYPES)
    held = arrive(layout, empty(layout), [Row(0, 12, 12, None, (1, ""))]).rows
    merged = arrive(layout, held, [Row(0, 4, 13, None, (2, ""))], Retention(HORIZON, 13))
    assert merged.rows.event_time.tolist() == [12]
    assert (merged.late, merged.retired) == (1, 0)


def test_rows_that_are_not_active_at_the_watermark_wait() -> None:
    layout = make_layout(TYPES)
    rows = [Row(0, 4, 99, None, (1, "")), Row(0, 4, MAX, None, (2, "")), Row(0, 999, 4, None, (3, ""))]
    merged = arrive(layout, empty(layout), rows, Retention(HORIZON, 13))
    assert merged.rows.n_rows == 3
    assert merged.late == 0


def test_an_event_is_dropped_with_all_its_versions_or_with_none() -> None:
    layout = make_layout(TYPES, id_kind="int")
    old, moved, gone = Row(0, 4, 4, 7, (1, "")), Row(0, 11, 12, 7, (2, "")), Row(0, 4, 4, 8, (1, ""))
    merged = arrive(layout, empty(layout), [old, moved, gone], Retention(HORIZON, 13))
    assert [(r.row_id, r.event_time) for r in listed(layout, TYPES, merged.rows)] == [(7, 4), (7, 11)]


def test_a_state_group_keeps_the_newest_row_at_the_horizon() -> None:
    layout = make_layout(TYPES, kind="state")
    rows = [Row(0, t, t, None, (t, "")) for t in (3, 8, 12)] + [Row(1, 2, 2, None, (2, ""))]
    merged = arrive(layout, empty(layout), rows, Retention(HORIZON, 13))
    assert merged.rows.event_time.tolist() == [8, 12, 2]
    assert merged.rows.first_activation.tolist() == [3, MAX]
    assert merged.late == 1


def test_a_state_row_stays_while_what_hides_it_is_to_be_deleted() -> None:
    layout = make_layout(TYPES, kind="state")
    rows = [Row(0, 3, 3, None, (1, "")), Row(0, 8, 8, None, (2, "")), Row(0, 8, 12, None, dead=True)]
    merged = arrive(layout, empty(layout), rows, Retention(HORIZON, 13))
    assert merged.rows.n_rows == 3


@settings(max_examples=150, deadline=None)
@given(batches(), st.integers(0, 4))
def test_retention_changes_no_answer_at_or_after_the_horizon(
    case: tuple[Layout, list[list[Row]]], horizon: int
) -> None:
    """State: what is newest at t. Event: what is visible and not older than the horizon."""
    layout, made = case
    everything = [row for batch in made for row in batch]
    assume(not conflicts(layout, everything))
    whole = listed(layout, TYPES, rows_of(layout, everything))
    kept = arrive(layout, empty(layout), everything, Retention(horizon, 4)).rows
    cut = listed(layout, TYPES, kept)
    assert set(cut) <= set(whole)

    def answers(rows: Sequence[Row], key: int, t: int) -> Any:
        seen = [
            r for r in rows if r.key == key and r.known_at <= t < r.until and not r.dead and r.event_time <= t
        ]
        if layout.kind == "event":
            return [r for r in seen if r.event_time >= horizon]
        return seen[-1:]

    def newest(rows: Sequence[Row], key: int, t: int) -> int:
        times = [
            r.event_time
            for r in rows
            if r.key == key and r.known_at <= t < r.until and not r.dead and r.event_time <= t
        ]
        return max(times, default=MIN)

    for key in range(KEYS):
        for t in range(horizon, 7):
            assert answers(cut, key, t) == answers(whole, key, t)
            gone = int(kept.newest_dropped[key]) if kept.first_activation[key] <= t else MIN
            assert max(newest(cut, key, t), gone) == newest(whole, key, t)
        activations = [max(r.event_time, r.known_at) for r in whole if r.key == key and _ever(r)]
        held = [max(r.event_time, r.known_at) for r in cut if r.key == key and _ever(r)]
        assert min([*held, int(kept.first_activation[key])]) == min([*activations, MAX])


def _ever(row: Row) -> bool:
    return not row.dead and max(row.event_time, row.known_at) < row.until
