"""What the registry holds, told to people."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import NotFound
from gnomon.flows.describe import describe, redacted, summaries

user = gn.Entity("user", keys={"user": pl.Int64}, description="Who clicks")
place = gn.Entity("place", keys={})
clicks = gn.FeatureGroup(
    "clicks",
    entity=user,
    timestamp="at",
    event_id="id",
    lag="1h",
    settling_delay="5m",
    schema={"page": pl.String, "ms": pl.Int64, "id": pl.Int64},
    features=[
        gn.count(windows=["1d"], where="page = 'home'", name="home"),
        gn.last_k("page", 3, windows=["1h"], limit=10, offset="10m"),
        gn.std("ms", ddof=0, default=0.0),
        gn.sum(expr="ms / 1000", windows=["7d"], name="seconds"),
        gn.label(gn.mean("ms", where="page = 'home'"), "2d", lateness="6h"),
    ],
    owner="web",
    tags={"domain": "site"},
)
account = gn.FeatureGroup(
    "account",
    entity=user,
    timestamp="at",
    max_age="30d",
    features=[gn.Feature("plan", pl.String, default="free", description="What is paid for")],
)
account_2 = gn.FeatureGroup(
    "account", entity=user, timestamp="at", version=2, online=False, features=[gn.Feature("plan", pl.String)]
)
weather = gn.FeatureGroup("weather", entity=place, timestamp="at", features=[gn.Feature("temp", pl.Float64)])
model = gn.FeatureService(
    "model", features=[clicks.renamed(prefix="other_", keys={"user": "friend"}), account]
)
clicks_service = gn.FeatureService(
    "clicks", features=[clicks["home_1d"], clicks["ms_mean_next_2d"]], owner="ml"
)


@pytest.fixture(scope="module")
def snapshot():
    with gn.Store(author="ana") as store:
        store.apply([clicks, account, account_2, weather, model, clicks_service])
        yield store.registry.snapshot()


def test_list_tells_each_object_in_a_few_words(snapshot):
    told = {(s.kind, s.name): s.what for s in summaries(snapshot)}
    assert told["entity", "user"] == "key user"
    assert told["entity", "place"] == "key none (global)"
    assert told["group", "clicks@1"] == "event group cached, 4 features, 1 label"
    assert told["group", "account@2"] == "state group cached, 1 feature"
    assert told["service", "model@1"] == "5 features"
    assert told["service", "clicks@1"] == "1 feature, 1 label"
    assert [s.name for s in summaries(snapshot, "service")] == ["clicks@1", "model@1"]


def test_features_tell_how_they_are_made(snapshot):
    group, _ = describe(snapshot, "clicks")
    assert [(line.name, line.type, line.how) for line in group.features] == [
        ("home_1d", "Int64", "count() where page = 'home' in 1d"),
        ("page_last_k_1h", "List(String)", "last_k(page, k=3) in 1h, ending 10m before, newest 10"),
        ("ms_std", "Float64", "std(ms, ddof=0) of all rows before, else 0.0"),
        ("seconds_7d", group.features[3].type, "sum((ms / 1000)) in 7d"),
        (
            "ms_mean_next_2d",
            "Float64",
            "label: mean(ms) where page = 'home' in the next 2d, once the source is complete up to then and 6h more",
        ),
    ]
    assert group.features[3].type in ("Int64", "Float64")


def test_what_is_set_is_told(snapshot):
    group, _ = describe(snapshot, "clicks")
    assert (group.owner, group.tags, group.author, group.revision) == ("web", (("domain", "site"),), "ana", 1)
    properties = dict(group.properties)
    assert properties["entity"] == "user (user: Int64)"
    assert properties["source"] == "none: rows are inserted"
    assert (properties["lag"], properties["event id"], properties["settling delay"]) == ("1h", "id", "5m")


def test_one_name_may_stand_for_objects_of_two_kinds(snapshot):
    assert [(one.kind, one.name) for one in describe(snapshot, "clicks")] == [
        ("group", "clicks@1"),
        ("service", "clicks@1"),
    ]


def test_newest_version_is_shown_unless_another_is_named(snapshot):
    [newest], [older] = describe(snapshot, "account"), describe(snapshot, "account@1")
    assert (newest.name, older.name) == ("account@2", "account@1")
    assert newest.versions == ("account@1", "account@2")
    assert dict(newest.properties)["online"] == "no"
    assert dict(older.properties)["max age"] == "30d"
    assert older.features[0].how == "newest plan, else 'free'"


def test_lineage_goes_both_ways(snapshot):
    group, service = describe(snapshot, "clicks:home_1d")[0], describe(snapshot, "clicks")[1]
    assert set(group.reads) == {"clicks@1.user", "clicks@1.at", "clicks@1.id", "clicks@1.page"}
    assert set(group.used_by) == {"clicks@1", "model@1"}
    assert "clicks@1:home_1d" in service.reads
    [entity] = describe(snapshot, "user")
    assert set(entity.used_by) == {"account@1", "account@2", "clicks@1"}


def test_roles_are_told(snapshot):
    [service] = describe(snapshot, "model")
    assert service.features[0].name == "other_home_1d"
    assert service.features[0].how == "clicks@1:home_1d, user from friend"


def test_document_is_plain(snapshot):
    document = describe(snapshot, "clicks")[0].to_dict()
    assert document["tags"] == {"domain": "site"}
    assert document["features"][0]["name"] == "home_1d"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("click", "did you mean `clicks`?"),
        ("modl:home_1d", "known"),
        ("clicks:hme_1d", "did you mean `home_1d`?"),
    ],
)
def test_unknown_name_offers_the_nearest(snapshot, name, hint):
    with pytest.raises(NotFound) as error:
        describe(snapshot, name)
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ana:secret@host/db", "postgresql://…@host/db"),
        ("postgresql://ana:sec@ret@host/db", "postgresql://…@host/db"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        (".gnomon/offline", ".gnomon/offline"),
    ],
)
def test_password_in_a_url_is_never_shown(url, shown):
    assert redacted(url) == shown
