"""What killed runs, removed groups and dead processes leave, and its removal."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon.events import Event, Step, listening
from gnomon.flows.checks.leftovers import files, leaves, offline_tables, online_tables, runs
from gnomon.flows.online import filling, read_document
from gnomon.online import writer
from gnomon.online.index import leaves_table
from gnomon.online.sealing import Sizes
from gnomon.time import DAY, system_clock

USER = gn.Entity("user", keys={"user": pl.Int64})
CACHED = gn.FeatureGroup("cached", entity=USER, timestamp="at", features=[gn.count(windows=["1d"])])
ROWS = {"user": [1, 2], "at": ["2026-01-01", "2026-01-02"]}


@pytest.fixture
def cached(shop):
    """The folder of the project with a cached group that has rows."""
    with gn.Store(shop) as store:
        store.apply([CACHED])
        store.insert("cached", ROWS)
        store.materialize()
    return shop


def age(path: Path, by: int) -> None:
    then = (system_clock() - by) / 1e6
    os.utime(path, (then, then))


def dead_process() -> int:
    """The number of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


# --- online -----------------------------------------------------------------------------------------------------


def test_project_in_order_has_nothing_left_over(cached, opened):
    for look in (online_tables, leaves, offline_tables, runs):
        assert look(*opened()).level == "ok"
    assert files(opened()[0]).level == "ok"


def test_table_that_no_document_names_is_removed_when_asked_to(cached, opened):
    project, snapshot = opened()
    project.online.load("cached@1#99", [(b"k", b"v")])
    found = online_tables(project, snapshot)
    assert (found.level, "`cached@1#99`" in found.text) == ("warn", True)
    assert found.fix is not None
    assert found.fix() == "removed 1 table"
    assert online_tables(project, snapshot).level == "ok"
    assert len(project.online.tables()) == 3


def test_table_of_a_group_that_somebody_fills_is_left_alone(cached, opened):
    project, snapshot = opened()
    project.online.load("cached@1#99", [(b"k", b"v")])
    fix = online_tables(project, snapshot).fix
    assert fix is not None
    with filling(project.root, "cached@1"):
        assert fix() == "removed 0 tables; left alone, since somebody fills it: cached@1"
    assert "cached@1#99" in project.online.tables()


def test_leaves_that_no_key_names_are_removed_when_asked_to(cached, opened, monkeypatch):
    monkeypatch.setattr(writer, "SIZES", Sizes(leaf=4, tail=2))
    project, snapshot = opened()
    with gn.Store(cached) as store:
        store.insert("cached", {"user": [1] * 20, "at": [f"2026-01-02T00:00:{s:02d}" for s in range(20)]})
        store.materialize()
        before = store.get_online_features([CACHED], [{"user": 1}], at="2026-01-02T12:00").to_dict()
    document = read_document(project.online, "cached@1")
    assert document.live is not None
    table = leaves_table(document.live.name)
    held = dict(project.online.scan(table))
    assert held
    assert leaves(project, snapshot).level == "ok"
    # What a writer leaves that was killed before he named it; of a key that is there, and of one that is not.
    leaf, value = next(iter(held.items()))
    project.online.load(table, [(leaf[:-16] + bytes(16), value), (b"nobody" + bytes(16), value)])
    found = leaves(project, snapshot)
    assert (found.level, found.text) == ("warn", "2 pieces of hot keys that nobody reads: of `cached@1`")
    assert found.fix is not None
    with filling(project.root, "cached@1"):
        assert found.fix() == "removed 0 pieces; left alone, since somebody fills it: cached@1"
    assert found.fix() == "removed 2 pieces"
    assert dict(project.online.scan(table)) == held
    assert leaves(project, snapshot).level == "ok"
    with gn.Store(cached) as store:
        assert store.get_online_features([CACHED], [{"user": 1}], at="2026-01-02T12:00").to_dict() == before


