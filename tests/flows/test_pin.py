"""Contracts that are known by their hash."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import Conflict, NotFound, UsageError
from gnomon.flows.contract import Contract
from gnomon.flows.pin import Pins
from tests.flows.small import PLAN, VISITS
from tests.flows.test_breach import force, service, state


@pytest.fixture
def kept(store):
    store.apply([service(PLAN, VISITS)])
    return store, store.contract("model")


def require(store: gn.Store, name: str, pinned: str, *known: Contract) -> None:
    Pins(store._project, known).require(store.registry.snapshot(), name, pinned)


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
    with pytest.raises(Conflict, match="since revision 3 by dee: shorter") as caught:
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


def test_contract_of_another_registry_is_known_from_its_file(kept):
    _, made = kept
    with gn.Store() as other:
        other.apply([gn.FeatureService("model", features=[VISITS, PLAN["name"]])])
        with pytest.raises(NotFound):
            require(other, "model", made.hash)
        with pytest.raises(Conflict, match="the order of features"):
            require(other, "model", made.hash, made)


def test_what_was_found_is_known_from_then_on(kept):
    store, made = kept
    pins, snapshot = Pins(store._project), store.registry.snapshot()
    assert not pins.holds(snapshot, "model", made.hash)
    pins.require(snapshot, "model", made.hash)
    assert pins.holds(snapshot, "model", made.hash)
    force(store, state(max_age="1h"))
    newest = store.registry.snapshot()
    with pytest.raises(Conflict):
        pins.require(newest, "model", made.hash)
    assert not pins.holds(newest, "model", made.hash)


def test_stale_rows_do_not_refuse_a_question(bare):
    bare.apply([service(state(freshness="1s"))])
    made = bare.contract("model")
    assert not bare.check_contract(made).holds
    require(bare, "model", made.hash)
