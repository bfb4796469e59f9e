"""Why a value is what it is: the rows of the key, and why each counts or does not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, UsageError
from tests.flows.small import DAY, HOUR, MINUTE, PLAN, US, USER, VISITS, T, plan, train, visit

EVENTS = gn.FeatureGroup(
    "events",
    entity=USER,
    timestamp="at",
    known_at="seen",
    event_id="id",
    schema={"x": pl.Int64, "id": pl.Int64},
    features=[
        gn.sum("x", windows=["1h"], where="id <> 3"),
        gn.last_k("x", 2),
        gn.count(windows=["1h"], limit=2, name="few"),
    ],
)


def event(id: int, at: datetime, x: int | None, seen: datetime | None = None) -> dict[str, Any]:
    return {"user": 1, "at": at, "seen": seen or at, "id": id, "x": x}


@pytest.fixture
def events(bare: gn.Store) -> gn.Store:
    bare.apply([EVENTS])
    bare.insert(
        EVENTS,
        [
            event(1, T - HOUR - US, 1),
            event(2, T - HOUR, 10),
            event(3, T - 30 * MINUTE, 3),
            event(4, T - 20 * MINUTE, None),
            event(5, T - 10 * MINUTE, 5, seen=T + US),
            event(6, T - 5 * MINUTE, 7),
            event(6, T - 5 * MINUTE, 8, seen=T - MINUTE),
            event(7, T, 100),
        ],
    )
    return bare


def test_each_row_tells_whether_it_counts_and_why_not(events):
    why = events.explain("events:x_sum_1h", {"user": 1})
    assert why.value == 18 == train(events, ["events:x_sum_1h"], [(1, T)])["x_sum_1h"][0]
    assert why.rows.select("id", "value", "because").rows() == [
        (1, 1, "before the window"),
        (2, 10, ""),
        (3, 3, "the condition is not true"),
        (4, None, "no value"),
        (5, 5, "not known yet"),
        (6, 7, "replaced at 2026-01-10T11:59:00.000000Z"),
        (6, 8, ""),
        (7, 100, "after the window"),
    ]
    assert why.counted["id"].to_list() == [2, 6]


def test_the_edges_of_the_window_are_told(events):
    why = events.explain("events:x_sum_1h", {"user": 1}, at=T)
    assert (why.since, why.until, why.at) == tuple(int(t.timestamp() * 1e6) for t in (T - HOUR, T, T))
    text = str(why)
    assert "events@1:x_sum_1h of user=1 at 2026-01-10T12:00:00.000000Z = 18 (Int64)" in text
    assert "sum(x) where (id <> 3)" in text
    assert "  + event_time 2026-01-10T11:00:00.000000Z" in text


def test_only_the_newest_count_where_there_is_a_limit(events):
    why = events.explain("events:few_1h", {"user": 1})
    assert why.value == 2
    assert "not of the newest 2" in why.rows["because"].to_list()
    assert why.counted["id"].to_list() == [4, 6]


def test_a_list_is_told_as_a_list(events):
    why = events.explain("events:x_last_k", {"user": 1})
    assert why.value == [8, 3]
    assert why.to_dict()["value"] == [8, 3]


def test_a_state_group_counts_its_newest_row(store):
    store.insert(PLAN, [plan(1, T - 3 * DAY, "old"), plan(1, T - DAY, "free"), plan(1, T - HOUR, "paid")])
    why = store.explain("plan:name", {"user": 1})
    assert why.value == "paid"
    assert why.rows["because"].to_list() == ["before the window", "not the newest", ""]


BY_SHOP = gn.FeatureGroup(
    "by_shop",
    entity=USER,
    timestamp="at",
    schema={"x": pl.Int64, "shop": pl.String},
    features=[gn.sum("x", by="shop", limit=1)],
)


def test_a_value_by_category_tells_of_each_row_in_which_category_it_counts(bare):
    bare.apply([BY_SHOP])
    rows = [("a", 1), ("a", 2), (None, 3), ("b", None), ("b", 4)]
    given = [{"user": 1, "at": T - (9 - i) * MINUTE, "shop": s, "x": x} for i, (s, x) in enumerate(rows)]
    bare.insert(BY_SHOP, given)
    why = bare.explain("by_shop:x_sum", {"user": 1})
    assert why.value == [{"key": "a", "value": 2}, {"key": "b", "value": 4}]
    assert why.rows.select("category", "value", "because").rows() == [
        ("a", 1, "not of the newest 1"),
        ("a", 2, ""),
        (None, 3, "no category"),
        ("b", None, "no value"),
        ("b", 4, ""),
    ]
    assert "sum(x) by shop of all rows before" in str(why)


def test_a_value_that_cannot_be_computed_is_explained_by_its_rows(store):
    store.insert(VISITS, [visit(1, T - HOUR, 2**62), visit(1, T - MINUTE, 2**62), visit(1, T - 2 * DAY, 5)])
    why = store.explain("visits:ms_sum_1d", {"user": 1})
    assert why.value is None
    assert "`ms_sum_1d` of `visits@1` cannot be computed" in why.error
    assert "the sum does not fit Int64" in why.error
    assert why.counted["value"].to_list() == [2**62, 2**62]
    assert "at 2026-01-10T12:00:00.000000Z = ERROR (Int64)\n  feature `ms_sum_1d`" in str(why)
    assert why.to_dict()["error"] == why.error
    assert store.explain("visits:count_1d", {"user": 1}).error is None


def test_a_key_without_rows_is_explained_by_none(store):
    why = store.explain("visits:count_1d", {"user": 9})
    assert (why.value, why.rows.height) == (0, 0)


def test_long_histories_show_the_rows_about_the_windows_end(store):
    store.insert(VISITS, [visit(1, T - k * MINUTE) for k in range(-10, 50)])
    text = str(store.explain("visits:count_1h", {"user": 1}))
    assert "(the 20 rows nearest to the window's end)" in text
    assert text.count("event_time") == 20


def named(name: pl.Series) -> pl.Series:
    return name


def test_a_functions_value_is_explained_by_its_inputs(store):
    function = gn.on_demand(inputs=[PLAN["name"]], returns={"named": pl.String})(named)
    store.apply([function])
    with pytest.raises(UsageError, match="made by a function") as caught:
        store.explain("named", {"user": 1})
    assert "plan@1:name" in caught.value.hint


@pytest.mark.parametrize(
    ("key", "message"),
    [({}, "`user` is missing"), ({"user": None}, "`user` is missing"), ({"user": "1"}, "`user` is Int64, found '1'"),
     ({"user": 1, "shop": 2}, "unknown field `shop`")],
)  # fmt: skip
def test_a_key_that_does_not_fit_is_named(store, key, message):
    with pytest.raises(DataError, match=message):
        store.explain("plan:name", key)
