"""Which rows a query sees: ranges, spans and tapes against the definition, row by row."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gnomon.kernels import bounds

MAX = 2**63 - 1
HUGE = 2**62
NONE = np.empty(0, np.int64)


def ints(values) -> np.ndarray:
    return np.array(list(values), np.int64)


def in_window(time, t, length, offset, inclusive):
    """The definition, in whole numbers without bounds."""
    above = length < 0 or t - offset - length <= time
    return above and (time <= t - offset if inclusive else time < t - offset)


def seen(rows, query, window, *, timely=False):
    """The positions of the rows (code, time, known, until) that a query (code, t) sees."""
    code, t = query
    return [
        i
        for i, (row_code, time, known, until) in enumerate(rows)
        if row_code == code and in_window(time, t, *window) and (timely or known <= t < until)
    ]


edge = st.sampled_from([-(2**63) + 1, -HUGE, HUGE, MAX - 1])
instant = st.integers(-6, 12) | edge
codes = st.integers(0, 3)
windows = st.tuples(
    st.integers(-1, 8) | st.just(HUGE), st.sampled_from([0, 0, 1, 3, HUGE - 1, -4]), st.booleans()
)
known = instant | st.just(MAX)
row_lists = st.lists(st.tuples(codes, instant, known, known), max_size=25).map(sorted)
query_lists = st.lists(st.tuples(codes, instant), max_size=15).map(sorted)


def columns(rows, n):
    return [ints(r[k] for r in rows) for k in range(n)]


def bounds_of(rows, queries, window):
    row_code, time = columns(rows, 2)
    return bounds.window_bounds(row_code, time, *columns(queries, 2), *window)


# --- ranges -------------------------------------------------------------------------------------------------


@given(row_lists, query_lists, windows)
@example([(0, MAX - 1, 0, 0)], [(0, MAX - 1)], (0, -4, True))
def test_bounds_are_the_rows_in_the_window(rows, queries, window):
    lo, hi = bounds_of(rows, queries, window)
    for i, query in enumerate(queries):
        assert list(range(lo[i], hi[i])) == seen(rows, query, window, timely=True)
    assert (np.diff(lo) >= 0).all()
    assert (np.diff(hi) >= 0).all()
    assert (lo <= hi).all()


def test_both_edges_of_a_window_are_exact():
    rows = [(0, 10, 0, MAX), (0, 20, 0, MAX), (0, 30, 0, MAX)]
    assert [b.tolist() for b in bounds_of(rows, [(0, 30)], (20, 0, False))] == [[0], [2]]
    assert [b.tolist() for b in bounds_of(rows, [(0, 31)], (20, 0, False))] == [[1], [3]]
    assert [b.tolist() for b in bounds_of(rows, [(0, 30)], (10, 0, True))] == [[1], [3]]
    assert [b.tolist() for b in bounds_of(rows, [(0, 30)], (0, 0, True))] == [[2], [3]]


@pytest.mark.parametrize("n_queries", [5, 3_000])
def test_bounds_of_many_rows_are_those_of_a_search(n_queries):
    draws = np.random.default_rng(n_queries)
    code, time = np.sort(draws.integers(0, 4, 50_000)), draws.integers(0, 10_000, 50_000)
    time = time[np.lexsort((time, code))]
    q_code, t = np.sort(draws.integers(0, 6, n_queries)), draws.integers(-10, 10_020, n_queries)
    t = t[np.lexsort((t, q_code))]
    lo, hi = bounds.window_bounds(code, time, q_code, t, 500, 20, False)
    joint = code * 10**6 + time
    assert lo.tolist() == np.searchsorted(joint, np.maximum(t - 520, -100) + q_code * 10**6).tolist()
    assert hi.tolist() == np.searchsorted(joint, t - 20 + q_code * 10**6).tolist()


timely_rows = st.lists(st.tuples(codes, instant, st.integers(0, 3)), max_size=25).map(sorted)


@given(timely_rows, query_lists, windows)
def test_capped_bounds_are_the_rows_seen_when_rows_become_known_in_order(rows, queries, window):
    latest: dict[int, int] = {}
    in_order = []
    for code, time, late in rows:
        latest[code] = max(latest.get(code, -(2**63)), min(time + late, MAX - 1))
        in_order.append((code, time, latest[code], MAX))
    lo, hi = bounds_of(in_order, queries, window)
    row_code, _, row_known = columns(in_order, 3)
    capped = bounds.cap_known(lo, hi, row_code, row_known, *columns(queries, 2))
    assert bounds.is_contiguous(row_code, row_known, NONE)
    for i, query in enumerate(queries):
        assert list(range(lo[i], capped[i])) == seen(in_order, query, window)
    assert (np.diff(capped) >= 0).all()
    assert (lo <= capped).all()


def test_rows_are_contiguous_when_known_in_order_and_never_replaced():
    code = ints([0, 0, 1])
    assert bounds.is_contiguous(code, ints([5, 5, 1]), NONE)
    assert bounds.is_contiguous(code, ints([5, 6, 1]), ints([MAX] * 3))
    assert not bounds.is_contiguous(code, ints([5, 4, 9]), NONE)
    assert not bounds.is_contiguous(code, ints([5, 6, 1]), ints([MAX, MAX, 7]))
    assert bounds.is_contiguous(NONE, NONE, NONE)


@given(st.lists(st.booleans(), max_size=30))
def test_compressed_places_and_rows_lead_to_each_other(mask):
    rows, before, pos = bounds.compress(np.array(mask, np.uint8))
    passing = [i for i, ok in enumerate(mask) if ok]
    assert rows.tolist() == passing
    assert pos.tolist() == [passing.index(i) if ok else -1 for i, ok in enumerate(mask)]
    assert before.tolist() == [sum(mask[:i]) for i in range(len(mask) + 1)]
    lo = np.repeat(np.arange(len(mask) + 1), len(mask) + 1)
    hi = np.tile(np.arange(len(mask) + 1), len(mask) + 1)
    new_lo, new_hi = bounds.map_bounds(before, lo, hi)
    for a, b, x, y in zip(lo, hi, new_lo, new_hi, strict=True):
        assert [int(rows[p]) for p in range(x, y)] == [i for i in passing if a <= i < b]


def test_a_limit_keeps_the_newest_rows():
    assert bounds.limit_bounds(ints([0, 2, 3]), ints([5, 4, 3]), 3).tolist() == [2, 2, 3]


# --- comings and goings -------------------------------------------------------------------------------------


def tape_of(rows, queries, window, *, replaced=True):
    row_code, time, row_known, until = columns(rows, 4)
    return bounds.tape(row_code, time, row_known, until if replaced else NONE, *columns(queries, 2), *window)


def replayed(tape, tape_end):
    """The rows held at each query, and at the end of the tape."""
    held: list[int] = []
    states = []
    at = 0
    for end in [*tape_end.tolist(), len(tape)]:
        for op in tape[at:end].tolist():
            if op & 1:
                held.remove(op >> 1)
            else:
                assert op >> 1 not in held
                held.append(op >> 1)
        at = end
        states.append(sorted(held))
    return states


@given(row_lists, query_lists, windows)
def test_a_tape_holds_at_each_query_the_rows_that_it_sees(rows, queries, window):
    *states, rest = replayed(*tape_of(rows, queries, window))
    assert states == [seen(rows, query, window) for query in queries]
    assert rest == []


@given(row_lists, query_lists, windows)
def test_a_tape_without_replacements_needs_no_until(rows, queries, window):
    forever = [(*row[:3], MAX) for row in rows]
    for a, b in zip(
        tape_of(rows, queries, window, replaced=False), tape_of(forever, queries, window), strict=True
    ):
        assert a.tolist() == b.tolist()


@given(row_lists, query_lists, windows)
def test_a_tape_names_only_rows_that_are_seen_and_removes_before_it_adds(rows, queries, window):
    tape, tape_end = tape_of(rows, queries, window)
    ever = {i for query in queries for i in seen(rows, query, window)}
    assert sorted(tape.tolist()) == sorted([2 * i for i in ever] + [2 * i + 1 for i in ever])
    for ops in np.split(tape, tape_end):
        kinds = (ops & 1).tolist()
        assert kinds == sorted(kinds, reverse=True)


def test_a_late_row_is_seen_from_when_it_is_known_until_it_leaves_or_is_replaced():
    queries = [(0, t) for t in range(10, 20)]
    first, last = bounds.visible_spans(
        ints([0] * 4),
        ints([10, 10, 10, 10]),
        ints([10, 13, 16, 10]),
        ints([MAX, MAX, MAX, 12]),
        *columns(queries, 2),
        5,
        0,
        False,
    )
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == [(1, 6), (3, 6), (0, 0), (1, 2)]


def test_a_key_is_emptied_before_the_next_one_begins():
    rows = [(0, 1, 1, MAX), (1, 1, 1, MAX)]
    tape, tape_end = tape_of(rows, [(0, 5), (1, 5)], (-1, 0, False))
    assert tape.tolist() == [0, 1, 2, 3]
    assert tape_end.tolist() == [1, 3]


@given(row_lists, query_lists, windows, st.integers(1, 4), st.data())
def test_active_lists_are_the_newest_rows_that_pass(rows, queries, window, n, data):
    mask = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)) | st.none())
    pos = NONE if mask is None else bounds.compress(np.array(mask, np.uint8))[2]
    offsets, positions = bounds.active_lists(*tape_of(rows, queries, window), pos, n)
    place = list(range(len(rows))) if mask is None else pos.tolist()
    lists = [positions[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert lists == [[place[i] for i in seen(rows, q, window) if place[i] >= 0][-n:] for q in queries]
    assert (offsets[0], offsets[-1]) == (0, len(positions))
