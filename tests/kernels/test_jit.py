"""Compiled kernels on disk: found again, never found stale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from gnomon.kernels import _jit

HELPER = """
from gnomon.kernels._jit import inline

@inline
def step(x):
    return x + {step}
"""

ENTRY = """
from gnomon.kernels._jit import njit
from gnomon.kernels.helper import step

@njit
def walk(n):
    x = 0
    for _ in range(n):
        x = step(x)
    return x

if __name__ == "__main__":
    from gnomon.kernels.entry import walk
    print(walk(3), sum(walk.stats.cache_hits.values()))
"""


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    """A copy of the package with two modules, of which one helps the other."""
    folder = tmp_path / "src" / "gnomon" / "kernels"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").touch()
    shutil.copy(_jit.__file__, folder)
    (folder / "helper.py").write_text(HELPER.format(step=1))
    (folder / "entry.py").write_text(ENTRY)
    return folder


def run(kernels: Path, cache: Path) -> str:
    root = str(kernels.parents[1])
    env = os.environ | {"PYTHONPATH": root, "GNOMON_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "gnomon.kernels.entry"]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_code_is_found_again_until_a_helper_of_another_module_changes(kernels: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert run(kernels, cache) == "3 0"
    assert run(kernels, cache) == "3 1"
    (kernels / "helper.py").write_text(HELPER.format(step=2))
    assert run(kernels, cache) == "6 0"


def test_without_a_folder_to_write_kernels_still_run(kernels: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    assert run(kernels, blocked) == "3 0"


def test_each_signature_has_its_own_file(tmp_path: Path) -> None:
    files = _jit._Files(tmp_path / "module.function")
    files.save("int64", [1])
    files.save("float64", [2])
    assert files.load("int64") == [1]
    assert files.load("float64") == [2]
    assert files.load("int32") is None
    files.flush()
    assert files.load("int64") is None


@pytest.mark.parametrize("left", [0, 5])
def test_a_file_cut_short_is_as_never_written(tmp_path: Path, left: int) -> None:
    files = _jit._Files(tmp_path / "module.function")
    files.save("int64", list(range(100)))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:left])
    assert files.load("int64") is None


def test_a_disk_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    files = _jit._Files(tmp_path / "gone" / "module.function")
    files.save("int64", [1])
    assert files.load("int64") is None


def test_other_numba_functions_keep_their_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    @_jit.njit
    def ours(x):
        return x + 1

    @numba.njit(cache=True)
    def theirs(x):
        return x + 1

    assert ours(1) == theirs(1) == 2
    assert Path(theirs.stats.cache_path).is_relative_to(tmp_path)
    assert not Path(ours.stats.cache_path).is_relative_to(tmp_path)


def test_the_shared_temporary_folder_is_used_only_where_it_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GNOMON_CACHE_DIR", raising=False)
    monkeypatch.setattr(_jit.tempfile, "gettempdir", lambda: str(tmp_path))
    base = tmp_path / "gnomon-me"
    base.mkdir(mode=0o700)
    assert _jit._is_trusted(base)
    base.chmod(0o770)
    assert not _jit._is_trusted(base)
    monkeypatch.setenv("GNOMON_CACHE_DIR", str(base))
    assert _jit._is_trusted(base)


def test_the_user_cache_is_where_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GNOMON_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert _jit._cache_bases()[0] == tmp_path / "gnomon"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert _jit._cache_bases()[0] == Path.home() / "Library" / "Caches" / "gnomon"


def test_division_is_that_of_ieee() -> None:
    @_jit.njit
    def divide(a, b):
        return a / b

    assert divide(1.0, 0.0) == np.inf
