"""Skew: training as of known sees rows that were still on their way; a delay would have waited for them."""

from __future__ import annotations

import gnomon as gn
from gnomon.time import SECOND
from tests.flows.proof.shop import fill, serve
from tests.flows.small import HOUR, MINUTE, Clock, T
from tests.flows.test_held import order


def test_skew_tells_the_delay_that_would_have_waited(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    clock.now = T + HOUR
    shop.insert("orders", [order(5, 1, T + 30 * MINUTE, 1.0)])
    serve(shop)
    clock.now += MINUTE
    shop.materialize()
    clock.now += MINUTE
    serve(shop)
    report = shop.verify("shop")
    assert report.ok
    found = report.feature("count_1d")
    assert (found.skewed, found.delay) == (1, 1801 * SECOND)
    assert 'settling_delay="1801s" would remove it' in str(report)
    assert report.feature("limit").skewed == 0
