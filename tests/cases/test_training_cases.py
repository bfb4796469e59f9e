"""Cases of training sets that are about calls, frames and errors; numbers are those of the cases' list."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, DefinitionError, UsageError
from gnomon.testing.reference import historical
from gnomon.time import instant

T = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

USER = gn.Entity("user", keys={"user": pl.Int64})
SHOP = gn.Entity("shop", keys={"shop": pl.String})
ORIGIN = gn.Entity("origin", keys={"origin": pl.String})

SPENT = gn.FeatureGroup("spent", entity=USER, timestamp="at", features=[gn.Feature("v", pl.Int64)])
RATED = gn.FeatureGroup(
    "rated", entity=SHOP, timestamp="at", features=[gn.Feature("stars", pl.Float64)], max_age="1h"
)
VISITS = gn.FeatureGroup(
    "visits",
    entity=[USER, SHOP],
    timestamp="at",
    schema={"x": pl.Int64},
    features=[gn.sum("x", windows=["1h", "1d"]), gn.count()],
)
WEATHER = gn.FeatureGroup("weather", entity=ORIGIN, timestamp="at", features=[gn.Feature("temp", pl.Float64)])


@pytest.fixture
def store() -> Iterator[gn.Store]:
    with gn.Store() as made:
        made.apply([SPENT, RATED, VISITS, WEATHER])
        made.insert(SPENT, {"user": [1, 1, 2], "at": [T - HOUR, T, T - DAY], "v": [10, 20, 30]})
        made.insert(RATED, {"shop": ["a", "b"], "at": [T - HOUR, T - DAY], "stars": [4.5, 3.0]})
        made.insert(VISITS, {"user": [1, 1], "shop": ["a", "b"], "at": [T - HOUR, T - HOUR], "x": [1, 2]})
        made.insert(WEATHER, {"origin": ["JFK", "LGA"], "at": [T, T], "temp": [1.5, 2.5]})
        yield made


def spine(**columns: list) -> pl.DataFrame:
    return pl.DataFrame(columns)


def test_04_every_spine_row_stays_with_its_label_in_its_place(store: gn.Store) -> None:
    given = spine(label=[0, 1, 2], user=[1, 1, 2], event_timestamp=[T, T, T], note=["a", None, "c"])
    before = given.clone()
    found = store.get_historical_features(given, [SPENT]).to_polars()
    assert found.drop("v").equals(before)
    assert found["v"].to_list() == [20, 20, 30]
    assert given.equals(before)


def test_04_the_types_of_the_spine_are_untouched(store: gn.Store) -> None:
    given = pl.DataFrame(
        {"user": [1], "event_timestamp": [T.replace(tzinfo=None)], "label": [1]},
        schema={"user": pl.Int8, "event_timestamp": pl.Datetime("ms"), "label": pl.UInt16},
    )
    found = store.get_historical_features(given, [SPENT]).to_polars()
    assert found.drop("v").schema == given.schema
    assert found["v"].to_list() == [20]


def test_08_a_null_key_leaves_the_features_of_other_groups(store: gn.Store) -> None:
    given = spine(user=[None, 1], shop=["a", None], event_timestamp=[T, T])
    found = store.get_historical_features(given, [SPENT, RATED, VISITS["count"]]).to_polars()
    assert found.select("v", "stars", "count").rows() == [(None, 4.5, None), (20, None, None)]


def test_08_questions_without_a_time_are_counted(store: gn.Store) -> None:
    given = spine(user=[1, 1, 2], event_timestamp=[T, None, None])
    with pytest.raises(DataError, match="2 of 3 spine rows have no `event_timestamp`"):
        store.get_historical_features(given, [SPENT]).to_polars()


def test_09_both_folds_of_an_hour_are_two_instants() -> None:
    new_york = ZoneInfo("America/New_York")
    first, second = (datetime(2026, 11, 1, 1, 30, tzinfo=new_york, fold=fold) for fold in (0, 1))
    with gn.Store() as made:
        made.apply([SPENT])
        utc = [first.astimezone(UTC), second.astimezone(UTC)]
        assert utc[1] - utc[0] == HOUR
        made.insert(SPENT, {"user": [1, 1], "at": [first, second], "v": [1, 2]})
        given = spine(user=[1, 1], event_timestamp=[first, second])
        assert made.get_historical_features(given, [SPENT]).to_polars()["v"].to_list() == [1, 2]


def test_09_nanoseconds_are_floored_before_and_after_1970(tmp_path: Path) -> None:
    ticks = pl.Series([10_999, -10_001], dtype=pl.Int64).cast(pl.Datetime("ns"))
    pl.DataFrame({"user": [1, 2], "at": ticks, "v": [1, 2]}).write_parquet(tmp_path / "rows.parquet")
    source = gn.FileSource("rows", str(tmp_path / "rows.parquet"), timestamp="at")
    group = gn.FeatureGroup("g", entity=USER, source=source, features=[gn.Feature("v", pl.Int64)])
    questions = pl.Series([9, 10, -12, -11], dtype=pl.Int64).cast(pl.Datetime("us"))
    with gn.Store() as made:
        made.apply([group])
        given = pl.DataFrame({"user": [1, 1, 2, 2], "event_timestamp": questions})
        assert made.get_historical_features(given, [group]).to_polars()["v"].to_list() == [None, 1, None, 2]


def test_09_a_date_as_event_time_needs_a_lag(tmp_path: Path) -> None:
    pl.DataFrame({"user": [1], "day": [T.date()], "v": [1]}).write_parquet(tmp_path / "rows.parquet")
    source = gn.FileSource("rows", str(tmp_path / "rows.parquet"), timestamp="day")
    group = gn.FeatureGroup("g", entity=USER, source=source, features=[gn.Feature("v", pl.Int64)])
    with gn.Store() as made, pytest.raises(DefinitionError, match='lag="1d"'):
        made.apply([group])


def test_10_the_time_column_is_named_by_argument(store: gn.Store) -> None:
    given = spine(user=[1], seen=[T], born=[T - DAY])
    found = store.get_historical_features(given, [SPENT], timestamp="seen").to_polars()
    assert found["v"].to_list() == [20]


def test_10_without_the_time_column_the_datetime_columns_are_listed(store: gn.Store) -> None:
    given = spine(user=[1], seen=[T], born=[T - DAY])
    with pytest.raises(DataError, match="event_timestamp") as raised:
        store.get_historical_features(given, [SPENT])
    assert "seen, born" in str(raised.value)


def test_11_a_missing_key_column_is_named_before_data_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"user": [1], "at": [T], "v": [1]}).write_parquet(path)
    source = gn.FileSource("rows", str(path), timestamp="at")
    group = gn.FeatureGroup("g", entity=USER, source=source, features=[gn.Feature("v", pl.Int64)])
    with gn.Store() as made:
        made.apply([group])
        path.unlink()
        with pytest.raises(DataError, match="`user`, the key of group `g`"):
            made.get_historical_features(spine(usr=[1], event_timestamp=[T]), [group])


def test_12_groups_of_different_keys_and_ages_answer_one_spine(store: gn.Store) -> None:
    given = spine(user=[1, 1, 9], shop=["a", "b", "a"], event_timestamp=[T, T, T])
    found = store.get_historical_features(given, [VISITS, SPENT, RATED]).to_polars()
    features = found.select("x_sum_1h", "x_sum_1d", "count", "v", "stars")
    assert features.rows() == [(1, 1, 1, 20, 4.5), (2, 2, 1, 20, None), (None, None, 0, None, 4.5)]


def test_13_one_group_plays_two_roles(store: gn.Store) -> None:
    given = spine(origin=["JFK"], dest=["LGA"], event_timestamp=[T])
    features = [WEATHER.renamed(prefix="origin_"), WEATHER.renamed(prefix="dest_", keys={"origin": "dest"})]
    found = store.get_historical_features(given, features).to_polars()
    assert found.select("origin_temp", "dest_temp").rows() == [(1.5, 2.5)]


def test_13_the_same_without_renaming_names_both(store: gn.Store) -> None:
    given = spine(origin=["JFK"], dest=["LGA"], event_timestamp=[T])
    with pytest.raises(UsageError, match="`temp`") as raised:
        store.get_historical_features(given, [WEATHER, WEATHER.renamed(keys={"origin": "dest"})])
    assert "full_names=True" in str(raised.value)


def test_15_an_empty_spine_gives_an_empty_result_with_all_columns(store: gn.Store) -> None:
    given = pl.DataFrame(schema={"user": pl.Int64, "shop": pl.String, "event_timestamp": pl.Datetime("us")})
    found = store.get_historical_features(given, [SPENT, RATED, VISITS]).to_polars()
    assert found.is_empty()
    assert dict(found.schema) == {
        **given.schema,
        "v": pl.Int64(),
        "stars": pl.Float64(),
        "x_sum_1h": pl.Int64(),
        "x_sum_1d": pl.Int64(),
        "count": pl.Int64(),
    }


MANY = """
import sys, resource
import polars as pl, gnomon as gn
path, n = sys.argv[1], int(sys.argv[2])
user = gn.Entity("user", keys={"user": pl.Int64})
source = gn.FileSource("rows", path, timestamp="at")
group = gn.FeatureGroup("g", entity=user, source=source, features=[
    gn.sum("x", windows=["1h", "30d"]), gn.mean("x"), gn.last("x"), gn.max("x", windows="30d")])