def test_table_of_a_group_that_was_removed_goes_and_a_strangers_stays(cached, opened):
    project, _ = opened()
    project.online.load("theirs@1#1", [(b"k", b"v")])
    project.registry.revert(1)  # the cached group came with the second
    snapshot = project.registry.snapshot()
    found = online_tables(project, snapshot)
    assert "`cached@1#" in found.text
    assert found.fix is not None
    assert found.fix() == "removed 1 table"
    found = online_tables(project, snapshot)
    assert (found.level, found.fix) == ("warn", None)
    assert "1 table of groups that were never in this registry: `theirs@1#1`" in found.text


def test_stopped_backfill_is_told_with_what_goes_on_with_it(cached, opened):
    def stop(event: Event) -> None:
        if isinstance(event, Step) and event.step.startswith("load 2/"):
            raise KeyboardInterrupt

    with gn.Store(cached) as store, listening(stop), pytest.raises(KeyboardInterrupt):
        store.backfill("spending", "2025-01-01", chunk="7d", workers=1)
    found = runs(*opened())
    assert found.level == "warn"
    assert "a backfill of spending@1 has read" in found.text
    assert "`gnomon backfill spending@1 --start 2025-01-01T00:00:00.000000Z` goes on with it" in (
        found.hint or ""
    )
    assert online_tables(*opened()).level == "ok"  # it is nobody's leftover


def test_stopped_rebuild_is_told(cached, opened):
    def stop(event: Event) -> None:
        if event == Step("materialize", "cached@1", "horizon"):
            raise KeyboardInterrupt

    with gn.Store(cached) as store:
        more = gn.FeatureGroup(
            "cached",
            entity=USER,
            timestamp="at",
            schema={"x": int},
            features=[*CACHED.features, gn.sum("x", windows=["1d"])],
        )
        store.apply([more])
        with listening(stop), pytest.raises(KeyboardInterrupt):
            store.materialize("cached")
    found = runs(*opened())
    assert found.text == "the table of cached@1 is being made anew"
    assert "`gnomon materialize cached@1`" in (found.hint or "")


# --- offline ----------------------------------------------------------------------------------------------------


def test_tables_of_removed_groups_are_kept_and_told(cached, opened):
    project, _ = opened()
    project.registry.revert(1)
    found = offline_tables(*opened())
    assert (found.level, found.text) == (
        "ok",
        "every table is named; 1 table of removed groups kept for a revert: `cached@1`",
    )


def test_tables_of_strangers_are_told(cached, opened):
    project, snapshot = opened()
    project.offline.append("theirs@1", pl.DataFrame({"x": [1]}))
    found = offline_tables(project, snapshot)
    assert (found.level, "`theirs@1`" in found.text) == ("warn", True)


def test_folder_with_rows_and_no_log_is_told(cached, opened):
    project, snapshot = opened()
    folder = cached / ".gnomon" / "offline" / "half@1"
    folder.mkdir()
    assert offline_tables(project, snapshot).level == "ok"
    pl.DataFrame({"x": [1]}).write_parquet(folder / "part-0.parquet")
    found = offline_tables(project, snapshot)
    assert (found.level, "`half@1`" in found.text) == ("warn", True)


# --- files ------------------------------------------------------------------------------------------------------


def test_draft_of_a_dead_process_is_removed_when_asked_to_and_those_at_work_stay(shop, opened):
    project, _ = opened()
    base = shop / ".gnomon" / "datasets"
    dead, alive, fresh = (
        base / f".a.{dead_process()}",
        base / f".b.{os.getpid()}",
        base / f".c.{dead_process()}",
    )
    for folder in (dead, alive, fresh):
        folder.mkdir(parents=True)
    for folder in (dead, alive):
        age(folder, DAY)
    found = files(project)
    assert (found.level, str(dead) in found.text) == ("warn", True)
    assert found.fix is not None
    assert found.fix() == "removed 1 folder"
    assert sorted(base.iterdir()) == sorted([alive, fresh])
    assert files(project).level == "ok"


def test_parts_of_a_training_set_long_ago_are_removed_when_asked_to(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    project, _ = opened()
    old, new = tmp_path / "gnomon-parts-old", tmp_path / "gnomon-parts-new"
    for folder in (old, new):
        folder.mkdir()
    age(old, 3 * DAY)
    found = files(project)
    assert found.fix is not None
    assert found.fix() == "removed 1 folder"
    assert (old.exists(), new.exists()) == (False, True)
