"""Cases of materializing and of online answers that are about calls, order of work and errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable

import gnomon as gn
from gnomon.errors import DataError, GnomonError, HorizonError, UsageError
from gnomon.time import instant
from tests.stores import ONLINE, online_url

T = datetime(2026, 1, 10, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)

USER = gn.Entity("user", keys={"user": pl.Int64})
SHOP = gn.Entity("shop", keys={"shop": pl.String})

SPENT = gn.FeatureGroup("spent", entity=USER, timestamp="at", features=[gn.Feature("v", pl.Int64)])
NAMED = gn.FeatureGroup("named", entity=SHOP, timestamp="at", features=[gn.Feature("title", pl.String)])
VISITS = gn.FeatureGroup(
    "visits",
    entity=USER,
    timestamp="at",
    schema={"x": pl.Int64},
    features=[gn.sum("x", windows=["1h", "1d"]), gn.count(windows=["1d"])],
)


class Clock:
    """A clock that tests set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> int:
        return instant(self.now)


@pytest.fixture(params=ONLINE)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return online_url(request.param, request, tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock(T)


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[gn.Store]:
    with gn.Store(online=url, clock=clock) as made:
        made.apply([SPENT, NAMED, VISITS])
        yield made


def visits(store: gn.Store, user: int, at: datetime | None = None) -> dict[str, Any]:
    return {
        n: v[0] for n, v in store.get_online_features([VISITS], [{"user": user}], at=at).to_dict().items()
    }


def values(store: gn.Store, group: gn.FeatureGroup, entities: Any, **options: Any) -> list[list[Any]]:
    return list(store.get_online_features([group], entities, **options).to_dict().values())


# --- B, D: what a run loads --------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [T - timedelta(hours=300), T - timedelta(hours=300) - 10 * DAY])
def test_23_a_run_may_start_when_the_window_does_or_earlier(url: str, start: datetime) -> None:
    group = gn.FeatureGroup("g", entity=USER, timestamp="at", features=[gn.count(windows=["300h"])])
    at = [T - timedelta(hours=h) for h in (1, 299, 300, 301, 400)]
    with gn.Store(online=url, clock=Clock(T)) as store:
        store.apply([group])
        store.insert(group, {"user": [1] * len(at), "at": at})
        store.materialize(start=start)
        assert values(store, group, [{"user": 1}], at=T) == [[3]]


def test_40_the_same_batch_twice_counts_once_online(store: gn.Store) -> None:
    rows = {"user": [1, 1], "at": [T - HOUR, T - HOUR], "x": [1, 1]}
    for _ in range(2):
        store.insert(VISITS, rows)
        store.materialize()
    assert visits(store, 1) == {"x_sum_1h": 2, "x_sum_1d": 2, "count_1d": 2}


def test_41_a_row_older_than_the_horizon_is_in_training_and_not_online_and_counted(store: gn.Store) -> None:
    store.insert(VISITS, {"user": [1], "at": [T - SECOND], "x": [1]})
    store.materialize()
    old = T - 30 * DAY
    store.insert(VISITS, {"user": [1], "at": [old], "x": [5]})
    assert store.materialize([VISITS]).groups[0].late == 1
    spine = pl.DataFrame({"user": [1], "event_timestamp": [old + SECOND]})
    assert store.get_historical_features(spine, [VISITS]).to_polars()["x_sum_1h"].to_list() == [5]
    assert visits(store, 1) == {"x_sum_1h": 1, "x_sum_1d": 1, "count_1d": 1}


def test_41_a_row_dated_2099_removes_nothing_and_waits(store: gn.Store, clock: Clock) -> None:
    far = datetime(2099, 1, 1, tzinfo=UTC)
    store.insert(VISITS, {"user": [1, 1], "at": [T - SECOND, far], "x": [1, 9]})
    store.materialize()
    assert visits(store, 1) == {"x_sum_1h": 1, "x_sum_1d": 1, "count_1d": 1}
    clock.now = far + SECOND
    store.materialize()
    assert visits(store, 1) == {"x_sum_1h": 9, "x_sum_1d": 9, "count_1d": 1}


def test_41_old_data_materialized_today_keeps_its_windows(store: gn.Store) -> None:
    old = datetime(2013, 1, 1, tzinfo=UTC)
    store.insert(VISITS, {"user": [1, 1], "at": [old, old + HOUR], "x": [1, 2]})
    store.materialize()
    assert visits(store, 1, old + HOUR + SECOND) == {"x_sum_1h": 2, "x_sum_1d": 3, "count_1d": 2}
    assert visits(store, 1) == {"x_sum_1h": None, "x_sum_1d": None, "count_1d": 0}


@pytest.mark.parametrize("backfilled", [False, True])
def test_41_a_row_dated_2099_takes_no_window_from_old_data(store: gn.Store, backfilled: bool) -> None:
    old = datetime(2013, 1, 1, tzinfo=UTC)
    store.insert(VISITS, {"user": [1, 1], "at": [old, datetime(2099, 1, 1, tzinfo=UTC)], "x": [1, 2]})
    store.backfill(VISITS) if backfilled else store.materialize()
    assert visits(store, 1, old + SECOND) == {"x_sum_1h": 1, "x_sum_1d": 1, "count_1d": 1}


def test_43_a_late_row_is_loaded_by_the_next_run(store: gn.Store) -> None:
    store.insert(VISITS, {"user": [1], "at": [T - SECOND], "x": [1]})
    store.materialize()
    store.insert(VISITS, {"user": [1], "at": [T - 2 * SECOND], "x": [2]})
    assert store.materialize([VISITS]).rows == 1
    assert visits(store, 1) == {"x_sum_1h": 3, "x_sum_1d": 3, "count_1d": 2}
    assert store.materialize([VISITS]).rows == 0


@pytest.mark.parametrize("days", [1, 3, 30])
def test_44_steps_of_any_length_fill_the_same_tables(url: str, days: int) -> None:
    draws = np.random.default_rng(7)
    n = 400
    at = [T - timedelta(seconds=int(s)) for s in draws.integers(0, 30 * 86_400, n)]
    rows = {"user": draws.integers(0, 5, n), "at": at, "x": draws.integers(-9, 9, n)}

    def answers(step: int | None, where: str) -> list[Any]:
        with gn.Store(online=where, clock=Clock(T)) as store:
            store.apply([VISITS])
            store.insert(VISITS, rows)
            first = T - 30 * DAY
            for day in range(0, 30, step) if step is not None else ():
                store.materialize(start=first + day * DAY, end=first + (day + step) * DAY)
            store.materialize()
            users = {"user": list(range(6))}
            found = [store.get_online_features([VISITS], users, at=T - k * HOUR) for k in range(20)]
            return [(f.to_dict(), f.statuses, f.event_times) for f in found]

    assert answers(days, url) == answers(None, "memory://")


@pytest.mark.parametrize("kind", ["state", "event"])
def test_22_compacting_the_table_of_a_group_changes_no_value(store: gn.Store, kind: str) -> None:
    """By Delta's own means: one file takes the place of several, and rows of several inserts lie in it."""
    group = SPENT if kind == "state" else VISITS
    column = group.schema[0][0] if kind == "event" else "v"
    at = [T - DAY, T - HOUR, T - SECOND, T - SECOND]
    users = {"user": [1, 2, 3]}
    asked = [T - DAY, T - DAY + SECOND, T - SECOND, T]
    spine = pl.DataFrame({"user": [1] * len(asked), "event_timestamp": asked})

    def insert(x: int) -> None:
        store.insert(group, {"user": [1, 1, 1, 2], "at": at, column: [x] * 4})

    def answers() -> Any:
        found = store.get_online_features([group], users)
        return (
            found.to_dict(),
            found.statuses,
            store.get_historical_features(spine, [group]).to_polars().rows(),
        )

    for x in range(4):
        insert(x)
    store.materialize()
    before = answers()
    table = DeltaTable(str(store.path / ".gnomon" / "offline" / group.ref))
    assert table.optimize.compact()["numFilesRemoved"] == 4
    assert answers() == before
    store.materialize()
    assert answers() == before
    insert(3)  # all of it was there already
    store.materialize()
    assert answers() == before
    insert(7)
    store.materialize()
    after = answers()
    table.update_incremental()
    table.optimize.compact()
    fresh = answers()
    assert fresh == after != before
    online, _, trained = after
    assert [values[0] for values in online.values()] == list(trained[-1][2:])


# --- E: answers --------------------------------------------------------------------------------------------


def test_45_reading_twice_gives_the_same(store: gn.Store) -> None:
    store.insert(VISITS, {"user": [1], "at": [T - SECOND], "x": [1]})
    store.materialize()
    assert visits(store, 1) == visits(store, 1) == {"x_sum_1h": 1, "x_sum_1d": 1, "count_1d": 1}


def test_45_an_earlier_t_within_the_horizon_equals_training(store: gn.Store) -> None:
    at = [T - k * timedelta(minutes=7) for k in range(300)]
    store.insert(VISITS, {"user": [1] * len(at), "at": at, "x": list(range(len(at)))})
    store.materialize()
    asked = [T - k * timedelta(minutes=13) for k in range(100)]
    spine = pl.DataFrame({"user": [1] * len(asked), "event_timestamp": asked})
    trained = store.get_historical_features(spine, [VISITS]).to_polars().drop(spine.columns)
    online = store.get_online_features([VISITS], [{"user": 1}] * len(asked), at=asked)
    assert online.to_polars().equals(trained)


def test_45_a_t_before_the_horizon_is_an_error_that_names_it(store: gn.Store) -> None:
    store.insert(VISITS, {"user": [1, 1], "at": [T - 90 * DAY, T - SECOND], "x": [1, 2]})
    store.materialize()
    with pytest.raises(HorizonError, match="2026-01-0"):
        visits(store, 1, T - 60 * DAY)


def test_45_a_t_in_the_future_ends_the_window_there(store: gn.Store) -> None:
    store.insert(VISITS, {"user": [1], "at": [T - SECOND], "x": [1]})
    store.materialize()
    assert visits(store, 1, T + 2 * HOUR) == {"x_sum_1h": None, "x_sum_1d": 1, "count_1d": 1}


def test_46_what_was_never_filled_is_not_ready(store: gn.Store) -> None:
    found = store.get_online_features([VISITS, SPENT], [{"user": 1}])
    assert found.statuses == [["NOT_READY"] * 4]
    assert found.to_dict() == {"x_sum_1h": [None], "x_sum_1d": [None], "count_1d": [None], "v": [None]}


def test_46_an_overflow_is_an_error_of_its_own_value_with_the_reason(store: gn.Store) -> None:
    store.insert(VISITS, {"user": [1, 1], "at": [T - SECOND, T - 2 * HOUR], "x": [2**63 - 1, 1]})
    store.materialize()
    found = store.get_online_features([VISITS], [{"user": 1}])
    assert found.statuses == [["PRESENT", "ERROR", "PRESENT"]]
    assert found.to_dict() == {"x_sum_1h": [2**63 - 1], "x_sum_1d": [None], "count_1d": [2]}
    assert (0, "x_sum_1d") in found.errors


def test_47_ten_thousand_keys_keep_their_order(store: gn.Store) -> None:
    n = 10_000
    store.insert(SPENT, {"user": list(range(n)), "at": [T - HOUR] * n, "v": list(range(n))})
    store.materialize()
    asked = np.random.default_rng(1).integers(0, n, n).tolist()
    assert values(store, SPENT, {"user": asked}) == [asked]


@pytest.mark.parametrize("empty", [[], {"user": []}, pl.DataFrame(schema={"user": pl.Int64})])
def test_47_no_keys_no_answers(store: gn.Store, empty: Any) -> None:
    store.materialize()
    found = store.get_online_features([SPENT], empty)
    assert (found.to_dict(), found.statuses, len(found)) == ({"v": []}, [], 0)


def test_48_the_newer_row_stays_across_batches_in_either_order(store: gn.Store) -> None:
    for at, v in ((T - SECOND, 2), (T - HOUR, 1)):
        store.insert(SPENT, {"user": [1], "at": [at], "v": [v]})
        store.materialize()
    found = store.get_online_features([SPENT], [{"user": 1}])
    assert (found.to_dict()["v"], found.event_times) == ([2], [[T - SECOND]])


def test_49_a_partial_row_is_refused(store: gn.Store) -> None:
    with pytest.raises(DataError, match="`v`"):
        store.insert(SPENT, {"user": [1], "at": [T]})


@pytest.mark.parametrize(
    ("group", "key", "wrong", "named"),
    [(SPENT, "user", "5", "Int64"), (SPENT, "user", 5.0, "Int64"), (NAMED, "shop", 5, "String")],
)
def test_50_a_key_of_another_type_names_column_and_both_types(
    store: gn.Store, group: gn.FeatureGroup, key: str, wrong: Any, named: str
) -> None:
    store.materialize()
    with pytest.raises(DataError, match=f"`{key}`") as raised:
        values(store, group, [{key: wrong}])
    assert named in str(raised.value)
    assert type(wrong).__name__ in str(raised.value)


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int16, pl.UInt32, pl.Int64, pl.UInt64])
def test_50_integers_of_any_width_are_the_same_key(store: gn.Store, dtype: pl.DataType) -> None:
    store.insert(SPENT, pl.DataFrame({"user": pl.Series([5], dtype=dtype), "at": [T - HOUR], "v": [1]}))
    store.materialize()
    assert values(store, SPENT, pl.DataFrame({"user": pl.Series([5], dtype=dtype)})) == [[1]]
    assert values(store, SPENT, [{"user": 5}]) == [[1]]
    spine = pl.DataFrame({"user": pl.Series([5], dtype=dtype), "event_timestamp": [T]})
    assert store.get_historical_features(spine, [SPENT]).to_polars()["v"].to_list() == [1]


