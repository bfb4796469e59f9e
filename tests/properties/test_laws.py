"""Laws that hold whatever the values are (CASES 68, 69, 70)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gnomon as gn
from gnomon.errors import ComputeError
from gnomon.testing.reference import same
from gnomon.testing.strategies import COLUMNS, WINDOWS, Case, Row, event_cases, state_cases
from gnomon.time import duration
from tests.properties.engine import trained

SECOND = timedelta(seconds=1)
ASKED = datetime(1970, 1, 1, 0, 0, 8, tzinfo=UTC)
LATE = st.sampled_from([timedelta(microseconds=1), SECOND, 1000 * SECOND])
MICRO = timedelta(microseconds=1)


def told(case: Case, as_of: Any = "known") -> Any:
    """The training set, or that it cannot be computed."""
    try:
        return trained(case, as_of)
    except ComputeError:
        return "overflow"


@given(event_cases(ids=True), st.data())
@settings(max_examples=100)
def test_order_and_splits_of_arrival_leave_no_trace(case: Case, data: st.DataObject) -> None:
    rows = data.draw(st.permutations(case.rows))
    cut = data.draw(st.integers(0, len(rows)))
    other = replace(case, batches=(tuple(rows[:cut]), tuple(rows[cut:])))
    assert same(told(other), told(case))


@given(event_cases(ids=False), st.data())
@settings(max_examples=50)
def test_order_of_files_and_of_rows_in_them_leaves_no_trace(case: Case, data: st.DataObject) -> None:
    batches = [tuple(data.draw(st.permutations(batch))) for batch in case.batches]
    other = replace(case, batches=tuple(data.draw(st.permutations(batches))))
    assert same(told(other), told(case))


@given(event_cases(requests=False), st.data())
@settings(max_examples=100)
def test_an_event_from_t_on_or_not_known_at_t_changes_nothing(case: Case, data: st.DataObject) -> None:
    group = case.group
    spine = tuple({**row, "event_timestamp": ASKED} for row in case.spine)
    added = _new_row(case, data)
    t = ASKED - group.settling_delay * MICRO
    declared = group.known_at is not None
    if declared and data.draw(st.booleans()):
        added |= {"t": t - data.draw(LATE), "known": t + data.draw(LATE)}
    elif group.lag and data.draw(st.booleans()):
        added["t"] = t - group.lag * MICRO + MICRO
    else:
        added["t"] = t + data.draw(st.sampled_from([timedelta(0), MICRO, SECOND]))
        if declared:
            added["known"] = data.draw(st.sampled_from([None, t - SECOND, t, t + SECOND]))
    before = replace(case, spine=spine)
    assert same(told(replace(before, batches=(*case.batches, (added,)))), told(before))


@given(state_cases(), st.data())
@settings(max_examples=50)
def test_a_state_row_after_t_changes_nothing(case: Case, data: st.DataObject) -> None:
    group = case.group
    spine = tuple({**row, "event_timestamp": ASKED} for row in case.spine)
    t = ASKED - group.settling_delay * MICRO
    added = _new_row(case, data) | {"t": t + data.draw(LATE)}
    if group.known_at is not None:
        added["known"] = t - SECOND
    before = replace(case, spine=spine)
    assert same(told(replace(before, batches=(*case.batches, (added,)))), told(before))


def _new_row(case: Case, data: st.DataObject) -> Row:
    """A row of a known key with a new id."""
    group = case.group
    keyed = [row for row in case.spine if all(row[name] is not None for name in group.key_names)]
    assume(keyed)
    like = data.draw(st.sampled_from(keyed))
    row = {name: like[name] for name in (*group.key_names, *COLUMNS)}
    if group.event_id is not None:
        row["id"] = 1000 if dict(group.schema)["id"].is_integer() else "new"
    return row


@given(event_cases(), st.sampled_from([None, "b", "i > 0"]))
@settings(max_examples=60)
def test_a_longer_window_counts_no_less(case: Case, where: str | None) -> None:
    lengths = sorted(WINDOWS, key=duration)
    declared = case.group
    group = gn.FeatureGroup(
        "counts",
        entity=declared.entities,
        features=[gn.count(windows=lengths, where=where), gn.count(where=where, name="all")],
        timestamp="t",
        known_at=declared.known_at,
        event_id=declared.event_id,
        lag=declared.lag,
        schema=declared.schema,
        settling_delay=declared.settling_delay,
    )
    for row in trained(replace(case, group=group)):
        counts = [row[f"count_{length}"] for length in lengths] + [row["all"]]
        # A null key has nulls.
        assert counts == [None] * len(counts) or counts == sorted(counts)


@given(event_cases(), st.data())
@settings(max_examples=30)
def test_each_question_is_answered_as_if_it_were_the_only_one(case: Case, data: st.DataObject) -> None:
    whole = told(case)
    assume(whole != "overflow")
    i = data.draw(st.integers(0, len(case.spine) - 1))
    assert same(trained(replace(case, spine=(case.spine[i],))), [whole[i]])
