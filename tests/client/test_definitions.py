"""A server's registry gives the objects that were applied, and takes none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon import config
from gnomon.define.collect import KINDS
from gnomon.errors import CorruptValue, NotFound, UsageError
from tests.client.scripted import answer, scripted
from tests.serve.server import serving

USER = gn.Entity("user", keys={"user": pl.Int64}, description="Who visits")
SHOP = gn.SQLSource(
    "shop", url="sqlite:///shop.db", query="SELECT * FROM visits", timestamp="at", event_id="id"
)
VISITS = gn.FeatureGroup("visits", entity=USER, timestamp="at", features=[gn.count(windows=["1h"])])
PLAN = gn.FeatureGroup(
    "plan", entity=USER, timestamp="at", features=[gn.Feature("name", pl.String, default="free")], owner="ana"
)
BOTH = gn.FeatureService("both", features=[VISITS, PLAN["name"]], tags={"team": "web"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("registry")
    (made / "gnomon.toml").write_text(config.DEFAULT_TEXT.format(name="registry"))
    with gn.Store(made, author="ana") as store:
        store.apply([VISITS], message="the first")
        store.apply([VISITS, PLAN, BOTH, SHOP], message="more")
        store.apply([VISITS, PLAN, BOTH], prune=True)
    return made


@pytest.fixture(scope="module")
def store(folder) -> Iterator[gn.Store]:
    with gn.Store(folder) as store:
        yield store


@pytest.fixture(scope="module")
def client(folder) -> Iterator[gn.Client]:
    with serving(folder) as url, gn.Client(url) as client:
        yield client


def test_definitions_are_those_that_were_applied(store, client):
    assert client.registry.list() == store.registry.list()
    assert client.registry.get("group", "plan") == PLAN
    assert client.registry.get("service", "both@1") == BOTH
    assert client.registry.list("entities") == (USER,)


@pytest.mark.parametrize("revision", [0, 1, 2, 3])
def test_revisions_of_the_past_are_whole(store, client, revision):
    want, found = store.registry.at(revision), client.registry.at(revision)
    assert found == want
    assert all(found.list(kind) == want.list(kind) for kind in KINDS)


def test_a_source_shows_no_password_of_its_url(folder, tmp_path):
    secret = gn.SQLSource("far", url="postgresql://ana:pass@h/db", query="SELECT 1", timestamp="at")
    (tmp_path / "gnomon.toml").write_text(config.DEFAULT_TEXT.format(name="secret"))
    with gn.Store(tmp_path) as store:
        store.apply([secret])
    with serving(tmp_path) as url, gn.Client(url) as client:
        found = client.registry.get("source", "far")
    assert "pass" not in repr(found)
    assert found.url == "postgresql://…@h/db"


@pytest.mark.parametrize(
    ("ask", "kind", "says"),
    [
        (lambda registry: registry.get("group", "pln"), NotFound, "did you mean `plan`"),
        (lambda registry: registry.get("thing", "plan"), UsageError, "is not a kind"),
        (lambda registry: registry.at(99), NotFound, "99"),
        (lambda registry: registry.at("x"), UsageError, "`x` is no revision"),
        (lambda registry: registry.revert(1), UsageError, "cannot be changed through a server"),
        (lambda registry: list(registry.export_lines()), UsageError, "cannot be exported through a server"),
    ],
)
def test_what_cannot_be_is_told(client, ask, kind, says):
    with pytest.raises(kind, match=says):
        ask(client.registry)


def test_history_comes_in_pages_and_is_whole():
    def page(*numbers: int, next: int | None) -> dict[str, object]:
        revisions = [
            {
                "revision": n,
                "author": "ana",
                "time": "1970-01-01T00:00:01.000000Z",
                "message": "",
                "put": ["group:plan@1"],
                "removed": [],
            }
            for n in numbers
        ]
        return {"revision": 4, "revisions": revisions, "next": next}

    pages = answer(page(4, 3, next=3)), answer(page(2, 1, next=None))
    with scripted(*pages) as server, gn.Client(server.url) as client:
        found = client.registry.history()
    assert [one.number for one in found] == [4, 3, 2, 1]
    assert (found[0].time, found[0].put) == (1_000_000, (("group", "plan@1"),))
    assert [one["path"] for one in server.asked] == ["/v1/registry/history", "/v1/registry/history?before=3"]


def test_what_is_no_registry_is_told():
    broken = answer({"revision": "many"})
    with (
        scripted(broken) as server,
        gn.Client(server.url) as client,
        pytest.raises(CorruptValue, match="cannot be read"),
    ):
        client.registry.snapshot()


def test_the_asynchronous_client_tells_the_same(store, client):
    async def look():
        async with gn.AsyncClient(client.url) as other:
            registry = other.registry
            return await registry.list(), await registry.get("group", "plan"), await registry.at(1)

    everything, plan, first = asyncio.run(look())
    assert everything == store.registry.list()
    assert plan == PLAN
    assert first == store.registry.at(1)
