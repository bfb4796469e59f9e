"""The starter project, applied, to be looked at and damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon import config
from gnomon.cli import starter
from gnomon.flows.definitions import load_definitions
from gnomon.flows.project import Project
from gnomon.registry.snapshot import Snapshot
from gnomon.store import Store
from gnomon.time import Clock, system_clock


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder of a project that is applied and materialized."""
    folder = tmp_path / "shop"
    starter.write(folder)
    with Store(folder) as store:
        store.apply(load_definitions(config.load(folder)))
        store.materialize()
    return folder


Opened = Callable[..., tuple[Project, Snapshot]]


@pytest.fixture
def opened(shop: Path) -> Iterator[Opened]:
    """Open the project as it is now: `project, snapshot = opened(clock=…, online=…)`."""
    projects: list[Project] = []

    def open_one(clock: Clock = system_clock, **overrides: str) -> tuple[Project, Snapshot]:
        project = Project(config.load(shop, **overrides), clock=clock)
        projects.append(project)
        return project, project.registry.snapshot()

    yield open_one
    for project in projects:
        project.close()


def edit(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
