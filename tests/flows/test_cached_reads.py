"""Questions answered from memory (`[online] cache`): as old as declared, own writes at once, never torn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.config import FILE_NAME
from gnomon.time import instant
from tests.online.hot import few_rows_are_many

T = datetime(2026, 1, 10, 12, tzinfo=UTC)
USER = gn.Entity("user", keys={"user": pl.Int64})
VISITS = gn.FeatureGroup(
    "visits",
    entity=USER,
    timestamp="at",
    event_id="visit",
    schema={"visit": pl.Int64, "x": pl.Float64},
    features=[gn.count(windows=["1d"]), gn.median("x", windows=["1d"])],
)
NAMES = ["visits:count_1d", "visits:x_median_1d"]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], gn.Store]:
    """A function that opens the one project, with a cache of so long."""

    def open_with(cache: str) -> gn.Store:
        (tmp_path / FILE_NAME).write_text(f'[online]\nurl = "lmdb://online"\ncache = "{cache}"\n')
        return gn.Store(tmp_path, clock=lambda: instant(T))

    return open_with


def visits(first: int, last: int) -> pl.DataFrame:
    numbers = list(range(first, last))
    return pl.DataFrame(
        {
            "user": [1] * len(numbers),
            "visit": numbers,
            "at": [T - timedelta(minutes=500 - n) for n in numbers],
            "x": [float(n) for n in numbers],
        }
    )


def add(store: gn.Store, first: int, last: int) -> None:
    store.insert("visits", visits(first, last))
    store.materialize()


def answer(store: gn.Store) -> list[Any]:
    found = store.get_online_features(NAMES, [{"user": 1}], at=T)
    return [column[0] for column in found.to_dict().values()]


@pytest.mark.parametrize("small", [False, True], ids=["one value", "leaves"])
def test_own_writes_are_answered_at_once_and_others_within_what_is_declared(
    opened: Callable[[str], gn.Store], small: bool
) -> None:
    with opened("1h") as mine, opened("0s") as other:
        mine.apply([VISITS])
        with few_rows_are_many():
            add(mine, 0, 200 if small else 3)
        first = answer(mine)
        add(other, 300, 310)
        assert answer(mine) == first
        assert answer(other)[0] == first[0] + 10
        add(mine, 310, 320)
        assert answer(mine) == answer(other)
        assert answer(mine)[0] == first[0] + 20


def test_a_rebuilt_table_is_answered_from_whole(opened: Callable[[str], gn.Store]) -> None:
    """Somebody else rebuilds the table and drops the old one: answers are those of before, or of afterwards."""
    with opened("1h") as mine, opened("0s") as other:
        mine.apply([VISITS])
        add(mine, 0, 100)
        before = answer(mine)
        other.backfill("visits")
        assert answer(mine) == before
        # A key that is not in memory shows that the table is another.
        found = mine.get_online_features(NAMES, [{"user": 1}, {"user": 2}], at=T)
        assert [row[0] for row in found.statuses] == ["PRESENT", "NOT_FOUND"]
        assert answer(mine) == answer(other) == before


def test_a_cache_of_no_time_is_none(opened: Callable[[str], gn.Store]) -> None:
    with opened("0s") as store, opened("0s") as other:
        store.apply([VISITS])
        add(store, 0, 5)
        assert answer(store)[0] == 5
        add(other, 5, 8)
        assert answer(store)[0] == 8
