"""An on-demand function is not asked about what is not ready."""

import polars as pl

import gnomon as gn

USER = gn.Entity("user", keys={"user": int})
SPENT = gn.FeatureGroup(
    "spent", entity=USER, timestamp="t", schema={"x": float}, features=[gn.sum("x", windows=["1h"])]
)


@gn.on_demand(inputs=[SPENT["x_sum_1h"]], returns={"doubled": pl.Float64})
def doubled(x_sum_1h: pl.Series) -> pl.Series:
    if x_sum_1h.null_count():
        raise ValueError("no nulls here")
    return x_sum_1h * 2


def test_a_function_that_fails_on_nulls_is_not_ready_before_its_input_is():
    with gn.Store() as store:
        store.apply([doubled])
        found = store.get_online_features(["doubled"], [{"user": 1}])
        assert (found.to_dict(), found.statuses) == ({"doubled": [None]}, [["NOT_READY"]])
        assert found.errors == {}


def test_a_null_that_is_an_answer_still_fails_it():
    with gn.Store() as store:
        store.apply([doubled])
        store.materialize()
        found = store.get_online_features(["doubled"], [{"user": 1}])
        assert found.statuses == [["ERROR"]]
        assert "no nulls here" in found.errors[0, "doubled"]
