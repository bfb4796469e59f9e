"""Windows equal brute force: every function × how rows become known × condition × nulls × limit × own row."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.define.aggregate import RULES
from gnomon.engines import windows
from gnomon.engines.results import make_result
from gnomon.engines.walks import Chunk
from gnomon.engines.windows import newest
from gnomon.plan.layout import NONE, Output
from gnomon.testing.reference import same
from gnomon.time import NEVER
from tests.engines.chunks import KINDS, TYPES, WHERE, Case, make_case, make_tasks

WINDOWS = [(NONE, 0), (6, 0), (6, 3), (10**6, 0)]
"""(length, offset)"""


def check(case: Case, tasks: list[Output], pieces: int = 2) -> None:
    for task, got in zip(tasks, case.solved(tasks, pieces), strict=True):
        want = case.expected(task)
        wrong = [i for i, (a, b) in enumerate(zip(got, want, strict=True)) if not same(a, b)]
        assert not wrong, (
            f"{task}\nquestion {wrong[0]} of key {case.q_key[wrong[0]]} at {case.q_t[wrong[0]]}: "
            f"got {got[wrong[0]]!r}, want {want[wrong[0]]!r}"
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", sorted(RULES))
def test_a_function_equals_brute_force_however_it_is_asked(function, kind):
    tasks = make_tasks(function, WINDOWS)
    # All ways of asking at once: what they share is computed once, and must not mix.
    check(make_case(kind, 1, questions=15), tasks if len(tasks) < 60 else random.Random(1).sample(tasks, 60))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("request_row", [False, True])
def test_functions_that_share_the_work_do_not_mix(kind, request_row):
    tasks = [task for function in sorted(RULES) for task in make_tasks(function, [(6, 0)])]
    check(
        make_case(kind, 5, questions=8),
        [t for t in tasks if t.include_request == request_row and t.limit == NONE and t.where == NONE],
    )


@given(
    st.sampled_from(KINDS),
    st.integers(0, 2**32),
    st.integers(0, 12),
    st.integers(1, 4),
    st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=3),
    st.integers(1, 3),
)
@settings(max_examples=60)
def test_small_cases_equal_brute_force(kind, seed, rows, questions, functions, pieces):
    pick = random.Random(seed)
    window = (pick.choice([1, 2, 5]), pick.choice([0, 1, 2]))
    tasks = [task for function in functions for task in make_tasks(function, [window])]
    case = make_case(kind, seed, rows=rows, questions=questions, keys=2, span=8)
    check(case, pick.sample(tasks, min(len(tasks), 12)), pieces)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bigger_case_equals_brute_force(kind):
    """So many rows that the structures over them have several levels."""
    case = make_case(kind, 7, rows=3000, questions=20, keys=1, span=400)
    pick = random.Random(7)
    tasks = [
        pick.choice(make_tasks(function, [(NONE, 0), (300, 0), (50, 10)]))
        for function in sorted(RULES)
        for _ in "ab"
    ]
    check(case, tasks, pieces=1)


@pytest.mark.parametrize("kind", KINDS)
def test_how_keys_are_cut_into_chunks_does_not_matter(kind):
    case = make_case(kind, 3, keys=5)
    tasks = [t for f in ("sum", "last", "last_k", "median") for t in make_tasks(f, [(6, 0)])][::3]
    assert same(case.solved(tasks, 1), case.solved(tasks, 6))


def test_a_sum_beyond_its_type_is_marked_and_the_next_window_is_right():
    case = Case(
        key=[0, 0, 0],
        time=[0, 1, 5],
        known=[0, 1, 5],
        until=[NEVER] * 3,
        q_key=[0, 0],
        q_t=[2, 6],
        values={0: [2**63 - 1, 1, 4, None, None], 4: [None] * 5, 1: [1.7e308, 1.7e308, 1.0, None, None]},
        passes=[True] * 5,
    )
    tasks = [Output("", "sum", TYPES[i], input=i, window=3) for i in (0, 1)]
    check(case, tasks)
    assert [repr(v) for v in case.solved(tasks)[0]] == ["OVERFLOW", "4"]


def test_no_rows_and_no_questions_are_no_trouble():
    tasks = [task for function in sorted(RULES) for task in make_tasks(function, [(6, 0)])]
    check(make_case("late", 1, rows=0, questions=4), tasks)
    assert all(values == [] for values in make_case("late", 1, rows=5, questions=0).solved(tasks))


def test_nothing_that_was_given_is_written_to():
    case = make_case("replaced", 2)
    tasks = [t for function in sorted(RULES) for t in make_tasks(function, [(6, 0)])][::5]
    (chunk,) = case.chunks(1)
    wheres = {WHERE: np.array(case.passes, np.uint8)}
    given = [
        chunk.code,
        chunk.time,
        chunk.known,
        chunk.until,
        chunk.q_code,
        chunk.q_t,
        chunk.at,
        wheres[WHERE],
    ]
    given += [lane.code for lane in case.lanes.values()]
    held = [array.copy() for array in given]
    columns = {i: lane.column.clone() for i, lane in case.lanes.items()}
    windows.solve(chunk, {task: make_result(task, len(case.q_t)) for task in tasks}, case.lanes, wheres)
    assert all((array == before).all() for array, before in zip(given, held, strict=True))
    assert all(lane.column.equals(columns[i]) for i, lane in case.lanes.items())


# ------------------------------------------------------------------------------------------ state: the newest


@pytest.mark.parametrize("max_age", [NONE, 0, 4])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_newest_row_is_that_of_brute_force(kind, max_age, seed):
    case = make_case(kind, seed, rows=40)
    picked = np.full(len(case.q_t), -1, np.int64)
    for chunk in case.chunks():
        closed = Chunk(
            **{**{name: getattr(chunk, name) for name in Chunk.__dataclass_fields__}, "inclusive": True}
        )
        newest(closed, max_age, picked)
    for i, (key, t) in enumerate(zip(case.q_key, case.q_t, strict=True)):
        seen = [
            r
            for r in range(len(case.key))
            if case.key[r] == key and case.known[r] <= t < case.until[r] and case.time[r] <= t
        ]
        fresh = [r for r in seen if max_age == NONE or case.time[r] >= t - max_age]
        assert picked[i] == max(fresh, default=-1)
