"""On-demand functions for the cases: they must be importable, so they stand in a module of their own."""

from __future__ import annotations

import polars as pl

import gnomon as gn

USER = gn.Entity("user", keys={"user": pl.Int64})
SPENT = gn.FeatureGroup(
    "spent",
    entity=USER,
    timestamp="at",
    schema={"x": pl.Float64},
    features=[gn.sum("x", windows=["1d"]), gn.count(windows=["1d"])],
)
AMOUNT = gn.Request("amount", pl.Float64)


@gn.on_demand(inputs=[SPENT["x_sum_1d"], AMOUNT], returns={"share": pl.Float64})
def share(x_sum_1d: pl.Series, amount: pl.Series) -> pl.Series:
    return amount / (x_sum_1d + 0.1)


@gn.on_demand(inputs=[SPENT["x_sum_1d"], AMOUNT], returns={"known": pl.Boolean, "twice": pl.Float64})
def several(x_sum_1d: pl.Series, amount: pl.Series) -> dict[str, pl.Series]:
    return {"known": x_sum_1d.is_not_null(), "twice": amount * 2.0}


@gn.on_demand(inputs=[AMOUNT], returns={"centred": pl.Float64})
def centred(amount: pl.Series) -> pl.Series:
    return amount - amount.mean()


@gn.on_demand(inputs=[AMOUNT], returns={"short": pl.Float64})
def short(amount: pl.Series) -> pl.Series:
    return amount.head(1)


@gn.on_demand(inputs=[AMOUNT], returns={"number": pl.Int64})
def mistyped(amount: pl.Series) -> pl.Series:
    return amount.cast(pl.String)


@gn.on_demand(inputs=[AMOUNT], returns={"below_ten": pl.Float64})
def below_ten(amount: pl.Series) -> pl.Series:
    if (amount.fill_null(0.0) == 13.0).any():
        raise ValueError("thirteen")
    return amount.clip(upper_bound=10.0)


@gn.on_demand(inputs=[AMOUNT], returns={"peeked": pl.Float64})
def peeking(amount: pl.Series, **others: pl.Series) -> pl.Series:
    assert not others
    return amount
