"""The real Feast, in an environment of its own: its dependencies and ours do not go together.

`make test` makes it, once, from `constraints.txt`: a minute, and 600 MB. Without it, its tests are skipped with a line
that says so.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VENV = Path(os.environ.get("GNOMON_FEAST_VENV", ROOT / ".venv-feast"))
CLIENT = Path(__file__).with_name("client.py")


def feast_python() -> str:
    """The interpreter that has Feast. Without it the test is skipped."""
    python = VENV / "bin" / "python"
    if not python.exists():
        pytest.skip(f"needs Feast in {VENV}: `make feast` makes it")
    return str(python)


class FeastError(Exception):
    """What Feast's client raised: the class's name, and what it says."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        self.message = message
        super().__init__(f"{kind}: {message}")


class Feast:
    """Feast's client in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, call: str, **given: Any) -> Any:
        """Raises: FeastError for what the client raised."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"call": call, **given}) + "\n")
        self._process.stdin.flush()
        return self.read()

    def read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the client ended with {self._process.wait()}"
        told = json.loads(line)
        if "error" in told:
            raise FeastError(told["error"], told["message"])
        return told["answer"]


@contextmanager
def feast(url: str, folder: Path) -> Iterator[Feast]:
    """Feast's client for a server. `folder`: what it writes of itself."""
    with (folder / "feast.log").open("w") as log:
        process = subprocess.Popen(
            [feast_python(), str(CLIENT), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"PYTHONPATH": "", "HOME": str(folder), "FEAST_USAGE": "False"},
        )
    try:
        client = Feast(process)
        assert client.read() == "ready"
        yield client
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
