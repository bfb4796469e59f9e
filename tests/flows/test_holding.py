"""What a table holds, found without reading it anew, and always as of the version that is asked for."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from gnomon.flows import holding
from gnomon.flows.holding import Holding
from gnomon.flows.table import HASHES
from gnomon.plan.normal import DEAD, TIME
from tests.flows.small import DAY, HOUR, VISITS, T, visit
from tests.flows.test_insert import SCORES, score


@pytest.fixture
def table(store):
    """The store, and what is held of `visits`."""
    snapshot = store.registry.snapshot()
    group = snapshot.group("visits")
    return store, Holding(store._project, group, store._project.layout(snapshot, group))


def look(table, *times):
    store, held = table
    asked = pl.DataFrame({TIME: [int(t.timestamp() * 1e6) for t in times]})
    version = store._project.offline.version("visits@1")
    return held.look(-1 if version is None else version, asked)


def times(rows):
    return sorted(rows[TIME].cast(pl.Datetime("us", "UTC")).to_list())


def test_a_table_that_is_not_there_holds_nothing(table):
    rows = look(table, T)
    assert len(rows) == 0
    assert {*HASHES, DEAD, TIME} <= set(rows.columns)


@pytest.mark.parametrize(("most", "small"), [(1_000_000, 100_000), (2, 100_000), (1_000_000, 0)])
def test_rows_near_in_time_are_found_however_they_are_kept(table, monkeypatch, most, small):
    monkeypatch.setattr(holding, "_MOST", most)
    monkeypatch.setattr(holding, "_SMALL", small)
    store, _ = table
    for days in range(4):
        store.insert(VISITS, [visit(1, T - days * DAY), visit(2, T - days * DAY - HOUR)])
        for asked in range(days + 1):
            assert times(look(table, T - asked * DAY)) == [T - asked * DAY]
    assert times(look(table, T - DAY, T)) == [T - DAY, T - HOUR, T]
    assert len(look(table, T + timedelta(days=9))) == 0


def test_rewritten_files_hold_the_same_rows(table):
    store, _ = table
    for hours in range(3):
        store.insert(VISITS, [visit(1, T - hours * HOUR)])
    before = look(table, T - DAY, T).sort(TIME)
    store.optimize()
    assert look(table, T - DAY, T).sort(TIME).equals(before)


def test_deletes_stand_among_the_rows(bare):
    bare.apply([SCORES])
    bare.insert(SCORES, [score(1, 5), score(2, 6)])
    bare.insert(SCORES, deletes=[{"user": 1, "id": 1}])
    snapshot = bare.registry.snapshot()
    group = snapshot.group("scores")
    held = Holding(bare._project, group, bare._project.layout(snapshot, group))
    rows = held.look(1, pl.DataFrame({"__id": [1], TIME: [0]}))
    assert sorted(rows[DEAD].to_list()) == [0, 1]
