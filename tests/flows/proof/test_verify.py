"""Verify: what was served is what is computed again, to the bit."""

from __future__ import annotations

import random

import polars as pl
import pytest

import gnomon as gn
from tests.flows.proof.shop import SHOP, fill, serve, share
from tests.flows.small import DAY, HOUR, MINUTE, US, USER, Clock, T
from tests.flows.test_held import LIMIT, ORDERS, USERS, limit, order


def test_what_was_served_is_what_is_computed(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    served = serve(shop)
    report = shop.verify("shop")
    assert report.ok
    assert (report.rows, report.values) == (3, 3 * len(served))
    assert report.examples == []
    assert "0 mismatches of 21 values in 3 rows" in str(report)


def test_counters_decide_between_writes_of_one_instant(shop: gn.Store, clock: Clock) -> None:
    """The clock stands still: whether an answer was before or after a write is told by its version alone."""
    fill(shop, clock)
    for number in range(4, 8):
        serve(shop)
        shop.insert("orders", [order(number, number % 2 + 1, T - MINUTE, 10.0**number)])
        shop.materialize()
        serve(shop)
        serve(shop, at=T + 10 * MINUTE)
    report = shop.verify("shop")
    assert report.ok, str(report)
    assert report.rows == 36


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 8))])
def test_whatever_is_written_in_whatever_order(shop: gn.Store, clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    fill(shop, clock)
    for _ in range(12):
        serve(shop)
        at = clock.now - chance.choice([MINUTE, HOUR, 3 * HOUR, DAY])
        match chance.randrange(5):
            case 0 | 1:
                shop.insert("orders", [order(chance.randrange(12), chance.choice(USERS), at, 10.0)])
            case 2:
                shop.insert("limit", [limit(chance.choice(USERS), at, chance.choice([None, 1.0, 2.0]))])
            case 3:
                shop.insert("orders", deletes=[{"user": chance.choice(USERS), "order": chance.randrange(12)}])
            case 4:
                shop.retract("orders", [chance.randrange(12)])
        if chance.random() < 0.6:
            shop.materialize()
        elif chance.random() < 0.2:
            shop.backfill("orders")
        serve(shop)
        clock.now += chance.choice([0 * US, US, MINUTE, HOUR])
    report = shop.verify("shop")
    assert report.ok, str(report)
    assert report.rows == 72


def test_answers_of_which_a_vacuum_took_the_proof_are_counted_and_not_compared(
    shop: gn.Store, clock: Clock
) -> None:
    fill(shop, clock)
    serve(shop)
    shop.insert("orders", [order(4, 1, T - MINUTE, 4.0)])
    shop.materialize()
    clock.now += HOUR
    serve(shop)
    shop.optimize()
    shop.vacuum(older_than="0s")
    report = shop.verify("shop")
    assert report.ok, str(report)
    assert report.rows == 3
    ((why, rows),) = report.not_compared.items()
    assert rows == 3
    assert "`orders@1`" in why
    assert "vacuum" in why


def test_a_sample_is_spread_and_an_interval_cuts(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    for _ in range(10):
        serve(shop, [1])
        clock.now += MINUTE
    assert shop.verify("shop", sample=4).rows == 4
    assert shop.verify("shop", start=T + 3 * MINUTE, end=T + 5 * MINUTE).rows == 2


def test_errors_are_not_compared_and_counted(shop: gn.Store, clock: Clock) -> None:
    total = gn.FeatureGroup(
        "orders2",
        entity=USER,
        timestamp="at",
        schema={"cents": pl.Int64},
        features=[gn.sum("cents", windows=["1d"])],
    )
    shop.apply([ORDERS, LIMIT, share, SHOP, total, gn.FeatureService("sums", features=[total])])
    shop.insert(
        "orders2",
        [{"user": 1, "at": T - HOUR, "cents": 2**62}, {"user": 1, "at": T - MINUTE, "cents": 2**62}],
    )
    shop.materialize()
    clock.now += MINUTE
    shop.get_online_features("sums", [{"user": 1}, {"user": 2}])
    report = shop.verify("sums")
    assert report.ok
    assert report.rows == 1
    assert report.not_compared == {"a value of theirs was an ERROR": 1}
