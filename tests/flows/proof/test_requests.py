"""Requests again: other features for what was asked."""

from __future__ import annotations

import polars as pl

import gnomon as gn
from tests.flows.proof.shop import fill, serve
from tests.flows.small import HOUR, MINUTE, USER, Clock, T
from tests.flows.test_held import ORDERS, order


def test_a_new_definition_is_told_for_the_logged_requests(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    serve(shop)
    more = gn.FeatureGroup(
        "orders",
        entity=USER,
        timestamp="at",
        event_id="order",
        schema={"order": pl.Int64, "amount": pl.Float64},
        features=[*ORDERS.features, gn.max("amount", windows=["1d"])],
    )
    clock.now += HOUR
    shop.insert("orders", [order(7, 1, T - MINUTE, 99.0)])
    shop.materialize()
    shop.apply([more])
    found = shop.regenerate("shop", ["orders:amount_max_1d", "orders:count_1d"])
    assert found.to_polars().drop("event_timestamp").to_dict(as_series=False) == {
        "user": [1, 2, 3],
        "price": [3.0, 3.0, 3.0],
        "amount_max_1d": [2.0, 3.0, None],
        "count_1d": [2, 1, 0],
    }
