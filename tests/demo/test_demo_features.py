"""The demo's definitions look at nothing that is not known at a scheduled departure."""

from __future__ import annotations

from gnomon.define.aggregate import Aggregate
from gnomon.define.collect import collect
from gnomon.define.expressions import columns_of
from gnomon.demo import features

LANDED = {"arr_delay", "landed_at", "dest"}
"""Columns that tell of a flight's end. Of flights that have left, only their number counts."""

GROUPS = collect(features).groups


def read_by(group):
    """The source's columns that a group's features read."""
    found = set()
    for feature in group.features:
        texts = [feature.expr] + ([feature.where] if isinstance(feature, Aggregate) else [])
        found.update(*(columns_of(text) for text in texts if text))
        column = feature.column if isinstance(feature, Aggregate) else feature.name
        found.update([column] if column is not None and feature.expr is None else [])
    return found


def test_delays_are_known_when_the_plane_has_landed():
    for group in GROUPS:
        if read_by(group) & (LANDED | {"dep_delay"}):
            assert group.source.timestamp == "landed_at", group.ref


def test_departures_are_only_counted():
    (demand,) = [group for group in GROUPS if group.source.timestamp == "departed_at"]
    assert read_by(demand) == set()


def test_no_feature_counts_the_flight_that_is_asked_about():
    aggregates = [f for group in GROUPS for f in group.features if isinstance(f, Aggregate)]
    assert not any(aggregate.include_request for aggregate in aggregates)


def test_the_service_gives_every_feature_once():
    names = [chosen.name for chosen in features.delay_model.features]
    everything = [name for group in GROUPS for name in group.feature_names]
    assert sorted(names) == sorted([*everything, "delay_share"])
    assert len(set(names)) == len(names)
