"""Pushes killed between the commit and the online store: the same push again brings them online, by itself."""

from __future__ import annotations

import pytest

from tests.faults import scene
from tests.faults.children import Fault, perform, together

COMMIT = 2
"""The step of a push after which its rows are durable, and not yet online."""


@pytest.mark.parametrize("name", ["spend", "orders"])
def test_a_push_killed_after_its_commit_is_online_when_it_was_sent_again(tmp_path, name):
    folder = tmp_path / "project"
    folder.mkdir()
    scene.create(folder)
    scene.run(folder, "apply", f"insert {name} 0", "materialize")
    group = {"spend": scene.spend, "orders": scene.orders}[name]
    assert perform([f"push {name} 1"], folder, Fault(step=COMMIT)) is None
    with scene.open_store(folder) as store:
        before = scene.answers(store, group, scene.NOON)
        ack = store.push(name, scene.batch(group, 1))
        assert ack.accepted == 0
        assert ack.duplicates == ack.rows
        after = scene.answers(store, group, scene.NOON)
        assert after != before
        store.materialize([name])
        assert scene.answers(store, group, scene.NOON) == after


def push_all(store, name):
    """Push a group's batches in order; the rows that each push accepted."""
    group = {"spend": scene.spend, "orders": scene.orders}[name]
    return [store.push(name, scene.batch(group, i)).accepted for i in range(4)]


@pytest.mark.parametrize("name", ["spend", "orders"])
def test_rows_that_two_processes_push_at_once_are_there_once(tmp_path, name):
    told = []
    for place, how in (("raced", [name, name]), ("alone", [name])):
        folder = tmp_path / place
        folder.mkdir()
        scene.create(folder)
        scene.run(folder, "apply")
        accepted = together(push_all, folder, how)
        group = {"spend": scene.spend, "orders": scene.orders}[name]
        with scene.open_store(folder) as store:
            online = scene.answers(store, group, scene.NOON)
        told.append(([sum(each) for each in zip(*accepted, strict=True)], online))
    raced, alone = told
    assert raced == alone
