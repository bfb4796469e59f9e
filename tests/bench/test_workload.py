"""Recipes draw what they say, and the same each time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from bench import workload
from bench.workload import DAY_US, END_US, START_US, Histories, Profiles, Recipe, Spine, Transactions, ensure

RECIPES = [
    Profiles(users=50, snapshots=3, features=2),
    Transactions(rows=5_000, users=50, late=0.2, hot=0.2),
    Histories(users=30, each=20),
    Spine(rows=2_000, users=50, skew=0.8, hot=0.2),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_gives_the_same_rows_everywhere(recipe: Recipe, tmp_path: Path) -> None:
    one, other = (pl.read_parquet(ensure(recipe, tmp_path / name)) for name in ("one", "other"))
    assert one.height > 0
    assert one.equals(other)


def test_a_file_is_drawn_once_and_named_by_its_recipe(tmp_path: Path) -> None:
    path = ensure(Spine(10, 5), tmp_path)
    written = path.stat().st_mtime_ns
    assert ensure(Spine(10, 5), tmp_path) == path
    assert path.stat().st_mtime_ns == written
    assert ensure(Spine(11, 5), tmp_path) != path
    assert {p.suffix for p in tmp_path.iterdir()} == {".parquet"}


@pytest.mark.parametrize("recipe", RECIPES[:3], ids=lambda recipe: recipe.stem)
def test_rows_are_by_time_within_the_period_over_chunks_too(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "CHUNK_ROWS", 150)
    ts = pl.read_parquet(ensure(recipe, tmp_path))["ts"].to_physical()
    assert ts.is_sorted()
    assert ts[0] >= START_US
    assert ts[-1] < END_US


def test_chunks_leave_the_number_of_rows_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "CHUNK_ROWS", 999)
    assert pl.read_parquet(ensure(Transactions(5_000, 50), tmp_path)).height == 5_000
    assert pl.read_parquet(ensure(Spine(2_500, 50), tmp_path)).height == 2_500


def test_late_rows_are_known_within_a_day_and_the_others_at_once(tmp_path: Path) -> None:
    frame = pl.read_parquet(ensure(Transactions(20_000, 50, late=0.2), tmp_path))
    delay = (frame["created_ts"] - frame["ts"]).to_physical().to_numpy()
    assert delay.min() == 0
    assert DAY_US * 0.9 < delay.max() <= DAY_US
    assert 0.18 < (delay > 0).mean() < 0.22


def test_one_user_has_the_hot_share_and_the_others_are_skewed(tmp_path: Path) -> None:
    users = pl.read_parquet(ensure(Transactions(20_000, 200, hot=0.2), tmp_path))["user_id"].to_list()
    counts = Counter(users)
    assert 0.19 < counts.pop(0) / 20_000 < 0.23
    assert max(counts.values()) > 5 * sorted(counts.values())[len(counts) // 2]


def test_every_history_has_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "CHUNK_ROWS", 100)
    users = pl.read_parquet(ensure(Histories(users=30, each=20), tmp_path))["user_id"]
    assert set(users.value_counts()["count"]) == {20}
    assert users.n_unique() == 30


def test_every_user_has_each_snapshot(tmp_path: Path) -> None:
    frame = pl.read_parquet(ensure(Profiles(users=40, snapshots=3, features=2), tmp_path))
    days = frame.select("user_id", day=pl.col("ts").dt.date())
    assert days.unique().height == 120
    assert frame.columns == ["user_id", "ts", "v0_f00", "v0_f01"]
