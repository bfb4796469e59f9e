"""Killed at random moments of insert, apply and materialize, and gone on with: the state of never having died."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.faults import scene
from tests.faults.children import TIMEOUT, start

KILLS = 25
"""In each of four parts, which can run beside each other."""
LONGEST = 0.3
"""Seconds that a child lives at most after it was ready, or after its first operation, which is slow."""

STORY = [
    "apply", "insert spend 0", "insert orders 0", "materialize",
    "insert spend 1", "insert orders 1", "materialize",
    "write 1 1", "write 2 0", "insert spend 2", "materialize",
    "insert orders 2", "insert spend 3", "apply", "materialize",
    "write 1 2", "materialize", "insert orders 3", "insert orders 4", "materialize",
    "apply more", "insert more spend 4", "materialize", "insert more spend 5", "write 3 0", "materialize",
]  # fmt: skip


def go_on(connection: Connection, folder: Path) -> None:
    """Do what is left of the story. What was being done when the last child died is done again."""
    done = folder.with_name("done")
    connection.send("ready")
    with scene.open_store(folder) as store:
        for name in STORY[done.stat().st_size :]:
            scene.OPERATIONS[name](store)
            with done.open("ab") as file:
                file.write(b".")
            connection.send(name)
    connection.send("end")


def live_and_die(folder: Path, messages: int, seconds: float) -> bool:
    """A child that is killed some time after it has told so much; whether it came to the end before."""
    child, connection = start(go_on, folder)
    told = []
    try:
        while len(told) < messages and told[-1:] != ["end"]:
            assert connection.poll(TIMEOUT)
            told.append(connection.recv())
        time.sleep(seconds)
        child.kill()
        while connection.poll():
            told.append(connection.recv())
    except EOFError:
        pass
    finally:
        child.join(TIMEOUT)
    assert child.exitcode in (0, -signal.SIGKILL), "the child failed; its traceback is in the captured stderr"
    return told[-1] == "end"


def read_all(folder: Path) -> None:
    """Whatever was interrupted, what was there can be read."""
    with scene.open_store(folder) as store:
        for group in store.registry.snapshot().groups():
            scene.answers(store, group, scene.NOON)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_killed_at_random_moments_and_gone_on_with_is_never_killed(tmp_path, part):
    seed = int(os.environ.get("GNOMON_FAULT_SEED") or secrets.randbits(32))
    print(f"seed {seed}; repeat with GNOMON_FAULT_SEED={seed}")  # noqa: T201 - shown when it fails
    chance = random.Random(seed + part)
    folder, kept = tmp_path / "project", tmp_path / "kept"
    folder.mkdir()
    scene.create(folder)
    shutil.copytree(folder, kept)
    scene.run(folder, *STORY)
    undisturbed = scene.state(folder)
    kills, ended = 0, True
    while kills < KILLS or not ended:
        if ended:
            scene.restore(folder, kept)
            folder.with_name("done").write_bytes(b"")
        messages = chance.choice([1, 2]) if kills < KILLS else len(STORY) + 2
        ended = live_and_die(folder, messages, chance.uniform(0, LONGEST))
        kills += not ended
        read_all(folder)
        if ended:
            assert scene.state(folder) == undisturbed, f"after {kills} kills"
