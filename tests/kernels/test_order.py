"""Codes, order, ties, versions and activation against plain Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import order

MAX = 2**63 - 1
NONE = np.empty(0, np.int64)
NO_RANK = np.empty(0, np.uint64)


def ints(values) -> np.ndarray:
    return np.array(list(values), np.int64)


def words(values) -> np.ndarray:
    return np.array(list(values), np.uint64)


# --- keys → codes -------------------------------------------------------------------------------------------

any_int = st.integers(-(2**63), 2**63 - 1)
near = st.integers(-3, 12)


@given(st.lists(any_int | near, max_size=30), st.lists(any_int | near, max_size=30))
def test_codes_number_the_spine_as_first_seen(spine, others):
    rows = others + spine[::2]
    number = {key: code for code, key in enumerate(dict.fromkeys(spine))}
    n_keys, spine_code, row_code = order.index_ints(ints(spine), ints(rows))
    assert n_keys == len(number)
    assert spine_code.tolist() == [number[k] for k in spine]
    assert row_code.tolist() == [number.get(k, -1) for k in rows]


@pytest.mark.parametrize("factor", [1, 7, 1 << 20, 1 << 32, 1 << 48])
def test_codes_of_many_keys_are_right_however_they_lie(factor):
    draws = np.random.default_rng(5)
    spine = draws.integers(-5_000, 5_000, 20_000) * factor
    rows = draws.integers(-10_000, 10_000, 20_000) * factor
    n_keys, spine_code, row_code = order.index_ints(spine, rows)
    keys, firsts = np.unique(spine, return_index=True)
    assert n_keys == len(keys)
    assert (spine[np.sort(firsts)][spine_code] == spine).all()
    assert (spine_code[np.sort(firsts)] == np.arange(n_keys)).all()
    found = np.isin(rows, keys)
    assert (row_code[~found] == -1).all()
    assert (spine[np.sort(firsts)][row_code[found]] == rows[found]).all()


# --- rows → order -------------------------------------------------------------------------------------------


def sorted_plainly(code: np.ndarray, time: np.ndarray) -> list[int]:
    return sorted(np.flatnonzero(code >= 0).tolist(), key=lambda i: (code[i], time[i]))


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-4, 4) | any_int), max_size=60))
def test_rows_are_sorted_stably_by_code_and_time(rows):
    code, time = ints(c for c, _ in rows), ints(t for _, t in rows)
    assert order.sort_rows(code, time).tolist() == sorted_plainly(code, time)


@pytest.mark.parametrize("n", [1_000, 30_000])
@pytest.mark.parametrize("n_codes", [1, 3, 500, 70_000])
@pytest.mark.parametrize("kind", ["in time", "shuffled", "late", "whole range", "sorted", "reversed"])
def test_many_rows_are_sorted_however_they_come(n, n_codes, kind):
    draws = np.random.default_rng(n_codes)
    code = draws.integers(-1, n_codes, n)
    time = np.sort(draws.integers(-(10**6), 10**13, n)) // 10**8
    if kind == "shuffled":
        draws.shuffle(time)
    elif kind == "late":
        time -= (draws.random(n) < 0.2) * draws.integers(0, 10**4, n)
    elif kind == "whole range":
        time = draws.integers(-(2**63), MAX, n, endpoint=True)
    elif kind == "reversed":
        time = time[::-1].copy()
    elif kind == "sorted":
        code.sort()
    want = np.lexsort((time, code))
    assert order.sort_rows(code, time).tolist() == want[code[want] >= 0].tolist()


def test_codes_beyond_a_word_are_refused():
    with pytest.raises(ValueError, match="too many to sort at once"):
        order.sort_rows(ints([MAX, 0, 1]), ints([0, 0, 0]))


# --- ties ---------------------------------------------------------------------------------------------------

pair = st.integers(0, 1)


@given(st.lists(st.tuples(pair, pair, pair), max_size=30), st.booleans())
def test_tied_runs_are_the_maximal_runs_of_equal_rows(rows, declared):
    rows = sorted(rows)
    known = ints(k for _, _, k in rows) if declared else NONE
    starts, ends = order.tied_runs(ints(c for c, _, _ in rows), ints(t for _, t, _ in rows), known)
    want, at = [], 0
    for _, run in itertools.groupby(rows if declared else [r[:2] for r in rows]):
        size = len(list(run))
        if size > 1:
            want.append((at, at + size))
        at += size
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == want
    assert order.run_positions(starts, ends).tolist() == [i for a, b in want for i in range(a, b)]


@given(
    st.lists(st.tuples(pair, pair, st.integers(0, 2), st.integers(0, 2**64 - 1)), max_size=50),
    st.booleans(),
    st.booleans(),
)
def test_runs_are_sorted_by_rank_and_nothing_else_moves(rows, by_first, by_last):
    """Rows are (code, time, rank, hash); ties of the first two are broken by the ranks that are given."""
    code, time = ints(r[0] for r in rows), ints(r[1] for r in rows)
    perm = order.sort_rows(code, time)
    starts, ends = order.tied_runs(code[perm], time[perm], NONE)
    tied = perm[order.run_positions(starts, ends)]
    rank1 = ints(rows[i][2] for i in tied) if by_first else NONE
    rank2 = words(rows[i][3] % 3 for i in tied)
    rank3 = words(rows[i][3] for i in tied) if by_last else NO_RANK
    order.sort_runs(perm, starts, ends, rank1, rank2, rank3)
    want = sorted(
        range(len(rows)),
        key=lambda i: (*rows[i][:2], by_first * rows[i][2], rows[i][3] % 3, by_last * rows[i][3]),
    )
    assert perm.tolist() == want


def test_a_long_run_is_sorted_too():
    ids = np.random.default_rng(0).permutation(5_000)
    perm = np.arange(5_000)
    order.sort_runs(perm, ints([0]), ints([5_000]), NONE, words(ids), NO_RANK)
    assert ids[perm].tolist() == list(range(5_000))


# --- versions -----------------------------------------------------------------------------------------------


def resolve(rows, strict=False):
    """Rows are (ident, known, v1, h1, h2, dead)."""
    columns = list(zip(*rows, strict=True)) or [()] * 6
    return order.versions(
        ints(columns[0]),
        ints(columns[1]),
        ints(columns[2]),
        words(columns[3]),
        words(columns[4]),
        np.array(columns[5], np.uint8),
        strict,
    )


def resolved_plainly(rows):
    """{(ident, known, content): until} of what is kept, the contents in conflict, and how many lost a tie."""
    kept, conflicts, ties = {}, set(), 0
    for ident in {r[0] for r in rows}:
        mine = [r for r in rows if r[0] == ident]
        earliest: dict[tuple, int] = {}
        for r in mine:
            if not r[5]:
                earliest[r[2:5]] = min(r[1], earliest.get(r[2:5], MAX))
        deletes = {r[1] for r in mine if r[5]}
        instants = sorted({*earliest.values(), *deletes})
        for since, until in zip(instants, [*instants[1:], MAX], strict=True):
            contents = sorted(c for c, known in earliest.items() if known == since)
            ties += max(len(contents) - 1, 0)
            if len(contents) > 1:
                conflicts |= {(ident, since, c) for c in contents}
            if contents and since not in deletes:
                kept[ident, since, contents[-1]] = until
    return kept, conflicts, ties


small = st.integers(0, 2)
version = st.tuples(
    st.integers(0, 3), st.integers(-2, 3) | st.just(MAX), small, small, small.map(lambda h: h << 62), pair
)


@given(st.lists(version, max_size=40), st.booleans())
def test_versions_are_those_of_the_set_of_rows(rows, strict):
    keep, until, conflict, ties = resolve(rows, strict)
    kept, conflicts, lost = resolved_plainly(rows)
    got = {(*rows[i][:2], rows[i][2:5]): int(until[i]) for i in np.flatnonzero(keep)}
    assert got == kept
    assert keep.sum() == len(kept)
    assert not any(rows[i][5] for i in np.flatnonzero(keep))
    assert ties == lost
    assert (until[keep == 0] == MAX).all()
    assert {(*rows[i][:2], rows[i][2:5]) for i in conflict} == (conflicts if strict else set())


@given(st.lists(version, max_size=20), st.randoms())
def test_neither_order_nor_repetition_of_rows_matters(rows, shuffled):
    def outcome(of):
        keep, until, _, ties = resolve(of)
        return sorted((of[i], int(until[i])) for i in np.flatnonzero(keep)), ties

    again = rows + shuffled.sample(rows, len(rows) // 2)
    shuffled.shuffle(again)
    assert outcome(again) == outcome(rows)


def test_unique_rows_are_all_kept():
    keep, until, conflict, ties = resolve([(2, 5, 0, 1, 1, 0), (0, 5, 0, 1, 1, 0), (1, 5, 0, 1, 1, 1)])
    assert keep.tolist() == [1, 1, 0]
    assert until.tolist() == [MAX] * 3
    assert (len(conflict), ties) == (0, 0)


def test_a_correction_replaces_from_when_it_is_known():
    keep, until, _, _ = resolve([(0, 1, 0, 7, 7, 0), (0, 9, 0, 8, 8, 0)], strict=True)
    assert keep.tolist() == [1, 1]
    assert until.tolist() == [9, MAX]


def test_content_seen_before_changes_nothing():
    a, b = (0, 7, 7, 0), (0, 8, 8, 0)
    keep, until, _, _ = resolve([(0, 1, *a), (0, 5, *b), (0, 9, *a)], strict=True)
    assert keep.tolist() == [1, 1, 0]
    assert until.tolist() == [5, MAX, MAX]


def test_a_delete_ends_its_row_and_a_later_write_begins_another():
    a, b, delete = (0, 7, 7, 0), (0, 8, 8, 0), (0, 0, 0, 1)
    keep, until, _, _ = resolve([(0, 1, *a), (0, 3, *delete), (0, 5, *b), (0, 8, *delete)], strict=True)
    assert keep.tolist() == [1, 0, 1, 0]
    assert until[[0, 2]].tolist() == [3, 8]


def test_what_was_deleted_and_is_delivered_again_stays_deleted():
    a, delete = (0, 7, 7, 0), (0, 0, 0, 1)
    keep, until, _, _ = resolve([(0, 1, *a), (0, 3, *delete), (0, 5, *a)], strict=True)
    assert keep.tolist() == [1, 0, 0]
    assert until[0] == 3


def test_one_id_with_two_contents_at_one_time_is_a_conflict_only_when_strict():
    rows = [(0, 1, 0, 7, 7, 0), (1, 1, 0, 7, 7, 0), (0, 1, 0, 8, 8, 0), (0, 1, 0, 7, 7, 0)]
    keep, _, conflict, ties = resolve(rows, strict=True)
    assert conflict.tolist() == [0, 2]
    keep, _, conflict, ties = resolve(rows, strict=False)
    assert (keep.tolist(), conflict.tolist(), ties) == ([0, 1, 1, 0], [], 1)


def test_the_event_id_decides_before_the_content():
    keep, _, _, _ = resolve([(0, 1, 5, 1, 1, 0), (0, 1, 4, 9, 9, 0)])
    assert keep.tolist() == [1, 0]


def test_a_version_not_known_yet_is_the_last():
    keep, until, _, _ = resolve([(0, MAX, 0, 7, 7, 0), (0, 3, 0, 8, 8, 0)], strict=True)
    assert keep.tolist() == [1, 1]
    assert until.tolist() == [MAX, MAX]


def test_thousands_of_versions_of_one_row_follow_each_other():
    known = np.random.default_rng(1).permutation(3_000)
    keep, until, _, _ = resolve([(0, k, 0, k, 0, 0) for k in known.tolist()])
    assert keep.all()
    assert until.tolist() == [k + 1 if k < 2_999 else MAX for k in known.tolist()]


def test_no_rows_have_no_versions():
    keep, until, conflict, ties = resolve([])
    assert (len(keep), len(until), len(conflict), ties) == (0, 0, 0, 0)


def test_a_row_without_identity_is_refused():
    with pytest.raises(ValueError, match="without identity"):
        resolve([(-1, 0, 0, 0, 0, 0)])


# --- activation ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event_time", "known", "strict", "start"),
    [
        (5, 5, False, 5),
        (5, 5, True, 6),
        (5, 9, True, 9),
        (9, 5, False, 9),
        (-7, -9, True, -6),
        (5, MAX, False, MAX),
        (MAX, 0, True, MAX),
    ],
)
def test_a_row_counts_from_its_activation(event_time, known, strict, start):
    assert order.activation(ints([event_time]), ints([known]), strict).tolist() == [start]
