"""Online answers: values, statuses, event times and errors, in the order asked."""

from __future__ import annotations

import math
import threading
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, HorizonError, Stopped, UsageError
from tests.flows.small import (
    DAY,
    HOUR,
    MINUTE,
    PLAN,
    SECOND,
    US,
    USER,
    VISITS,
    T,
    ask,
    plan,
    statuses,
    train,
    visit,
    visits,
)  # fmt: skip
from tests.stores import ONLINE, online_url

VISITS_LONGER = visits(gn.count(windows=["9d"]))


@pytest.fixture
def filled(store: gn.Store) -> gn.Store:
    store.insert(VISITS, [visit(1, T - HOUR, 3), visit(1, T - MINUTE, None), visit(2, T - 5 * HOUR, None)])
    store.insert(PLAN, [plan(1, T - HOUR, "free"), plan(2, T - HOUR, None), plan(3, T - 3 * DAY, "old")])
    store.materialize()
    return store


# --- answers --------------------------------------------------------------------------------------------------


def test_each_value_has_a_status_and_the_time_of_the_keys_newest_row(filled):
    found = filled.get_online_features(
        ["plan:name", "visits:ms_sum_1d", "visits:count_1d"], {"user": [1, 2, 3, 4]}
    )
    assert found.to_dict() == {
        "name": ["free", None, None, None],
        "ms_sum_1d": [3, None, None, None],
        "count_1d": [2, 1, 0, 0],
    }
    assert found.statuses == [
        ["PRESENT", "PRESENT", "PRESENT"],
        ["NULL", "NULL", "PRESENT"],
        ["EXPIRED", "NOT_FOUND", "NOT_FOUND"],
        ["NOT_FOUND", "NOT_FOUND", "NOT_FOUND"],
    ]
    assert found.event_times == [
        [T - HOUR, T - MINUTE, T - MINUTE],
        [T - HOUR, T - 5 * HOUR, T - 5 * HOUR],
        [T - 3 * DAY, None, None],
        [None, None, None],
    ]
    assert (found.names, len(found), found.errors) == (("name", "ms_sum_1d", "count_1d"), 4, {})
    assert "4 rows × 3 features" in repr(found)


def test_order_and_duplicates_of_the_question_are_kept(filled):
    assert ask(filled, ["visits:count_1d"], [2, 1, 9, 1, 2]) == {"count_1d": [1, 2, 0, 2, 1]}


@pytest.mark.parametrize("nobody", [[], {"user": []}, pl.DataFrame(schema={"user": pl.Int64})])
def test_nobody_asked_nothing_answered(filled, nobody):
    found = filled.get_online_features(["plan:name", "visits:count_1d"], nobody)
    assert found.to_dict() == {"name": [], "count_1d": []}
    assert (found.statuses, found.event_times, len(found)) == ([], [], 0)
    assert found.to_polars().schema == {"name": pl.String, "count_1d": pl.Int64}


def test_each_question_is_answered_at_its_own_time(filled):
    times = [T - HOUR, T - HOUR + US, T, T + DAY]
    assert ask(filled, ["visits:count_1d"], [1] * 4, at=times) == train(
        filled, ["visits:count_1d"], [(1, t) for t in times]
    )


def test_frames_have_the_features_types_and_arrays_are_floats(filled):
    found = filled.get_online_features(["visits:count_1d", "visits:ms_sum_1d"], {"user": [1, 2]})
    assert found.to_polars().equals(pl.DataFrame({"count_1d": [2, 1], "ms_sum_1d": [3, None]}))
    array = found.to_numpy()
    assert array.dtype == "float64"
    assert array[0].tolist() == [2.0, 3.0]
    assert math.isnan(array[1, 1])
    with pytest.raises(UsageError, match="`name` is String, no number"):
        filled.get_online_features(["plan:name"], {"user": [1]}).to_numpy()


def test_full_names_tell_the_group(filled):
    found = filled.get_online_features(["plan:name"], {"user": [1]}, full_names=True)
    assert found.to_dict() == {"plan__name": ["free"]}


def test_one_group_in_two_roles_reads_two_keys(filled):
    friend = PLAN.renamed(prefix="friend_", keys={"user": "friend"})
    found = filled.get_online_features([PLAN, friend], [{"user": 1, "friend": 3}, {"user": 3, "friend": 1}])
    assert found.to_dict() == {"name": ["free", None], "friend_name": [None, "free"]}


