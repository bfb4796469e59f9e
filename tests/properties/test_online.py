"""Online answers equal the reference: values to the last bit, statuses, event times (CASES 67, 68, 72)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import gnomon as gn
from gnomon.flows.online import read_document
from gnomon.testing.reference import Answered, same
from gnomon.testing.strategies import COLUMNS, Case, Row, event_cases, logs, state_cases
from gnomon.time import ALWAYS, duration, to_datetime
from tests.properties.stores import LATER, asked, cut_short, expected, filled, rows_of

ANY_CASE = st.one_of(
    event_cases(nulls=False, inserted=True, default=True), state_cases(nulls=False, default=True)
)
WITH_IDS = event_cases(nulls=False, inserted=True, ids=True)


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


@given(ANY_CASE, st.integers(10**5, 10**7), st.integers(1, 3), st.data())
@settings(max_examples=30)
def test_backfill_leaves_no_trace_but_an_earlier_start(
    case: Case, chunk: int, workers: int, data: st.DataObject
) -> None:
    """CASES 44, whatever was online before, and from whenever on."""
    start = data.draw(st.sampled_from([ALWAYS, 0, 5_000_000]))
    with gn.Store(clock=lambda: LATER) as store:
        store.apply([case.group])
        for batch in case.batches:
            store.insert(case.group, rows_of(case, batch))
            if data.draw(st.booleans()):
                store.materialize(start=start)
        store.backfill(case.group, chunk=chunk, workers=workers)
        check(asked(store, case), expected(case))
        if data.draw(st.booleans()):
            store.backfill(case.group, start, chunk=max(1, chunk // 3))
        store.materialize()
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


THING = gn.Entity("thing", keys={"k": int})
SLACK = "8s"


@st.composite
def late_cases(draw: st.DrawFn) -> Case:
    """Rows without ids that become known at any time, under short windows or as a state; no questions yet."""
    if draw(st.booleans()):
        given: dict[str, Any] = {"features": [gn.count(windows=["1us", "1s"]), gn.last("i", windows=["3s"])]}
    else:
        given = {"features": [gn.Feature("i", int)], "max_age": draw(st.sampled_from([None, "3s"]))}
    group = gn.FeatureGroup(
        "events",
        entity=THING,
        timestamp="t",
        known_at="known",
        settling_delay=draw(st.sampled_from(["0s", "2s"])),
        schema={"t": datetime, "known": datetime, **COLUMNS},
        **given,
    )
    return Case(group, draw(logs(group)), ())


@given(
    late_cases(),
    st.lists(st.integers(-(10**7), 3 * 10**7), max_size=2),
    st.sampled_from([ALWAYS, ALWAYS, 0, 5_000_000, 10_000_001]),
    st.data(),
)
@settings(max_examples=60)
def test_rows_let_go_or_left_out_leave_statuses_and_event_times_true(
    case: Case, cuts: list[int], start: int, data: st.DataObject
) -> None:
    with cut_short(case, SLACK, cuts, start) as store:
        live = read_document(store._project.online, "events@1").live
        first = max(start, live.horizon) if live is not None else start
        first = (0 if first == ALWAYS else first) + duration("3s") + case.group.settling_delay
        seconds = st.integers(0, 12).map(lambda n: timedelta(seconds=n))
        shifts = st.builds(lambda s, us: s + timedelta(microseconds=us), seconds, st.integers(0, 1))
        asks = data.draw(st.lists(st.tuples(st.sampled_from([1, 2, 99]), shifts), min_size=1, max_size=8))
        spine: tuple[Row, ...] = tuple(
            {"k": key, "event_timestamp": to_datetime(first) + shift} for key, shift in asks
        )
        check(asked(store, replace(case, spine=spine)), expected(replace(case, spine=spine)))