with gn.Store() as store:
    store.apply([group])
    rows = pl.scan_parquet(path).select("user", pl.col("at").alias("event_timestamp")).head(n).collect()
    assert len(store.get_historical_features(rows, [group]).to_polars()) == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units")
@pytest.mark.parametrize("n", [10_000, 800_000], ids=["400kB", "32MB"])
def test_16_one_key_with_long_history_takes_less_than_ten_times_its_input(tmp_path: Path, n: int) -> None:
    """As many questions as rows, all of one key. What the program takes with next to no rows is not counted."""

    def peak(rows: int) -> int:
        at = pl.Series(instant(T) + np.arange(rows) * 1_000_000).cast(pl.Datetime("us", "UTC"))
        path = tmp_path / f"{rows}.parquet"
        x = np.random.default_rng(1).random(rows)
        pl.DataFrame({"user": np.ones(rows, np.int64), "at": at, "x": x}).write_parquet(path)
        done = subprocess.run(
            [sys.executable, "-c", MANY, str(path), str(rows)], capture_output=True, text=True, check=True
        )
        return int(done.stdout) * 1024

    # Columns of 8 bytes: three of the rows and two of the questions. Of a small input an allocator's blocks
    # are more than ten times; one byte for each row and question would be 100 MB of 10,000, and 640 GB.
    size = n * 5 * 8
    assert peak(n) - peak(100) < max(10 * size, 64 << 20)