def test_defaults_take_the_place_of_null_but_not_of_what_is_not_ready(bare):
    group = gn.FeatureGroup(
        "g", entity=USER, timestamp="at", max_age="1d", features=[gn.Feature("x", pl.Int64, default=-1)]
    )
    bare.apply([group])
    assert ask(bare, [group], [1]) == {"x": [None]}
    bare.insert(
        group,
        [
            {"user": u, "at": T - age, "x": x}
            for u, age, x in ((1, HOUR, 5), (2, HOUR, None), (3, 2 * DAY, 5))
        ],
    )
    bare.materialize()
    assert ask(bare, [group], [1, 2, 3, 4]) == {"x": [5, -1, -1, -1]}
    assert [row[0] for row in statuses(bare, [group], [1, 2, 3, 4])] == [
        "PRESENT",
        "NULL",
        "EXPIRED",
        "NOT_FOUND",
    ]


def test_features_whose_definition_cannot_be_hashed_are_answered(bare):
    group = gn.FeatureGroup(
        "g", entity=USER, timestamp="at", features=[gn.Feature("x", pl.List(pl.Int64), default=[7])]
    )
    bare.apply([group])
    bare.insert(group, [{"user": 1, "at": T - HOUR, "x": [1, None]}])
    bare.materialize()
    for features in ([group], group, [group["x"]], "g:x"):
        assert ask(bare, features, [1, 2]) == {"x": [[1, None], [7]]}


def test_an_overflow_is_an_error_of_its_value_with_the_reason(store):
    store.insert(VISITS, [visit(1, T - k * SECOND, 2**62) for k in (1, 2)])
    store.materialize()
    found = store.get_online_features([VISITS], [{"user": 2}, {"user": 1}])
    assert found.to_dict() == {"count_1h": [0, 2], "count_1d": [0, 2], "ms_sum_1d": [None, None]}
    assert found.statuses[1] == ["PRESENT", "PRESENT", "ERROR"]
    assert found.errors == {(1, "ms_sum_1d"): "`ms_sum_1d` cannot be computed: the sum does not fit Int64"}


def test_a_value_that_was_damaged_is_an_error_of_its_key_alone(filled):
    online = filled._project.online
    table = "visits@1#1"
    damaged = min(key for key, _ in online.scan(table))
    online.update(table, [damaged], lambda _, old: [old[0][:-8] + b"\1" * 8])
    found = filled.get_online_features(["visits:count_1d"], {"user": [1, 2]})
    assert found.statuses == [["ERROR"], ["PRESENT"]]
    assert found.to_dict() == {"count_1d": [None, 1]}
    assert "checksum" in found.errors[0, "count_1d"]


# --- keys -----------------------------------------------------------------------------------------------------

ZONE = pl.Datetime("us", "America/New_York")
# Naive times are keys too.
EARLY, LATE = datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(2026, 1, 1, 0, 0, 0, 1)  # noqa: DTZ001
KEYS: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]]]] = {
    "none": ({}, [()]),
    "integers": ({"k": pl.Int16}, [(-(2**63),), (2**63 - 1,), (0,), (-1,)]),
    "text": ({"k": pl.String}, [("",), ("a\0b",), ("a",), ("é",), ("x" * 700,), ("1",)]),
    "bytes": ({"k": pl.Binary}, [(b"",), (b"\0",), (b"\0\xff",), (b"y" * 600,)]),
    "booleans": ({"k": pl.Boolean}, [(True,), (False,)]),
    "days": ({"k": pl.Date}, [(date(1969, 12, 31),), (date(1970, 1, 1),), (date(2026, 1, 1),)]),
    "times": (
        {"k": pl.Datetime("us")},
        [(EARLY,), (LATE,)],
    ),
    "milliseconds": ({"k": pl.Datetime("ms", "UTC")}, [(T,), (datetime(1960, 1, 1, tzinfo=UTC),)]),
    "nanoseconds": ({"k": pl.Datetime("ns")}, [(EARLY,), (LATE,)]),
    "a zone": ({"k": ZONE}, [(T,), (T + US,)]),
    "two texts": (
        {"a": pl.String, "b": pl.String},
        [("a", "bc"), ("ab", "c"), ("", ""), ("\0", ""), ("", "\0")],
    ),
    "two integers": ({"a": pl.Int64, "b": pl.Int64}, [(1, 11), (11, 1)]),
    "mixed": (
        {"a": pl.Binary, "d": pl.Date, "b": pl.Boolean, "c": pl.String},
        [
            (b"\0", date(2020, 1, 1), True, ""),
            (b"", date(2020, 1, 1), True, "\0"),
            (b"", date(1960, 1, 1), False, ""),
        ],
    ),
}


