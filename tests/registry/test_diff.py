"""Diff: what applying definitions changes, breaks and rebuilds, and how it is told."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.define.collect import collect, kind_of, ref_of
from gnomon.errors import Conflict
from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.registry.codec import encode
from gnomon.registry.diff import diff, render, requirements_of, updates_of
from gnomon.registry.registry import Registry
from gnomon.registry.requirements import RevisionIs, Unchanged
from gnomon.registry.snapshot import Snapshot
from gnomon.registry.updates import apply_updates
from tests.registry import shop
from tests.registry.shop import changed

USER = gn.Entity("user", keys={"user": pl.Int64})
ORDERS = gn.FileSource("orders", "orders.parquet", timestamp="at")
COLUMNS = {
    "user": pl.Int64(),
    "at": pl.Datetime("us"),
    "amount": pl.Int32(),
    "price": pl.Float64(),
    "temp": pl.Float64(),
}
STATE = gn.FeatureGroup(
    "state",
    entity=USER,
    source=ORDERS,
    max_age="3h",
    features=[gn.Feature("temp", pl.Float64), gn.Feature("hot", pl.Boolean, expr="temp > 30")],
)
EVENTS = gn.FeatureGroup(
    "events",
    entity=USER,
    source=ORDERS,
    features=[gn.sum("amount", windows=["1h", "7d"], where="price > 1.5"), gn.count(windows="1d")],
)
CACHED = gn.FeatureGroup(
    "cached", entity=USER, timestamp="at", schema={"amount": int}, features=[gn.sum("amount", windows="1h")]
)
MODEL = gn.FeatureService("model", features=[STATE, EVENTS["count_1d"]])


def columns_for(*definitions, **types):
    return {d.ref: COLUMNS | types for d in definitions if isinstance(d, gn.FeatureGroup)}


def registered(*definitions, **types):
    """The snapshot in which the definitions have been applied."""
    collected = collect(definitions)
    return Snapshot(
        revision=5,
        documents={
            (kind, ref): encode(d, COLUMNS | types if kind == "group" else None) for kind, ref, d in collected
        },
    )


def changes_of(snapshot, *definitions, prune=False, **types):
    """Every change but those of what stays as it is, by name."""
    collected = collect(definitions)
    found = diff(snapshot, collected, columns_for(*collected.groups, **types), prune=prune)
    return {c.ref: c for c in found if c.action != "none" or c.rebuild}


def told(change):
    return [str(detail) for detail in change.details]


def test_same_definitions_change_nothing():
    everything = (STATE, EVENTS, CACHED, MODEL)
    assert changes_of(registered(*everything), *everything) == {}
    assert render(diff(registered(USER), collect(USER), {})) == "nothing to change, 1 unchanged"


def test_new_objects_are_added_and_groups_filled():
    changes = changes_of(registered(USER), MODEL)
    assert {ref for ref, change in changes.items() if change.action == "add"} == {
        *("orders", "events@1", "state@1", "model@1")
    }
    assert changes["state@1"].rebuild == ("new, to be filled",)
    assert not any(change.breaking for change in changes.values())


@pytest.mark.parametrize(
    ("old", "change", "said"),
    [
        (STATE, {"max_age": None}, "max_age: 3h → None"),
        (STATE, {"max_age": 0}, "max_age: 3h → 0"),
        (changed(STATE, max_age=None), {"max_age": 0}, "max_age: None → 0"),
        (changed(STATE, max_age=0), {"max_age": None}, "max_age: 0 → None"),
        (STATE, {"settling_delay": "5m"}, "settling_delay: 0 → 5m"),
        (CACHED, {"timestamp": "other"}, "timestamp: at → other"),
        (CACHED, {"known_at": "seen"}, "known_at: None → seen"),
        (CACHED, {"event_id": "id"}, "event_id: None → id"),
        (CACHED, {"lag": "1d"}, "lag: 0 → 1d"),
        (CACHED, {"schema": {"amount": float}}, "schema `amount`: Int64 → Float64"),
        (CACHED, {"source": ORDERS, "timestamp": None, "schema": {}}, "source: None → orders"),
        (STATE, {"entity": gn.Entity("buyer", keys={"buyer": int})}, "entity: user → buyer"),
        (STATE, {"source": changed(ORDERS, name="other", timestamp="seen")}, "source: orders → other"),
    ],
)
def test_changed_meaning_of_a_group_is_shown_exactly_and_refused(old, change, said):
    new = changed(old, **change)
    types = {"other": pl.Datetime("us"), "seen": pl.Datetime("us"), "id": pl.Int64(), "buyer": pl.Int64()}
    found = changes_of(registered(old, **types), new, **types)[new.ref]
    assert said in told(found)
    assert any(said in problem.what for problem in found.breaking)
    assert all("raise `version` to 2" in problem.hint for problem in found.breaking)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"description": "New"}, "description: '' → New"),
        ({"owner": "ana"}, "owner: '' → ana"),
        ({"tags": {"a": "b"}}, "tags: {} → {a: b}"),
    ],
)
@pytest.mark.parametrize("definition", [USER, ORDERS, STATE, MODEL, shop.compared])
def test_text_is_free_and_rebuilds_nothing(definition, change, said):
    if definition is shop.compared:
        new = type(definition)(
            **{**vars(definition), **change, "tags": tuple(change.get("tags", {}).items())}
        )
        said = said.replace("owner: ''", "owner: cy").replace("''", definition.description)
    else:
        new = changed(definition, **change)
    collected = collect(new)
    [found] = [c for c in diff(registered(definition), collected, {}) if c.action != "none" or c.rebuild]
    assert (found.action, told(found)) == ("change", [said])
    assert found.breaking == found.rebuild == ()


def with_feature(**change):
    """STATE with other properties of its first feature, `temp`."""
    first, *rest = STATE.features
    return changed(STATE, features=[changed(first, **change), *rest])


@pytest.mark.parametrize(
    ("change", "said", "breaks"),
    [
        ({"dtype": pl.Float32}, "feature `temp`: dtype Float64 → Float32", True),
        ({"expr": "temp + 1"}, "feature `temp`: expr None → temp + 1", True),
        ({"expr": " (temp) "}, "feature `temp`: expr None →  (temp) ", False),
        ({"default": 0.0}, "feature `temp`: default None → 0.0", True),
        ({"description": "In F"}, "feature `temp`: description '' → In F", False),
        ({"tags": {"unit": "F"}}, "feature `temp`: tags {} → {unit: F}", False),
    ],
)
def test_changed_feature_is_shown_alone(change, said, breaks):
    found = changes_of(registered(STATE), with_feature(**change))["state@1"]
    assert told(found) == [said]
    assert bool(found.breaking) == breaks


def test_default_that_python_takes_for_equal_is_a_change():
    before, after = with_feature(default=0), with_feature(default=0.0)
    assert told(changes_of(registered(before), after)["state@1"]) == ["feature `temp`: default 0 → 0.0"]
    assert changes_of(registered(before), with_feature(default=None))["state@1"].breaking


def aggregates(*features):
    return changed(EVENTS, features=features)


@pytest.mark.parametrize(
    ("feature", "what"),
    [
        (
            gn.sum("price", windows=["1h", "7d"], where="price > 1.5", name="amount_sum"),
            "column amount → price",
        ),
        (
            gn.mean("amount", windows=["1h", "7d"], where="price > 1.5", name="amount_sum"),
            "function sum → mean",
        ),
        (gn.sum("amount", windows=["1h", "7d"]), "where price > 1.5 → None"),
        (gn.sum("amount", windows=["1h", "7d"], where="price > 2"), "where price > 1.5 → price > 2"),
        (gn.sum("amount", windows=["1h", "7d"], where="price > 1.5", limit=3), "limit None → 3"),
        (gn.sum("amount", windows=["1h", "7d"], where="price > 1.5", offset="1m"), "offset 0 → 1m"),
        (gn.sum("amount", windows=["1h", "7d"], where="price > 1.5", default=0), "default None → 0"),
        (
            gn.sum("amount", windows=["1h", "7d"], where="price > 1.5", include_request=True),
            "include_request False → True",
        ),
    ],
)
def test_changed_aggregate_is_refused_for_each_of_its_features(feature, what):
    found = changes_of(registered(EVENTS), aggregates(feature, gn.count(windows="1d")))["events@1"]
    assert [d for d in told(found) if what in d] == [
        f"feature `amount_sum_{w}`: {what}" for w in ("1h", "7d")
    ]
    assert len(found.breaking) >= 2


def test_where_that_is_only_written_differently_is_no_other_meaning():
    feature = gn.sum("amount", windows=["1h", "7d"], where="(price)  >  1.5")
    assert (
        changes_of(registered(EVENTS), aggregates(feature, gn.count(windows="1d")))["events@1"].breaking == ()
    )


def test_removed_feature_is_refused():
    found = changes_of(registered(EVENTS), aggregates(gn.count(windows="1d")))["events@1"]
    assert told(found) == [
        "feature `amount_sum_1h`: removed, was sum of amount over 1h where price > 1.5",
        "feature `amount_sum_7d`: removed, was sum of amount over 7d where price > 1.5",
    ]
    assert len(found.breaking) == 2
    assert all("takes away a name" in problem.what for problem in found.breaking)


def test_another_window_is_another_feature():
    features = (gn.sum("amount", windows=["1h", "30d"], where="price > 1.5"), gn.count(windows="1d"))
    found = changes_of(registered(EVENTS), aggregates(*features))["events@1"]
    assert told(found) == [
        "feature `amount_sum_7d`: removed, was sum of amount over 7d where price > 1.5",
        "feature `amount_sum_30d`: new, sum of amount over 30d where price > 1.5",
    ]
    assert [problem.what.count("amount_sum_7d") for problem in found.breaking] == [1]


@pytest.mark.parametrize(
    ("feature", "rebuild"),
    [
        (gn.count(windows="2d", name="n"), ()),
        (gn.sum("amount", windows="1m", where="price > 1.5", name="n"), ()),
        (gn.count(windows="30d", name="n"), ("looks back 30d, so far 7d",)),
        (gn.count(name="n"), ("looks back without bound, so far 7d",)),
        (gn.max("price", windows="1h"), ("new in its rows: `price`",)),
        (gn.count(windows="1h", where="price > 9", name="n"), ("new in its rows: `(price > 9)`",)),
    ],
)
def test_new_feature_is_fine_and_rebuilds_if_the_rows_online_do_not_suffice(feature, rebuild):
    found = changes_of(registered(EVENTS), aggregates(*EVENTS.features, feature))["events@1"]
    assert (found.breaking, found.rebuild) == ((), rebuild)
    assert len(found.details) == 1


def test_new_feature_without_known_columns_is_filled():
    new = aggregates(*EVENTS.features, gn.count(windows="2d", name="n"))
    snapshot = Snapshot(documents={(kind_of(d), ref_of(d)): encode(d) for d in (USER, ORDERS, EVENTS)})
    [found] = [c for c in diff(snapshot, collect(new), {}) if c.action == "change"]
    assert found.rebuild == ("new feature `n_2d`",)


def test_order_of_features_is_free_and_rebuilds():
    found = changes_of(registered(EVENTS), aggregates(*reversed(EVENTS.features)))["events@1"]
    assert [d.what for d in found.details] == ["order of features"]
    assert found.breaking == ()


def test_windows_declared_in_two_aggregates_are_the_same_features():
    split = [gn.sum("amount", windows=[w], where="price > 1.5") for w in ("1h", "7d")]
    found = changes_of(registered(EVENTS), aggregates(*split, gn.count(windows="1d")))["events@1"]
    assert told(found) == ["written differently, to the same effect"]
    assert found.breaking == found.rebuild == ()


def test_type_of_a_source_column_that_changes_a_result_is_refused():
    found = changes_of(registered(EVENTS), EVENTS, amount=pl.Float64())["events@1"]
    assert "feature `amount_sum_1h`: dtype Int64 → Float64" in told(found)
    assert found.breaking
    assert found.rebuild


def test_type_of_a_source_column_that_changes_no_result_rebuilds():
    found = changes_of(registered(EVENTS), EVENTS, amount=pl.Int64())["events@1"]
    assert told(found) == ["column `amount`: dtype Int32 → Int64"]
    assert found.breaking == ()
    assert found.rebuild == ("new in its rows: `amount`",)


def test_group_that_goes_online_is_filled_and_one_that_leaves_is_not():
    off = changed(EVENTS, online=False)
    turned_on = changes_of(registered(off), EVENTS)["events@1"]
    assert (turned_on.breaking, turned_on.rebuild) == ((), ("was not kept online so far, to be filled",))
    turned_off = changes_of(registered(EVENTS), off)["events@1"]
    assert (turned_off.breaking, turned_off.rebuild) == ((), ())
    assert changes_of(registered(), off)["events@1"].rebuild == ()


def test_new_version_beside_the_old_one_is_fine():
    changes = changes_of(registered(STATE), changed(STATE, version=2, max_age="1h"))
    assert {ref: (c.action, bool(c.breaking)) for ref, c in changes.items()} == {
        "state@1": ("keep", False),
        "state@2": ("add", False),
    }


def test_hint_names_the_next_free_version():
    snapshot = registered(STATE, changed(STATE, version=7))
    found = changes_of(snapshot, changed(STATE, max_age="1h"))["state@1"]
    assert "raise `version` to 8" in found.breaking[0].hint


# --------------------------------------------------------------------------------------- entities and sources


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"timestamp": "seen"}, "timestamp: at → seen"),
        ({"known_at": "seen"}, "known_at: None → seen"),
        ({"event_id": "id"}, "event_id: None → id"),
        ({"lag": "1d"}, "lag: 0 → 1d"),
    ],
)
def test_source_that_tells_time_or_identity_otherwise_is_refused_while_groups_use_it(change, said):
    types = {"seen": pl.Datetime("us"), "id": pl.Int64()}
    source = changed(ORDERS, **change)
    snapshot = registered(STATE, EVENTS, **types)
    found = changes_of(snapshot, changed(STATE, source=source), changed(EVENTS, source=source), **types)[
        "orders"
    ]
    assert told(found) == [said]
    [problem] = found.breaking
    assert "`events@1`, `state@1`" in problem.what
    assert "another name" in problem.hint
    assert changes_of(registered(ORDERS), source)["orders"].breaking == ()


def test_group_that_is_only_registered_still_counts_as_using_the_source():
    snapshot = registered(STATE)
    source = changed(ORDERS, timestamp="seen")
    assert changes_of(snapshot, source)["orders"].breaking
    assert changes_of(snapshot, source, prune=True)["orders"].breaking == ()


def test_group_that_moves_to_another_source_no_longer_counts():
    other = changed(ORDERS, name="other")
    source = changed(ORDERS, timestamp="seen")
    changes = changes_of(registered(STATE), changed(STATE, source=other), source)
    assert changes["orders"].breaking == ()
    assert told(changes["state@1"]) == ["source: orders → other"]
    assert (changes["state@1"].breaking, changes["state@1"].rebuild) == ((), ())


def test_source_in_another_place_rebuilds_its_groups_and_breaks_nothing():
    source = changed(ORDERS, path="elsewhere.parquet")
    changes = changes_of(registered(STATE, EVENTS), changed(STATE, source=source))
    assert told(changes["orders"]) == ["path: orders.parquet → elsewhere.parquet"]
    for ref, action in (("state@1", "none"), ("events@1", "keep")):
        assert changes[ref].action == action
        assert changes[ref].rebuild == ("`path` of the source `orders` changed",)
    assert not any(change.breaking for change in changes.values())


def test_query_is_meaning_and_url_is_place():
    source = gn.SQLSource("orders", url="sqlite:///a.db", query="SELECT * FROM a", timestamp="at")
    group = changed(STATE, source=source)
    moved, other = changed(source, url="sqlite:///b.db"), changed(source, query="SELECT * FROM b")
    assert changes_of(registered(group), changed(group, source=moved))["orders"].breaking == ()
    assert changes_of(registered(group), changed(group, source=other))["orders"].breaking
    from_file = changes_of(registered(STATE), group)
    assert told(from_file["orders"]) == ["type: file → sql"]
    assert from_file["state@1"].rebuild == ("`type` of the source `orders` changed",)


def test_keys_of_an_entity_are_refused_while_groups_use_it():
    user = gn.Entity("user", keys={"user": pl.String})
    found = changes_of(registered(STATE), changed(STATE, entity=user), user=pl.String())["user"]
    assert told(found) == ["keys: {user: Int64} → {user: String}"]
    assert "`state@1`" in found.breaking[0].what
    assert changes_of(registered(USER), user)["user"].breaking == ()


def test_entity_under_another_name_with_the_same_keys_is_the_same():
    found = changes_of(registered(STATE), changed(STATE, entity=changed(USER, name="buyer")))["state@1"]
    assert told(found) == ["entity: user → buyer"]
    assert found.breaking == found.rebuild == ()


# ------------------------------------------------------------------------------------- services and functions


def service(*features):
    return gn.FeatureService("model", features=features)


@pytest.mark.parametrize(
    ("features", "said", "breaks"),
    [
        ([STATE], "output `events__count_1d`: removed, was events@1:count_1d", True),
        ([EVENTS["count_1d"], STATE], "order of outputs", True),
        ([STATE, EVENTS], "output `events__amount_sum_1h`: new, events@1:amount_sum_1h", False),
        (
            [STATE, changed(EVENTS, version=2)["count_1d"]],
            "output `events__count_1d`: events@1:count_1d → events@2:count_1d",
            True,
        ),
        (
            [STATE, EVENTS.renamed(keys={"user": "friend"})["count_1d"]],
            "output `friend_events__count_1d`: new, events@1:count_1d by user=friend",
            True,
        ),
    ],
)
def test_outputs_of_a_service_stay_what_and_where_they_are(features, said, breaks):
    found = changes_of(registered(MODEL), service(*features))["model@1"]
    assert any(line.startswith(said) for line in told(found))
    assert bool(found.breaking) == breaks


def test_service_on_a_whole_group_grows_with_the_group():
    new = changed(STATE, features=[gn.Feature("price", float), *STATE.features])
    found = changes_of(registered(service(STATE, EVENTS)), service(new, EVENTS))["model@1"]
    assert told(found) == ["output `state__price`: new, state@1:price"]
    assert found.breaking == ()


@pytest.mark.parametrize(
    ("change", "said", "breaks"),
    [
        ({"source_hash": "0"}, "source_hash: ", True),
        ({"module": "elsewhere"}, "module: tests.registry.shop → elsewhere", False),
        (
            {"returns": (("share", pl.Float32()), ("difference", pl.Float64()))},
            "output `share`: Float64 → Float32",
            True,
        ),
        ({"returns": (("share", pl.Float64()),)}, "output `difference`: removed, was Float64", True),
        (
            {"returns": (*reversed(shop.compared.returns),)},
            "order of outputs: share, difference → difference, share",
            True,
        ),
        ({"returns": (*shop.compared.returns, ("more", pl.Int8()))}, "output `more`: new, Int8", False),
        ({"inputs": shop.compared.inputs[::-1]}, "inputs: user_spend@1:amount_sum_1h, ", True),
    ],
)
def test_function_keeps_its_inputs_outputs_and_code(change, said, breaks):
    new = type(shop.compared)(**{**vars(shop.compared), **change})
    snapshot = Snapshot(documents={(kind, ref): encode(d) for kind, ref, d in collect(shop.compared)})
    [found] = [c for c in diff(snapshot, collect(new), {}) if c.action != "none"]
    [line] = told(found)
    assert line.startswith(said)
    assert bool(found.breaking) == breaks


# ------------------------------------------------------------------------------ pruning, committing, printing


def test_what_is_not_defined_is_kept_unless_pruned():
    snapshot = registered(STATE, EVENTS, MODEL)
    assert {c.action for c in changes_of(snapshot, STATE).values()} == {"keep"}
    pruned = changes_of(snapshot, STATE, prune=True)
    assert {ref: c.action for ref, c in pruned.items()} == {"events@1": "remove", "model@1": "remove"}


@pytest.mark.parametrize("prune", [False, True])
def test_updates_lead_to_the_definitions(prune):
    snapshot = registered(STATE, EVENTS, MODEL)
    collected = collect([changed(STATE, owner="ana"), CACHED])
    changes = diff(snapshot, collected, columns_for(STATE, CACHED), prune=prune)
    after = Snapshot(documents=apply_updates(snapshot.documents, updates_of(changes)))
    again = diff(after, collected, columns_for(STATE, CACHED), prune=prune)
    assert {c.action for c in again} == ({"none"} if prune else {"none", "keep"})
    assert updates_of(again) == ()
    assert ("service", "model@1") in after.documents or prune


def test_commit_relies_on_what_the_diff_was_judged_by():
    snapshot = registered(STATE, EVENTS)
    more = diff(snapshot, collect(changed(STATE, owner="ana")), columns_for(STATE))
    assert set(requirements_of(snapshot, more)) == {
        Unchanged("entity", "user", 5),
        Unchanged("source", "orders", 5),
        Unchanged("group", "state@1", 5),
    }
    pruned = diff(snapshot, collect(STATE), columns_for(STATE), prune=True)
    assert requirements_of(snapshot, pruned) == (RevisionIs(5),)
    moved = diff(snapshot, collect(changed(ORDERS, path="x.parquet")), {})
    assert requirements_of(snapshot, moved) == (RevisionIs(5),)


def test_two_people_apply_through_diffs(tmp_path):
    """Different objects: both survive. The same one: whoever comes second plans again."""
    ana, bo = (Registry(SqliteRegistry(f"sqlite:///{tmp_path}/r.db"), author=name) for name in ("ana", "bo"))
    start = ana.snapshot()

    def apply(registry, *definitions):
        changes = diff(start, collect(definitions), columns_for(*definitions))
        return registry.commit(requirements_of(start, changes), updates_of(changes))

    apply(ana, STATE)
    apply(bo, EVENTS)
    with pytest.raises(Conflict, match="`events@1` changed in revision 2 by bo"):
        apply(ana, changed(EVENTS, owner="ana"))
    assert [g.ref for g in ana.list("group")] == ["events@1", "state@1"]


def test_plan_reads_well():
    snapshot = registered(STATE, CACHED, changed(STATE, version=9))
    first, second = STATE.features
    new = changed(STATE, max_age=None, owner="ana", features=[changed(first, dtype=pl.Float32), second])
    source = changed(ORDERS, path="elsewhere.parquet")
    changes = diff(
        snapshot,
        collect([changed(new, source=source), changed(EVENTS, source=source)]),
        columns_for(STATE, EVENTS),
    )
    assert (
        render(changes)
        == """\
