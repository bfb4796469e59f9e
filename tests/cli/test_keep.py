"""copy, optimize, vacuum."""

from __future__ import annotations

import pytest

from tests.cli.test_rows import CACHED, ROWS


@pytest.fixture
def site(gnomon, shop):
    """A project whose group keeps rows of its own, in two files."""
    (shop / "features.py").write_text(CACHED)
    assert gnomon("apply").status == 0
    for day in ("01", "02"):
        (shop / "rows.csv").write_text(ROWS.replace("01-01T", f"01-{day}T"))
        assert gnomon("insert", "clicks", shop / "rows.csv").status == 0
    return shop


def test_optimize_tells_files_and_commit(gnomon, site):
    ran = gnomon("optimize")
    assert ran.out.startswith("clicks@1: 2 files → 1, ")
    assert gnomon("optimize", "clicks").out == "clicks@1: nothing to do, 1 file\n"
    assert gnomon("optimize", "--json").json["groups"][0]["version"] is None


def test_vacuum_tells_what_goes(gnomon, site):
    gnomon("optimize")
    assert gnomon("vacuum").out.startswith("0 files")
    dry = gnomon("vacuum", "--older-than", "0s", "--dry-run", "--json").json
    assert (dry["dry_run"], dry["groups"][0]["files"]) == (True, 2)
    assert (
        gnomon("vacuum", "clicks", "--older-than", "0s").out.splitlines()[0].startswith("clicks@1: 2 files, ")
    )


def test_vacuum_by_force_warns_of_datasets(gnomon, site):
    (site / "spine.csv").write_text("user,event_timestamp\n007,2026-01-03T00:00:00Z\n")
    ran = gnomon("training", site / "spine.csv", "--features", "clicks:count_1d", "--save", "monday")
    assert ran.status == 0, ran.err
    gnomon("optimize")
    assert "kept for 1 dataset: `monday` (2)" in gnomon("vacuum", "--older-than", "0s").out
    ran = gnomon("vacuum", "--older-than", "0s", "--force")
    assert "warning: datasets that cannot be computed again from the same rows: monday" in ran.err


def test_copy_fills_the_next_version(gnomon, site):
    text = (site / "features.py").read_text()
    newer = text.replace('"page": str', '"url": str, "n": int').replace('"page"', '"url"')
    newer = newer.replace("clicks = ", "clicks_2 = ").replace('"clicks",', '"clicks", version=2,')
    (site / "features.py").write_text(text + newer.partition("user = ")[2].partition("\n")[2])
    assert gnomon("apply").status == 0
    ran = gnomon(
        "copy", "clicks@1", "clicks@2", "--column", "url='/' || page", "--column", "n = LENGTH(page)"
    )
    assert ran.out == "clicks@2: 4 of 4 rows committed (commit 0)\n"
    assert (
        gnomon("copy", "clicks@1", "clicks@2", "--column", "url='/' || page", "--column", "n=1").status == 0
    )
    ran = gnomon("copy", "clicks@1", "clicks@2", "--column", "url")
    assert (ran.status, "names no column" in ran.err) == (2, True)


def test_a_wrong_age_is_told(gnomon, site):
    ran = gnomon("vacuum", "--older-than", "soon")
    assert ran.status == 2
    assert "soon" in ran.err
