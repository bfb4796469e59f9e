"""Writers killed before any write to the online store: what was answered before and after is verified all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import gnomon as gn
from tests.faults import scene
from tests.faults.children import Fault, perform

SERVICE = gn.FeatureService("all", features=[scene.spend, scene.orders])
BEFORE = ["apply", "insert spend 0", "insert orders 0", "materialize"]
STORIES = {
    "materialize": (["insert spend 1", "insert orders 1"], ["materialize"]),
    "deletes": (["delete"], ["materialize"]),
    "retraction": (["insert orders 1", "materialize"], ["retract"]),
    "backfill": (["insert spend 1"], ["backfill spend"]),
}


def answer(folder: Path) -> None:
    """Ask for everything, and log it."""
    with scene.open_store(folder) as store:
        for at in scene.TIMES:
            store.get_online_features("all", [{"user": u} for u in scene.USERS], at=at)


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES)
def test_answers_between_a_death_and_the_next_run_verify(tmp_path: Path, story: str) -> None:
    between, last = STORIES[story]
    start = tmp_path / "start"
    start.mkdir()
    scene.create(start)
    with (start / "gnomon.toml").open("a") as file:
        file.write("\n[log]\nsample = 1\n")
    scene.run(start, *BEFORE)
    with scene.open_store(start) as store:
        store.apply([SERVICE])
    scene.run(start, *between)
    answer(start)
    deaths = 0
    for write in (1, 2, 3, 5, 8, 13, 21):
        folder = tmp_path / f"killed-{write}"
        shutil.copytree(start, folder)
        died = perform(last, folder, Fault(write=write)) is None
        answer(folder)
        scene.run(folder, *last, "materialize")
        answer(folder)
        with scene.open_store(folder) as store:
            report = store.verify("all")
        assert report.ok, f"killed before write {write}: {report}"
        assert report.rows == 3 * len(scene.USERS) * len(scene.TIMES)
        deaths += died
        if not died:
            break
        shutil.rmtree(folder)
    assert deaths > 1
