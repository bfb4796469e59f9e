"""Definitions of a small shop, with every kind of definition and property, for tests to change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

import gnomon as gn
from gnomon.define.collect import Collected, collect, own_fields

user = gn.Entity("user", keys={"user": pl.Int32}, description="Who buys", owner="ana", tags={"pii": "yes"})
shop = gn.Entity("shop", keys={"country": pl.String, "number": pl.Int64})

orders = gn.FileSource(
    "orders", "data/orders/*.parquet", timestamp="at", known_at="seen", event_id="order", owner="bo"
)
profiles = gn.SQLSource(
    "profiles",
    url="sqlite:///data/shop.db",
    query="SELECT * FROM profile",
    timestamp="changed",
    lag="1d",
    tags={"b": "2", "a": "1"},
)

user_spend = gn.FeatureGroup(
    "user_spend",
    entity=user,
    source=orders,
    features=[
        gn.sum("amount", windows=["1h", timedelta(days=7)], where="amount > 0", default=0.0),
        gn.count(windows=["1d"], offset="1h"),
        gn.last_k("amount", 3, distinct=True, limit=10),
        gn.std(expr="amount * 2", ddof=0, name="spread"),
        gn.first("amount", nulls="keep", include_request=False),
    ],
    settling_delay="5m",
    owner="ana",
)
profile = gn.FeatureGroup(
    "profile",
    entity=user,
    source=profiles,
    max_age="30d",
    features=[
        gn.Feature("age", pl.Int32, default=-1, description="In years", tags={"pii": "yes"}),
        gn.Feature("adult", pl.Boolean, expr="age >= 18"),
        gn.Feature("joined", date, default=date(2020, 1, 2)),
        gn.Feature("balance", pl.Decimal(20, 2), default=Decimal("1.50")),
        gn.Feature("token", bytes, default=b"\x00\xff"),
        gn.Feature("active_for", timedelta, default=timedelta(microseconds=1)),
        gn.Feature("last_seen", datetime, default=datetime(2020, 1, 1, 12, tzinfo=UTC)),
        gn.Feature("wakes_at", time, default=time(6, 30)),
        gn.Feature("scores", pl.List(pl.Float64), default=[1.0, None, float("nan")]),
        gn.Feature(
            "home", pl.Struct({"x": pl.Int8, "y": pl.Array(pl.String, 2)}), default={"x": 1, "y": ["a", "b"]}
        ),
    ],
    tags={"domain": "people"},
)
shop_notes = gn.FeatureGroup(
    "shop_notes",
    entity=[shop, user],
    timestamp="at",
    known_at="seen",
    event_id="id",
    schema={"text": pl.String},
    features=[gn.count("text", windows="1d"), gn.label(gn.count("text"), "7d", lateness="1h")],
    version=3,
    online=False,
)


@gn.on_demand(
    inputs=[
        user_spend["amount_sum_1h"],
        user_spend.renamed("friend_", keys={"user": "friend"})["amount_sum_1h"],
        gn.Request("basket", pl.Float64),
    ],
    returns={"share": pl.Float64, "difference": pl.Float64},
    owner="cy",
)
def compared(amount_sum_1h: pl.Series, friend_amount_sum_1h: pl.Series, basket: pl.Series) -> Any:
    """How a user compares with a friend."""
    return {"share": basket / amount_sum_1h, "difference": amount_sum_1h - friend_amount_sum_1h}


model = gn.FeatureService(
    "model",
    features=[
        profile,
        user_spend["count_1d"],
        profile.renamed("friend_", keys={"user": "friend"})["age"],
        compared,
    ],
    description="Will they come back?",
    version=2,
)
everything = [model, shop_notes]

ORDER_COLUMNS = {
    "user": pl.Int64(),
    "at": pl.Datetime("us", "UTC"),
    "seen": pl.Datetime("us", "UTC"),
    "order": pl.Int64(),
    "amount": pl.Float64(),
}
PROFILE_COLUMNS = {
    "user": pl.Int64(),
    "changed": pl.Datetime("us", "UTC"),
    "age": pl.Int64(),
    "joined": pl.Date(),
    "balance": pl.Decimal(20, 2),
    "token": pl.Binary(),
    "active_for": pl.Duration("us"),
    "last_seen": pl.Datetime("us", "UTC"),
    "wakes_at": pl.Time(),
    "scores": pl.List(pl.Float64),
    "home": pl.Struct({"x": pl.Int8, "y": pl.Array(pl.String, 2)}),
}
NOTE_COLUMNS = {
    "country": pl.String(),
    "number": pl.Int64(),
    "user": pl.Int64(),
    "at": pl.Datetime("us", "UTC"),
    "seen": pl.Datetime("us", "UTC"),
    "id": pl.String(),
    "text": pl.String(),
}
COLUMNS = {"user_spend@1": ORDER_COLUMNS, "profile@1": PROFILE_COLUMNS, "shop_notes@3": NOTE_COLUMNS}


def collected() -> Collected:
    return collect(everything)


def changed(definition: Any, **changes: Any) -> Any:
    """The definition made anew, with some arguments changed."""
    arguments = own_fields(definition)
    if isinstance(definition, gn.FeatureGroup):
        arguments["entity"] = arguments.pop("entities")
        if (external := arguments.pop("external")) is not None:
            arguments |= {"source": external, "timestamp": None}
    return type(definition)(**arguments | changes)
