"""Killed at each step, and before each write to the online store; then done again: the state of never having died."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults import scene
from tests.faults.children import Fault, perform

STORIES = {
    "insert": (["apply", "insert spend 0", "materialize"], ["insert spend 1"]),
    "insert with ids": (["apply", "insert orders 0"], ["insert orders 1"]),
    "deletes": (["apply", "insert orders 0", "materialize"], ["delete", "materialize"]),
    "retraction": (["apply", "insert orders 0", "insert orders 1", "materialize"], ["retract"]),
    "retraction that materialize must know of": (["apply", "insert orders 0"], ["retract", "materialize"]),
    "first push, and materialize": (["apply", "insert spend 0"], ["push spend 1", "materialize"]),
    "push, and materialize": (
        ["apply", "insert spend 0", "materialize"],
        ["push spend 1", "materialize"],
    ),
    "push with ids, and materialize": (
        ["apply", "push orders 0"],
        ["push orders 1", "materialize"],
    ),
    "first apply": ([], ["apply"]),
    "apply that adds, changes and removes": (
        ["apply", "insert spend 0", "insert orders 0", "materialize"],
        ["apply more"],
    ),
    "apply that makes a removed group anew": (
        ["apply", "insert orders 0", "materialize", "apply more"],
        ["apply anew", "insert orders 1"],
    ),
    "first materialize": (["apply", "insert spend 0", "insert spend 1", "insert orders 0"], ["materialize"]),
    "materialize after new, changed and further parts": (
        [
            *("apply", "insert spend 0", "insert orders 0", "materialize"),
            *("insert spend 1", "insert orders 1", "write 1 1", "write 2 0"),
        ],
        ["materialize"],
    ),
    "backfill": (
        [
            *("apply", "insert spend 0", "insert orders 0", "materialize"),
            *("insert spend 1", "write 1 1", "write 2 0"),
        ],
        ["backfill spend", "backfill profile"],
    ),
    "optimize, vacuum and materialize": (
        [
            *("apply", "insert spend 0", "insert spend 1", "insert orders 0", "materialize"),
            *("insert spend 2", "insert orders 1"),
        ],
        ["optimize", "vacuum", "materialize"],
    ),
    "first backfill": (["apply", "insert spend 0", "insert spend 1", "insert orders 0"], ["backfill spend"]),
    "materialize after a change of definitions": (
        ["apply", "insert spend 0", "insert orders 0", "materialize", "apply more"],
        ["materialize"],
    ),
}

WRITING = (
    "apply that adds, changes and removes",
    "deletes",
    "retraction",
    *(story for story in STORIES if "materialize" in story or "backfill" in story),
)
"""Stories whose fault writes to the online store."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "project"


def prepare(folder: Path, before: list[str]) -> Path:
    """A project after some operations, and where a copy of it is kept."""
    folder.mkdir()
    scene.create(folder)
    scene.run(folder, *before)
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    return kept


def endings(folder: Path, faulty: list[str]) -> dict[str, object]:
    """The state after the operations have run to their end, and all is online."""
    scene.run(folder, *faulty, "materialize")
    return scene.state(folder)


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_any_step_and_run_again_is_never_killed(folder, story):
    before, faulty = STORIES[story]
    kept = prepare(folder, before)
    counted = perform(faulty, folder)
    assert counted is not None
    assert counted.steps
    undisturbed = endings(folder, faulty)
    for step in range(1, counted.steps + 1):
        scene.restore(folder, kept)
        assert perform(faulty, folder, Fault(step=step)) is None
        assert endings(folder, faulty) == undisturbed, f"killed at step {step}"


@pytest.mark.slow
@pytest.mark.parametrize("story", WRITING)
def test_killed_before_any_write_and_run_again_is_never_killed(folder, story):
    before, faulty = STORIES[story]
    kept = prepare(folder, before)
    counted = perform(faulty, folder)
    assert counted is not None
    assert counted.writes
    undisturbed = endings(folder, faulty)
    for write in range(1, counted.writes + 1):
        scene.restore(folder, kept)
        assert perform(faulty, folder, Fault(write=write)) is None
        assert endings(folder, faulty) == undisturbed, f"killed before write {write}"