@pytest.mark.parametrize(
    ("entities", "named"),
    [
        ([{"user": 1}, {"user": None}], "row 1"),
        ([{"user": 1}, {}], "row 1"),
        ([{"user": 1, "usr": 2}], "usr"),
        ({"user": [1], "other": [2]}, "other"),
        ({"user": [1, None]}, "row 1"),
        ({}, "user"),
    ],
)
def test_51_null_missing_and_unknown_key_columns_are_named(
    store: gn.Store, entities: Any, named: str
) -> None:
    store.materialize()
    with pytest.raises((DataError, UsageError), match=named) as raised:
        values(store, SPENT, entities)
    assert "user" in str(raised.value)


def test_51_columns_of_different_lengths_are_refused(store: gn.Store) -> None:
    group = gn.FeatureGroup("pairs", entity=[USER, SHOP], timestamp="at", features=[gn.count()])
    store.apply([group])
    store.materialize()
    with pytest.raises(DataError, match="length"):
        values(store, group, {"user": [1, 2], "shop": ["a"]})


def test_51_an_unknown_request_field_is_refused(store: gn.Store) -> None:
    store.materialize()
    with pytest.raises(DataError, match="amount"):
        values(store, SPENT, [{"user": 1}], request={"amount": [1]})


def test_52_a_request_field_may_have_the_name_of_a_key(store: gn.Store) -> None:
    group = gn.FeatureGroup(
        "own",
        entity=SHOP,
        timestamp="at",
        schema={"user": pl.Int64},
        features=[gn.last_k("user", k=3, include_request=True)],
    )
    store.apply([group])
    store.insert(group, {"shop": ["a"], "at": [T - HOUR], "user": [7]})
    store.insert(SPENT, {"user": [1], "at": [T - HOUR], "v": [10]})
    store.materialize()
    found = store.get_online_features([SPENT, group], [{"user": 1, "shop": "a"}], request={"user": 99})
    assert found.to_dict() == {"v": [10], "user_last_k": [[99, 7]]}


