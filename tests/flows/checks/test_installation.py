"""Packages and their versions, and the cache of compiled kernels."""

from __future__ import annotations

import os
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from gnomon.flows.checks import installation
from gnomon.flows.checks.installation import kernel_cache, old_kernels, packages, requirements, within
from gnomon.kernels import _jit
from gnomon.time import DAY, system_clock

ROOT = Path(__file__).parents[3]


def test_missing_package_is_an_error_and_an_optional_one_is_not(monkeypatch):
    monkeypatch.setattr(installation, "OPTIONAL", ("no-such-extra",))
    assert packages().level == "ok"
    assert "without no-such-extra" in packages().text
    monkeypatch.setattr(installation, "PACKAGES", ("polars", "no-such-package"))
    assert packages().level == "error"


def test_version_out_of_bounds_is_an_error_and_of_an_extra_a_warning(monkeypatch):
    needs = [("polars", ">=2.1,<3", False), ("redis", ">=8.1", True), ("absent", ">=1", True)]
    monkeypatch.setattr(installation, "requirements", lambda _: iter(needs))
    versions = {"polars": "2.4", "redis": "7.0"}
    monkeypatch.setattr(installation, "installed", versions.get)
    assert (packages().level, packages().text.partition(": ")[2]) == ("warn", "redis 7.0 (needs >=8.1)")
    versions["polars"] = "3.0.1"
    assert packages().level == "error"
    assert "polars 3.0.1 (needs >=2.1,<3)" in packages().text
    assert "pip install" in (packages().hint or "")


@pytest.mark.parametrize(
    ("version", "bounds", "want"),
    [
        ("2.1", ">=2.1,<3", True),
        ("2.1.0", ">=2.1,<3", True),
        ("2.0.9", ">=2.1,<3", False),
        ("2.10", ">=2.9", True),
        ("3", "<3.0", False),
        ("3.0rc1", "<3", False),
        ("18.6.3", ">=18,<19", True),
        ("1.0", "!=1", False),
        ("1.0", "==1.0.0", True),
        ("1.2+local", "> 1.1, <=1.2", True),
        ("1", "", True),
    ],
)
def test_versions_compare_as_numbers(version, bounds, want):
    assert within(version, bounds) is want


def test_every_bound_of_our_own_requirements_is_understood():
    """What the comparison does not know it would take for kept."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    for line in lines:
        match = installation._REQUIREMENT.match(line)
        bounds = match[2].strip()
        left = installation._BOUND.sub("", bounds).replace(",", "").strip()
        assert left == "", line


def test_requirements_of_a_package_that_is_not_installed_are_none():
    assert list(requirements("no-such-package")) == []
    assert ("numpy", False) in [(name, extra) for name, _, extra in requirements("numba")]


def test_kernels_without_a_folder_are_a_warning(monkeypatch):
    monkeypatch.setattr(_jit, "cache_folder", lambda: None)
    assert kernel_cache().level == "warn"
    assert old_kernels(system_clock).level == "ok"


@pytest.fixture
def kernels(tmp_path, monkeypatch) -> Path:
    """The folder of all kernels, with today's, those of another version, and those of one long gone."""
    for name in ("today", "other", "gone"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kernel.nbc").write_bytes(b"code" * 1000)
    monkeypatch.setattr(_jit, "cache_folder", lambda: tmp_path / "today")
    long_ago = (system_clock() - 100 * DAY) / 1e6
    for path in (tmp_path / "today", tmp_path / "today" / "kernel.nbc", tmp_path / "gone" / "kernel.nbc"):
        os.utime(path, (long_ago, long_ago))
    os.utime(tmp_path / "gone", (long_ago, long_ago))
    return tmp_path


def test_kernels_of_versions_long_gone_are_told_and_removed_when_asked_to(kernels):
    found = old_kernels(system_clock)
    assert (found.level, found.text.partition(",")[0]) == ("warn", "1 folder of other versions")
    assert "1 kernel" in kernel_cache().text
    assert found.fix is not None
    assert found.fix() == "removed 1 folder of old kernels"
    assert sorted(path.name for path in kernels.iterdir()) == ["other", "today"]
    assert old_kernels(system_clock).level == "ok"