1 to add, 2 to change, 1 unchanged; 1 breaking
~ source         orders
    path: orders.parquet → elsewhere.parquet
  feature group  cached@1  kept: not in the definitions, removed only by pruning
+ feature group  events@1
    online: new, to be filled
~ feature group  state@1
    max_age: 3h → None
    owner: '' → ana
    feature `temp`: dtype Float64 → Float32
    online: `path` of the source `orders` changed
    breaking: Feature group `state@1`: max_age: 3h → None; this gives an existing name another meaning
      hint: raise `version` to 10; `state@1` then stays as it is for those who use it
    breaking: Feature group `state@1`: feature `temp`: dtype Float64 → Float32; this gives an existing \
name another meaning
      hint: raise `version` to 10; `state@1` then stays as it is for those who use it
  feature group  state@9  kept: not in the definitions, removed only by pruning
    online: `path` of the source `orders` changed"""
    )


def test_change_as_json_says_the_same():
    found = changes_of(registered(STATE), changed(STATE, max_age=None))["state@1"]
    assert found.to_dict() == {
        "action": "change",
        "kind": "group",
        "name": "state@1",
        "changes": [{"what": "max_age", "old": "3h", "new": "None"}],
        "breaking": [{"what": found.breaking[0].what, "hint": found.breaking[0].hint}],
        "rebuild": [],
    }
