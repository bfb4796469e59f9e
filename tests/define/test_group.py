"""Groups: what belongs together, under which names, and what excludes what."""

from __future__ import annotations

import copy
from datetime import timedelta

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DefinitionError, NotFound
from gnomon.time import HOUR

USER = gn.Entity("user", keys={"user": int})
SHOP = gn.Entity("shop", keys={"country": str, "number": int})
ORDERS = gn.FileSource("orders", "orders.csv", timestamp="at", known_at="seen", event_id="order")


def group(**changes):
    given = {"entity": USER, "features": [gn.count(windows=["1h"]), gn.sum("x")], "timestamp": "t", **changes}
    return gn.FeatureGroup("g", **given)


def problems(**changes):
    with pytest.raises(DefinitionError) as caught:
        group(**changes)
    return [(p.at.removeprefix("group g").removeprefix("."), p.what) for p in caught.value.problems]


def test_columns_make_a_state_group_and_aggregates_an_event_group():
    assert group().kind == "event"
    assert group(features=[gn.Feature("x", float)]).kind == "state"


def test_a_group_of_several_entities_has_all_their_keys_in_order():
    made = group(entity=[SHOP, USER])
    assert made.key_names == ("country", "number", "user")
    assert dict(made.keys) == {"country": pl.String(), "number": pl.Int64(), "user": pl.Int64()}


def test_one_feature_and_one_entity_need_no_list():
    assert group(features=gn.count()).feature_names == ("count",)
    assert group(entity=USER) == group(entity=[USER])


def test_a_group_may_have_no_entity():
    assert group(entity=()).keys == ()


def test_times_and_id_are_those_of_the_source():
    made = gn.FeatureGroup("g", entity=USER, source=ORDERS, features=[gn.count()])
    assert (made.timestamp_column, made.known_at_column, made.event_id_column) == ("at", "seen", "order")
    assert (made.source_name, made.known_lag, made.ref) == ("orders", 0, "g@1")


def test_times_and_id_of_a_cached_group_are_its_own():
    made = group(event_id="id", lag="1h", version=2)
    assert (made.timestamp_column, made.known_at_column, made.event_id_column) == ("t", None, "id")
    assert (made.source_name, made.known_lag, made.ref) == (None, HOUR, "g@2")