@pytest.mark.parametrize("online", ONLINE)
@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_type_find_their_rows_and_no_others(kind, online, clock, request, tmp_path):
    types, keys = KEYS[kind]
    group = gn.FeatureGroup(
        "g", entity=gn.Entity("e", keys=types), timestamp="at", features=[gn.Feature("x", pl.Int64)]
    )
    columns = zip(*keys, strict=True)
    rows = pl.DataFrame({n: list(c) for n, c in zip(types, columns, strict=True)}).cast(dict(group.keys))
    rows = rows if types else pl.DataFrame({"x": [0]})
    names = list(types)
    rows = rows.with_columns(x=pl.int_range(len(keys)), at=pl.lit(T - HOUR))
    entities = [dict(zip(names, key, strict=True)) for key in keys]
    with gn.Store(online=online_url(online, request, tmp_path), clock=clock) as store:
        store.apply([group])
        store.insert(group, rows)
        store.materialize()
        expected = {"x": list(range(len(keys)))}
        assert store.get_online_features([group], entities).to_dict() == expected
        if names:
            assert store.get_online_features([group], rows.select(names)).to_dict() == expected
            spine = rows.select(names).with_columns(event_timestamp=pl.lit(T))
            trained = store.get_historical_features(spine, [group]).to_polars()
            assert trained["x"].to_list() == expected["x"]


@pytest.mark.parametrize(
    ("dtype", "wrong"),
    [
        (pl.Int64, "5"),
        (pl.Int64, 5.0),
        (pl.Int64, True),
        (pl.String, 5),
        (pl.String, b"a"),
        (pl.Binary, "a"),
        (pl.Boolean, 1),
        (pl.Date, T),
        (pl.Date, "2026-01-10"),
        (pl.Datetime("us"), date(2026, 1, 10)),
        (pl.Datetime("us"), 5),
        (pl.Datetime("us"), "2026-01-10T12:00:00"),
    ],
)
def test_a_key_of_another_type_names_column_row_and_both_types(bare, dtype, wrong):
    group = gn.FeatureGroup(
        "g", entity=gn.Entity("e", keys={"k": dtype}), timestamp="at", features=[gn.Feature("x", pl.Int64)]
    )
    bare.apply([group])
    with pytest.raises(DataError, match=rf"`k` is .*, row 0 has .* of type {type(wrong).__name__}"):
        bare.get_online_features([group], [{"k": wrong}])


@pytest.mark.parametrize(
    ("dtype", "wrong", "why"),
    [
        (pl.Int64, 2**63, "more than 64 bits hold"),
        (pl.UInt64, -(2**63) - 1, "more than 64 bits hold"),
        (pl.String, "\ud800", "no text that UTF-8 can hold"),
    ],
)
def test_a_value_of_the_right_type_that_is_no_key_says_why(bare, dtype, wrong, why):
    group = gn.FeatureGroup(
        "g", entity=gn.Entity("e", keys={"k": dtype}), timestamp="at", features=[gn.Feature("x", pl.Int64)]
    )
    bare.apply([group])
    with pytest.raises(DataError, match=f"`k` has .* in row 1, which is {why}") as caught:
        bare.get_online_features([group], [{"k": 1 if dtype != pl.String else "a"}, {"k": wrong}])
    assert "different keys" not in (caught.value.hint or "")


