"""What the registry holds, told over HTTP: page by page, as of any revision, and not again where nothing changed."""

from __future__ import annotations

import pytest

import gnomon as gn
from gnomon.flows.describe import describe, summaries
from tests.serve.server import ask

PLURALS = {
    "entities": "entity",
    "sources": "source",
    "groups": "group",
    "on-demand": "on_demand",
    "services": "service",
}


@pytest.fixture(scope="module")
def url(shop_server):
    return shop_server.url


@pytest.fixture(scope="module")
def snapshot(shop):
    with gn.Store(shop) as store:
        yield store.registry.snapshot()


@pytest.mark.parametrize(("plural", "kind"), PLURALS.items())
def test_each_kind_is_listed_and_described(url, snapshot, plural, kind):
    got = ask(url, f"/v1/{plural}").json
    want = summaries(snapshot, kind)
    assert [one["name"] for one in got["objects"]] == sorted(one.name for one in want)
    assert want, "the shop has every kind"
    for one in want:
        told = ask(url, f"/v1/{plural}/{one.name}").json
        found = next(d for d in describe(snapshot, one.name) if d.kind == kind)
        assert told == found.to_dict() | {
            "versions": list(found.versions), "reads": list(found.reads), "used_by": list(found.used_by),
            "features": told["features"],
        }  # fmt: skip
        assert [line["name"] for line in told["features"]] == [line.name for line in found.features]
    bare = want[0].name.partition("@")[0]
    assert ask(url, f"/v1/{plural}/{bare}").json["name"] == want[0].name


def test_features_are_listed_page_by_page(url):
    whole = ask(url, "/v1/features").json
    names = [one["name"] for one in whole["features"]]
    assert whole["next"] is None
    assert len(names) > 4
    assert names == sorted(names)
    seen, after, pages = [], "", 0
    while after is not None:
        page = ask(url, f"/v1/features?limit=2{f'&after={after}' if after else ''}").json
        seen += [one["name"] for one in page["features"]]
        after, pages = page["next"], pages + 1
    assert seen == names
    assert pages == -(-len(names) // 2)
    asked = {"features": [names[0]], "entities": [], "request": None}
    assert ask(url, "/v1/online-features", asked).status == 200


def test_an_unchanged_revision_is_not_sent_again(url):
    first = ask(url, "/v1/groups")
    assert first.headers["etag"] == f'"r{first.json["revision"]}"'
    again = ask(url, "/v1/groups", headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_an_earlier_revision_is_told_as_it_was(url):
    assert ask(url, "/v1/groups?revision=0").json == {"revision": 0, "objects": [], "next": None}
    assert ask(url, "/v1/groups?revision=1").json["objects"]


def test_the_history_is_told_newest_first(url, snapshot):
    got = ask(url, "/v1/registry/history").json
    assert got["revision"] == snapshot.revision
    assert [one["revision"] for one in got["revisions"]] == list(range(snapshot.revision, 0, -1))
    assert got["revisions"][-1]["message"] == "first"
    assert "service:shop_model@1" in got["revisions"][-1]["put"]
    assert ask(url, "/v1/registry/history?before=1").json["revisions"] == []


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("groups/nothing", 404, "nothing"),
        ("services/shop_modle", 404, "shop_model"),
        ("groups?revision=99", 404, "99"),
        ("groups?revision=x", 400, "whole number"),
        ("groups?revision=-1", 400, "whole number"),
        ("groups?limit=0", 400, "at least 1"),
        ("features?limit=many", 400, "whole number"),
        ("registry/history?before=0", 400, "at least 1"),
    ],
)
def test_what_is_asked_wrongly_is_a_problem(url, path, status, word):
    got = ask(url, f"/v1/{path}")
    assert got.status == status
    assert word in str(got.json)
