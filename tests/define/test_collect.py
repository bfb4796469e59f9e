"""Collect: what is found behind a module or list, and what is wrong with it, all at once."""

from __future__ import annotations

import sys
from types import ModuleType

import polars as pl
import pytest

import gnomon as gn
from gnomon.define.collect import collect, differing
from gnomon.errors import DefinitionError
from tests.registry import shop
from tests.registry.shop import changed


def names(collected):
    return [(kind, ref) for kind, ref, _ in collected]


def test_service_brings_all_that_it_refers_to():
    assert names(collect(shop.model)) == [
        ("entity", "user"),
        ("source", "orders"),
        ("source", "profiles"),
        ("group", "profile@1"),
        ("group", "user_spend@1"),
        ("on_demand", "compared@1"),
        ("service", "model@2"),
    ]


def test_module_gives_what_a_list_of_its_definitions_gives():
    assert collect(shop) == collect(shop.everything) == collect([shop]) == collect(vars(shop))


def test_order_of_declaration_does_not_matter():
    assert collect([shop.shop_notes, shop.model]) == collect([shop.model, shop.shop_notes, shop.user])


def test_equal_definitions_of_one_name_are_one():
    again = changed(shop.user_spend, entity=changed(shop.user))
    assert again is not shop.user_spend
    assert len(collect([shop.user_spend, again]).groups) == 1


def test_versions_of_one_group_stand_side_by_side_sorted_as_numbers():
    groups = [changed(shop.user_spend, version=version) for version in (10, 1, 2)]
    assert [g.version for g in collect(groups).groups] == [1, 2, 10]


def test_role_and_selection_bring_their_group():
    assert collect(shop.profile.renamed("other_")) == collect([shop.profile]) == collect(shop.profile["age"])


def test_different_definitions_of_one_name_are_a_problem_that_names_both_places_and_the_fields():
    other = changed(shop.user_spend, settling_delay=0, owner="bo")
    with pytest.raises(DefinitionError) as caught:
        collect({"here": shop.user_spend, "there": other})
    [problem] = caught.value.problems
    assert "`user_spend@1` is defined in two ways, at `here` and at `there`" in problem.what
    assert "`settling_delay`, `owner`" in problem.what


def test_changed_entity_is_one_problem_and_not_one_for_each_group_on_it():
    user = changed(shop.user, keys={"user": pl.String})
    with pytest.raises(DefinitionError) as caught:
        collect([user, shop.user_spend, shop.profile])
    [problem] = caught.value.problems
    assert "Entity `user`" in problem.what
    assert "`[1].entity[0]`" in problem.what


@pytest.mark.parametrize("default", [1.0, True, None, "1"])
def test_defaults_that_python_takes_for_equal_are_told_apart(default):
    group, other = (
        gn.FeatureGroup("g", timestamp="at", features=[gn.Feature("x", pl.Int64, default=d)])
        for d in (1, default)
    )
    assert differing(group, other) == ["features"]


def test_nan_defaults_are_equal():
    a, b = (
        gn.FeatureGroup("g", timestamp="at", features=[gn.Feature("x", float, default=float("nan"))])
        for _ in range(2)
    )
    assert differing(a, b) == []


def test_all_problems_are_reported_at_once():
    with pytest.raises(DefinitionError) as caught:
        collect([shop.user, changed(shop.user, owner="x"), gn.count(), 7])
    assert [problem.at for problem in caught.value.problems] == ["[1]", "[2]", "[3]"]
    assert "inside a group" in (caught.value.problems[1].hint or "")


def test_definitions_in_lists_of_a_module_count_and_private_names_do_not():
    module = ModuleType("mine")
    module.groups = [changed(shop.user_spend, name=name) for name in ("a", "b")]
    module._old = changed(shop.user_spend, name="c")
    module.aggregates = [gn.count()]
    module.number = 1
    assert [g.name for g in collect(module).groups] == ["a", "b"]


def test_notebook_whose_cells_run_again_gives_the_newest_definitions():
    """A notebook keeps old outputs under `_1` and in the dict `Out`."""
    old = changed(shop.user_spend, settling_delay="1h")
    namespace = {"user_spend": shop.user_spend, "_": old, "_3": old, "Out": {3: old}, "In": ["..."]}
    assert collect(namespace).groups == (shop.user_spend,)


def test_function_that_was_defined_again_in_the_same_way_is_the_same(tmp_path, monkeypatch):
    """Running a cell again gives another function object, of the same text."""
    source = "import polars as pl\nimport gnomon as gn\n\n@gn.on_demand(inputs=[gn.Request('x', pl.Int64)], "
    source += "returns={'y': pl.Int64})\ndef double(x):\n    return x * 2\n"
    (tmp_path / "cells.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for _ in range(2):
        monkeypatch.delitem(sys.modules, "cells", raising=False)
        found.append(__import__("cells").double)
    assert found[0].function is not found[1].function
    assert len(collect(found).on_demand) == 1