def test_lengths_are_kept_in_microseconds():
    made = group(features=[gn.Feature("x", float)], max_age="1h", settling_delay="1h")
    assert (made.max_age, made.settling_delay) == (HOUR, HOUR)
    assert group(features=[gn.Feature("x", float)], max_age=0).max_age == 0
    assert group(features=[gn.Feature("x", float)]).max_age is None


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"features": []}, [("features", "a group needs at least one feature")]),
        (
            {"features": [gn.count(), gn.Feature("x", int)]},
            [("features", "a group has either columns or aggregates, not both")],
        ),
        ({"max_age": "1h"}, [("max_age", "`max_age` is for state groups")]),
        ({"timestamp": None}, [("timestamp", "a group without a source must name its `timestamp` column")]),
        ({"known_at": "seen", "lag": "1h"}, [("lag", "`known_at` and `lag` exclude each other")]),
        (
            {"source": ORDERS, "lag": "1h", "schema": {"x": int}},
            [
                ("timestamp", "`timestamp` belongs to the source `orders`"),
                ("lag", "`lag` belongs to the source `orders`"),
            ],
        ),
        (
            {"features": [gn.sum("x"), gn.sum("x", where="y > 0")]},
            [("features[1]", "`x_sum` is also features[0]")],
        ),
        (
            {"features": [gn.Feature("user", int), gn.Feature("t", int)]},
            [("features[0]", "`user` is also a key column"), ("features[1]", "`t` is also the time column")],
        ),
        (
            {"entity": [USER, gn.Entity("other", keys={"user": str})]},
            [("entity", "the key column `user` stands in two entities")],
        ),
        (
            {"features": [gn.count(include_request=True)], "settling_delay": "1s"},
            [("features[0].include_request", "`include_request` and `settling_delay` exclude each other")],
        ),
        (
            {"entity": "user", "features": [5], "source": "orders"},
            [
                ("entity[0]", "`'user'` is not an Entity"),
                ("features[0]", "`5` is not a feature"),
                ("source", "`'orders'` is not a Source"),
            ],
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(changes, want):
    assert problems(**changes) == want


def test_all_problems_of_one_group_are_told_at_once():
    found = problems(version=0, lag=-1, settling_delay="1 month", schema={"x": "Int65"}, tags=["a"])
    assert [at for at, _ in found] == ["version", "settling_delay", "lag", "schema[x]", ""]


def test_a_collision_proposes_another_name():
    with pytest.raises(DefinitionError) as caught:
        group(features=[gn.sum("x"), gn.sum("x", where="y > 0")])
    assert caught.value.hint == 'give it another name: name="x_sum_2"'


def test_a_feature_is_selected_by_name():
    chosen = group()["count_1h"]
    assert (chosen.name, chosen.full_name, repr(chosen)) == (
        "count_1h",
        "g__count_1h",
        "Selection(g@1:count_1h)",
    )
    assert [s.feature for s in group()] == ["count_1h", "x_sum"]


def test_a_wrong_name_is_offered_the_nearest():
    with pytest.raises(NotFound) as caught:
        group()["cuont_1h"]
    assert caught.value.hint == "did you mean `count_1h`?"
    with pytest.raises(NotFound):
        group().renamed(prefix="d_")["d_count_1h"]


def test_a_role_renames_outputs_and_keys():
    role = group().renamed(prefix="friend_", keys={"user": "friend"})
    chosen = role["x_sum"]
    assert (chosen.name, chosen.keys) == ("friend_x_sum", (("user", "friend"),))
    assert chosen.full_name not in {group()["x_sum"].full_name, group().renamed("other_")["x_sum"].full_name}
    assert [s.name for s in role] == ["friend_count_1h", "friend_x_sum"]
    assert repr(chosen) == "Selection(g@1:x_sum as friend_x_sum)"


def test_a_role_renames_keys_of_the_group_only():
    with pytest.raises(DefinitionError, match="`shop` is not a key of `g`") as caught:
        group().renamed(keys={"shop": "x"})
    assert caught.value.hint == "its keys: user"


@pytest.mark.parametrize("argument", ["expectations", "policy", "schedule"])
def test_an_argument_of_a_later_release_is_refused_with_its_name(argument):
    [problem] = problems(**{argument: "x"})
    assert problem == (argument, f"`{argument}` is not in this release")


def test_freshness_is_a_duration_of_groups_that_are_online():
    assert group(freshness="2h").freshness == group(freshness=timedelta(hours=2)).freshness == 7_200_000_000
    assert group().freshness is None
    [problem] = problems(freshness="2h", online=False)
    assert problem == ("freshness", "`freshness` is for groups that are kept online")
    [problem] = problems(freshness="soon")
    assert problem[0] == "freshness"


@pytest.mark.parametrize(("argument", "hint"), [("max_agee", "did you mean `max_age`?"), ("zzz", "known: ")])
def test_an_argument_that_groups_do_not_have_is_answered_with_the_nearest(argument, hint):
    with pytest.raises(DefinitionError, match=f"a group has no argument `{argument}`") as caught:
        group(**{argument: "1h"})
    assert hint in caught.value.hint


def test_groups_with_lists_for_defaults_are_equal_and_hash_alike():
    """So that services and selections of them can be kept in sets, and asked for twice."""
    made = [group(features=[gn.last_k("x", 3, default=[0])]) for _ in range(2)]
    assert made[0] == made[1] != group(features=[gn.last_k("x", 3, default=[1])])
    assert len({hash(each) for each in made}) == 1
    assert len({each["x_last_k"] for each in made}) == 1


def test_a_hash_is_made_once_and_stays_behind_where_text_hashes_otherwise():
    entity = gn.Entity("user", keys={"user": int})
    group = gn.FeatureGroup("g", entity=entity, timestamp="t", features=[gn.Feature("x", float)])
    found = hash(group)
    assert group.__dict__["_hash"] == found == hash(group["x"].group)
    again = copy.copy(group)
    assert "_hash" not in again.__dict__
    assert again == group
    assert hash(again) == found


def test_equal_declarations_are_equal_and_hash_alike():
    assert group() == group()
    assert len({group(), group(), group(owner="ana"), group(version=2)}) == 3


def test_group_can_be_shown_in_a_notebook():
    assert "x_sum" not in group()._repr_html_()
    assert "Aggregate(function=&#x27;sum&#x27;, column=&#x27;x&#x27;)" in group()._repr_html_()
