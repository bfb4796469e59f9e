"""What is asked for, resolved to groups, roles, functions and names."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import NotFound, UsageError
from gnomon.flows.inputs import inputs_of
from gnomon.flows.request import Request, literal, resolve_request, with_default
from gnomon.plan.layout import Output
from tests.flows.small import PLAN, USER, VISITS


def loud(name: pl.Series, suffix: pl.Series) -> pl.Series:
    return name + suffix


LOUD = gn.on_demand(inputs=[PLAN["name"], gn.Request("suffix", pl.String)], returns={"loud": pl.String})(loud)
PLAN_2 = gn.FeatureGroup(
    "plan",
    version=2,
    entity=USER,
    timestamp="at",
    features=[gn.Feature("name", pl.String), gn.Feature("x", pl.Int8)],
)
SERVICE = gn.FeatureService("model", features=[PLAN, VISITS["count_1d"], LOUD])


@pytest.fixture
def asked(store: gn.Store):
    store.apply([PLAN_2, SERVICE])
    snapshot = store.registry.snapshot()
    return lambda features: resolve_request(store._project, snapshot, features)


def described(request: Request) -> list[str]:
    return [column.described for column in request.columns]


@pytest.mark.parametrize(
    "features",
    ["model", "model@1", SERVICE, ["model@1"][0], [SERVICE], [PLAN, VISITS["count_1d"], LOUD],
     ["plan@1:name", "visits:count_1d", "loud"], ("plan@1:name", VISITS["count_1d"], "loud@1")],
)  # fmt: skip
def test_a_service_its_name_and_its_features_are_one_request(asked, features):
    assert described(asked(features)) == ["plan@1:name", "visits@1:count_1d", "loud@1:loud"]


def test_without_a_version_the_newest_is_meant(asked):
    assert described(asked(["plan:x", "plan@1:name"])) == ["plan@2:x", "plan@1:name"]
    with pytest.raises(NotFound):
        asked(["plan@1:x"])


def test_what_is_registered_is_meant_and_not_what_this_process_holds(asked):
    other = gn.FeatureGroup("plan", entity=USER, timestamp="at", features=[gn.Feature("name", pl.Int64)])
    assert asked([other]).columns[0].dtype == pl.String


def test_each_group_is_read_once_for_each_role(asked):
    friend = VISITS.renamed(prefix="friend_", keys={"user": "friend"})
    request = asked([VISITS["count_1d"], friend["count_1d"], VISITS["count_1h"], LOUD, PLAN])
    assert [(job.layout.ref, job.key_columns, len(job.outputs)) for job in request.jobs] == [
        ("visits@1", ("user",), 2),
        ("visits@1", ("friend",), 1),
        ("plan@1", ("user",), 1),
    ]
    assert request.key_columns == {"user": pl.Int64, "friend": pl.Int64}
    assert request.names(False) == ["count_1d", "friend_count_1d", "count_1h", "loud", "name"]
    assert request.names(True)[:2] == ["visits__count_1d", "friend_visits__count_1d"]


def test_inputs_are_keys_and_request_values_with_their_types(asked):
    own = gn.FeatureGroup(
        "own", entity=USER, timestamp="at", schema={"x": pl.Int16, "y": pl.String},
        features=[gn.sum("x", windows=["1h"], where="y = 'a'", include_request=True), gn.count()],
    )  # fmt: skip
    project_request = asked("model")
    assert inputs_of(project_request).keys == {"user": pl.Int64}
    assert inputs_of(project_request).request == {"suffix": pl.String}
    with gn.Store() as store:
        store.apply([own])
        assert store.inputs([own]).request == {"x": pl.Int16, "y": pl.String}
        assert store.inputs(["own:count"]).request == {}


@pytest.mark.parametrize("taken", [["name"], []])
def test_a_name_that_is_used_twice_names_both_owners(asked, taken):
    request = asked(["plan@1:name"] if taken else ["plan@1:name", "plan@2:name"])
    owner = "a column of the spine" if taken else "`plan@1:name`"
    with pytest.raises(UsageError, match=f"`name` is used twice: by {owner} and by `plan@") as caught:
        request.names(False, taken)
    assert "full_names=True" in caught.value.hint


def test_a_name_that_is_used_twice_in_full_is_answered_by_renaming(asked):
    with pytest.raises(UsageError, match="used twice") as caught:
        asked(["plan@1:name", "plan@2:name"]).names(True)
    assert "renamed" in caught.value.hint


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        ("modle", NotFound, "did you mean `model`"),
        (["visit:count_1d"], NotFound, "did you mean `visits`"),
        (["visits:count_2d"], NotFound, "did you mean `count_1d`"),
        (["visits"], NotFound, "`visits` is a feature group, not a feature"),
        (["laud"], NotFound, "`laud` not found"),
        ([], UsageError, "no features asked for"),
        (5, UsageError, "is no choice of features"),
        ([5], UsageError, "`5` is not a feature"),
        (["plan@7:name"], NotFound, "`plan@7` not found"),
    ],
)
def test_what_cannot_be_resolved_is_named(asked, features, error, message):
    with pytest.raises(error, match=message):
        asked(features)


def also(suffix: pl.Series) -> pl.Series:
    return suffix


def test_one_request_value_has_one_type(store):
    number = gn.on_demand(inputs=[gn.Request("suffix", pl.Int64)], returns={"also": pl.Int64})(also)
    store.apply([LOUD, number])
    with pytest.raises(UsageError, match="`suffix` is asked for as String and as Int64"):
        resolve_request(store._project, store.registry.snapshot(), ["loud", "also"])


@pytest.mark.parametrize(
    ("value", "dtype", "stored"),
    [(1, pl.Float64, 1.0), (None, pl.Int8, None), ([1], pl.List(pl.Int8), [1]), ("a", pl.String, "a")],
)
def test_a_literal_is_one_value_of_its_type(value: Any, dtype: Any, stored: Any):
    made = literal(value, dtype)
    assert (made.to_list(), made.dtype) == ([stored], dtype)


@pytest.mark.parametrize(("value", "dtype"), [("a", pl.Int64), (300, pl.Int8), (1.5, pl.Int64)])
def test_a_literal_that_does_not_fit_is_refused(value, dtype):
    with pytest.raises(UsageError, match="is not of type"):
        literal(value, dtype)


def test_a_default_takes_the_place_of_null_alone():
    output = Output("x", "column", pl.Int64(), default=7)
    assert with_default(pl.Series("x", [1, None, 0]), output).to_list() == [1, 7, 0]
    assert with_default(pl.Series("x", [None]), Output("x", "column", pl.Int64())).to_list() == [None]
