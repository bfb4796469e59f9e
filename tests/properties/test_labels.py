"""Labels: the plain reference's values to the last bit, and those of the aggregate asked at the window's end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gnomon as gn
from gnomon.define.label import Label
from gnomon.errors import ComputeError
from gnomon.testing.reference import OVERFLOW, historical, same
from gnomon.testing.strategies import Case, event_cases
from gnomon.time import instant, to_datetime
from tests.properties.engine import foretold, trained

MOMENTS = st.sampled_from([2_000_000, 6_000_001, 10**12])


def label_columns(group: gn.FeatureGroup) -> list[str]:
    return [column for name in group.label_names for column in (name, f"{name}_mature")]


@given(event_cases(forward=True), MOMENTS)
@settings(max_examples=100)
def test_labels_equal_the_reference(case: Case, now: int) -> None:
    want = historical(
        case.group,
        batches=case.batches,
        spine=case.spine,
        schema=case.schema,
        features=case.group.label_names,
        now=now,
        complete_until=10**15,
    )
    if any(value is OVERFLOW for row in want for value in row.values()):
        with pytest.raises(ComputeError):
            foretold(case, now)
        return
    got = foretold(case, now)
    assert same(got, want), f"\n got {got}\nwant {want}"


@given(event_cases(forward=True), MOMENTS)
@settings(max_examples=60)
def test_a_label_is_its_aggregate_asked_at_the_windows_end_of_the_rows_known_now(
    case: Case, now: int
) -> None:
    (label, *_) = [f for f in case.group.features if isinstance(f, Label)]
    backward = gn.FeatureGroup(
        "backward",
        entity=case.group.entities,
        # With all that the group uses: the ids of rows without an event id are hashes of it.
        features=[*case.group.features, replace(label.aggregate, name="backward")],
        timestamp="t",
        known_at=case.group.known_at,
        event_id=case.group.event_id,
        lag=case.group.lag,
        schema=case.group.schema,
    )
    later = tuple(
        {**row, "event_timestamp": to_datetime(instant(row["event_timestamp"]) + label.window.length)}
        for row in case.spine
    )
    try:
        want = trained(Case(backward, case.batches, later), now)
        got = foretold(case, now)
    except ComputeError:
        return  # the reference tells which
    assert same([row[label.name] for row in got], [row[f"backward_{label.window.text}"] for row in want])


@given(
    event_cases(forward=True, inserted=True),
    st.sampled_from([2_000_000, 30_000_000]),
    st.sampled_from([None, 8_000_000]),
)
@settings(max_examples=12, deadline=None)
def test_a_store_tells_the_labels_of_the_reference_and_when_they_are_mature(
    case: Case, now: int, until: Any
) -> None:
    names = label_columns(case.group)
    want = historical(
        case.group,
        batches=case.batches,
        spine=case.spine,
        schema=case.schema,
        features=names,
        now=now,
        complete_until=until,
    )
    assume(not any(value is OVERFLOW for row in want for value in row.values()))
    with gn.Store(clock=lambda: now) as store:
        store.apply([case.group])
        for batch in case.batches:
            store.insert(case.group, pl.DataFrame([*batch], schema=case.schema))
        chosen = [case.group[name] for name in case.group.label_names]
        spine = pl.DataFrame(
            [{c: row[c] for c in (*case.group.key_names, "event_timestamp")} for row in case.spine],
            schema={**dict(case.group.keys), "event_timestamp": pl.Datetime("us", "UTC")},
        )
        found = store.get_historical_features(spine, chosen, complete_until=until).to_polars()
    assert same(found.select(names).to_dicts(), want)
