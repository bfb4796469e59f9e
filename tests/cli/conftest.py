"""A command line in this process, and projects to try it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gnomon.cli import main, starter


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def gnomon(capsys) -> Run:
    """Run a command line: `gnomon("list", "groups")`."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return Ran(status, shown.out, shown.err)

    return run


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    """The starter project, not applied yet; the working folder."""
    folder = tmp_path / "shop"
    starter.write(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    """The starter project, applied and materialized. Tests only read it."""
    folder = tmp_path_factory.mktemp("filled") / "shop"
    starter.write(folder)
    assert main(["apply", "-m", "first", "--project", str(folder), "--json"]) == 0
    assert main(["materialize", "--project", str(folder), "--json"]) == 0
    return folder


@pytest.fixture
def ask(gnomon, filled) -> Run:
    """Run a command line on the filled project."""
    return lambda *arguments: gnomon(*arguments, "--project", filled)
