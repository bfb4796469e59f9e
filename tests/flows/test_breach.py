"""Whether a contract still holds, and who broke it."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.define.collect import collect
from gnomon.flows.breach import ContractReport, differences
from gnomon.registry.codec import encode
from gnomon.registry.updates import Put, Remove
from tests.flows.small import HOUR, PLAN, USER, VISITS, T, plan


def state(**given) -> gn.FeatureGroup:
    """`plan`, with other properties."""
    return gn.FeatureGroup(
        "plan",
        entity=USER,
        **{"timestamp": "at", "max_age": "2d", "features": [gn.Feature("name", pl.String)]} | given,
    )


def service(*features: object) -> gn.FeatureService:
    return gn.FeatureService("model", features=list(features))


@pytest.fixture
def kept(store):
    """A service of two groups, and the contract that was made of it."""
    store.apply([service(PLAN, VISITS)], message="first")
    return store, store.contract("model")


def force(store: gn.Store, *definitions: object, author: str = "bo", message: str = "") -> None:
    """Register what `apply` would refuse, as an import or a removal and a new beginning may bring it."""
    registry = store.registry
    registry.author = author
    snapshot = registry.snapshot()
    updates = [
        Put(kind, ref, encode(one, snapshot.columns(ref) if kind == "group" else None))
        for kind, ref, one in collect(list(definitions))
    ]
    registry.commit([], updates, message)


def told(report: ContractReport) -> list[tuple[object, ...]]:
    return [(b.why, b.what, b.revision, b.author) for b in report.breaches]


def test_contract_holds_while_nothing_that_it_names_changes(kept):
    store, made = kept
    store.apply(
        [state(description="noted", owner="bo"), gn.FeatureGroup("other", timestamp="at", features=[gn.count()])]
    )  # fmt: skip
    report = store.check_contract(made)
    assert report.holds
    assert report.breaches == ()
    assert str(report) == f"contract {made.hash[:12]} of model@1: holds at revision 3"


def test_further_outputs_break_nothing_wherever_they_stand(kept):
    store, made = kept
    store.apply([state(features=[gn.Feature("since", pl.Int64), gn.Feature("name", pl.String)])])
    store.apply([service(store.registry.get("group", "plan"), VISITS)])
    assert store.contract("model").hash != made.hash
    assert store.check_contract(made).holds


def test_removed_feature_is_missing_since_the_revision_that_removed_it(kept):
    store, made = kept
    force(store, service(VISITS), message="without plan")
    store.apply([state(owner="cy")], message="later")
    report = store.check_contract(made)
    assert ("missing", "feature `plan__name`", 3, "bo") in told(report)
    assert "group `plan@1`" in {b.what for b in report.breaches}
    assert "since revision 3 by bo: without plan" in str(report)


def test_removed_service_is_missing_since_the_revision_that_removed_it(kept):
    store, made = kept
    store.registry.author = "cy"
    store.registry.commit([], [Remove("service", "model@1")], "gone")
    report = store.check_contract(made)
    assert told(report) == [("missing", "service `model@1`", 3, "cy")]
    assert str(report.breaches[0]).startswith("missing: service `model@1` was 4 features, is missing; since")


def test_service_that_never_was_is_missing_and_nobody_is_blamed(kept):
    _, made = kept
    with gn.Store() as other:
        other.apply([PLAN])
        assert told(other.check_contract(made)) == [("missing", "service `model@1`", None, None)]


@pytest.mark.parametrize(
    ("changed", "why", "what", "detail"),
    [
        ({"max_age": "1h"}, "redefined", "group `plan@1`", "plan@1: max_age: 2d → 1h"),
        ({"settling_delay": "1m"}, "redefined", "group `plan@1`", "plan@1: settling_delay: 0 → 1m"),
        (
            {"features": [gn.Feature("name", pl.Int64, expr="length(name)")]},
            "retyped",
            "feature `plan__name`",
            "plan@1: feature `name`: dtype String → Int64",
        ),
        (
            {"features": [gn.Feature("name", pl.String, expr="upper(name)")]},
            "redefined",
            "feature `plan__name`",
            "plan@1: feature `name`: expr None → upper(name)",
        ),
        (
            {"features": [gn.Feature("name", pl.String, default="-")]},
            "redefined",
            "the default of feature `plan__name`",
            "plan@1: feature `name`: default None → '-'",
        ),
    ],
)
def test_change_of_meaning_is_told_once_with_what_the_revision_changed(kept, changed, why, what, detail):
    store, made = kept
    force(store, state(**changed), author="dee", message="mend")
    force(store, state(**changed, tags={"a": "b"}), author="eve")
    [breach] = store.check_contract(made).breaches
    assert (breach.why, breach.what, breach.revision, breach.author) == (why, what, 3, "dee")
    assert breach.message == "mend"
    assert detail in breach.details


def test_blame_falls_on_the_latest_revision_that_broke_it_and_not_on_one_that_was_mended(kept):
    store, made = kept
    for max_age, author in (("1h", "bo"), ("2d", "cy"), ("3h", "dee"), ("4h", "eve")):
        force(store, state(max_age=max_age), author=author)
    assert told(store.check_contract(made)) == [("redefined", "group `plan@1`", 5, "dee")]


def test_mended_contract_holds_again(kept):
    store, made = kept
    force(store, state(max_age="1h"))
    assert not store.check_contract(made).holds
    store.registry.revert(2)
    assert store.check_contract(made).holds


def test_changed_source_is_a_change_of_its_group(bare):
    def on(lag="0s"):
        source = gn.FileSource("plans", "plans.parquet", timestamp="at", lag=lag)
        return gn.FeatureGroup("plan", entity=USER, source=source, features=[gn.Feature("name", pl.String)])

    frame = pl.DataFrame({"user": [1], "at": [T], "name": ["free"]})
    frame.write_parquet(bare.path / "plans.parquet")
    bare.apply([service(on())])
    made = bare.contract("model")
    force(bare, on("1h"), author="bo")
    [breach] = bare.check_contract(made).breaches
    assert (breach.why, breach.what, breach.revision) == ("redefined", "group `plan@1`", 2)
    assert breach.details == ("plans: lag: 0 → 1h",)


@gn.on_demand(inputs=[PLAN["name"]], returns={"size": pl.UInt32})
def size(name):
    return name.str.len_bytes()


@gn.on_demand(inputs=[PLAN["name"], gn.Request("by", pl.Int64)], returns={"size": pl.UInt32})
def other_size(name, by):
    return name.str.len_bytes() * by


def test_function_with_other_code_and_inputs_is_told_once_and_so_is_what_it_needs_now(bare):
    bare.apply([service(size)])
    made = bare.contract("model")
    changed = gn.define.ondemand.OnDemand(
        **{f: getattr(other_size, f) for f in ("inputs", "returns", "module", "qualname", "source_hash")}, name="size"
    )  # fmt: skip
    force(bare, changed)
    assert told(bare.check_contract(made)) == [
        ("redefined", "on-demand function `size@1`", 2, "bo"),
        ("redefined", "request value `by`", 2, "bo"),
    ]


def test_another_order_of_features_is_a_breach():
    """A model that is fed by position takes one for the other."""
    with gn.Store() as store:
        store.apply([service(VISITS["count_1h"], VISITS["count_1d"])])
        made = store.contract("model")
        force(store, service(VISITS["count_1d"], VISITS["count_1h"]))
        [breach] = store.check_contract(made).breaches
    assert (breach.why, breach.what) == ("redefined", "the order of features")
    assert breach.now == "visits__count_1d, visits__count_1h"


def test_feature_that_is_read_by_another_column_stands_for_something_else():
    with gn.Store() as store:
        store.apply([service(PLAN["name"])])
        made = store.contract("model")
        force(store, service(PLAN.renamed("", keys={"user": "friend"})["name"]))
        report = store.check_contract(made)
    found = {b.what for b in report.breaches}
    assert "key `friend`" in found
    assert "feature `plan__name`" in found


def test_contract_differs_from_itself_in_nothing(kept):
    _, made = kept
    assert list(differences(made, made)) == []


@pytest.fixture
def fresh(bare):
    bare.apply([service(state(freshness="2h"), VISITS)])
    bare.insert("plan", [plan(1, T - HOUR, "free")])
    return bare


def test_rows_older_than_promised_break_the_contract_and_no_revision_is_blamed(fresh, clock):
    fresh.materialize()
    made = fresh.contract("model")
    clock.now = T + HOUR
    assert fresh.check_contract(made).holds
    clock.now = T + 2 * HOUR
    report = fresh.check_contract(made)
    assert told(report) == [("stale", "group `plan@1`", None, None)]
    assert "was promised to be at most 2h old, is 3h old" in str(report)
    fresh.insert("plan", [plan(1, T + 2 * HOUR, "paid")])
    fresh.materialize()
    assert fresh.check_contract(made).holds


def test_promise_of_the_contract_counts_where_the_group_promises_less_by_now(fresh, clock):
    fresh.materialize()
    made = fresh.contract("model")
    fresh.apply([state(freshness="30d")])
    clock.now = T + 3 * HOUR
    assert [b.why for b in fresh.check_contract(made).breaches] == ["stale"]


def test_group_with_nothing_online_keeps_no_promise(fresh):
    [breach] = fresh.check_contract(fresh.contract("model")).breaches
    assert (breach.why, breach.now) == ("stale", "without any row online")


def test_report_is_plain_data(kept):
    store, made = kept
    force(store, state(max_age="1h"), message="shorter")
    document = store.check_contract(made).to_dict()
    [breach] = document.pop("breaches")
    assert document == {"service": "model@1", "contract": made.hash, "revision": 3, "holds": False}
    assert breach["time"] == "2026-01-10T12:00:00.000000Z"
    assert breach["details"] == ["plan@1: max_age: 2d → 1h"]
    assert (breach["was"], breach["now"]) != (None, None)
