"""A spine of keys and times → the same rows with what each feature was worth."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import ComputeError, DataError, UsageError
from gnomon.flows.training import key_fits, read_as_of, row_hash
from gnomon.time import instant
from tests.flows.small import DAY, HOUR, PLAN, SECOND, US, USER, VISITS, T, plan, train, visit


@pytest.fixture
def filled(store: gn.Store) -> gn.Store:
    store.insert(VISITS, [visit(1, T - HOUR, 3), visit(2, T - 5 * HOUR, 4)])
    store.insert(PLAN, [plan(1, T - HOUR, "free"), plan(2, T - HOUR, None)])
    return store


def test_the_spine_comes_back_as_it_was_with_features_in_the_order_asked(filled):
    spine = pl.DataFrame(
        {"user": [2, 1, 1, None], "event_timestamp": [T, T, T, T], "label": ["x", "y", "y", "z"]},
        schema_overrides={"user": pl.Int16},
    )
    kept = spine.clone()
    found = filled.get_historical_features(
        spine, ["plan:name", "visits:ms_sum_1d", "visits:count_1d"]
    ).to_polars()
    assert found.select(spine.columns).equals(kept)
    assert spine.equals(kept)
    assert found.columns == [*spine.columns, "name", "ms_sum_1d", "count_1d"]
    assert found.schema["user"] == pl.Int16
    assert found.select("name", "ms_sum_1d", "count_1d").rows() == [
        (None, 4, 1),
        ("free", 3, 1),
        ("free", 3, 1),
        (None, None, None),
    ]


def test_an_empty_spine_has_every_column(filled):
    spine = pl.DataFrame(schema={"user": pl.Int64, "event_timestamp": pl.Datetime("us")})
    found = filled.get_historical_features(spine, ["plan:name", "visits:count_1d"]).to_polars()
    assert found.schema == {**spine.schema, "name": pl.String, "count_1d": pl.Int64}


@pytest.mark.parametrize(
    "times",
    [
        [T, T - HOUR],
        [T.replace(tzinfo=None), (T - HOUR).replace(tzinfo=None)],
        ["2026-01-10T13:00:00+01:00", "2026-01-10 11:00"],
        pl.Series([T, T - HOUR]).cast(pl.Datetime("ms", "UTC")),
        pl.Series([T, T - HOUR]).dt.convert_time_zone("Asia/Tokyo"),
        np.array(["2026-01-10T12:00:00", "2026-01-10T11:00:00"], "datetime64[ns]"),
    ],
)
def test_times_of_every_kind_are_the_same_instants(filled, times):
    found = filled.get_historical_features({"user": [1, 1], "event_timestamp": times}, ["visits:count_1d"])
    assert found.to_polars()["count_1d"].to_list() == [1, 0]


def test_a_day_is_its_first_instant(filled):
    spine = {"user": [1, 1], "day": [date(2026, 1, 10), date(2026, 1, 11)]}
    found = filled.get_historical_features(spine, ["visits:count_1d"], timestamp="day")
    assert found.to_polars()["count_1d"].to_list() == [0, 1]


@pytest.mark.parametrize(
    ("spine", "message", "hint"),
    [
        ({"user": [1]}, "no column `event_timestamp`", "datetime columns found: none"),
        ({"user": [1], "at": [T]}, "no column `event_timestamp`", 'timestamp="at"'),
        ({"user": [1], "event_timestamp": [5]}, "`event_timestamp` is Int64", "ISO 8601"),
        ({"user": [1], "event_timestamp": ["soon"]}, "`event_timestamp` cannot be read", ""),
        (
            {"user": [1, 1], "event_timestamp": [T, None]},
            "1 of 2 spine rows have no `event_timestamp`",
            "drop or fill",
        ),
        (
            {"usr": [1], "event_timestamp": [T]},
            "no column `user`, the key of group `visits`",
            "did you mean `usr`",
        ),
        (
            {"user": ["1"], "event_timestamp": [T]},
            "`user` is String, the key of group `visits` is Int64",
            "cast",
        ),
        ({"user": [1.0], "event_timestamp": [T]}, "`user` is Float64", "cast"),
    ],
)
def test_a_spine_that_does_not_fit_is_refused_before_anything_is_read(store, spine, message, hint):
    with pytest.raises(DataError, match=message) as caught:
        store.get_historical_features(spine, ["visits:count_1d"])
    assert hint in (caught.value.hint or "")


def test_an_output_cannot_have_the_name_of_a_spine_column(store):
    spine = {"user": [1], "event_timestamp": [T], "name": ["x"]}
    with pytest.raises(UsageError, match="`name` is used twice: by a column of the spine"):
        store.get_historical_features(spine, [PLAN])
    found = store.get_historical_features(spine, [PLAN], full_names=True).to_polars()
    assert found.columns[-1] == "plan__name"


def test_a_value_that_cannot_be_computed_names_feature_key_and_how_many(store):
    store.insert(VISITS, [visit(7, T - k * SECOND, 2**62) for k in (1, 2)])
    with pytest.raises(
        ComputeError, match="`ms_sum_1d` of `visits@1` cannot be computed for 2 rows"
    ) as caught:
        train(store, ["visits:ms_sum_1d"], [(1, T), (7, T), (7, T)])
    assert "user=7" in caught.value.at


# --- readings of the past ---------------------------------------------------------------------------------------


@pytest.fixture
def corrected(bare: gn.Store) -> gn.Store:
    group = gn.FeatureGroup(
        "g", entity=USER, timestamp="at", known_at="seen", event_id="id", schema={"id": pl.Int64, "x": pl.Int64},
        features=[gn.sum("x", windows=["1d"])],
    )  # fmt: skip
    bare.apply([group])
    first = {"user": 1, "at": T - HOUR, "seen": T - HOUR, "id": 1, "x": 1}
    bare.insert(
        group, [first, {**first, "seen": T + HOUR, "x": 10}, {**first, "id": 2, "seen": None, "x": 100}]
    )
    return bare


@pytest.mark.parametrize(
    ("as_of", "value"),
    [("known", 1), ("latest", 110), (T, 1), (T + HOUR - US, 1), (T + HOUR, 10), ("2026-01-10T13:00:00", 10)],
)
def test_the_past_is_read_as_known_as_latest_or_as_of_a_time(corrected, as_of, value):
    assert train(corrected, ["g:x_sum_1d"], [(1, T)], as_of=as_of) == {"x_sum_1d": [value]}


@pytest.mark.parametrize("wrong", ["newest", "Served", 1.5])
def test_other_readings_are_refused(store, wrong):
    with pytest.raises(UsageError):
        train(store, [PLAN], [(1, T)], as_of=wrong)


def test_as_of_reads_times_as_instants():
    assert read_as_of(T) == instant(T)
    assert (read_as_of("known"), read_as_of("latest")) == ("known", "latest")


# --- keys and digests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "declared", "fits"),
    [
        (pl.UInt8(), pl.Int64(), True),
        (pl.Null(), pl.Int64(), True),
        (pl.Boolean(), pl.Int64(), False),
        (pl.Categorical(), pl.String(), True),
        (pl.Enum(["a"]), pl.String(), True),
        (pl.Binary(), pl.String(), False),
        (pl.Datetime("ms"), pl.Datetime("us", "UTC"), True),
        (pl.Date(), pl.Datetime("us"), False),
    ],
)
def test_columns_that_can_hold_a_key(found, declared, fits):
    assert key_fits(found, declared) is fits


def test_categories_are_keys_by_their_text(bare):
    shop = gn.Entity("shop", keys={"shop": pl.String})
    group = gn.FeatureGroup("g", entity=shop, timestamp="at", features=[gn.Feature("x", pl.Int64)])
    bare.apply([group])
    bare.insert(group, {"shop": ["b", "a"], "at": [T - HOUR] * 2, "x": [2, 1]})
    spine = pl.DataFrame({"shop": ["a", "b", "a"], "event_timestamp": [T] * 3}).cast({"shop": pl.Categorical})
    assert bare.get_historical_features(spine, [group]).to_polars()["x"].to_list() == [1, 2, 1]


def frame(**changes: Any) -> pl.DataFrame:
    columns: dict[str, Any] = {"a": [1, None], "b": ["x", "yz"], "c": [[1], None], "d": [1.5, float("nan")]}
    return pl.DataFrame(columns | changes)


def test_a_digest_tells_frames_apart_by_names_values_and_nulls():
    frames = [frame(), frame(a=[1, 0]), frame(b=["xy", "z"]), frame(c=[[1], []]), frame().rename({"a": "e"})]
    assert len({row_hash(f) for f in frames}) == len(frames)
    assert row_hash(frame()) == row_hash(frame())


def test_days_that_are_known_when_they_end_are_joined_so(bare):
    group = gn.FeatureGroup(
        "daily",
        entity=USER,
        timestamp="day",
        lag="1d",
        schema={"day": pl.Date},
        features=[gn.Feature("x", pl.Int64)],
    )
    bare.apply([group])
    bare.insert(group, {"user": [1, 1], "day": [date(2026, 1, 8), date(2026, 1, 9)], "x": [8, 9]})
    midnight = datetime(2026, 1, 10, tzinfo=T.tzinfo)
    questions = [(1, midnight - US), (1, midnight), (1, midnight + DAY)]
    assert train(bare, [group], questions) == {"x": [8, 9, 9]}


def test_a_request_value_that_does_not_fit_is_refused_as_online():
    user = gn.Entity("user", keys={"user": int})
    group = gn.FeatureGroup(
        "g",
        entity=user,
        timestamp="t",
        schema={"i": pl.Int32},
        features=[gn.sum("i", include_request=True)],
    )
    with gn.Store() as store:
        store.apply([group])
        spine = {"user": [1], "event_timestamp": ["2026-01-01"], "i": [3.7]}
        with pytest.raises(DataError, match="is Float64, group `g` wants Int32"):
            store.get_historical_features(spine, [group])
