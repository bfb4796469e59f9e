"""The newest row of each key, by one pass over rows in order of time: against looking at every row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.kernels.asof import in_order, newest_in_order

Row = tuple[int, int]


def ask(rows: list[Row], questions: list[Row], lag: int = 0, max_age: int = -1) -> list[int] | None:
    """(code, time) each → places, None if rows tie."""
    code, time = (np.array([r[i] for r in rows], np.int64) for i in (0, 1))
    q_code, q_t = (np.array([q[i] for q in questions], np.int64) for i in (0, 1))
    last = np.full(int(q_code.max(initial=-1)) + 1, -1, np.int64)
    picked = np.full(len(questions), -7, np.int64)
    order = np.argsort(q_t, kind="stable")
    met = newest_in_order(code, time, lag, order, q_code, q_t, max_age, last, picked)
    return picked.tolist() if met else None


def plain(rows: list[Row], question: Row, lag: int, max_age: int) -> int:
    code, t = question
    seen = [i for i, (c, time) in enumerate(rows) if c == code >= 0 and time + lag <= t]
    if not seen or (max_age >= 0 and rows[seen[-1]][1] < t - max_age):
        return -1
    return seen[-1]


def test_a_row_at_t_is_taken_and_one_after_is_not():
    rows = [(0, 10), (0, 20)]
    assert ask(rows, [(0, 20), (0, 19), (0, 9), (0, 21)]) == [1, 0, -1, 1]


def test_max_age_is_inclusive():
    assert ask([(0, 10)], [(0, 15), (0, 16)], max_age=5) == [0, -1]


def test_a_row_is_known_a_lag_after_its_time():
    assert ask([(0, 10)], [(0, 12), (0, 13)], lag=3) == [-1, 0]


def test_questions_without_a_key_and_rows_that_nobody_asks_about_are_passed_over():
    assert ask([(-1, 1), (0, 2)], [(-1, 5), (0, 5)]) == [-1, 1]


def test_rows_that_tie_are_left_to_others():
    assert ask([(0, 10), (0, 10)], [(0, 20)]) is None
    assert ask([(0, 10), (1, 10)], [(0, 20), (1, 20)]) == [0, 1]


@pytest.mark.parametrize(("time", "ordered"), [([], True), ([3], True), ([1, 1, 2], True), ([2, 1], False)])
def test_in_order(time, ordered):
    assert in_order(np.array(time, np.int64)) is ordered


@settings(max_examples=150)
@given(
    rows=st.lists(st.tuples(st.integers(-1, 3), st.integers(-20, 60)), unique=True),
    questions=st.lists(st.tuples(st.integers(-1, 3), st.integers(-25, 70)), max_size=30),
    lag=st.sampled_from([0, 0, 4]),
    max_age=st.sampled_from([-1, 0, 5, 30]),
)
def test_every_question_gets_the_newest_row_that_it_sees(rows, questions, lag, max_age):
    rows = sorted(rows, key=lambda row: row[1])
    # Codes above those asked about stand for no key of the spine.
    known = max((c for c, _ in questions), default=-1)
    rows = [(c if c <= known else -1, t) for c, t in rows]
    if len({row for row in rows if row[0] >= 0}) < sum(row[0] >= 0 for row in rows):
        return
    assert ask(rows, questions, lag, max_age) == [plain(rows, q, lag, max_age) for q in questions]
