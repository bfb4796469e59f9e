"""Contracts that are known by their hash."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import BrokenContract, NotFound, UsageError
from gnomon.flows.contract import Contract
from gnomon.flows.pin import Pins
from gnomon.registry.updates import Remove
from tests.flows.small import PLAN, VISITS
from tests.flows.test_breach import force, service, state


@pytest.fixture
def kept(store):
    store.apply([service(PLAN, VISITS)])
    return store, store.contract("model")


def require(store: gn.Store, name: str, pinned: str, *known: Contract) -> None:
    pins = Pins(store._project)
    for contract in known:
        pins.know(contract)
    pins.require(name, pinned, store.registry.snapshot())


def test_contract_of_now_and_one_of_an_earlier_revision_hold(kept):
    store, made = kept
    require(store, "model", made.hash)
    store.apply([state(features=[gn.Feature("name", pl.String), gn.Feature("since", pl.Int64)])])
    store.apply([service(store.registry.get("group", "plan"), VISITS)])
    require(store, "model", made.hash)
    require(store, "model@1", store.contract("model").hash)


def test_contract_that_was_broken_is_refused_with_what_changed_and_by_whom(kept):
    store, made = kept
    force(store, state(max_age="1h"), author="dee", message="shorter")
    with pytest.raises(BrokenContract, match="since revision 3 by dee: shorter") as caught:
        require(store, "model", made.hash)
    assert "plan@1: max_age: 2d → 1h" in caught.value.what


def test_hash_that_nobody_made_is_not_found(kept):
    store, _ = kept
    with pytest.raises(NotFound, match="no revision of `model@1` promised the contract 00"):
        require(store, "model", "00")
    with pytest.raises(NotFound, match="`modle` not found"):
        require(store, "modle", "00")


def test_contract_of_another_version_is_told_from_the_newest(kept):
    """Who asks for `model` gets the newest: a model that was trained with an older one must not."""
    store, made = kept
    store.apply([gn.FeatureService("model", version=2, features=[VISITS])])
    with pytest.raises(UsageError, match="is of `model@1`, and `model` is `model@2` now") as caught:
        require(store, "model", made.hash)
    assert caught.value.hint == "ask for `model@1`"
    require(store, "model@1", made.hash)


def test_contract_of_a_removed_service_tells_who_removed_it(kept):
    store, made = kept
    store.registry.author = "cy"
    store.registry.commit([], [Remove("service", "model@1")])
    for name in ("model", "model@1"):
        with pytest.raises(BrokenContract, match=r"missing: service `model@1` was .* since revision 3 by cy"):
            require(store, name, made.hash)
        with pytest.raises(NotFound, match="no revision of"):
            require(store, name, "00")


def test_contract_of_a_removed_version_beside_a_newer_one_tells_the_same(kept):
    store, made = kept
    store.apply([gn.FeatureService("model", version=2, features=[VISITS])])
    store.registry.commit([], [Remove("service", "model@1")])
    with pytest.raises(BrokenContract, match="since revision 4"):
        require(store, "model@1", made.hash)
    with pytest.raises(UsageError, match="is of `model@1`, and `model` is `model@2` now"):
        require(store, "model", made.hash)


def test_contract_of_another_registry_is_known_from_its_file(kept):
    _, made = kept
    with gn.Store() as other:
        other.apply([gn.FeatureService("model", features=[VISITS, PLAN["name"]])])
        with pytest.raises(NotFound):
            require(other, "model", made.hash)
        with pytest.raises(BrokenContract, match="the order of features"):
            require(other, "model", made.hash, made)


def test_what_was_found_is_known_from_then_on(kept):
    store, made = kept
    pins = store.pins
    assert not pins.holds("model", made.hash)
    pins.require("model", made.hash)
    assert pins.holds("model", made.hash)
    force(store, state(max_age="1h"))
    with pytest.raises(BrokenContract):
        pins.require("model", made.hash)
    assert not pins.holds("model", made.hash)


def test_revision_that_is_not_answered_by_yet_can_be_asked_about(kept):
    store, made = kept
    store.follow(store.registry.snapshot())
    force(store, state(max_age="1h"))
    store.pins.require("model", made.hash)
    with pytest.raises(BrokenContract):
        store.pins.require("model", made.hash, store.registry.snapshot())
    assert store.contract("model").hash == made.hash


def test_stale_rows_do_not_refuse_a_question(bare):
    bare.apply([service(state(freshness="1s"))])
    made = bare.contract("model")
    assert not bare.check_contract(made).holds
    require(bare, "model", made.hash)