def test_18_a_saved_dataset_reads_back_the_same_after_new_data(store: gn.Store) -> None:
    given = spine(user=[1, 2], event_timestamp=[T, T])
    found = store.get_historical_features(given, [SPENT])
    saved = found.save("first")
    store.insert(SPENT, {"user": [1], "at": [T - timedelta(minutes=1)], "v": [99]})
    store.insert(SPENT, {"user": [2], "at": [T], "v": [98]})
    assert saved.to_polars().equals(found.to_polars())
    assert store.dataset("first").to_polars().equals(found.to_polars())
    assert store.get_historical_features(given, [SPENT]).to_polars()["v"].to_list() == [20, 98]


def test_18_saving_over_a_name_is_an_error(store: gn.Store) -> None:
    found = store.get_historical_features(spine(user=[1], event_timestamp=[T]), [SPENT])
    found.save("first")
    with pytest.raises(UsageError, match="first"):
        found.save("first")


def test_39_rows_that_take_no_part_are_counted_in_the_report(tmp_path: Path) -> None:
    rows = {"user": [1, None, 2, None], "at": [T, T, None, None], "v": [1, 2, 3, 4]}
    pl.DataFrame(rows).write_parquet(tmp_path / "rows.parquet")
    source = gn.FileSource("rows", str(tmp_path / "rows.parquet"), timestamp="at")
    in_place = gn.FeatureGroup("g", entity=USER, source=source, features=[gn.Feature("v", pl.Int64)])
    with gn.Store() as made:
        made.apply([in_place, SPENT])
        found = made.get_historical_features(spine(user=[1], event_timestamp=[T]), [in_place])
        assert found.ignored["g@1"].null_key == 2
        assert found.ignored["g@1"].null_time == 1
        commit = made.insert(SPENT, rows)
        assert (commit.ignored.null_key, commit.ignored.null_time, commit.accepted) == (2, 1, 1)
        report = made.materialize([in_place])
        assert report.groups[0].ignored == found.ignored["g@1"]


def test_40_a_commit_tells_accepted_rows_and_duplicates(store: gn.Store) -> None:
    rows = {"user": [5, 5, 5], "shop": ["a"] * 3, "at": [T, T, T - HOUR], "x": [1, 1, 2]}
    first = store.insert(VISITS, rows)
    assert (first.rows, first.accepted, first.duplicates) == (3, 3, 0)
    again = store.insert(VISITS, rows)
    assert (again.rows, again.accepted, again.duplicates, again.id) == (3, 0, 3, None)
    overlapping = store.insert(VISITS, {"user": [5, 5], "shop": ["a"] * 2, "at": [T, T + HOUR], "x": [1, 4]})
    assert (overlapping.accepted, overlapping.duplicates) == (1, 1)


def test_66_an_event_at_t_is_in_the_label_and_not_in_the_feature() -> None:
    group = gn.FeatureGroup(
        "payments",
        entity=gn.Entity("user", keys={"user": pl.Int64}),
        timestamp="at",
        schema={"amount": pl.Float64},
        features=[gn.sum("amount", windows=["7d"]), gn.label(gn.sum("amount"), "7d")],
    )
    week, micro = timedelta(days=7), timedelta(microseconds=1)
    rows = [
        {"user": 1, "at": at, "amount": amount}
        for at, amount in [(T - micro, 1.0), (T, 2.0), (T + week - micro, 4.0), (T + week, 8.0)]
    ]
    asked = [{"user": 1, "event_timestamp": T}, {"user": 1, "event_timestamp": T + micro}]
    names = ["amount_sum_7d", "amount_sum_next_7d", "amount_sum_next_7d_mature"]
    want = [
        {"amount_sum_7d": 1.0, "amount_sum_next_7d": 6.0, "amount_sum_next_7d_mature": True},
        # Not yet mature: null and flagged, not zero.
        {"amount_sum_7d": 3.0, "amount_sum_next_7d": None, "amount_sum_next_7d_mature": False},
    ]
    assert historical(group, rows, asked, features=names, now=T + 2 * week) == want
    with gn.Store(clock=lambda: instant(T + 2 * week)) as store:
        store.apply([group])
        store.insert(group, rows)
        found = store.get_historical_features(asked, [group, group["amount_sum_next_7d"]])
        assert found.to_polars().select(names).to_dicts() == want
