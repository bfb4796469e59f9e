"""The tree keeps its shape: imports go down, time has one clock, errors are named, modules have tests."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import grimp
import pytest

from tests.shape import scan

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "gnomon"
MODULES = {path.relative_to(SRC).as_posix(): path for path in sorted(SRC.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}

CLOCK = "time.py"
"""The one module that may look at the wall clock."""

BROAD: dict[tuple[str, str], str] = {
    ("cli/completion.py", "_registered"): "a shell asks while somebody types, and has no place for a message",
    ("cli/main.py", "_ended"): "the last place where a mistake of ours can become a message and a status",
    ("events.py", "emit"): "a listener that fails harms nobody else",
    ("flows/definitions.py", "_import"): "a user's code: told with the line that failed",
    ("flows/definitions.py", "_run"): "a user's code: told with the line that failed",
    ("flows/checks/check.py", "attempt"): "whatever goes wrong in a check is what it finds",
    (
        "flows/recorder.py",
        "Recorder._commit",
    ): "the edge of a thread: what could not be committed is tried again",
    ("flows/hands.py", "Hands._run"): "whatever a call raises is raised again by the one who waits for it",
    ("serve/app.py", "App._answered"): "the last place where a mistake of ours can become an answer",
    (
        "serve/served.py",
        "Served._look_for_ever",
    ): "the edge of a task: the old revision is answered by, and the next look comes",
    ("flows/ondemand.py", "call"): "a user's function: its error is that of its values",
}
"""(module, function) that may catch everything → why. A flow's edge, a listener's call, a user's function."""

DRIVERS: dict[str, tuple[str, ...]] = {
    "adbc_driver_manager": ("sources/postgres.py",),
    "adbc_driver_postgresql": ("sources/postgres.py",),
    "boto3": ("online/dynamodb*.py",),
    "botocore": ("online/dynamodb*.py",),
    "deltalake": ("offline/*.py", "sources/delta.py"),
    "duckdb": ("sources/duckdb.py",),
    "granian": ("serve/server.py",),
    "lmdb": ("online/lmdb*.py",),
    "google": ("online/bigtable*.py",),
    "grpc": ("online/bigtable*.py",),
    "httpx2": ("client/*.py", "serve/access/oidc.py", "sources/external.py"),
    "joserfc": ("serve/access/oidc.py",),
    "hiredis": ("online/redis*.py",),
    "numba": ("kernels/*.py",),
    "pandas": (),
    "prometheus_client": ("serve/metrics.py",),
    "psycopg": ("registry/backends/postgres.py", "online/postgres*.py"),
    "pyarrow": ("offline/bucket.py", "sources/postgres.py", "sources/objects.py"),
    "pyiceberg": ("sources/iceberg.py",),
    "redis": ("online/redis*.py",),
    "rich": ("cli/*.py",),
    "sklearn": ("demo/*.py", "cli/*.py"),
    "sqlalchemy": ("registry/backends/*.py", "sources/anysql.py"),
    "starlette": ("serve/*.py",),
    "torch": (),
    "typer": ("cli/*.py",),
}
"""Package → the only modules that may import it. Empty: only through `plugins.require`, when it is needed."""

LINES = 700
"""No file is longer: what does not fit has two ideas in it."""

UNTESTED_LINES = 60
"""A longer module has a test of its name."""


def test_layers_are_kept():
    """The contracts of pyproject.toml, by import-linter, in a process of its own: it changes the path."""
    program = (
        "from importlinter.cli import lint_imports as run; raise SystemExit(run(no_cache=True, no_logo=True))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_modules_import_each_other_in_a_circle():
    graph = grimp.build_graph("gnomon", cache_dir=None)
    assert not scan.cycle(
        {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    )


def test_only_one_module_reads_the_wall_clock():
    found = [
        f"{name}:{line} {what}"
        for name, tree in TREES.items()
        if name != CLOCK
        for what, line in scan.wall_clocks(tree)
    ]
    assert not found, "take a Clock as an argument instead"


def test_own_modules_are_imported_at_the_top():
    found = [
        f"{name}:{line} {what}"
        for name, tree in TREES.items()
        for what, line in scan.imports_in_functions(tree, "gnomon")
    ]
    assert not found


def test_no_except_catches_everything():
    found = {
        (name, function): line for name, tree in TREES.items() for function, line in scan.broad_excepts(tree)
    }
    unknown = [
        f"{name}:{line} in {function}"
        for (name, function), line in found.items()
        if (name, function) not in BROAD
    ]
    assert not unknown, "catch a named error, or put the place into BROAD with its reason"
    assert not BROAD.keys() - found.keys(), "these places of BROAD are gone"


@pytest.mark.parametrize("driver", DRIVERS)
def test_driver_is_imported_only_in_its_own_files(driver):
    found = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if not any(fnmatch(name, allowed) for allowed in DRIVERS[driver])
        for node in ast.walk(tree)
        for module in scan.imported(node)
        if module.split(".")[0] == driver
    ]
    assert not found


def test_every_module_of_some_size_has_a_test_of_its_name():
    tests = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    untested = [
        name
        for name, path in MODULES.items()
        if len(path.read_text().splitlines()) > UNTESTED_LINES and not tests & _test_names(path)
    ]
    assert not untested


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "docs"])
def test_no_file_is_long(folder):
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert lengths
    assert not {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LINES}


def _test_names(path: Path) -> set[str]:
    """Of `online/lmdb.py`: test_lmdb or test_online_lmdb; of a package's `__init__`: test_<package>."""
    folder = path.parent.name
    stem = path.stem.strip("_")
    return {f"test_{folder}"} if stem == "init" else {f"test_{stem}", f"test_{folder}_{stem}"}