def test_53_a_window_added_to_a_live_group_is_complete_at_once_where_rows_reach_back(store: gn.Store) -> None:
    store.insert(VISITS, {"user": [1, 1], "at": [T - 2 * HOUR, T - SECOND], "x": [1, 2]})
    store.materialize()
    wider = gn.FeatureGroup(
        "visits",
        entity=USER,
        timestamp="at",
        schema={"x": pl.Int64},
        features=[
            gn.sum("x", windows=["1h", "1d"]),
            gn.count(windows=["1d"]),
            gn.sum("x", windows="3h", name="y"),
        ],
    )
    store.apply([wider])
    found = store.get_online_features([wider], [{"user": 1}])
    assert found.to_dict() == {"x_sum_1h": [2], "x_sum_1d": [3], "count_1d": [2], "y_3h": [3]}
    assert found.statuses == [["PRESENT"] * 4]


def test_53_a_window_that_reaches_back_further_is_never_partial(store: gn.Store) -> None:
    rows = {"user": [1, 1, 1], "at": [T - 50 * DAY, T - 2 * HOUR, T - SECOND], "x": [4, 1, 2]}
    store.insert(VISITS, rows)
    store.materialize()
    wider = gn.FeatureGroup(
        "visits",
        entity=USER,
        timestamp="at",
        schema={"x": pl.Int64},
        features=[gn.sum("x", windows=["1h", "1d", "90d"]), gn.count(windows=["1d"])],
    )
    store.apply([wider])
    found = store.get_online_features([wider], [{"user": 1}])
    assert found.statuses == [["PRESENT", "PRESENT", "NOT_READY", "PRESENT"]]
    assert found.to_dict()["x_sum_90d"] == [None]
    store.materialize()
    found = store.get_online_features([wider], [{"user": 1}])
    assert found.statuses == [["PRESENT"] * 4]
    assert found.to_dict() == {"x_sum_1h": [2], "x_sum_1d": [3], "x_sum_90d": [7], "count_1d": [2]}