def test_nanoseconds_join_no_two_keys_on_any_path(bare, data):
    entity = gn.Entity("e", keys={"k": pl.Datetime("ns")})
    source = gn.FileSource("log", "log.parquet", timestamp="at")
    features = [gn.Feature("x", pl.Int64)]
    filed = gn.FeatureGroup("filed", entity=entity, source=source, features=features)
    cached = gn.FeatureGroup("cached", entity=entity, timestamp="at", features=features)
    whole = pl.DataFrame({"k": [T], "x": [1], "at": [T - HOUR]}).with_columns(
        pl.col("k").dt.replace_time_zone(None).cast(pl.Datetime("ns"))
    )
    fine = whole.with_columns(pl.col("k") + pl.duration(nanoseconds=1))
    whole.write_parquet(data / "log.parquet")
    bare.apply([filed, cached])
    bare.insert(cached, whole)
    bare.materialize()
    for group in (filed, cached):
        spine = whole.select("k", event_timestamp=pl.lit(T))
        assert bare.get_historical_features(spine, [group]).to_polars()["x"].to_list() == [1]
        assert bare.get_online_features([group], whole.select("k")).to_dict() == {"x": [1]}
        with pytest.raises(DataError, match="finer than the microseconds"):
            bare.get_historical_features(fine.select("k", event_timestamp=pl.lit(T)), [group]).to_polars()
        for given in (fine.select("k"), {"k": fine["k"]}):
            with pytest.raises(DataError, match="finer than the microseconds"):
                bare.get_online_features([group], given)
    with pytest.raises(DataError, match="finer than the microseconds"):
        bare.insert(cached, fine)
    fine.write_parquet(data / "log.parquet")
    with pytest.raises(Stopped, match="finer than the microseconds"):
        bare.materialize()
    with pytest.raises(DataError, match="finer than the microseconds"):
        bare.get_historical_features(spine, [filed]).to_polars()


@pytest.mark.parametrize("dtype", [pl.Int64, pl.String, pl.Binary, pl.Boolean, pl.Date, pl.Datetime("us")])
def test_a_null_key_names_column_and_row(bare, dtype):
    entity = gn.Entity("e", keys={"a": pl.Int64, "k": dtype})
    group = gn.FeatureGroup("g", entity=entity, timestamp="at", features=[gn.Feature("x", pl.Int64)])
    bare.apply([group])
    with pytest.raises(DataError, match="`k` is null in row 0"):
        bare.get_online_features([group], [{"a": 1, "k": None}])


# --- t ----------------------------------------------------------------------------------------------------------


def test_a_t_before_the_horizon_refuses_the_question_and_names_it(filled):
    with pytest.raises(HorizonError, match="before the horizon of group `visits`"):
        ask(filled, ["visits:count_1d"], [1, 2], at=[T, T - 9 * DAY])


