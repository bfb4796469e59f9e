"""The plain sketches: the same hashes and buckets as the kernels, by another way."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from gnomon.engines.lanes import Lane
from gnomon.testing import reference_sketches

COLUMNS = [
    pl.Series([0, 1, -1, 2**63 - 1, -(2**63)]),
    pl.Series([True, False]),
    pl.Series([0.0, -0.0, 0.1, -1.5, math.inf, -math.inf, math.nan]),
    pl.Series([0.5, -0.0, 0.10000000149011612], dtype=pl.Float32),
    pl.Series(["", "a", "é", "sixteen bytes in", "seventeen bytes i", "nine byte"]),
    pl.Series([b"", b"\0", b"\xff" * 33]),
    pl.Series([Decimal("0.10"), Decimal("-0.10"), Decimal(10**30)], dtype=pl.Decimal(38, 2)),
    pl.Series([date(1969, 12, 31), date(2026, 1, 1)]),
    pl.Series([datetime(1969, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 7, tzinfo=UTC)]),
    pl.Series([timedelta(microseconds=-1), timedelta(days=9)]),
    pl.Series([time(0), time(23, 59, 59, 999_999)]),
]


@pytest.mark.parametrize("column", COLUMNS, ids=[str(column.dtype) for column in COLUMNS])
def test_hashes_are_those_of_the_engine(column):
    found = Lane(column).hashes.view(np.uint64).tolist()
    assert [reference_sketches.hash_of(value) for value in column.to_list()] == found


def test_both_zeros_are_one_value():
    assert reference_sketches.hash_of(0.0) == reference_sketches.hash_of(-0.0)
    assert reference_sketches.n_distinct([0.0, -0.0, math.nan, -math.nan]) == 2


def test_middles_keep_what_has_no_neighbours():
    for value in (0.0, math.inf, -math.inf):
        assert reference_sketches.middle(value) == value
    assert math.copysign(1, reference_sketches.middle(-0.0)) == 1
    assert reference_sketches.middle(1.0) == 1.0078125
    assert reference_sketches.middle(-1.0) == -1.0078125