def test_53_a_window_removed_by_a_new_version_stays_complete_in_the_old_one(store: gn.Store) -> None:
    store.insert(VISITS, {"user": [1, 1], "at": [T - 2 * HOUR, T - SECOND], "x": [1, 2]})
    store.materialize()
    before = visits(store, 1)
    narrower = gn.FeatureGroup(
        "visits",
        version=2,
        entity=USER,
        timestamp="at",
        schema={"x": pl.Int64},
        features=[gn.sum("x", windows=["1d"])],
    )
    store.apply([narrower])
    assert visits(store, 1) == before
    store.insert(narrower, {"user": [1], "at": [T - 3 * HOUR], "x": [40]})
    store.materialize()
    assert visits(store, 1) == before == {"x_sum_1h": 2, "x_sum_1d": 3, "count_1d": 2}
    found = store.get_online_features([narrower], [{"user": 1}])
    assert (found.to_dict(), found.statuses) == ({"x_sum_1d": [40]}, [["PRESENT"]]), "its rows are its own"
    store.apply([SPENT, NAMED, narrower], prune=True)
    assert values(store, narrower, [{"user": 1}]) == [[40]]


def test_53_two_versions_of_a_group_over_one_source_answer_from_the_same_rows(
    url: str, tmp_path: Path
) -> None:
    rows = {"user": [1, 1], "at": [T - 2 * HOUR, T - SECOND], "x": [1, 2]}
    pl.DataFrame(rows).write_parquet(tmp_path / "rows.parquet")
    source = gn.FileSource("rows", str(tmp_path / "rows.parquet"), timestamp="at")

    def group(version: int, *windows: str) -> gn.FeatureGroup:
        features = [gn.sum("x", windows=list(windows))]
        return gn.FeatureGroup("g", version=version, entity=USER, source=source, features=features)

    first, second = group(1, "1h", "1d"), group(2, "1d")
    with gn.Store(online=url, clock=Clock(T)) as store:
        store.apply([first])
        store.apply([second])
        store.materialize()
        assert values(store, first, [{"user": 1}]) == [[2], [3]]
        assert values(store, second, [{"user": 1}]) == [[3]]
        store.apply([second], prune=True)
        assert values(store, second, [{"user": 1}]) == [[3]]
        with pytest.raises(GnomonError):
            store.get_online_features(["g@1:x_sum_1h"], [{"user": 1}])


