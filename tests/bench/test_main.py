"""Which works run, and which files a run writes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import report
from bench.__main__ import WORKS, choose, keep
from bench.harness import Outcome, SideOutcome


def names(only: list[str], huge: bool = False, sides: list[str] | None = None) -> list[str]:
    return [work.name for work in choose(only, huge, sides or [])]


def test_all_but_the_huge_run_by_default() -> None:
    assert names([]) == [work.name for work in WORKS if not work.huge]
    assert set(names([], huge=True)) - set(names([])) == {"windows-huge", "serve-soak"}


def test_a_prefix_names_several_and_a_full_name_also_a_huge_one() -> None:
    assert names(["asof"]) == ["asof-files", "asof-stored", "asof-transactions", "asof-five"]
    assert names(["windows-huge"]) == ["windows-huge"]
    assert "windows-huge" not in names(["windows"])


def test_only_works_that_have_a_named_side_run() -> None:
    assert names([], sides=["polars"]) == names(["asof"])


def test_an_unknown_name_ends_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match="no such work; there are: asof-files, "):
        choose(["nothing"], huge=False, sides=[])


def test_titles_fit_their_sizes_and_names_are_unique() -> None:
    for work in WORKS:
        assert work.title.format(**work.small) != work.title.format(**work.full)
    assert len({work.name for work in WORKS}) == len(WORKS)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a page to write figures into."""
    page = tmp_path / "docs" / "performance.md"
    page.parent.mkdir()
    page.write_text(f"# Speed\n{report.BEGIN}\nold\n{report.END}\n", encoding="utf-8")
    for name, value in {"ROOT": tmp_path, "DATA": tmp_path / "bench" / ".data", "PAGE": page}.items():
        monkeypatch.setattr(command, name, value)
    return tmp_path


def written(root: Path, scale: str, date: str | None) -> dict[str, bool]:
    side = SideOutcome("gnomon", turns=[{"seconds": 1.0}])
    outcome = Outcome("windows", "the windows", {}, side, [])
    content = report.document([outcome], {"scale": scale, "machine": "m", "versions": {}}, "bench", date)
    keep(argparse.Namespace(scale=scale, date=date, json=None), content)
    paths = {
        "small": root / "bench" / ".data" / "results-small.json",
        "full": root / "bench" / "results.json",
    }
    for path in paths.values():
        assert not path.exists() or list(json.loads(path.read_text())["works"]) == ["windows"]
    page = (root / "docs" / "performance.md").read_text(encoding="utf-8")
    return {**{name: path.exists() for name, path in paths.items()}, "page": "the windows" in page}


@pytest.mark.parametrize(
    ("scale", "date", "expected"),
    [
        ("small", "2026-01-02", {"small": True, "full": False, "page": False}),
        ("full", None, {"small": False, "full": True, "page": False}),
        ("full", "2026-01-02", {"small": False, "full": True, "page": True}),
    ],
)
def test_only_a_dated_run_at_full_scale_writes_the_page(
    root: Path, scale: str, date: str | None, expected: dict[str, bool]
) -> None:
    assert written(root, scale, date) == expected
