"""The comparison with brute force finds a value that differs in its last bit."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

from bench import counted, windows
from bench.brute import quantile
from bench.tables import duck
from bench.windows import LENGTHS, OUTPUTS, compare, output, read_events, window_query
from bench.workload import Spine, Transactions, ensure


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return ensure(Transactions(rows=2_000, users=20, late=0.2), tmp_path)


@pytest.fixture
def right(events: Path, tmp_path: Path) -> pl.DataFrame:
    """DuckDB's windows, with sums and means made exact by brute force."""
    spine = ensure(Spine(rows=50, users=20), tmp_path)
    frame = pl.DataFrame(duck(1).sql(window_query(events, spine)).to_arrow_table())
    brute = read_events(events, "ts", frame["user_id"].unique().to_numpy())
    asked = list(zip(frame["user_id"], frame["event_timestamp"].to_physical(), strict=True))
    exact = {
        output(function, window): [brute.window(user, t, length)[function] for user, t in asked]
        for window, length in LENGTHS.items()
        for function in ("sum", "mean")
    }
    return frame.with_columns(pl.Series(name, values, dtype=pl.Float64) for name, values in exact.items())


def test_right_values_are_found_right(right: pl.DataFrame, events: Path) -> None:
    assert compare(right.to_arrow(), events, "ts") == (50 * len(OUTPUTS), 0)


def test_one_last_bit_is_found(right: pl.DataFrame, events: Path) -> None:
    values = right["amount_mean_30d"].to_list()
    place = next(i for i, value in enumerate(values) if value is not None)
    values[place] = math.nextafter(values[place], math.inf)
    changed = right.with_columns(pl.Series("amount_mean_30d", values))
    assert compare(changed.to_arrow(), events, "ts") == (50 * len(OUTPUTS), 1)


def test_rows_not_known_yet_are_missed_when_they_count(right: pl.DataFrame, events: Path) -> None:
    assert compare(right.to_arrow(), events, "created_ts")[1] > 0


def test_a_wrong_quantile_is_found(events: Path, tmp_path: Path) -> None:
    spine = ensure(Spine(rows=50, users=20), tmp_path)
    frame = pl.DataFrame(duck(1).sql(counted.quantile_query(events, spine)).to_arrow_table())
    brute = read_events(events, "ts", frame["user_id"].unique().to_numpy())
    asked = list(zip(frame["user_id"], frame["event_timestamp"].to_physical(), strict=True))

    def fold(amounts: list[float]) -> float | None:
        return quantile(amounts, counted.Q)

    for name, length in zip(counted.QUANTILES, LENGTHS.values(), strict=True):
        values = [fold(brute.amounts(user, t, length)) for user, t in asked]
        frame = frame.with_columns(pl.Series(name, values, dtype=pl.Float64))
    assert counted.compare(frame.to_arrow(), events, counted.QUANTILES, fold) == (200, 0)
    place = next(i for i, value in enumerate(values) if value is not None)
    values[place] = math.nextafter(values[place], math.inf)
    frame = frame.with_columns(pl.Series(name, values, dtype=pl.Float64))
    assert counted.compare(frame.to_arrow(), events, counted.QUANTILES, fold) == (200, 1)


def test_a_sample_is_spread_over_the_result(
    right: pl.DataFrame, events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "SAMPLE_ROWS", 10)
    assert compare(right.to_arrow(), events, "ts") == (10 * len(OUTPUTS), 0)
    last = right.with_columns(count_30d=pl.when(pl.int_range(pl.len()) == 45).then(-1).otherwise("count_30d"))
    assert compare(last.to_arrow(), events, "ts") == (10 * len(OUTPUTS), 1)
