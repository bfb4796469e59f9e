"""A shop that logs every answer."""

from __future__ import annotations

from typing import Any

import polars as pl

import gnomon as gn
from gnomon.flows.online import read_document
from tests.flows.small import HOUR, MINUTE, Clock, T
from tests.flows.test_held import LIMIT, ORDERS, USERS, limit, order


@gn.on_demand(
    inputs=[ORDERS["amount_sum_1d"], gn.Request("price", pl.Float64)], returns={"share": pl.Float64}
)
def share(amount_sum_1d: pl.Series, price: pl.Series) -> pl.Series:
    return price / amount_sum_1d


SHOP = gn.FeatureService("shop", features=[ORDERS, LIMIT, share])
LOGGING = '[online]\nurl = "memory://"\n[log]\nsample = 1\n'
"""A gnomon.toml."""


def serve(store: gn.Store, users: list[int] = USERS, at: Any = None) -> dict[str, list[Any]]:
    """Ask for everything, and log it."""
    asked = store.get_online_features("shop", [{"user": u} for u in users], request={"price": 3.0}, at=at)
    return asked.to_dict()


def fill(store: gn.Store, clock: Clock) -> None:
    """Rows of two users, online."""
    store.insert(
        "orders", [order(1, 1, T - HOUR, 1.5), order(2, 1, T - MINUTE, 2.0), order(3, 2, T - HOUR, 3.0)]
    )
    store.insert("limit", [limit(1, T - HOUR, 5.0)])
    store.materialize()
    clock.now += MINUTE


def online_values(store: gn.Store, group: str) -> dict[bytes, bytes]:
    """What lies online of a group."""
    live = read_document(store._project.online, f"{group}@1").live
    assert live is not None
    return dict(store._project.online.scan(live.name))


def put_online(store: gn.Store, group: str, values: dict[bytes, bytes]) -> None:
    """Replace online values, past all checks and past the journal."""
    live = read_document(store._project.online, f"{group}@1").live
    assert live is not None
    store._project.online.load(live.name, values.items())


def kinds(report: Any) -> list[str]:
    return [example.kind for example in report.examples]
