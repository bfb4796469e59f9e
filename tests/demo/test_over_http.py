"""The demo's question over HTTP is asked of a real server, and a value that differs is seen."""

from __future__ import annotations

import shutil

import pytest

import gnomon as gn
from gnomon.cli import main, starter
from gnomon.demo import over_http
from gnomon.errors import Unavailable

QUESTION = {
    "service": "shop_model",
    "entities": [{"customer": "c07"}, {"customer": "nobody"}],
    "request": {"basket": 60.0},
    "at": starter.ASK_AT,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("over") / "shop"
    starter.write(folder)
    assert main(["apply", "--project", str(folder), "--json"]) == 0
    assert main(["materialize", "--project", str(folder), "--json"]) == 0
    return folder


def test_answers_over_http_are_those_of_this_process_whatever_asks(shop, monkeypatch):
    with gn.Store(shop) as store:
        here = store.get_online_features(
            QUESTION["service"], QUESTION["entities"], request=QUESTION["request"], at=QUESTION["at"]
        )
    with over_http.serving(shop) as url:
        first = over_http.ask(url, QUESTION)
        monkeypatch.setattr(shutil, "which", lambda _: None)
        tool, told = over_http.ask(url, QUESTION)
    assert (tool, told) == ("urllib", first[1])
    assert over_http.differing(told, here) == []
    told["rows"][0][2] = float(told["rows"][0][2])
    assert over_http.differing(told, here) == [here.names[2]]
    assert over_http.differing({"features": []}, here) == list(here.names)


def test_a_server_that_does_not_start_is_told(tmp_path):
    with pytest.raises(Unavailable, match="does not get ready"), over_http.serving(tmp_path):
        pass
