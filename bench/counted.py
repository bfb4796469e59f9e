"""What cannot be added up: exact quantiles and numbers of different values, in windows of 1h 1d 7d 30d.

Sizes:  events, spine, users.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

import gnomon as gn
from bench.brute import quantile
from bench.harness import Digest, Job, Work
from bench.reach import SameBits, TimesFaster
from bench.tables import digest, duck, project
from bench.windows import LENGTHS, Windows, read_events, sampled, sizes

Q = 0.9
QUANTILES = [f"amount_quantile_0_9_{window}" for window in LENGTHS]
DISTINCT = [f"amount_n_distinct_{window}" for window in LENGTHS]


class Gnomon(Windows):
    """One aggregate over four windows, asked of the file."""

    name = "gnomon"
    outputs: list[str]

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.store = project(job.scratch / "project")
        source = gn.FileSource("events", path=str(self.events), timestamp="ts")
        user = gn.Entity("user", keys={"user_id": pl.Int64})
        self.group = gn.FeatureGroup("spending", entity=user, source=source, features=[self.aggregate()])
        self.store.apply([self.group])

    def aggregate(self) -> Any:
        raise NotImplementedError

    def fold(self, amounts: list[float]) -> Any:
        """The value by brute force."""
        raise NotImplementedError

    def work(self) -> pa.Table:
        spine = pl.read_parquet(self.spine)
        return self.store.get_historical_features(spine, [self.group]).to_arrow()

    def digest(self) -> Digest:
        return dict(digest(self.result, self.outputs))

    def sample(self) -> tuple[int, int]:
        return compare(self.result, self.events, self.outputs, self.fold)


class Quantiles(Gnomon):
    outputs = QUANTILES

    def aggregate(self) -> Any:
        return gn.quantile("amount", Q, windows=list(LENGTHS))

    def fold(self, amounts: list[float]) -> float | None:
        return quantile(amounts, Q)


class Distinct(Gnomon):
    outputs = DISTINCT

    def aggregate(self) -> Any:
        return gn.n_distinct("amount", windows=list(LENGTHS))

    def fold(self, amounts: list[float]) -> int:
        return len(set(amounts))


def compare(
    result: pa.Table, events: Path, outputs: list[str], fold: Callable[[list[float]], Any]
) -> tuple[int, int]:
    """(values looked at, values that differ from brute force in any bit), of rows across the result."""
    rows = sampled(result)
    asked = rows.column("user_id").to_numpy()
    moments = pl.Series(rows.column("event_timestamp")).to_physical().to_list()
    brute = read_events(events, "ts", np.unique(asked))
    wrong = 0
    for name, length in zip(outputs, LENGTHS.values(), strict=True):
        values = rows.column(name).to_pylist()
        for user, t, value in zip(asked.tolist(), moments, values, strict=True):
            wrong += value != fold(brute.amounts(user, t, length))
    return len(moments) * len(outputs), wrong


class FramedQuantiles(Windows):
    """`UNION ALL` of events and questions, and `quantile_cont` over a `RANGE` frame for each window."""

    name = "duckdb"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.connection = duck(job.threads)

    def work(self) -> pa.Table:
        return self.connection.sql(quantile_query(self.events, self.spine)).to_arrow_table()

    def digest(self) -> Digest:
        return dict(digest(self.result, QUANTILES))


def quantile_query(events: Path, spine: Path) -> str:
    over = [
        f"quantile_cont(amount, {Q}) OVER w{window} AS {name}"
        for window, name in zip(LENGTHS, QUANTILES, strict=True)
    ]
    frames = [
        f"w{window} AS (PARTITION BY user_id ORDER BY t RANGE BETWEEN {length} PRECEDING AND 1 PRECEDING)"
        for window, length in LENGTHS.items()
    ]
    return f"""
        SELECT * EXCLUDE (t, amount), {", ".join(over)}
        FROM (
            SELECT user_id, epoch_us(ts) AS t, amount, NULL::TIMESTAMPTZ AS event_timestamp
            FROM read_parquet('{events}')
            UNION ALL
            SELECT user_id, epoch_us(event_timestamp), NULL, event_timestamp FROM read_parquet('{spine}'))
        WINDOW {", ".join(frames)}
        QUALIFY event_timestamp IS NOT NULL
        """


class JoinedDistinct(Windows):
    """A range join over the longest window, and `count(DISTINCT …) FILTER` for each."""

    name = "duckdb"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.connection = duck(job.threads)

    def work(self) -> pa.Table:
        return self.connection.sql(distinct_query(self.events, self.spine)).to_arrow_table()

    def digest(self) -> Digest:
        return dict(digest(self.result, DISTINCT))


def distinct_query(events: Path, spine: Path) -> str:
    counts = [
        f"count(DISTINCT e.amount) FILTER (WHERE e.t >= s.t - {length}) AS {name}"
        for length, name in zip(LENGTHS.values(), DISTINCT, strict=True)
    ]
    return f"""
        WITH s AS (
            SELECT *, epoch_us(event_timestamp) AS t, row_number() OVER () AS number
            FROM read_parquet('{spine}')),
        e AS (SELECT user_id, epoch_us(ts) AS t, amount FROM read_parquet('{events}'))
        SELECT s.user_id, s.event_timestamp, {", ".join(counts)}
        FROM s LEFT JOIN e
        ON e.user_id = s.user_id AND e.t < s.t AND e.t >= s.t - {max(LENGTHS.values())}
        GROUP BY s.number, s.user_id, s.event_timestamp
        """


WORKS = (
    Work(
        "quantiles",
        "the exact 0.9-quantile in 4 windows: {events:,} events × {spine:,} spine",
        sizes(100_000),
        sizes(1_000_000),
        Quantiles,
        (FramedQuantiles,),
        (TimesFaster(10), SameBits()),
        turns=3,
    ),
    Work(
        "distinct",
        "the number of different values in 4 windows: {events:,} events × {spine:,} spine",
        sizes(100_000),
        sizes(1_000_000),
        Distinct,
        (),
        (SameBits(),),
    ),
    Work(
        "distinct-tenth",
        "the same of a tenth of the data: {events:,} events × {spine:,} spine",
        sizes(20_000),
        sizes(100_000),
        Distinct,
        (JoinedDistinct,),
        (TimesFaster(10), SameBits()),
        turns=3,
    ),
)
