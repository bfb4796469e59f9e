"""Online answers equal the reference: values to the last bit, statuses, event times (CASES 67, 68, 72)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.testing.reference import Answered, same
from gnomon.testing.strategies import Case, event_cases, state_cases
from tests.properties.stores import asked, expected, filled

ANY_CASE = st.one_of(event_cases(nulls=False, default=True), state_cases(nulls=False, default=True))
WITH_IDS = event_cases(nulls=False, ids=True)


def check(got: list[Answered], want: list[Answered]) -> None:
    for one, other in zip(got, want, strict=True):
        assert same(one.values, other.values), f"\n got {one.values}\nwant {other.values}"
        assert one.statuses == other.statuses
        assert one.event_time == other.event_time


@given(ANY_CASE)
@settings(max_examples=60)
def test_answers_equal_the_reference(case: Case) -> None:
    with filled(case) as store:
        check(asked(store, case), expected(case))


@given(ANY_CASE)
@settings(max_examples=15)
def test_answers_of_a_durable_store_equal_the_reference(case: Case) -> None:
    with filled(case, online="lmdb://online") as store:
        check(asked(store, case), expected(case))


@given(ANY_CASE, st.lists(st.integers(-(10**7), 3 * 10**7), max_size=3))
@settings(max_examples=30)
def test_steps_of_time_leave_no_trace(case: Case, cuts: list[int]) -> None:
    with filled(case, cuts=cuts) as store:
        check(asked(store, case), expected(case))


@given(WITH_IDS, st.data())
@settings(max_examples=30)
def test_order_and_splits_of_arrival_leave_no_trace(case: Case, data: st.DataObject) -> None:
    rows = data.draw(st.permutations(case.rows))
    cut = data.draw(st.integers(0, len(rows)))
    again = data.draw(st.booleans())
    parts = (tuple(rows[:cut]), tuple(rows[cut:]), *((tuple(rows),) if again else ()))
    with filled(replace(case, batches=parts)) as store:
        check(asked(store, case), expected(case))
