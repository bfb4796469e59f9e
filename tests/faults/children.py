"""Children: processes that do operations of the scene and are killed at a chosen event, write or moment.

They are forked by a server that has imported all that is slow to import, and used none of it.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from gnomon import plugins
from gnomon.events import Event, Step, listen
from tests.faults import scene
from tests.faults.dying import die

TIMEOUT = 60
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        *("gnomon.store", "gnomon.offline.delta", "gnomon.online.lmdb", "gnomon.registry.backends.sqlite"),
        *("numba.np.arraymath", "numba.np.npyimpl", "numba.np.linalg"),
    ]
)


@dataclass(frozen=True)
class Fault:
    """When a child dies: at its step number `step`, or before its write number `write`; 0 is never."""

    step: int = 0
    write: int = 0


@dataclass(frozen=True)
class Counted:
    """How many places there are to die at."""

    steps: int
    writes: int


def perform(names: Sequence[str], folder: Path, fault: Fault = Fault()) -> Counted | None:
    """Do operations in a child; None if it was killed on the way."""
    here, there = SERVER.Pipe(duplex=False)
    child = SERVER.Process(target=_perform, args=(there, list(names), folder, fault))
    child.start()
    there.close()
    try:
        counted: Counted | None = here.recv() if here.poll(TIMEOUT) else None
    except EOFError:
        counted = None
    child.join(TIMEOUT)
    assert child.exitcode == (-signal.SIGKILL if counted is None else 0), child.exitcode
    return counted


def _perform(told: Connection, names: list[str], folder: Path, fault: Fault) -> None:
    steps = 0

    def count(event: Event) -> None:
        nonlocal steps
        if isinstance(event, Step):
            steps += 1
            if steps == fault.step:
                die()

    plugins.BUILT_IN["online"]["dying"] = "tests.faults.dying:DyingStore"
    with scene.open_store(folder, f"dying://.gnomon/online?{fault.write}") as store:
        listen(count)
        for name in names:
            scene.OPERATIONS[name](store)
        writes: int = store._project.online.writes  # type: ignore[attr-defined]
    told.send(Counted(steps, writes))


def start(work: Callable[..., None], *args: Any) -> tuple[BaseProcess, Connection]:
    """A child that runs `work(connection, *args)`, and this end of the connection."""
    here, there = SERVER.Pipe()
    child = SERVER.Process(target=work, args=(there, *args))
    child.start()
    there.close()
    return child, here


def together(work: Callable[..., Any], folder: Path, given: Sequence[Any]) -> list[Any]:
    """Run `work(folder, one)` for each given, in a child each, all at the same moment; what they return."""
    started = [start(_wait_and_work, work, folder, one) for one in given]
    try:
        for _, connection in started:
            assert connection.poll(TIMEOUT)
            connection.recv()
        for _, connection in started:
            connection.send("go")
        answers = []
        for _, connection in started:
            assert connection.poll(TIMEOUT)
            answers.append(connection.recv())
    finally:
        for child, _ in started:
            child.join(TIMEOUT)
            if child.is_alive():
                child.kill()
    assert [child.exitcode for child, _ in started] == [0] * len(started)
    return answers


def _wait_and_work(connection: Connection, work: Callable[..., Any], folder: Path, one: Any) -> None:
    with scene.open_store(folder) as store:
        store.registry.history()  # opened before the start
        connection.send("ready")
        connection.recv()
        connection.send(work(store, one))
