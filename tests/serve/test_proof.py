"""What a server answered is logged with the request's id, and is what is computed again."""

from __future__ import annotations

from pathlib import Path

import pytest

import gnomon as gn
from tests.serve.conftest import AT, fill
from tests.serve.server import ask, running

PATH = "/v1/online-features"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = fill(tmp_path / "shop")
    with (made / "gnomon.toml").open("a") as file:
        file.write("\n[log]\nsample = 1\n")
    return made


def test_answers_of_all_workers_are_logged_when_the_server_ends_and_verify(folder: Path) -> None:
    asked = [f"c{n:02d}" for n in range(20)]
    with running(folder, "--workers", "2") as server:
        for name in asked:
            body = {
                "service": "shop_model",
                "entities": [{"customer": name}],
                "request": {"basket": 60.5},
                "at": AT,
            }
            answer = ask(server.url, PATH, body, headers={"x-request-id": f"ask-{name}"})
            assert answer.status == 200
        many = {"service": "shop_model", "entities": {"customer": asked * 20}, "request": {"basket": 1.0}}
        assert ask(server.url, PATH, many, headers={"x-request-id": "many"}).status == 200
        assert server.end() == 0
    with gn.Store(folder) as store:
        logged = store.answers("shop_model")
        report = store.verify("shop_model")
    # Workers ask for what they make ready, too: without a request's id.
    single = logged.filter(logged["request_id"].str.starts_with("ask-")).sort("request_id")
    assert single["request_id"].to_list() == [f"ask-{name}" for name in asked]
    assert single["customer"].to_list() == asked
    assert len(logged.filter(logged["request_id"] != "")) == 20 + 400
    assert report.ok, str(report)
    assert report.rows == len(logged)


def test_a_server_logs_a_share_by_itself(tmp_path: Path) -> None:
    folder = fill(tmp_path / "shop")
    with running(folder) as server:
        body = {
            "service": "shop_model",
            "entities": {"customer": [f"x{n}" for n in range(2000)]},
            "request": {"basket": 60.5},
        }
        assert ask(server.url, PATH, body).status == 200
        assert server.end() == 0
    with gn.Store(folder) as store:
        rows = store.answers("shop_model")["customer"]
    assert 2 <= len(rows) <= 60
