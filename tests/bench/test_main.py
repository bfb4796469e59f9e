"""Which works run."""

from __future__ import annotations

import pytest

from bench.__main__ import WORKS, choose


def names(only: list[str], huge: bool = False, sides: list[str] | None = None) -> list[str]:
    return [work.name for work in choose(only, huge, sides or [])]


def test_all_but_the_huge_run_by_default() -> None:
    assert names([]) == [work.name for work in WORKS if not work.huge]
    assert set(names([], huge=True)) - set(names([])) == {"windows-huge"}


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
