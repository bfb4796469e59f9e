"""What lies in a source, and what loading it will take: rows and room as they turn out to be."""

from __future__ import annotations

from typing import Any

import pytest

import gnomon as gn
from gnomon.flows.estimate import Estimate, Survey, bins, estimate, survey
from gnomon.flows.fill import moved_on
from gnomon.flows.online import Table, keys_of, reach_of, shape_of
from gnomon.time import ALWAYS, DAY, HOUR, NEVER, instant
from tests.flows.small import MINUTE, PLAN, USER, VISITS, T, plan, visit

NOON = instant(T)
EVERYTHING = (ALWAYS, NEVER)


def looked(store: gn.Store, group: gn.FeatureGroup) -> tuple[Any, Any, Any]:
    """Layout, reader and parts of a group."""
    snapshot = store.registry.snapshot()
    layout = store._project.layout(snapshot, snapshot.group(group.name))
    reader = store._project.reader(group, layout)
    return layout, reader, reader.parts()


@pytest.fixture
def visited(store):
    """Two keys with 40 rows each, one row an hour."""
    store.insert(VISITS, [visit(user, T - hour * 60 * MINUTE, hour) for user in (1, 2) for hour in range(40)])
    return store


def test_survey_counts_rows_by_activation(visited):
    layout, reader, parts = looked(visited, VISITS)
    found = survey(reader, layout, parts, EVERYTHING, (NOON - 2 * HOUR, NOON), NOON)
    assert found == Survey(80, 4, NOON - 39 * HOUR, NOON, NOON)
    assert survey(reader, layout, parts, (NOON - HOUR, NOON), (ALWAYS, NOON - HOUR), NOON).rows == 2


def test_survey_ends_with_the_last_row_that_becomes_active(bare):
    group = gn.FeatureGroup("claims", entity=USER, timestamp="at", known_at="seen", features=[gn.count()])
    bare.apply([group])
    bare.insert(group, [{"user": 1, "at": T, "seen": None}])
    layout, reader, parts = looked(bare, group)
    assert survey(reader, layout, parts, EVERYTHING, EVERYTHING, NOON) == Survey(1, 1, NEVER, ALWAYS, ALWAYS)
    bare.insert(group, [{"user": 1, "at": T, "seen": T + 60 * MINUTE}])
    layout, reader, parts = looked(bare, group)
    assert survey(reader, layout, parts, EVERYTHING, EVERYTHING, NOON) == Survey(
        2, 2, NOON + HOUR, NOON + HOUR, ALWAYS
    )


@pytest.mark.parametrize("extent", [(ALWAYS, 0), (NOON + 1, NEVER)])
def test_survey_of_nothing(visited, extent):
    layout, reader, parts = looked(visited, VISITS)
    assert survey(reader, layout, parts, extent, EVERYTHING, NOON) == Survey(0, 0, NEVER, ALWAYS, ALWAYS)
    assert survey(reader, layout, (), EVERYTHING, EVERYTHING, NOON) == Survey(0, 0, NEVER, ALWAYS, ALWAYS)


def test_bins_are_those_that_hold_rows_in_order(visited):
    layout, reader, parts = looked(visited, VISITS)
    day = NOON // DAY
    assert bins(reader, layout, parts, EVERYTHING, DAY) == [(day - 2, 6), (day - 1, 48), (day, 26)]
    assert bins(reader, layout, (), EVERYTHING, DAY) == []


@pytest.mark.parametrize("group", [VISITS, PLAN])
def test_rows_keys_and_room_are_those_of_the_table_that_is_made(store, group):
    rows = {
        "visits": [visit(n % 7, T - n * 60 * MINUTE, n) for n in range(500)],
        "plan": [plan(n % 7, T - n * 60 * MINUTE, f"{n % 10:0100}") for n in range(500)],
    }
    store.insert(group, rows[group.name])
    layout, reader, parts = looked(store, group)
    found = survey(reader, layout, parts, EVERYTHING, EVERYTHING, NOON)
    reach = reach_of(layout, store._project.config.slack)
    table = moved_on(Table("t", shape_of(layout), keys_of(layout)), layout, reach, found.newest)
    told = estimate(store._project, layout, reader, parts, found, table, EVERYTHING, 1, None)
    done = store.backfill(group)
    assert (told.rows, told.keys) == (done.rows, 7)
    assert told.size == pytest.approx(done.size, rel=0.15)


def test_many_chunks_and_a_slow_last_run_take_longer(visited):
    layout, reader, parts = looked(visited, VISITS)
    found = survey(reader, layout, parts, EVERYTHING, EVERYTHING, NOON)
    table = Table("t", shape_of(layout), keys_of(layout))
    slow = estimate(visited._project, layout, reader, parts, found, table, EVERYTHING, 1, 1e6)
    assert slow.seconds > 1
    assert "how long the last backfill took" in slow.basis
    assert "80 rows" in slow.basis


def test_nothing_takes_nothing(store):
    layout, reader, parts = looked(store, VISITS)
    table = Table("t", shape_of(layout), keys_of(layout))
    found = survey(reader, layout, parts, EVERYTHING, EVERYTHING, NOON)
    assert estimate(store._project, layout, reader, parts, found, table, EVERYTHING, 1, None) == Estimate(
        0, 0, 0, 0.0, "there are no rows"
    )
