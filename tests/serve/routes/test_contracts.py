"""Contracts over HTTP: what a service promises, questions that pin it, and a server that keeps it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.flows.contract import Contract
from gnomon.registry.updates import Remove
from tests.flows.small import PLAN, VISITS
from tests.flows.test_breach import force, service, state
from tests.serve.server import Answer, Serving, ask, running, serving

OTHER = gn.FeatureService("other", features=[VISITS])


@dataclass
class Shop:
    """A project with the services `model` and `other`, a server for it, and the contract that was made first."""

    store: gn.Store
    server: Serving
    contract: Contract

    def ask(self, service: str = "model", headers: dict[str, str] | None = None, **given: Any) -> Answer:
        question = {"service": service, "entities": [{"user": 1}], **given}
        return ask(self.server.url, "/v1/online-features", question, headers=headers)

    def until(self, revision: int) -> None:
        """Wait until the server answers by a revision."""
        end = time.monotonic() + 20
        while ask(self.server.url, "/readyz").json["revision"] != revision:
            assert time.monotonic() < end, self.server.told()
            time.sleep(0.02)


def project(folder: Path) -> gn.Store:
    (folder / "gnomon.toml").write_text('[project]\nname = "shop"\n[serve]\nlook_every = 0.02\n')
    store = gn.Store(folder, author="ana")
    store.apply([service(PLAN, VISITS), OTHER])
    return store


@pytest.fixture
def shop(tmp_path) -> Iterator[Shop]:
    with project(tmp_path) as store, running(tmp_path) as server:
        yield Shop(store, server, store.contract("model"))


def test_contract_of_a_service_is_that_of_the_library(shop):
    found = ask(shop.server.url, "/v1/services/model/contract")
    assert found.status == 200
    assert found.body.decode() == shop.contract.to_json()
    assert found.headers["etag"] == f'"{shop.contract.hash}"'
    assert ask(shop.server.url, "/v1/services/modle/contract").json["hint"] == "did you mean `model`?"


def test_pinned_question_is_answered_while_the_contract_holds_and_refused_when_it_is_broken(shop):
    pinned = shop.contract.hash
    for given in ({"contract": pinned}, {"headers": {"Gnomon-Contract": pinned}}):
        assert shop.ask(**given).status == 200
    shop.store.apply([state(features=[gn.Feature("name", pl.String), gn.Feature("since", pl.Int64)])])
    shop.until(2)
    assert shop.ask(contract=pinned).status == 200
    force(
        shop.store,
        state(max_age="1h", features=shop.store.registry.get("group", "plan").features),
        author="bo",
    )
    shop.until(3)
    for given in ({"contract": pinned}, {"headers": {"Gnomon-Contract": pinned}}):
        found = shop.ask(**given)
        assert found.status == 409
        assert found.headers["content-type"] == "application/problem+json"
        assert found.json["type"] == "urn:gnomon:broken-contract"
        assert "redefined: group `plan@1`" in found.json["detail"]
        assert "since revision 3 by bo" in found.json["detail"]
        assert "max_age: 2d → 1h" in found.json["detail"]
    assert shop.ask().status == 200
    assert shop.ask("other", contract=shop.store.contract("other").hash).status == 200


def test_pinned_question_for_a_service_that_was_removed_tells_who_removed_it(shop):
    shop.store.registry.author = "cy"
    shop.store.registry.commit([], [Remove("service", "model@1")])
    shop.until(2)
    assert shop.ask().status == 404
    found = shop.ask(contract=shop.contract.hash)
    assert found.status == 409
    assert "since revision 2 by cy" in found.json["detail"]


def test_what_cannot_be_pinned_is_told(shop):
    unknown = shop.ask(contract="00")
    assert unknown.status == 404
    assert "no revision of `model@1` promised the contract 00" in unknown.json["detail"]
    listed = ask(
        shop.server.url,
        "/v1/online-features",
        {"features": ["plan:name"], "entities": [{"user": 1}], "contract": shop.contract.hash},
    )
    assert (listed.status, listed.json["at"]) == (400, "$.contract")
    shop.store.apply([gn.FeatureService("model", version=2, features=[VISITS])])
    shop.until(2)
    newer = shop.ask(contract=shop.contract.hash)
    assert (newer.status, newer.json["hint"]) == (400, "ask for `model@1`")


@pytest.mark.slow
def test_server_that_keeps_a_contract_answers_by_no_revision_that_breaks_it(tmp_path):
    with project(tmp_path) as store:
        made = store.contract("model")
        (tmp_path / "model.json").write_text(made.to_json())
        with running(tmp_path, "--contract", str(tmp_path / "model.json")) as server:
            shop = Shop(store, server, made)
            force(store, state(max_age="1h"), author="bo")
            end = time.monotonic() + 20
            while "since revision 2 by bo" not in server.told():
                assert time.monotonic() < end, server.told()
                time.sleep(0.02)
            ready = ask(server.url, "/readyz")
            assert (ready.status, ready.json["revision"]) == (200, 1)
            assert "redefined: group `plan@1`" in ready.json["why"]
            assert shop.ask(contract=made.hash).json["revision"] == 1
            store.registry.revert(1)
            shop.until(3)


@pytest.mark.slow
def test_server_does_not_start_with_a_broken_contract(tmp_path):
    with project(tmp_path) as store:
        made = store.contract("model")
        force(store, state(max_age="1h"), author="bo")
    file = tmp_path / "model.json"
    file.write_text(made.to_json())
    command = [sys.executable, "-m", "gnomon", "serve", "--project", str(tmp_path), "--port", "0"]
    ended = subprocess.run([*command, "--contract", str(file)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "error: model@1: redefined: group `plan@1`" in ended.stderr
    assert "since revision 2 by bo" in ended.stderr
    file.write_text("{}")
    ended = subprocess.run([*command, "--contract", str(file)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2


@pytest.mark.slow
def test_contract_of_another_registry_can_be_pinned_where_the_server_was_given_it(tmp_path):
    """The model was trained elsewhere; here its service is the same, or the server does not start."""
    with gn.Store() as elsewhere:
        elsewhere.apply([gn.FeatureService("model", features=[PLAN, VISITS["count_1h"]])])
        made = elsewhere.contract("model")
    file = tmp_path / "model.json"
    file.write_text(made.to_json())
    with project(tmp_path) as store, serving(tmp_path, "--contract", str(file)) as url:
        question = {"service": "model", "entities": [{"user": 1}], "contract": made.hash}
        assert made.hash != store.contract("model").hash
        assert ask(url, "/v1/online-features", question).status == 200
