"""Processes and threads at the same work at the same time: once is once, and readers see old or new, never half."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import Conflict
from tests.faults import scene
from tests.faults.children import TIMEOUT, start, together
from tests.stores import ONLINE, online_url

BATCHES = 4
VERSIONS = 4
CHANGES = [name for v in (1, 2, 3, 0, 2, 1, 3) for name in (f"write 1 {v}", "materialize")]


def project(folder: Path, *names: str) -> Path:
    """A project in a new folder after some operations."""
    folder.mkdir()
    scene.create(folder)
    scene.run(folder, *names)
    return folder


def insert_all(store: gn.Store, name: str) -> list[int]:
    """Insert the group's batches in order; the rows that each insert accepted."""
    group = {"spend": scene.spend, "orders": scene.orders}[name]
    return [store.insert(name, scene.batch(group, i)).accepted for i in range(BATCHES)]


@pytest.mark.parametrize("name", ["spend", "orders"])
def test_batches_that_two_processes_insert_at_once_are_there_once(tmp_path, name):
    raced, alone = (project(tmp_path / place, "apply") for place in ("raced", "alone"))
    first, second = together(insert_all, raced, [name, name])
    with scene.open_store(alone) as store:
        once = insert_all(store, name)
    assert [a + b for a, b in zip(first, second, strict=True)] == once
    for folder in (raced, alone):
        scene.run(folder, "materialize")
    assert scene.state(raced) == scene.state(alone)


def materialized(store: gn.Store, _: Any) -> int:
    return store.materialize().rows


def test_two_processes_that_materialize_at_once_leave_what_one_leaves(tmp_path):
    before = ("apply", "insert spend 0", "insert orders 0", "insert spend 1")
    raced, alone = (project(tmp_path / place, *before) for place in ("raced", "alone"))
    rows = together(materialized, raced, [None, None])
    with scene.open_store(alone) as store:
        assert sum(rows) == materialized(store, None), "each row is loaded by one of them"
    assert scene.state(raced) == scene.state(alone)


def applied(store: gn.Store, given: tuple[str, list[Any], bool]) -> str:
    """Apply as somebody; what hindered it, or nothing."""
    author, definitions, prune = given
    store.registry.author = author
    try:
        store.apply(definitions, prune=prune)
    except Conflict as conflict:
        return str(conflict)
    return ""


ROUNDS = 3
"""How often processes race: who is first differs."""


def rounds(tmp_path: Path, *names: str) -> Iterator[Path]:
    """The same project again and again."""
    folder, kept = project(tmp_path / "project", *names), tmp_path / "kept"
    shutil.copytree(folder, kept)
    for _ in range(ROUNDS):
        scene.restore(folder, kept)
        yield folder


other = gn.FeatureGroup("other", entity=scene.user, timestamp="t", features=[gn.count(windows=["1h"])])
owned = gn.FeatureGroup(
    "orders",
    entity=scene.user,
    timestamp="t",
    known_at="seen",
    event_id="order",
    schema={"price": pl.Int64},
    features=scene.orders.features,
    owner="bo",
)


@pytest.mark.parametrize("changed", [other, owned], ids=["adds another", "changes the same"])
def test_of_an_apply_that_removes_and_one_that_puts_at_once_no_change_is_lost(tmp_path, changed):
    for folder in rounds(tmp_path, "apply", "insert spend 0", "insert orders 0", "materialize"):
        removing, putting = ("ana", scene.LATER_GROUPS, True), ("bo", [changed], False)
        removal, change = together(applied, folder, [removing, putting])
        with scene.open_store(folder) as store:
            new = store.registry.snapshot()
            found = set(new.refs("group"))
            if removal:
                # What is to be removed is all that somebody did not name: that must be what was seen.
                assert "revision 2 by bo" in removal
                assert not change
                assert found == {"spend@1", "orders@1", "profile@1", changed.ref}
                assert new.group(changed.name) == changed
                assert new.group("spend") == scene.spend
            else:
                assert new.group("spend") == scene.more_spend
                # It stands on top of the removal, or was seen by it, or was told that its group is gone.
                before = store.registry.at(2).refs("group")
                assert change or changed.ref in found or (new.revision == 3 and changed.ref in before)
                assert not change or ("`orders@1`" in change and "by ana" in change)
            store.materialize()
            tables = {name.split("#")[0] for name in store._project.online.tables()}
            assert tables == found


