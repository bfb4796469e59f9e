"""A registry and the processes that share it: whoever they are, and whenever they are killed. In each SQL database."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gnomon as gn
from gnomon import plugins
from gnomon.registry.codec import encode
from gnomon.registry.registry import Registry
from gnomon.registry.requirements import RevisionIs
from gnomon.registry.updates import Put

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def registry(url):
    return Registry(plugins.resolve("registry", url)(url), author="ana")


def put(entity):
    return Put("entity", entity.name, encode(entity))


WORKER = """
import sys
import gnomon as gn
from gnomon import plugins
from gnomon.errors import Conflict
from gnomon.registry.codec import encode
from gnomon.registry.registry import Registry
from gnomon.registry.requirements import Unchanged
from gnomon.registry.updates import Put

url, author, count, *names = sys.argv[1:]
registry = Registry(plugins.resolve("registry", url)(url), author=author)
base = registry.snapshot().revision
print("ready", flush=True)
sys.stdin.readline()
conflicts = []
for i in range(int(count)):
    for name in names:
        entities = [gn.Entity(f"{name}_{i}_{part}", owner=author) for part in range(3)]
        updates = [Put("entity", e.name, encode(e)) for e in entities]
        try:
            registry.commit([Unchanged("entity", e.name, base) for e in entities], updates)
        except Conflict as conflict:
            conflicts.append(conflict.what)
        print(f"{name}_{i}", flush=True)
print("conflicts", *conflicts, sep="\\n", flush=True)
"""


def start(url, *arguments):
    """Processes that wait for a line, one for each `(author, count, *names)`."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, url, *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT / "src")},
        )
        for given in arguments
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    return workers


def go(*workers):
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return [worker.communicate(timeout=60)[0].split("conflicts\n")[1].splitlines() for worker in workers]


def test_two_processes_that_apply_different_objects_both_survive(url, registry):
    conflicts = go(*start(url, ("ana", 20, "a"), ("bo", 20, "b")))
    assert conflicts == [[], []]
    assert len(registry.list("entity")) == 2 * 20 * 3
    assert registry.snapshot().revision == 40


def test_of_two_processes_that_apply_the_same_object_one_gets_a_conflict(url, registry):
    conflicts = go(*start(url, ("ana", 20, "same"), ("bo", 20, "same")))
    for i in range(20):
        owners = {registry.get("entity", f"same_{i}_{part}").owner for part in range(3)}
        assert len(owners) == 1
        [winner] = owners
        stamp = registry.snapshot().changed["entity", f"same_{i}_0"]
        lost = conflicts[1 if winner == "ana" else 0]
        assert any(f"`same_{i}_0` changed in revision {stamp.revision} by {winner}" in what for what in lost)
    assert sum(map(len, conflicts)) == 20


@pytest.mark.slow
def test_killed_at_any_moment_the_registry_reads_as_of_a_whole_revision(url, registry):
    """The process is killed while it commits three entities at a time: all three are there, or none."""
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    acknowledged = set()
    workers = start(url, *((f"worker_{attempt}", 10_000, f"k{attempt}") for attempt in range(6)))
    for attempt, worker in enumerate(workers):
        worker.stdin.write("go\n")
        worker.stdin.flush()
        if (
            attempt % 2
        ):  # however slow the machine is: half of them are killed among commits, not before the first
            acknowledged |= set(worker.stdout.readline().split())
        time.sleep(moments.uniform(0, 0.15))
        worker.send_signal(signal.SIGKILL)
        acknowledged |= set(worker.communicate()[0].split())
        snapshot = registry.snapshot()
        names = [ref.rpartition("_")[0] for ref in snapshot.refs("entity")]
        assert all(names.count(name) == 3 for name in set(names)), seed
        assert acknowledged <= set(names), seed
        assert snapshot.revision == len(registry.history()) == len(set(names)), seed
        registry.commit(
            [RevisionIs(snapshot.revision)], [put(gn.Entity(f"after_{attempt}_{i}")) for i in range(3)]
        )
        assert registry.snapshot().revision == snapshot.revision + 1, seed
        assert registry.at(snapshot.revision).documents == snapshot.documents
    assert acknowledged
