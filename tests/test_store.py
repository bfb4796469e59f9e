"""The facade: what is opened, closed, cached, and refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, NotFound, UsageError
from gnomon.online.lmdb import LmdbStore
from gnomon.online.memory import MemoryStore
from gnomon.time import instant

T = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
USER = gn.Entity("user", keys={"user": pl.Int64})
VISITS = gn.FeatureGroup("visits", entity=USER, timestamp="at", features=[gn.count(windows=["1d"])])
PLAN = gn.FeatureGroup("plan", entity=USER, timestamp="at", features=[gn.Feature("name", pl.String)])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "shop"\n')
    return tmp_path


def fill(store: gn.Store) -> None:
    store.apply([VISITS, PLAN])
    store.insert(VISITS, [{"user": 1, "at": T - HOUR}])
    store.materialize()


def asked(store: gn.Store) -> dict[str, list[int]]:
    return store.get_online_features([VISITS], [{"user": 1}], at=T).to_dict()


def test_a_store_without_a_path_leaves_nothing_behind():
    with gn.Store() as store:
        fill(store)
        path = store.path
        assert path.is_dir()
        assert asked(store) == {"count_1d": [1]}
    assert not path.exists()
    store.close()


def test_two_stores_without_a_path_know_nothing_of_each_other():
    with gn.Store() as one, gn.Store() as other:
        one.apply([VISITS])
        assert other.registry.list("group") == ()


def test_a_project_is_there_again_when_it_is_opened_again(project):
    with gn.Store(project) as store:
        fill(store)
    with gn.Store(str(project)) as store:
        assert asked(store) == {"count_1d": [1]}
        assert [group.ref for group in store.registry.list("groups")] == ["plan@1", "visits@1"]
        assert store.path == project


def test_a_folder_that_is_no_project_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no gnomon\.toml") as caught:
        gn.Store(tmp_path)
    assert "gnomon init" in caught.value.hint


def test_urls_given_take_the_place_of_the_projects(project):
    with gn.Store(project, online="memory://") as store:
        assert isinstance(store._project.online, MemoryStore)
        assert "memory://" in repr(store)
    with gn.Store(online="lmdb://values") as store:
        assert isinstance(store._project.online, LmdbStore)


def test_the_clock_tells_now_and_the_author_is_noted(project):
    with gn.Store(project, author="ana", clock=lambda: instant(T)) as store:
        fill(store)
        assert store.get_online_features([VISITS], [{"user": 1}]).at == instant(T)
        (revision,) = store.registry.history()
        assert (revision.author, revision.time) == ("ana", instant(T))


def test_a_request_is_resolved_and_compiled_once_for_each_revision():
    with gn.Store() as store:
        fill(store)
        asked(store)
        (first,) = store._compiled.values()
        asked(store)
        assert list(store._compiled.values()) == [first]
        store.apply([gn.FeatureService("s", features=[VISITS])])
        asked(store)
        assert len(store._compiled) == 2


def test_caches_do_not_grow_without_end():
    with gn.Store() as store:
        group = gn.FeatureGroup(
            "many",
            entity=USER,
            timestamp="at",
            features=[gn.Feature(f"x{i}", pl.Int64) for i in range(300)],
        )
        store.apply([group])
        for i in range(300):
            store.get_online_features([f"many:x{i}"], [])
        assert len(store._compiled) < 300
        assert len(store._requests) < 300


@pytest.mark.parametrize("groups", ["visits", VISITS, ["visits"], (VISITS,), "visits@1"])
def test_groups_are_named_in_any_way(groups):
    with gn.Store() as store:
        store.apply([VISITS, PLAN])
        assert [g.group for g in store.materialize(groups).groups] == ["visits@1"]


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ("vists", NotFound, "did you mean `visits`"),
        (5, UsageError, "is not a feature group"),
        ([5], UsageError, "`5`"),
    ],
)
def test_what_is_no_group_is_named(groups, error, message):
    with gn.Store() as store:
        store.apply([VISITS, PLAN])
        with pytest.raises(error, match=message):
            store.materialize(groups)


def test_inserting_into_what_is_no_group_is_refused():
    with gn.Store() as store, pytest.raises(UsageError, match="is not a feature group"):
        store.insert(USER, [])


def test_a_group_that_was_not_applied_is_told_apart_from_an_unknown_name():
    with gn.Store() as store, pytest.raises(NotFound, match="visits"):
        store.insert(VISITS, [{"user": 1, "at": T}])


def test_times_are_given_as_datetimes_or_text():
    with gn.Store(clock=lambda: instant(T)) as store:
        fill(store)
        ends = ["2026-01-10T12:00:00", "2026-01-10 12:00+00:00", T, instant(T)]
        answers = [store.get_online_features([VISITS], [{"user": 1}], at=end).to_dict() for end in ends]
        assert answers == [{"count_1d": [1]}] * 4
        assert store.materialize(start="2026-01-01", end="2026-01-02").rows == 0, "all that is there already"
        with pytest.raises(UsageError, match="is not a time"):
            store.materialize(start="soon")


def test_a_closed_store_refuses_to_answer_from_what_was_closed(project):
    store = gn.Store(project)
    fill(store)
    online = store._project.online
    store.close()
    with pytest.raises(UsageError, match="closed"):
        online.tables()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 3}, "`3` is no project's folder"),
        ({"path": "a\0b"}, "is no project's folder"),
        ({"registry": 3}, "`registry` must be a URL, found 3"),
        ({"online": Path("x")}, "`online` must be a URL"),
        ({"clock": 3}, "`clock` must be a function, found 3"),
    ],
)
def test_what_cannot_be_a_store_is_refused_before_anything_is_made(arguments, message):
    with pytest.raises(UsageError, match=message) as caught:
        gn.Store(**arguments)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s: s.explain("visits:count_1d", 1), "the key cannot be an int"),
        (lambda s: s.explain("visits:count_1d", "1"), "the key cannot be a str"),
        (lambda s: s.explain("visits:count_1d", {"user": 1}, at="bad"), "at: `bad` is not a time"),
        (lambda s: s.get_online_features([VISITS], [{"user": 1}], at="bad"), "at: `bad` is not a time"),
        (lambda s: s.get_online_features([VISITS], [{"user": 1}] * 2, at=[T, "bad"]), r"at\[1\]: `bad`"),
        (
            lambda s: s.get_online_features([VISITS], [{"user": 1}], at={}),
            "at: a time cannot be of type dict",
        ),
        (
            lambda s: s.get_historical_features({"user": [1], "event_timestamp": [T]}, [VISITS], as_of=[]),
            "as_of: a time cannot be of type list",
        ),
        (lambda s: s.materialize(start="bad"), "start: `bad` is not a time"),
        (lambda s: s.materialize(end="bad"), "end: `bad` is not a time"),
        (lambda s: s.materialize(3), "`3` is not a feature group"),
        (lambda s: s.insert(3, []), "`3` is not a feature group"),
        (lambda s: s.dataset(3), "a dataset's name is text, found 3"),
        (lambda s: s.registry.get("group", 3), "a definition is named by text, found 3"),
        (lambda s: s.registry.get(3, "visits"), "`3` is not a kind of definition"),
        (lambda s: s.registry.list(3), "`3` is not a kind of definition"),
    ],
)
def test_arguments_that_cannot_be_right_are_named_with_a_hint(ask, message):
    with gn.Store() as store:
        store.apply([VISITS])
        with pytest.raises(UsageError, match=message) as caught:
            ask(store)
    assert caught.value.hint
