"""What a user pays before the first call: packages installed, modules imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

HEAVY = ("deltalake", "numba", "numpy", "pandas", "polars", "pyarrow", "rich", "sqlalchemy", "typer")
"""What takes long to import: used by what a user calls, not by `import gnomon`."""

MAX_DISTRIBUTIONS = 40
MAX_BYTES = 700 * 10**6


def test_import_loads_nothing_heavy():
    """A count of modules, not seconds: a shared machine's clock would decide."""
    program = f"import sys, gnomon; print(*[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == []


@pytest.fixture(scope="module")
def core() -> dict[str, Distribution]:
    """Every distribution that `pip install gnomon` brings, but gnomon itself."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    todo = [Requirement(text) for text in PROJECT["dependencies"]]
    while todo:
        wanted = todo.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        found[name] = distribution(name)
        for extra in {"", *wanted.extras} - {e for n, e in seen if n == name}:
            seen.add((name, extra))
            todo += [
                one
                for one in map(Requirement, found[name].requires or [])
                if one.marker is None or one.marker.evaluate({"extra": extra})
            ]
    return found


def test_few_distributions_are_installed(core):
    assert {"polars", "numba", "llvmlite", "deltalake", "pydantic-core"} <= core.keys()  # the walk goes down
    assert len(core) + 1 < MAX_DISTRIBUTIONS, sorted(core)


def test_installed_distributions_are_small(core):
    sizes = {
        name: sum(
            path.stat().st_size for file in found.files or [] if (path := Path(file.locate())).is_file()
        )
        for name, found in core.items()
    }
    assert all(sizes.values())
    assert sum(sizes.values()) < MAX_BYTES, sorted(sizes.items(), key=lambda item: -item[1])[:5]


@pytest.mark.parametrize("package", ["pyarrow", "pandas", "scikit-learn"])
def test_what_is_an_extra_is_not_pulled_in(core, package):
    assert package not in core


def _size(file: PackagePath) -> int:
    """Bytes; 0 for what the record names and nobody installed, such as another system's script."""
    path = Path(file.locate())
    return path.stat().st_size if path.is_file() else 0
