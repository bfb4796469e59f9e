"""Codec: definitions as documents, and back."""

from __future__ import annotations

import dataclasses
import json
import sys

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gnomon as gn
from gnomon.define.collect import differing, kind_of, ref_of
from gnomon.define.ondemand import OnDemand
from gnomon.errors import CorruptValue, DefinitionError, NotFound, UsageError
from gnomon.registry.codec import columns_of_document, decode, encode, import_function
from gnomon.registry.snapshot import Snapshot
from tests.registry import shop
from tests.registry.shop import changed

DEFINITIONS = {f"{kind} {ref}": definition for kind, ref, definition in shop.collected()}


def snapshot_of(*definitions):
    return Snapshot(documents={(kind_of(d), ref_of(d)): encode(d) for d in definitions})


SHOP = snapshot_of(*DEFINITIONS.values())


@pytest.mark.parametrize("name", DEFINITIONS)
def test_decoding_gives_a_definition_equal_to_the_declared_one(name):
    kind, ref = name.split()
    found, declared = SHOP.get(kind, ref), DEFINITIONS[name]
    assert type(found) is type(declared)
    assert differing(found, declared) == []
    assert repr(found) == repr(declared)
    assert encode(found) == encode(declared)


def test_equality_reaches_through_references():
    assert SHOP.service("model").features[0].group.source == shop.profiles
    assert SHOP.service("model").features[-2].keys == (("user", "friend"),)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_document_is_canonical_json_with_a_format(name):
    text = encode(DEFINITIONS[name])
    document = json.loads(text)
    assert document["format"] == 1
    assert text == json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_references_are_names():
    group, service = json.loads(encode(shop.profile)), json.loads(encode(shop.model))
    assert (group["entities"], group["source"]) == (["user"], "profiles")
    assert service["features"][-2] == {
        "type": "feature",
        "feature": "profile@1:age",
        "prefix": "friend_",
        "keys": [["user", "friend"]],
    }
    assert service["features"][-1] == {"type": "on_demand", "ref": "compared@1"}


def test_columns_are_kept_sorted_in_a_groups_document():
    text = encode(shop.user_spend, {"b": pl.Datetime("us", "UTC"), "a": pl.List(pl.Int8)})
    assert json.loads(text)["columns"] == [["a", "List(Int8)"], ["b", "Datetime(us, UTC)"]]
    assert columns_of_document(text) == {"a": pl.List(pl.Int8), "b": pl.Datetime("us", "UTC")}
    assert columns_of_document(encode(shop.user_spend)) is None


def test_order_of_keys_and_tags_is_kept():
    entity = gn.Entity("e", keys={"z": int, "a": str}, tags={"z": "1", "a": "2"})
    assert snapshot_of(entity).entity("e").keys == (("z", pl.Int64()), ("a", pl.String()))
    assert snapshot_of(entity).entity("e").tags == (("z", "1"), ("a", "2"))


@given(
    windows=st.lists(st.integers(1, 10**9).map(lambda n: f"{n}s"), unique=True, max_size=3),
    offset=st.integers(0, 10**9),
    limit=st.none() | st.integers(1, 9),
    default=st.none() | st.floats() | st.integers(),
)
def test_any_aggregate_comes_back(windows, offset, limit, default):
    aggregate = gn.sum("x", windows=windows, offset=offset, limit=limit, default=default)
    group = gn.FeatureGroup("g", timestamp="at", features=[aggregate])
    assert differing(snapshot_of(group).group("g"), group) == []


DECAYED = gn.decayed_sum("x", half_life="1d", windows=["30d"])


def test_arguments_that_came_later_are_left_out_where_they_are_not_given():
    """So a document of an earlier release is read, and has the text that this release writes."""
    group = gn.FeatureGroup(
        "g", timestamp="at", features=[gn.sum("x"), gn.quantile("x", 0.9, by="c"), DECAYED]
    )
    plain, own, decayed = json.loads(encode(group))["features"]
    assert own.keys() - plain.keys() == {"q", "by"}
    assert decayed.keys() - plain.keys() == {"half_life"}
    assert differing(snapshot_of(group).group("g"), group) == []


