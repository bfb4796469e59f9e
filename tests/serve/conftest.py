"""The starter's shop, filled, and a server for it that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.cli import main, starter
from tests.serve.server import Serving, running

AT = starter.ASK_AT


def fill(folder: Path) -> Path:
    """Write the starter project, apply it, and bring its rows online."""
    starter.write(folder)
    assert main(["apply", "-m", "first", "--project", str(folder), "--json"]) == 0
    assert main(["materialize", "--project", str(folder), "--json"]) == 0
    return folder


@pytest.fixture(scope="session")
def shop(tmp_path_factory) -> Path:
    """A filled project. Tests only read it."""
    return fill(tmp_path_factory.mktemp("serve") / "shop")


@pytest.fixture(scope="session")
def shop_server(shop) -> Iterator[Serving]:
    """A server for it, with two workers."""
    with running(shop, "--workers", "2") as server:
        yield server
