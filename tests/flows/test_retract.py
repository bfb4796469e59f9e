"""Ids of a source, taken back: before the moment the rows are in, after it they have never been."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gnomon as gn
from gnomon.errors import DataError, NotFound, UsageError
from gnomon.events import Event, Step, listening
from gnomon.flows.checks.leftovers import offline_tables
from gnomon.time import instant
from tests.flows.small import DAY, HOUR, MINUTE, USER, VISITS, T, ask, train, write

CACHED = gn.FeatureGroup(
    "buys",
    entity=USER,
    timestamp="at",
    event_id="id",
    schema={"id": pl.Int64, "x": pl.Int64},
    features=[gn.sum("x", windows=["1d"]), gn.count(), gn.last("x")],
)
IN_PLACE = gn.FileSource("shop", path="shop", timestamp="at", event_id="id", format="parquet")


def buys(source: Any = IN_PLACE, **options: Any) -> gn.FeatureGroup:
    return gn.FeatureGroup("spent", entity=USER, source=source, features=CACHED.features, **options)


def buy(id: int, x: int, user: int = 1, at: datetime = T - HOUR) -> dict[str, Any]:
    return {"user": user, "at": at, "id": id, "x": x}


ROWS = [buy(1, 1), buy(2, 2, at=T - HOUR + MINUTE), buy(2, 4, user=2), buy(3, 8, at=T - HOUR + 2 * MINUTE)]
WITHOUT_2 = [row for row in ROWS if row["id"] != 2]


@pytest.fixture(params=["cached", "in place"])
def shop(request: pytest.FixtureRequest, bare: gn.Store, data: Path) -> gn.FeatureGroup:
    """A group with ROWS, materialized."""
    if request.param == "cached":
        bare.apply([CACHED])
        bare.insert(CACHED, ROWS)
        group = CACHED
    else:
        write(data, "shop/a.parquet", ROWS)
        group = buys()
        bare.apply([group])
    bare.materialize()
    return group


def both_ways(store: gn.Store, group: gn.FeatureGroup, users: list[int]) -> Iterator[dict[str, list[Any]]]:
    """The answers now, by training and online."""
    now = store._project.clock()
    yield train(store, [group], [(user, gn.time.to_datetime(now)) for user in users])
    yield ask(store, [group], users)


def test_rows_of_a_retracted_id_are_in_before_and_have_never_been_after(bare, shop, clock):
    ack = bare.retract(shop, [2])
    assert (ack.accepted, ack.repeated, ack.unknown, ack.time, ack.keys) == (1, 0, (), instant(T), 2)
    for found in both_ways(bare, shop, [1, 2]):
        assert found == {"x_sum_1d": [9, None], "count": [2, 0], "x_last": [8, None]}
    before = train(bare, [shop], [(1, T - MINUTE), (2, T - MINUTE)])
    assert before == {"x_sum_1d": [11, 4], "count": [3, 1], "x_last": [8, 4]}
    assert ask(bare, [shop], [1, 2], at=T - MINUTE) == before


def test_as_of_reads_what_was_known_then(bare, shop):
    bare.retract(shop, [2])
    questions = [(1, T - MINUTE)]
    assert train(bare, [shop], questions, as_of="latest")["x_sum_1d"] == [9]
    assert train(bare, [shop], questions, as_of=T - MINUTE)["x_sum_1d"] == [11]
    assert train(bare, [shop], questions, as_of=T)["x_sum_1d"] == [9]


def test_twice_is_once(bare, shop):
    bare.retract(shop, [2])
    once = list(both_ways(bare, shop, [1, 2]))
    log = bare._project.offline.tables()
    versions = [bare._project.offline.version(table) for table in log]
    again = bare.retract(shop, [2, 2])
    assert (again.accepted, again.repeated, again.keys) == (0, 1, 0)
    assert [bare._project.offline.version(table) for table in log] == versions
    assert list(both_ways(bare, shop, [1, 2])) == once


def test_an_unknown_id_is_told_and_holds_for_rows_that_come(bare, data, clock):
    write(data, "shop/a.parquet", WITHOUT_2)
    bare.apply([buys()])
    bare.materialize()
    ack = bare.retract("shop", [2])
    assert (ack.accepted, ack.unknown) == (0, (2,))
    assert bare.retract("shop", [2]).unknown == (2,)
    write(data, "shop/b.parquet", [row for row in ROWS if row["id"] == 2])
    bare.materialize()
    for found in both_ways(bare, buys(), [1, 2]):
        assert found == {"x_sum_1d": [9, None], "count": [2, 0], "x_last": [8, None]}


def test_what_is_known_later_of_a_retracted_id_counts_again(bare, clock):
    bare.apply([CACHED])
    bare.insert(CACHED, ROWS)
    bare.retract(CACHED, [1, 2])
    clock.now = T + MINUTE
    assert bare.insert(CACHED, [buy(2, 2, at=T - HOUR + MINUTE)]).accepted == 0, (
        "the content is one that is held"
    )
    assert bare.insert(CACHED, [buy(2, 7)]).updated == 1
    bare.materialize()
    for found in both_ways(bare, CACHED, [1, 2]):
        assert found["x_sum_1d"] == [15, None]
    again = bare.retract(CACHED, [1, 2])
    assert (again.accepted, again.repeated) == (1, 1)
    for found in both_ways(bare, CACHED, [1, 2]):
        assert found["x_sum_1d"] == [8, None]


def test_rows_that_are_known_in_the_future_go_too(bare, clock):
    bare.apply([CACHED])
    bare.insert(CACHED, [buy(1, 1), buy(2, 2, at=T + HOUR)])
    bare.retract(CACHED, [2])
    clock.now = T + DAY
    bare.materialize()
    for found in both_ways(bare, CACHED, [1]):
        assert found["count"] == [1]


def test_all_groups_of_a_source_go_without_the_rows(bare, data):
    write(data, "shop/a.parquet", ROWS)
    other = gn.FeatureGroup("visits", entity=(), source=IN_PLACE, features=[gn.count()])
    bare.apply([buys(), other])
    bare.materialize()
    assert bare.retract(buys(), 2).keys == 3
    assert bare.get_online_features([other], [{}]).to_dict() == {"count": [2]}
    assert ask(bare, [buys()], [1])["count"] == [2]


class Killed(BaseException):
    """What no flow catches."""


def kill_after_log(event: Event) -> None:
    if isinstance(event, Step) and (event.flow, event.step) == ("retract", "log"):
        raise Killed


def test_a_run_that_was_killed_before_the_online_store_is_caught_up(bare, shop):
    with listening(kill_after_log), pytest.raises(Killed):
        bare.retract(shop, [2])
    assert ask(bare, [shop], [1])["count"] == [3], "it has not returned"
    report = bare.materialize()
    assert "2 keys with rows retracted" in str(report)
    for found in both_ways(bare, shop, [1, 2]):
        assert found["count"] == [2, 0]
    assert "nothing new" in str(bare.materialize())


def test_a_table_that_is_built_anew_is_without_the_rows(bare, data):
    write(data, "shop/a.parquet", ROWS)
    bare.apply([buys()])
    bare.retract("shop", [2])
    bare.materialize()
    write(data, "shop/a.parquet", [*ROWS, buy(9, 16)])
    report = bare.materialize()
    assert report.groups[0].rebuilt
    assert not report.groups[0].retracted
    for found in both_ways(bare, buys(), [1]):
        assert found["x_sum_1d"] == [25]


def test_a_row_of_a_state_group_goes_with_its_id_and_its_predecessor_counts(bare, data, clock):
    source = gn.FileSource("plans", path="plans.parquet", timestamp="at", event_id="id")
    group = gn.FeatureGroup("plan", entity=USER, source=source, features=[gn.Feature("x", pl.Int64)])
    write(data, "plans.parquet", [buy(1, 1), buy(2, 2, at=T - MINUTE)])
    bare.apply([group])
    bare.materialize()
    bare.retract(source, [2])
    for found in both_ways(bare, group, [1]):
        assert found == {"x": [1]}
    assert train(bare, [group], [(1, T - MINUTE)]) == {"x": [2]}


def test_a_row_that_was_let_go_counts_again_when_its_successor_goes(bare, data, clock):
    source = gn.FileSource("plans", path="plans", timestamp="at", event_id="id", format="parquet")
    group = gn.FeatureGroup("plan", entity=USER, source=source, features=[gn.Feature("x", pl.Int64)])
    rows = [buy(1, 1, at=T - 9 * DAY), buy(2, 2, at=T - 8 * DAY), buy(3, 3, at=T - 7 * DAY)]
    write(data, "plans/a.parquet", [*rows, buy(4, 4, user=2, at=T)])
    bare.apply([group])
    bare.materialize()
    assert bare.retract(source, [3]).keys == 1
    assert ask(bare, [group], [1]) == {"x": [2]}
    clock.now = T + MINUTE
    bare.retract(source, [2])
    found = bare.get_online_features([group], [{"user": 1}])
    assert found.to_dict() == {"x": [1]}
    assert found.event_times == [[T - 9 * DAY]]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["2"], "`id` is a whole number, found '2'"),
        ([None], "found None"),
        ([True], "found True"),
        ([2**70], "64"),
        (None, "found None"),
        (1.0, "found 1.0"),
        ({"x": [1], "y": [1]}, "no column `id`"),
    ],
)
def test_what_is_no_id_is_refused(bare, shop, ids, message):
    with pytest.raises(DataError, match=message):
        bare.retract(shop, ids)


@pytest.mark.parametrize(
    "make",
    [
        set,
        np.array,
        pa.array,
        pd.Series,
        lambda ids: {"id": ids},
        lambda ids: pd.DataFrame({"id": ids, "why": "gdpr"}),
        lambda ids: pa.table({"id": ids}),
        lambda ids: pl.LazyFrame({"only": ids}),
        lambda ids: list(np.array(ids)),
    ],
)
def test_ids_come_in_whatever_holds_them(bare, shop, make):
    assert bare.retract(shop, make([98, 99])).unknown in {(98, 99), (99, 98)}


def test_what_cannot_be_retracted_says_why(bare, data):
    bare.apply([VISITS])
    with pytest.raises(UsageError, match="have no ids"):
        bare.retract(VISITS, [1])
    with pytest.raises(NotFound):
        bare.retract("visit", [1])
    with pytest.raises(UsageError, match="is no source and no group"):
        bare.retract(5, [1])  # type: ignore[arg-type]


def test_explain_tells_of_retractions(bare, shop):
    bare.retract(shop, [2])
    ref = f"{shop.name}:count"
    assert "retracted at 2026-01-10T12:00:00" in str(bare.explain(ref, {"user": 1}))


def test_a_group_made_anew_begins_without_the_retractions_of_before(bare):
    bare.apply([CACHED])
    bare.insert(CACHED, ROWS)
    bare.retract(CACHED, [2])
    bare.apply([], prune=True)
    bare.apply([CACHED])
    bare.insert(CACHED, ROWS)
    bare.materialize()
    for found in both_ways(bare, CACHED, [1, 2]):
        assert found["count"] == [3, 1]


def test_the_doctor_knows_the_log(bare, data):
    write(data, "shop/a.parquet", ROWS)
    bare.apply([buys(), CACHED])
    bare.retract("shop", [2])
    bare.retract(CACHED, [2])
    assert offline_tables(bare._project, bare.registry.snapshot()).text == "every table is named"


def test_a_group_without_keys_keeps_its_other_rows(bare, clock):
    group = gn.FeatureGroup("rate", timestamp="at", features=[gn.Feature("x", pl.Int64)])
    bare.apply([group])
    bare.insert(group, deletes={"at": [T - 3 * DAY]})
    bare.insert(group, {"at": [T - 5 * DAY, T - 4 * DAY, T - 3 * DAY, T - HOUR], "x": [1, 2, 3, 4]})
    bare.materialize()
    assert bare.get_online_features([group], [{}]).to_dict() == {"x": [4]}
    bare.insert(group, deletes={"at": [T - HOUR]})
    bare.materialize()
    assert bare.get_online_features([group], [{}]).to_dict() == {"x": [2]}