def made_anew(store: gn.Store, number: int) -> None:
    store.apply([*scene.LATER_GROUPS, scene.orders])
    store.insert("orders", scene.batch(scene.orders, number))


def test_two_processes_that_make_a_removed_group_anew_lose_no_row_and_set_its_table_aside_once(tmp_path):
    removed = ("apply", "insert orders 0", "materialize", "apply more")
    alone = project(tmp_path / "alone", *removed, "apply anew", "insert orders 1", "insert orders 3")
    scene.run(alone, "materialize")
    want = scene.state(alone)
    for folder in rounds(tmp_path, *removed):
        together(made_anew, folder, [1, 3])
        scene.run(folder, "materialize")
        found = scene.state(folder)
        assert rows_by_table(found) == rows_by_table(want)
        assert found["answers"] == want["answers"]


def rows_by_table(state: dict[str, Any]) -> dict[str, Any]:
    """Without the sizes of commits, which tell who was first."""
    return {name: rows for name, (_, rows) in state["tables"].items()}


def work(connection: Connection, folder: Path, names: list[str]) -> None:
    with scene.open_store(folder) as store:
        for name in names:
            scene.OPERATIONS[name](store)
    connection.send("done")


def read_while_a_process_works(folder: Path, names: list[str], read: Callable[[gn.Store], None]) -> None:
    """Read again and again until another process has done the operations."""
    child, connection = start(work, folder, names)
    try:
        with scene.open_store(folder) as store:
            while child.is_alive() and not connection.poll():
                read(store)
            read(store)
    finally:
        child.join(TIMEOUT)
    assert child.exitcode == 0


def profiles_of(store: gn.Store) -> Any:
    return scene.answers(store, scene.profile, scene.NOON)


def profiles_by_version(store: gn.Store) -> list[Any]:
    """What is answered for each version of a file; the last one is left there."""
    found = []
    for version in range(VERSIONS):
        scene.write_profiles(store.path, 1, version)
        store.materialize("profile")
        found.append(profiles_of(store))
    return found


@pytest.mark.slow
def test_readers_in_another_process_see_each_rebuild_whole_or_not_at_all(tmp_path):
    folder = project(tmp_path / "project", "apply", "insert spend 0")
    with scene.open_store(folder) as store:
        whole = profiles_by_version(store)
    seen = set()

    def read(store: gn.Store) -> None:
        seen.add(whole.index(profiles_of(store)))

    read_while_a_process_works(folder, CHANGES, read)
    assert len(seen) > 1


@pytest.mark.parametrize("online", ONLINE)
def test_readers_in_another_thread_see_each_rebuild_whole_or_not_at_all(tmp_path, online, request):
    folder = project(tmp_path / "project", "apply", "insert spend 0")
    with scene.open_store(folder, online_url(online, request, tmp_path)) as store:
        whole = profiles_by_version(store)
        failed: list[BaseException] = []

        def change() -> None:
            try:
                for name in CHANGES:
                    scene.OPERATIONS[name](store)
            except BaseException as error:
                failed.append(error)
                raise

        writer = threading.Thread(target=change)
        writer.start()
        seen = set()
        while writer.is_alive():
            seen.add(whole.index(profiles_of(store)))
        writer.join()
        assert not failed
        assert len(seen) > 1


@pytest.mark.slow
def test_features_that_stay_are_answered_while_their_group_is_changed_and_built_again(tmp_path):
    folder = project(tmp_path / "project", "apply", "insert spend 0", "insert spend 1", "materialize")
    entities = [{"user": u} for u in scene.USERS]
    old = ["spend:count_1d", "spend:amount_sum_1d", "profile:city"]

    def answer(store: gn.Store, features: list[str]) -> Any:
        found = store.get_online_features(features, entities, at=scene.NOON)
        return found.to_dict(), found.statuses

    with scene.open_store(folder) as store:
        expected = answer(store, old)

    def read(store: gn.Store) -> None:
        assert answer(store, old) == expected

    read_while_a_process_works(folder, ["apply more"], read)
    with scene.open_store(folder) as store:
        assert {s for row in answer(store, ["spend:shop_last_k_1d"])[1] for s in row} == {"NOT_READY"}
    read_while_a_process_works(folder, ["materialize"], read)
    with scene.open_store(folder) as store:
        assert {s for row in answer(store, ["spend:shop_last_k_1d"])[1] for s in row} <= {
            "PRESENT",
            "NOT_FOUND",
        }
