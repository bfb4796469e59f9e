"""The same questions to Feast's own server and to ours have the same answers, but for what `from-feast.md` tells."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError

import polars as pl
import pytest

import gnomon as gn
from gnomon.demo.servers import free_port
from tests.feast.environment import feast_python
from tests.serve.server import Answer, ask, serving

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC).replace(microsecond=0)
ROWS = {
    "user": [1, 2, 3],
    "at": [(NOW - timedelta(minutes=minutes)).isoformat() for minutes in (60, 5, 1)],
    "name": ["free", "paid", "gr\u00fcn"],
    "age": [30, 2**53 + 1, -1],
    "score": [1.5, 0.1, -2.5e-7],
    "active": [True, False, True],
}
PLAN = gn.FeatureGroup(
    "plan",
    entity=gn.Entity("user", keys={"user": pl.Int64}),
    timestamp="at",
    max_age="2d",
    features=[
        gn.Feature("name", pl.String),
        gn.Feature("age", pl.Int64),
        gn.Feature("score", pl.Float64),
        gn.Feature("active", pl.Boolean),
    ],
)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("feast"), free_port()
    script = Path(__file__).with_name("server.py")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [feast_python(), str(script), str(folder), str(port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONPATH": "", "HOME": str(folder), "FEAST_USAGE": "False"},
        )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(ROWS).encode())
        process.stdin.close()
        url, end = f"http://127.0.0.1:{port}", time.monotonic() + 90
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            try:
                if ask(url, "/health").status == 200:
                    break
            except (URLError, ConnectionError):
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "gnomon.toml").write_text('[project]\nname = "shop"\n')
    with gn.Store(folder) as store:
        store.apply([gn.FeatureService("model", features=[PLAN])])
        store.insert("plan", ROWS)
        store.materialize()
    with serving(folder) as url:
        yield url


def by_name(answer: Answer) -> dict[str, Any]:
    """The results by the names of features, whose order Feast leaves to chance; keys come first in both."""
    document = answer.json
    names = document["metadata"]["feature_names"]
    assert names[0] == "user"
    return {"rest": document.keys(), **dict(zip(names, document["results"], strict=True))}


@pytest.mark.parametrize(
    "question",
    [
        {"features": ["plan:name", "plan:age", "plan:score", "plan:active"], "entities": {"user": [1, 2, 3]}},
        {"features": ["plan:name"], "entities": {"user": [2, 99, 2]}},
        {"features": ["plan:name"], "entities": {"user": ["1"]}},
        {"features": ["plan:name"], "entities": {"user": [1], "nothing": ["x"]}},
        {"feature_service": "model", "entities": {"user": [3]}},
        {"feature_service": "model", "entities": {"user": [3]}, "full_feature_names": True},
    ],
)
def test_answers_are_the_same(theirs, ours, question):
    mine, other = (ask(url, "/get-online-features", question) for url in (ours, theirs))
    assert mine.status == other.status == 200
    assert by_name(mine) == by_name(other)
    assert mine.headers["content-type"] == other.headers["content-type"]


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("/get-online-features", {"features": ["nope:x"], "entities": {"user": [1]}}),
        ("/get-online-features", {"feature_service": "nope", "entities": {"user": [1]}}),
        ("/push", {"push_source_name": "nope", "df": {"user": [1]}}),
    ],
)
def test_what_does_not_exist_is_told_alike(theirs, ours, path, question):
    mine, other = (ask(url, path, question) for url in (ours, theirs))
    assert mine.status == other.status
    assert json.loads(mine.json).keys() == json.loads(other.json).keys()
    assert json.loads(mine.json)["class"] == json.loads(other.json)["class"]


def test_health_is_told_alike(theirs, ours):
    mine, other = (ask(url, "/health") for url in (ours, theirs))
    assert (mine.status, mine.body) == (other.status, other.body) == (200, b"")
