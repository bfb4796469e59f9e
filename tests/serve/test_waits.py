"""Over HTTP: functions that fail or hang, and services that do, are errors of their own values and stop nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from tests.serve.server import Serving, ask, running
from tests.services import Service, serving

PATH = "/v1/online-features"

FEATURES = """
import threading

import gnomon as gn
import polars as pl

user = gn.Entity("user", keys={{"user": int}})
plan = gn.FeatureGroup("plan", entity=user, timestamp="at", features=[gn.Feature("price", float)])
bureau = gn.ExternalSource("bureau", "{url}", timeout="{timeout}", open_after=1000)
credit = gn.FeatureGroup("credit", entity=user, source=bureau, features=[gn.Feature("score", int, default=-1)])


@gn.on_demand(inputs=[plan["price"], gn.Request("amount", float)], returns={{"share": float}})
def share(price, amount):
    if (amount == 0).any():
        raise ValueError("an amount of nothing")
    return amount / price


@gn.on_demand(inputs=[gn.Request("amount", float)], returns={{"late": float}}, timeout="50ms")
def late(amount):
    if (amount == -1.0).any():
        threading.Event().wait()
    return amount


shop = gn.FeatureService("shop", features=[plan, share])
slow = gn.FeatureService("slow", features=[plan, late])
scored = gn.FeatureService("scored", features=[plan, credit])
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as service:
        service.answer = lambda keys: [{"score": 10 * key["user"]} for key in keys]
        yield service


@pytest.fixture(scope="module")
def folder(tmp_path_factory, service) -> Path:
    folder = tmp_path_factory.mktemp("waits")
    (folder / "gnomon.toml").write_text('[project]\nname = "waits"\n')
    (folder / "features.py").write_text(FEATURES.format(url=service.url, timeout="2s"))
    with gn.Store(folder) as store:
        store.apply(_definitions(folder))
        store.insert("plan", [{"user": 1, "at": "2026-01-01", "price": 4.0}])
        store.materialize()
    return folder


def _definitions(folder: Path) -> Any:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("waits_features", folder / "features.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def server(folder) -> Iterator[Serving]:
    with running(folder) as server:
        yield server


def asked(server: Serving, service: str, *users: int, **request: Any) -> Any:
    body = {"service": service, "entities": [{"user": u} for u in users], "include": ["statuses", "errors"]}
    return ask(server.url, PATH, body | ({"request": request} if request else {}))


def test_a_function_has_the_requests_values_and_fails_for_its_own_rows_alone(server):
    found = asked(server, "shop", 1, 1, amount=[8, 0]).json
    assert found["rows"] == [[4.0, 2.0], [4.0, None]]
    assert found["statuses"] == [["PRESENT", "PRESENT"], ["PRESENT", "ERROR"]]
    (error,) = found["errors"]
    assert (error["row"], error["feature"]) == (1, "share")
    assert "on-demand function `share` failed: ValueError: an amount of nothing" in str(error)
    assert "inputs price, amount" in str(error)


def test_a_missing_request_value_refuses_the_request_and_names_function_and_value(server):
    answer = asked(server, "shop", 1)
    assert answer.status == 422
    assert (
        answer.json["detail"]
        == "on-demand function `share` (a request value) needs the request value `amount`"
    )


def test_functions_that_hang_are_errors_in_time_and_the_server_goes_on(server):
    for _ in range(12):  # more than there are threads for one function
        found = asked(server, "slow", 1, amount=-1.0).json
        assert (found["rows"], found["statuses"]) == ([[4.0, None]], [["PRESENT", "ERROR"]])
        assert "on-demand function `late`" in str(found["errors"])
    assert "8 earlier calls have not ended yet" in str(found["errors"])
    assert asked(server, "shop", 1, amount=8).json["rows"] == [[4.0, 2.0]]


def test_a_service_that_hangs_keeps_no_other_request_waiting(server, service):
    assert asked(server, "scored", 1, 2).json["rows"] == [[4.0, 10], [None, 20]]
    service.gate.clear()
    try:
        slow = threading.Thread(target=asked, args=(server, "scored", 1))
        slow.start()
        quick = asked(server, "shop", 1, amount=8)
        assert slow.is_alive()
        assert quick.json["rows"] == [[4.0, 2.0]]
        slow.join()
        found = asked(server, "scored", 1).json
    finally:
        service.gate.set()
    assert (found["rows"], found["statuses"]) == ([[4.0, -1]], [["PRESENT", "ERROR"]])
    assert "external source `bureau` took longer than it may" in str(found["errors"])


def test_what_was_served_is_what_training_reads_after_the_server_has_ended(folder, service):
    with running(folder) as server:
        found = asked(server, "scored", 7).json
        server.end()
    with gn.Store(folder) as store:
        spine = {"user": [7], "event_timestamp": [found["at"]]}
        assert store.get_historical_features(spine, ["credit:score"]).to_polars()["score"].to_list() == [70]
    assert pl.Series(found["rows"]).to_list() == [[None, 70]]
