"""Hot keys through the public surface, in every store: materialized, corrected, changed, rebuilt and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.flows.online import read_document
from gnomon.online.index import is_index, leaves_table
from gnomon.time import instant
from tests.online.hot import few_rows_are_many
from tests.stores import ONLINE, online_url

T = datetime(2026, 1, 10, 12, tzinfo=UTC)
USER = gn.Entity("user", keys={"user": pl.Int64})
WINDOWS = ["1h", "1d"]


def visits(*more: Any) -> gn.FeatureGroup:
    return gn.FeatureGroup(
        "visits",
        entity=USER,
        timestamp="at",
        event_id="visit",
        schema={"visit": pl.Int64, "x": pl.Float64, "shop": pl.String},
        features=[
            gn.count(windows=WINDOWS),
            gn.sum("x", windows=WINDOWS),
            gn.n_distinct("shop", windows=WINDOWS),
            gn.last("shop", windows=WINDOWS),
            gn.median("x", windows=WINDOWS),
            gn.last_k("shop", 3, windows=WINDOWS),
            *more,
        ],
    )


VISITS = visits()
PROFILE = gn.FeatureGroup("profile", entity=USER, timestamp="at", features=[gn.Feature("city", pl.String)])


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with few_rows_are_many():
        yield


@pytest.fixture(params=ONLINE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[gn.Store]:
    url = online_url(request.param, request, tmp_path)
    with gn.Store(online=url, clock=lambda: instant(T)) as made:
        made.apply([VISITS, PROFILE])
        yield made


def rows(first: int, last: int, users: int = 3) -> pl.DataFrame:
    """Visits, a minute apart, of each user; the last is that of T − 1 min."""
    numbers = np.arange(first, last)
    rng = np.random.default_rng([first, last])
    return pl.concat(
        pl.DataFrame(
            {
                "user": np.full(len(numbers), user),
                "visit": numbers * users + user,
                "at": [T - timedelta(minutes=int(500 - n)) for n in numbers],
                "x": rng.normal(size=len(numbers)),
                "shop": [f"shop {n % 7}" for n in numbers],
            }
        )
        for user in range(users)
    )


ASKED = [T, T - timedelta(minutes=17), T - timedelta(hours=3)]


def check(store: gn.Store, group: gn.FeatureGroup) -> None:
    """Online answers are those of a training set, for all users and times."""
    spine = pl.DataFrame(
        {"user": [0, 1, 2, 9] * len(ASKED), "event_timestamp": [t for t in ASKED for _ in range(4)]}
    )
    trained = store.get_historical_features(spine, [group]).to_polars()
    found = store.get_online_features([group], spine.select("user"), at=spine["event_timestamp"].to_list())
    assert found.to_polars().to_dict(as_series=False) == trained.select(group.feature_names).to_dict(
        as_series=False
    )


def held(store: gn.Store, group: gn.FeatureGroup) -> list[bool]:
    """Of each key, whether it is hot."""
    online = store._project.online
    document = read_document(online, group.ref)
    assert document.live is not None
    return [is_index(value) for _, value in sorted(online.scan(document.live.name))]


def test_rows_that_come_in_any_order_are_answered_as_in_training(store: gn.Store) -> None:
    everything = rows(0, 60).sample(fraction=1, shuffle=True, seed=3)
    for part in everything.iter_slices(50):
        store.insert(VISITS, part)
        store.materialize([VISITS])
    assert held(store, VISITS) == [True] * 3
    check(store, VISITS)


def test_updates_deletes_and_retractions_reach_rows_in_leaves(store: gn.Store) -> None:
    store.insert(VISITS, rows(440, 500))
    store.materialize([VISITS])
    moved = rows(450, 455).with_columns(at=pl.col("at") + timedelta(minutes=20), x=pl.lit(7.5))
    store.insert(VISITS, moved.with_columns(pl.lit("update").alias("__op")))
    store.insert(VISITS, rows(498, 499), deletes=rows(460, 464).select("user", "visit"))
    store.materialize([VISITS])
    store.retract(VISITS, [480 * 3, 481 * 3 + 1])
    store.materialize([VISITS])
    check(store, VISITS)
    counts = store.get_online_features([VISITS["count_1d"]], {"user": [0, 1, 2]}).to_dict()
    assert counts == {"count_1d": [55, 55, 56]}


def test_53_a_new_window_is_answered_from_the_rows_that_are_there(store: gn.Store) -> None:
    store.insert(VISITS, rows(420, 500))
    store.materialize([VISITS])
    wider = visits(gn.max("x", windows=["2h"]), gn.var("x", windows=["1h"]))
    store.apply([wider])
    check(store, wider)
    store.insert(wider, rows(419, 420))
    store.materialize([wider])
    check(store, wider)


def test_the_newest_of_many_rows_of_a_state_group(store: gn.Store) -> None:
    times = [T - timedelta(minutes=m) for m in range(60, 0, -1)]
    for part in range(0, 60, 13):
        here = times[part : part + 13]
        store.insert(PROFILE, {"user": [1] * len(here), "at": here, "city": [f"at {t}" for t in here]})
        store.materialize([PROFILE])
    assert held(store, PROFILE) == [True]
    for minute in (0, 1, 30, 59, 60, 61):
        at = T - timedelta(minutes=minute, seconds=-1)
        want = next((f"at {t}" for t in reversed(times) if t <= at), None)
        assert store.get_online_features([PROFILE], [{"user": 1}], at=at).to_dict() == {"city": [want]}


def test_leaves_go_with_their_table(store: gn.Store) -> None:
    store.insert(VISITS, rows(440, 500))
    store.materialize([VISITS])
    online = store._project.online
    document = read_document(online, VISITS.ref)
    assert document.live is not None
    first = document.live.name
    assert leaves_table(first) in online.tables()
    store.backfill(VISITS.name)
    after = read_document(online, VISITS.ref).live
    assert after is not None
    assert after.name != first
    assert online.tables() == sorted([after.name, leaves_table(after.name)])
    check(store, VISITS)
    store.apply([PROFILE], prune=True)
    store.materialize()
    assert not [name for name in online.tables() if name.startswith("visits")]


def test_leaves_behind_the_horizon_are_let_go(tmp_path: Path) -> None:
    now = T - timedelta(minutes=400)
    (tmp_path / "gnomon.toml").write_text(
        '[project]\nname = "p"\n[online]\nurl = "memory://"\nslack = "0s"\n'
    )
    group = gn.FeatureGroup(
        "visits",
        entity=USER,
        timestamp="at",
        event_id="visit",
        schema={"visit": pl.Int64, "x": pl.Float64, "shop": pl.String},
        features=[gn.count(windows=["30m"]), gn.sum("x", windows=["10m"])],
    )
    with gn.Store(tmp_path, clock=lambda: instant(now)) as store:
        store.apply([group])
        most = 0
        for first in range(100, 500, 10):
            store.insert(group, rows(first, first + 10))
            now = T - timedelta(minutes=490 - first)
            report = store.materialize()
            online = store._project.online
            document = read_document(online, group.ref)
            assert document.live is not None
            most = max(most, sum(1 for _ in online.scan(leaves_table(document.live.name))))
            spine = pl.DataFrame({"user": [0, 2], "event_timestamp": [now, now]})
            trained = store.get_historical_features(spine, [group]).to_polars()
            found = store.get_online_features([group], spine.select("user"), at=now)
            assert found.to_polars().equals(trained.select(found.names))
        assert report.groups[0].retired > 0
        # Of 400 rows a user, those of the last half hour stay: three users, four rows a leaf.
        assert most <= 3 * (30 + 10 + 8) / 2
