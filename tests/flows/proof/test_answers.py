"""Answers as they are kept: every value in its own type, with what it was made of."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon.flows.proof.answers import counter, remove_answers, table_name
from gnomon.time import DAY, instant
from tests.flows.proof.shop import LOGGING, fill, online_values, serve
from tests.flows.small import HOUR, MINUTE, USER, Clock, T


def test_a_row_is_an_entity_of_a_request(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    told = serve(shop)
    frame = shop.answers("shop", statuses=True)
    assert frame.select(list(told)).to_dict(as_series=False) == told
    assert frame["user"].to_list() == [1, 2, 3]
    assert frame["price"].to_list() == [3.0] * 3
    assert frame["event_timestamp"].to_list() == [T + MINUTE] * 3
    assert frame["served_at"].to_list() == [T + MINUTE] * 3
    assert frame["limit__status"].to_list() == ["PRESENT", "NOT_FOUND", "NOT_FOUND"]
    assert frame.schema["amount_last_k_1d"] == pl.List(pl.Float64)


def test_a_time_that_is_asked_about_is_not_the_time_of_asking(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    serve(shop, at=T + HOUR)
    frame = shop.answers("shop")
    assert frame["event_timestamp"].unique().to_list() == [T + HOUR]
    assert frame["served_at"].unique().to_list() == [T + MINUTE]


def test_every_type_comes_back_as_it_was(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "gnomon.toml").write_text(LOGGING)
    kept = gn.FeatureGroup(
        "kept",
        entity=USER,
        timestamp="at",
        schema={"x": pl.Float64, "d": pl.Decimal(20, 2), "word": pl.String, "raw": pl.Binary, "kind": pl.String},
        features=[
            gn.last("x"), gn.sum("d"), gn.last("word"), gn.last("raw"), gn.last_k("word", 2), gn.histogram("kind"),
            gn.time_since_last(), gn.any(expr="x > 1", name="big"), gn.mean("x", by="kind", name="x_by_kind"),
        ],
    )  # fmt: skip
    rows = [
        {"user": 1, "at": T - HOUR, "x": -0.0, "d": "1.25", "word": "é", "raw": b"\0\xff", "kind": "a"},
        {"user": 1, "at": T - MINUTE, "x": math.nan, "d": "-3.50", "word": "", "raw": None, "kind": "b"},
    ]
    with gn.Store(tmp_path, clock=clock) as store:
        store.apply([kept, gn.FeatureService("types", features=[kept])])
        store.insert("kept", pl.DataFrame(rows).with_columns(pl.col("d").cast(pl.Decimal(20, 2))))
        store.materialize()
        found = store.get_online_features("types", [{"user": 1}, {"user": 2}])
        frame = store.answers("types").select(found.names)
        assert frame.equals(found.to_polars(), null_equal=True)
        assert frame.schema == found.to_polars().schema
        assert store.verify("types").ok


def test_counters_are_those_of_the_values(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    assert [counter(value) for value in online_values(shop, "orders").values()] == [1, 1]
    assert counter(None) == 0


def test_old_days_go_whole(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    for _ in range(3):
        serve(shop)
        clock.now += 24 * HOUR
    store = shop._proof.store
    shop.answers("shop")
    days = [table_name("shop@1", instant(T) // DAY + i) for i in range(3)]
    assert store.tables() == days
    assert remove_answers(store, instant(T) + 2 * DAY) == days[:2]
    assert store.tables() == days[2:]


def test_vacuum_removes_answers_by_their_age(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    serve(shop)
    shop.answers("shop")
    clock.now += 31 * 24 * HOUR
    serve(shop)
    assert shop.vacuum(dry_run=True).answers == 1
    report = shop.vacuum()
    assert (report.answers, "1 day of logged answers removed" in str(report)) == (1, True)
    assert len(shop.answers("shop")) == 3


def test_a_store_that_is_told_nothing_logs_nothing(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "gnomon.toml").write_text('[online]\nurl = "memory://"\n')
    group = gn.FeatureGroup("g", entity=USER, timestamp="at", features=[gn.count()])
    with gn.Store(tmp_path, clock=clock) as store:
        store.apply([group, gn.FeatureService("s", features=[group])])
        store.materialize()
        store.get_online_features("s", [{"user": 1}])
        assert len(store.answers("s")) == 0
        store.log_answers(1.0)
        store.get_online_features("s", [{"user": 1}])
        assert len(store.answers("s")) == 1


def test_what_waits_is_written_when_the_store_closes(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "gnomon.toml").write_text(LOGGING)
    group = gn.FeatureGroup("g", entity=USER, timestamp="at", features=[gn.count()])
    with gn.Store(tmp_path, clock=clock) as store:
        store.apply([group, gn.FeatureService("s", features=[group])])
        store.materialize()
        store.get_online_features("s", [{"user": 1}])
    with gn.Store(tmp_path, clock=clock) as store:
        assert store.answers("s")["user"].to_list() == [1]
        with pytest.raises(gn.errors.NotFound):
            store.answers("other")