def test_a_question_too_early_for_a_late_start_leaves_the_others_their_answers(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    store.materialize(start=T - 2 * HOUR)
    times = [T, T - 30 * MINUTE, T + DAY]
    found = store.get_online_features(["visits:count_1h", "visits:count_1d"], {"user": [1, 1, 1]}, at=times)
    assert found.to_dict() == {"count_1h": [1, 1, 0], "count_1d": [None, None, 0]}
    assert found.statuses == [["PRESENT", "NOT_READY"], ["PRESENT", "NOT_READY"], ["PRESENT", "PRESENT"]]


def test_a_horizon_that_was_read_before_the_table_was_built_anew_is_looked_at_again(tmp_path, clock):
    (tmp_path / "gnomon.toml").write_text('[online]\nslack = "1s"\n')
    with gn.Store(tmp_path, clock=clock) as reader, gn.Store(tmp_path, clock=clock) as writer:
        writer.apply([VISITS])
        writer.insert(VISITS, [visit(1, T - 3 * DAY), visit(1, T)])
        writer.materialize()
        early = T - 2 * DAY - HOUR
        with pytest.raises(HorizonError):
            ask(reader, ["visits:count_1d"], [1], at=early)
        writer.apply([VISITS_LONGER])
        writer.materialize()
        assert ask(reader, ["visits:count_1d"], [1], at=early) == {"count_1d": [1]}


# --- the request's own row, and functions --------------------------------------------------------------------------


@pytest.fixture
def own(bare: gn.Store) -> gn.FeatureGroup:
    group = gn.FeatureGroup(
        "own",
        entity=USER,
        timestamp="at",
        schema={"x": pl.Int64, "kind": pl.String},
        features=[
            gn.sum("x", windows=["5s"], include_request=True),
            gn.last("kind", windows=["5s"], include_request=True),
            gn.count(windows=["5s"], where="x > 3", include_request=True, name="large"),
            gn.count(windows=["5s"], name="plain"),
        ],
    )
    bare.apply([group])
    bare.insert(group, [{"user": 1, "at": T - 3 * SECOND, "x": 1, "kind": "a"}])
    bare.materialize()
    return group


def test_the_requests_own_row_counts_online_as_in_training(bare, own):
    request = {"x": [5, 2, None], "kind": ["b", None, "c"]}
    online = bare.get_online_features([own], {"user": [1, 1, 2]}, request=request).to_dict()
    spine = pl.DataFrame({"user": [1, 1, 2], "event_timestamp": [T] * 3, **request})
    trained = bare.get_historical_features(spine, [own]).to_polars()
    assert online == trained.select(own.feature_names).to_dict(as_series=False)
    assert online == {
        "x_sum_5s": [6, 3, None], "kind_last_5s": ["b", "a", "c"], "large_5s": [1, 0, 0], "plain_5s": [1, 1, 0],
    }  # fmt: skip


def test_features_that_do_not_count_the_request_need_none(bare, own):
    assert ask(bare, ["own:plain_5s"], [1]) == {"plain_5s": [1]}
    with pytest.raises(DataError, match=r"group `own` \(include_request\) needs the request value `x`"):
        ask(bare, ["own:x_sum_5s"], [1])


def share(ms_sum_1d: pl.Series, total: pl.Series) -> pl.Series:
    if (total == 0).any():
        raise ValueError("nothing to share")
    return ms_sum_1d / total


def named(name: pl.Series) -> pl.Series:
    return name.fill_null("nobody")


SHARE = gn.on_demand(
    inputs=[VISITS["ms_sum_1d"], gn.Request("total", pl.Float64)], returns={"share": pl.Float64}
)(share)
NAMED = gn.on_demand(inputs=[PLAN["name"]], returns={"named": pl.String})(named)


@pytest.fixture
def functions(filled: gn.Store) -> gn.Store:
    filled.apply([SHARE, NAMED])
    return filled


def test_functions_see_answers_and_request_values(functions):
    found = functions.get_online_features([SHARE, NAMED], {"user": [1, 2, 4]}, request={"total": 6.0})
    assert found.to_dict() == {"share": [0.5, None, None], "named": ["free", "nobody", "nobody"]}
    assert found.statuses == [["PRESENT", "PRESENT"], ["NULL", "PRESENT"], ["NULL", "PRESENT"]]
    assert found.event_times[0] == [T - MINUTE, T - HOUR]


def test_a_function_that_fails_is_an_error_of_the_rows_it_fails_for(functions):
    found = functions.get_online_features([SHARE], {"user": [1, 1]}, request={"total": [0.0, 6.0]})
    assert found.to_dict() == {"share": [None, 0.5]}
    assert found.statuses == [["ERROR"], ["PRESENT"]]
    assert "nothing to share" in found.errors[0, "share"]


def test_a_function_of_what_is_not_ready_is_not_ready(bare):
    bare.apply([VISITS, SHARE])
    found = bare.get_online_features([SHARE], {"user": [1]}, request={"total": 6.0})
    assert (found.to_dict(), found.statuses) == ({"share": [None]}, [["NOT_READY"]])


def test_a_function_of_an_error_is_an_error_with_its_reason(functions):
    functions.insert(VISITS, [visit(5, T - k * SECOND, 2**62) for k in (1, 2)])
    functions.materialize()
    found = functions.get_online_features([SHARE], {"user": [5, 1]}, request={"total": 6.0})
    assert found.statuses == [["ERROR"], ["PRESENT"]]
    assert "the input `ms_sum_1d` is an error" in found.errors[0, "share"]


GATE = threading.Event()
"""Closed, the function below hangs for users with rows."""


def slow(ms_sum_1d: pl.Series) -> pl.Series:
    if ms_sum_1d[0] == 3:
        GATE.wait()
    return ms_sum_1d * 2


SLOW = gn.on_demand(inputs=[VISITS["ms_sum_1d"]], returns={"twice": pl.Int64}, timeout="20ms")(slow)


def test_a_function_beyond_its_timeout_is_an_error_of_its_own_values_online_and_waited_for_in_training(
    filled,
):
    GATE.set()
    filled.apply([SLOW])
    assert filled.registry.get("on_demand", "slow").timeout == 20_000
    GATE.clear()
    found = filled.get_online_features([SLOW, VISITS["ms_sum_1d"]], {"user": [1]})
    assert found.to_dict() == {"twice": [None], "ms_sum_1d": [3]}
    assert found.statuses == [["ERROR", "PRESENT"]]
    assert "on-demand function `slow` took longer than it may" in found.errors[0, "twice"]
    assert filled.get_online_features([SLOW], {"user": [4]}).statuses == [["NULL"]]
    threading.Timer(0.05, GATE.set).start()
    assert train(filled, [SLOW], [(1, T)]) == {"twice": [6]}
