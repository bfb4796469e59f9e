"""Leaks between features and labels that go round the windows."""

from __future__ import annotations

import warnings

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import LeakWarning
from tests.flows.small import DAY, HOUR, USER, Clock, T, visits, write

SPINE = {"user": [1], "event_timestamp": [T]}


@pytest.fixture
def clock() -> Clock:
    return Clock(T + 100 * DAY)


@pytest.fixture
def trips(data) -> gn.FileSource:
    """One trip that takes an hour, one that takes no time."""
    rows = [
        {"user": 1, "left": T - DAY, "came": T - DAY + HOUR, "fare": 1.0},
        {"user": 1, "left": T, "came": T, "fare": 2.0},
    ]
    write(data, "trips.parquet", rows)
    return gn.FileSource("by_leaving", path="trips.parquet", timestamp="left")


def group(name: str, source: gn.FileSource, *features) -> gn.FeatureGroup:
    return gn.FeatureGroup(name, entity=USER, source=source, features=features)


def told(store: gn.Store, *asked, **options) -> list[str]:
    found = store.get_historical_features(SPINE, list(asked), **options)
    with pytest.warns(LeakWarning) as caught:
        leaks = list(found.leaks)
    assert leaks == [str(one.message) for one in caught]
    assert all(f"leak: {leak}" in found.explain() for leak in leaks)
    return leaks


def silent(store: gn.Store, *asked, **options) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.get_historical_features(SPINE, list(asked), **options).leaks == ()


def test_a_value_read_by_an_earlier_time_than_the_labels_is_known_too_early(bare, trips):
    arrivals = gn.FileSource("by_coming", path="trips.parquet", timestamp="came")
    early = group("early", trips, gn.mean("fare"), gn.count())
    late = group("late", arrivals, gn.mean("fare"), gn.label(gn.mean("fare"), "1d", name="next"))
    bare.apply([early, late])
    (leak,) = told(bare, early["fare_mean"], late["next"])
    assert leak.startswith(
        "`early@1` reads `fare` by `left`, the label `next` by `came`, which is later in 1 row"
    )
    silent(bare, early["count"], late["next"])
    silent(bare, late["fare_mean"], late["next"])
    silent(bare, early["fare_mean"])


def test_a_value_read_by_a_later_time_than_the_labels_is_not(bare, trips):
    arrivals = gn.FileSource("by_coming", path="trips.parquet", timestamp="came")
    late = group("late", arrivals, gn.mean("fare"))
    early = group("early", trips, gn.label(gn.mean("fare"), "1d", name="next"))
    bare.apply([early, late])
    silent(bare, late["fare_mean"], early["next"])


def test_the_time_at_which_rows_are_known_is_taken_at_its_word(bare, trips):
    arrivals = gn.FileSource("by_coming", path="trips.parquet", timestamp="came")
    known = gn.FileSource("known", path="trips.parquet", timestamp="left", known_at="came")
    early = group("early", known, gn.mean("fare"))
    late = group("late", arrivals, gn.label(gn.mean("fare"), "1d", name="next"))
    bare.apply([early, late])
    silent(bare, early["fare_mean"], late["next"])
    (leak,) = told(bare, early["fare_mean"], late["next"], as_of="latest")
    assert leak.startswith("`early@1` as of later sees rows that became known after t")


def test_the_requests_own_row_may_count_for_the_label_too(bare):
    both = visits(
        gn.sum("ms", windows=["1d"], include_request=True, name="own"),
        gn.label(gn.sum("ms"), "1d", name="next"),
    )
    plan = bare.apply([both, gn.FeatureService("service", features=[both["own_1d"], both["next"]])])
    (note,) = plan.notes
    assert note.startswith("`service@1` may leak: `own_1d` counts the request's own row, at t, and so does")
    with pytest.warns(LeakWarning, match="`own_1d` counts the request's own row"):
        bare.get_historical_features({**SPINE, "ms": [1]}, "service").to_polars()
    silent(bare, both["count_1d"], both["next"])


TAKES = gn.Request("ms", pl.Int64)


@gn.on_demand(inputs=[TAKES], returns={"twice": pl.Int64})
def twice(ms: pl.Series) -> pl.Series:
    return ms * 2


def test_a_request_value_may_be_what_the_label_is_made_of(bare):
    both = visits(gn.label(gn.sum("ms"), "1d", name="next"))
    plan = bare.apply([both, gn.FeatureService("service", features=[twice, both["next"]])])
    assert "the request value `ms` has the name of a column that the label `next` is made of" in plan.notes[0]
    with pytest.warns(LeakWarning, match="the request value `ms`"):
        bare.get_historical_features({**SPINE, "ms": [1]}, "service").to_polars()
