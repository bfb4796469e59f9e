"""Which rows are one, which say nothing new, which are needed no more."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.kernels import union

MAX = 2**63 - 1
FEW = st.integers(-1, 1)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=5))
def test_rows_of_two_sides_are_laid_key_by_key(sizes: list[tuple[int, int]]) -> None:
    old = np.cumsum([0, *(a for a, _ in sizes)])
    new = np.cumsum([0, *(b for _, b in sizes)])
    positions, key_start = union.interleave(old, new)
    want = []
    for k in range(len(sizes)):
        want.append([*range(old[k], old[k + 1]), *range(old[-1] + new[k], old[-1] + new[k + 1])])
    assert [positions[a:b].tolist() for a, b in itertools.pairwise(key_start)] == want


def test_time_rises_inside_keys_and_may_fall_between_them() -> None:
    assert union.rises(ints(0, 2, 2, 4), ints(5, 6, 1, 2))
    assert not union.rises(ints(0, 2), ints(5, 5))
    assert not union.rises(ints(0, 2), ints(5, 4))
    assert union.rises(ints(0), ints())


@given(st.lists(st.tuples(FEW, FEW, FEW), max_size=30))
def test_equal_rows_get_one_number(rows: list[tuple[int, int, int]]) -> None:
    key, a, b = np.array(rows, np.int64).reshape(-1, 3).T.copy()
    hashed = union.spread(key, a, b)
    ident, count, collided = union.number(np.argsort(hashed), hashed, key, a, b)
    assert not collided
    assert count == len(set(rows))
    assert len(set(zip(rows, ident.tolist(), strict=True))) == count
    assert set(ident.tolist()) == set(range(count))


def test_different_rows_of_one_hash_are_noticed() -> None:
    key, b = ints(1, 1, 1), ints(0, 0, 0)
    same = ints(9, 9, 9)
    assert union.number(ints(0, 1, 2), same, key, ints(5, 6, 5), b)[2]
    assert not union.number(ints(0, 1, 2), same, key, ints(5, 5, 5), b)[2]


versions = st.tuples(
    st.integers(0, 2), st.integers(0, 1), FEW, st.integers(0, 1), st.integers(0, 1), st.integers(0, 3)
)


@settings(max_examples=200)
@given(st.lists(versions, max_size=25))
def test_of_equal_contents_the_one_of_least_rank_stays(rows: list[tuple[int, ...]]) -> None:
    ident, dead, v1, h1, h2, rank = np.array(rows, np.int64).reshape(-1, 6).T.copy()
    order = np.argsort(ident, kind="stable")
    repeated = union.repeats(order, ident, dead, v1, h1.astype(np.uint64), h2.astype(np.uint64), rank)
    kept = defaultdict(list)
    for i, row in enumerate(rows):
        kept[row[:5]].append((row[5], bool(repeated[i])))
    for found in kept.values():
        assert [rank for rank, again in found if not again] == [min(rank for rank, _ in found)]


@given(st.lists(st.lists(st.tuples(FEW, FEW, st.integers(0, 2)), max_size=20), max_size=3))
def test_each_key_is_sorted_for_itself(keys: list[list[tuple[int, int, int]]]) -> None:
    rows = [row for key in keys for row in key]
    a, b, c = np.array(rows, np.int64).reshape(-1, 3).T.copy()
    key_start = np.cumsum([0, *map(len, keys)])
    positions = np.arange(len(rows))
    none, words = ints(), np.empty(0, np.uint64)
    union.sort_in_keys(positions, key_start, a, b, c.astype(np.uint64), words, none)
    for k, key in enumerate(keys):
        low, high = key_start[k], key_start[k + 1]
        order = sorted(range(low, high), key=lambda i: rows[i])
        assert positions[low:high].tolist() == order
        assert len(order) == len(key)


def test_marks_tell_of_dropped_rows_that_ever_counted() -> None:
    #                  counted  replaced at once  deleted  kept   replaced later
    drop = np.array([1, 1, 1, 0, 1], np.uint8)
    event_time, known = ints(5, 1, 2, 0, 9), ints(7, 3, 2, 0, 9)
    until = ints(MAX, 3, MAX, MAX, 20)
    dead = np.array([0, 0, 1, 0, 0], np.uint8)
    first, newest = ints(MAX), ints(-MAX)
    union.leave_marks(drop, ints(0, 0, 0, 0, 0), event_time, known, until, dead, 10, first, newest)
    assert first.tolist() == [7]
    assert newest.tolist() == [5]


def test_a_dropped_row_that_counts_only_after_the_horizon_is_not_the_newest_at_the_horizon() -> None:
    first, newest, zero = ints(MAX), ints(-MAX), ints(0)
    row = (np.ones(1, np.uint8), zero, ints(5), ints(7), ints(MAX), np.zeros(1, np.uint8))
    union.leave_marks(*row, 6, first, newest)
    assert (first.tolist(), newest.tolist()) == ([7], [-MAX])
    union.leave_marks(*row, 7, first, newest)
    assert newest.tolist() == [5]


def dropped_events(
    event_time: np.ndarray,
    known: np.ndarray,
    *,
    ident: np.ndarray | None = None,
    repeated: list[int] | None = None,
    until: np.ndarray | None = None,
    newest_dropped: int = -MAX,
    corrected: bool = False,
    horizon: int = 10,
) -> list[int]:
    """What `drop_events` says of the rows of one key, in order of event_time; the watermark is 20."""
    n = len(event_time)
    ident = np.arange(n) if ident is None else ident
    again = np.array(repeated or [0] * n, np.uint8)
    until = np.full(n, MAX) if until is None else until
    return union.drop_events(
        np.arange(n), ints(0, n), ints(newest_dropped), ident, n, again, event_time, known, until,
        np.zeros(n, np.uint8), corrected, horizon, 20,
    ).tolist()  # fmt: skip


def test_events_wait_for_the_horizon_and_the_watermark() -> None:
    event_time, known = ints(1, 3, 4, 5, 12), ints(1, 3, 25, MAX, 12)
    assert dropped_events(event_time, known, ident=ints(0, 1, 2, 3, 0)) == [0, 1, 0, 0, 0]


def test_an_old_event_stays_while_it_decides_which_is_the_newest_of_its_key() -> None:
    #                 known later than an older one and than the horizon: both are the newest for a while
    assert dropped_events(ints(1, 2, 3), ints(1, 12, 15)) == [1, 0, 0]
    assert dropped_events(ints(1, 2, 3), ints(1, 12, 15), horizon=12) == [1, 1, 0]
    #                 hidden from the first by a newer one that is known as early, or that was let go
    assert dropped_events(ints(1, 2, 3), ints(1, 15, 15)) == [1, 1, 0]
    assert dropped_events(ints(2, 11), ints(12, 11)) == [1, 0]
    assert dropped_events(ints(2), ints(12), newest_dropped=2) == [1]
    assert dropped_events(ints(2), ints(12), newest_dropped=1) == [0]
    #                 of equals the one that is known first
    assert dropped_events(ints(3, 3), ints(15, 12)) == [1, 0]
    assert dropped_events(ints(3, 3), ints(12, 12)) == [0, 0]
    #                 what is replaced hides nothing
    assert dropped_events(ints(2, 3), ints(14, 12), until=ints(MAX, 13)) == [0, 0]


def test_a_state_row_goes_when_a_newer_one_is_there_to_stay() -> None:
    event_time, known = ints(1, 5, 12), ints(1, 5, 12)
    dead, none, key = np.zeros(3, np.uint8), np.zeros(3, np.uint8), ints(0, 0, 0)
    stays = ints(MAX, MAX, MAX)
    assert union.drop_states(key, 1, ints(0, 1, 2), 3, none, event_time, known, stays, dead, 10).tolist() == [
        1,
        0,
        0,
    ]
    replaced = ints(MAX, 30, MAX)
    assert not union.drop_states(key, 1, ints(0, 1, 2), 3, none, event_time, known, replaced, dead, 10).any()
    assert not union.drop_states(key, 1, ints(0, 1, 2), 3, none, event_time, known, stays, dead, 4).any()


def test_repeated_rows_hold_nothing_and_hide_nothing() -> None:
    ident, times, again = ints(0, 0), ints(5, 12), np.array([0, 1], np.uint8)
    assert dropped_events(times, times, ident=ident, repeated=[0, 1]) == [1, 0]
    key, stays, dead = ints(0, 0), ints(MAX, MAX), np.zeros(2, np.uint8)
    assert not union.drop_states(key, 1, ints(0, 1), 2, again, times, times, stays, dead, 20).any()


def test_a_new_version_that_says_of_an_event_that_it_was_long_ago_stays_while_it_is_new() -> None:
    known, hidden = ints(15), 5
    assert dropped_events(ints(2), known, newest_dropped=hidden) == [1]
    assert dropped_events(ints(2), known, newest_dropped=hidden, corrected=True) == [0]
    assert dropped_events(ints(2), known, newest_dropped=hidden, corrected=True, horizon=16) == [1]