def check_a_key_of(store: gn.Store, n: int) -> None:
    """Windows at random times equal sums over NumPy's own slices."""
    draws = np.random.default_rng(3)
    seconds = np.sort(draws.integers(0, 86_400, n))
    x = draws.integers(-1000, 1000, n)
    start = T - DAY
    at = pl.Series(instant(start) + seconds * 1_000_000).cast(pl.Datetime("us", "UTC"))
    # Rows that are equal in time and value are rows of their own.
    store.insert(VISITS, pl.DataFrame({"user": np.ones(n, np.int64), "at": at, "x": x}))
    store.materialize([VISITS])
    for t in draws.integers(40_000, 86_400, 5).tolist():
        hour = slice(*np.searchsorted(seconds, [t - 3600, t]))
        day = slice(0, hour.stop)
        assert visits(store, 1, start + timedelta(seconds=t)) == {
            "x_sum_1h": int(x[hour].sum()),
            "x_sum_1d": int(x[day].sum()),
            "count_1d": hour.stop,
        }


def test_54_a_key_with_many_rows_equals_the_naive_sum(store: gn.Store) -> None:
    check_a_key_of(store, 20_000)


@pytest.mark.slow
def test_54_a_key_with_a_million_rows_equals_the_naive_sum(store: gn.Store) -> None:
    check_a_key_of(store, 1_000_000)