@pytest.mark.parametrize(
    ("change", "what", "at"),
    [
        (lambda d: d.update(version="1"), "Expected `int`, got `str`", "version"),
        (lambda d: d["features"][0].update(nulls="maybe"), "Invalid enum value", "features[0].nulls"),
        (lambda d: d["features"][1].update(extra=1), "unknown field `extra`", "features[1]"),
        (lambda d: d.pop("lag"), "missing required field `lag`", None),
        (lambda d: d["features"][0].update(type="other"), "Invalid value", "features[0].type"),
        (lambda d: d["features"][0].update(default={"date": "x"}), "is not a date", "features[0].default"),
        (lambda d: d.update(schema=[["a", "Int65"]]), "`Int65` is not a type", "schema[a]"),
    ],
)
def test_document_that_is_not_of_its_form_is_corrupt_and_the_path_is_told(change, what, at):
    document = json.loads(encode(shop.user_spend))
    change(document)
    broken = Snapshot(7, documents={**SHOP.documents, ("group", "user_spend@1"): json.dumps(document)})
    with pytest.raises(CorruptValue) as caught:
        broken.group("user_spend")
    assert what in caught.value.what
    assert "Feature group `user_spend@1` in revision 7" in caught.value.what
    assert caught.value.at == at


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "1"}', "null"])
def test_what_is_no_document_is_corrupt(text):
    with pytest.raises(CorruptValue):
        decode("entity", text, SHOP)


def test_document_of_a_later_release_asks_for_that_release():
    later = encode(shop.user).replace('"format":1', '"format":2')
    with pytest.raises(UsageError, match="documents of format 2, this release reads up to 1"):
        decode("entity", later, SHOP)


def test_document_that_names_something_missing_says_what():
    with pytest.raises(NotFound, match="Source `orders` not found"):
        snapshot_of(shop.user, shop.user_spend).group("user_spend")


@pytest.mark.parametrize(
    ("definition", "at"),
    [
        (gn.Entity("e", owner=None), "owner"),
        (
            gn.FeatureGroup("g", timestamp="at", features=[gn.count(default={1})]),
            "feature group g@1.features[0].default",
        ),
    ],
)
def test_definition_that_could_not_be_read_back_is_refused(definition, at):
    with pytest.raises(DefinitionError) as caught:
        encode(definition)
    assert caught.value.at == at


# -------------------------------------------------------------------------------------------------- functions


def test_function_is_imported_by_name():
    stored = SHOP.on_demand("compared")
    assert stored.function is None
    assert import_function(stored) is shop.compared.function


def test_function_of_a_notebook_is_given_by_name():
    stored = dataclasses.replace(SHOP.on_demand("compared"), module="__main__")
    for functions in ({"compared": shop.compared}, {"compared@1": shop.compared.function}):
        assert import_function(stored, functions) is shop.compared.function
    with pytest.raises(DefinitionError, match="notebook or script"):
        import_function(stored)


@pytest.mark.parametrize(
    "change", [{"module": "no.such.module"}, {"qualname": "compare"}, {"qualname": "model"}]
)
def test_function_that_cannot_be_found_is_an_error_with_its_place(change):
    stored = dataclasses.replace(SHOP.on_demand("compared"), **change)
    with pytest.raises(DefinitionError, match="cannot be found") as caught:
        import_function(stored)
    assert caught.value.at == f"{stored.module}.{stored.qualname}"


def test_function_with_other_code_is_refused_with_both_hashes():
    stored = dataclasses.replace(SHOP.on_demand("compared"), source_hash="0123")
    with pytest.raises(DefinitionError) as caught:
        import_function(stored)
    assert "0123" in caught.value.what
    assert shop.compared.source_hash in caught.value.what
    assert "`version`" in (caught.value.hint or "")


SOURCE = """
import gnomon as gn

@gn.on_demand(inputs=[gn.Request("x", int)], returns={"y": int}, owner="ana")
def double(x):
    '''Twice.'''
    return x * 2
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("ana", "bo", True),
        ("'''Twice.'''", "'''Two times\n    as much.'''", True),
        ("    '''Twice.'''\n", "", True),
        ("x * 2", "x * 3", False),
        ("def double(x)", "def double(x, **rest)", False),
    ],
)
def test_hash_of_a_function_tells_its_code_and_not_its_text(old, new, same, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    hashes = []
    for name, source in (("doubles_a", SOURCE), ("doubles_b", SOURCE.replace(old, new))):
        (tmp_path / f"{name}.py").write_text(source)
        function = __import__(name).double
        del sys.modules[name]
        assert isinstance(function, OnDemand)
        hashes.append(function.source_hash)
    assert (hashes[0] == hashes[1]) == same


def test_changed_helper_keeps_what_it_does_not_change():
    assert differing(changed(shop.profile), shop.profile) == []