def test_56_readers_see_whole_rows_while_others_materialize(store: gn.Store) -> None:
    n = 50
    pairs = gn.FeatureGroup(
        "pairs", entity=USER, timestamp="at", features=[gn.Feature("a", pl.Int64), gn.Feature("b", pl.Int64)]
    )
    store.apply([pairs])
    failures: list[Any] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            a, b = values(store, pairs, {"user": list(range(n))})
            # Between two rows of a key no answer may mix them.
            failures.extend((x, y) for x, y in zip(a, b, strict=True) if x != y)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for k in range(8):
            rows = {"user": list(range(n)), "at": [T - HOUR + k * SECOND] * n, "a": [k] * n, "b": [k] * n}
            store.insert(pairs, rows)
            store.materialize([pairs])
            store.apply([SPENT], message=f"{k}")
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert values(store, pairs, [{"user": 0}]) == [[7], [7]]


def test_57_deleting_a_group_leaves_others_and_a_new_one_of_its_name_is_empty(store: gn.Store) -> None:
    store.insert(SPENT, {"user": [1], "at": [T - HOUR], "v": [10]})
    store.insert(VISITS, {"user": [1], "at": [T - HOUR], "x": [5]})
    store.materialize()
    store.apply([VISITS, NAMED], prune=True)
    assert visits(store, 1) == {"x_sum_1h": 5, "x_sum_1d": 5, "count_1d": 1}
    with pytest.raises(GnomonError, match="spent"):
        store.get_online_features(["spent:v"], [{"user": 1}])
    plan = store.apply([SPENT])
    assert "begins empty" in str(plan)
    found = store.get_online_features([SPENT], [{"user": 1}])
    assert (found.to_dict(), found.statuses) == ({"v": [None]}, [["NOT_READY"]])
    store.materialize()
    found = store.get_online_features([SPENT], [{"user": 1}])
    assert (found.to_dict(), found.statuses) == ({"v": [None]}, [["NOT_FOUND"]])
    spine = {"user": [1], "event_timestamp": [T]}
    assert store.get_historical_features(spine, [SPENT]).to_polars()["v"].to_list() == [None]


def test_57_a_revert_of_the_deletion_brings_the_rows_back(store: gn.Store) -> None:
    store.insert(SPENT, {"user": [1], "at": [T - HOUR], "v": [10]})
    revision = store.registry.snapshot().revision
    store.apply([VISITS, NAMED], prune=True)
    store.registry.revert(revision)
    spine = {"user": [1], "event_timestamp": [T]}
    assert store.get_historical_features(spine, [SPENT]).to_polars()["v"].to_list() == [10]


def test_17_every_type_of_a_request_comes_back_as_it_was(store: gn.Store) -> None:
    group = gn.FeatureGroup(
        "kinds",
        entity=USER,
        timestamp="at",
        schema={"d": pl.Decimal(10, 2), "day": pl.Date, "tags": pl.List(pl.String)},
        features=[gn.last(c, include_request=True) for c in ("d", "day", "tags")],
    )
    store.apply([group])
    store.materialize()
    given = {"d": Decimal("1.50"), "day": T.date(), "tags": [["a", None]]}
    found = store.get_online_features([group], [{"user": 1}], request=given)
    assert found.to_dict() == {
        "d_last": [Decimal("1.50")],
        "day_last": [T.date()],
        "tags_last": [["a", None]],
    }
