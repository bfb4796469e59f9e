"""Seeded synthetic data: a recipe (frozen sizes) → one Parquet file, made once and kept by its recipe's name.

Everything happens in 90 days from 2026-01-01 UTC, in microseconds. Only `Generator.random` and
`Generator.permutation` are used, seeded by what is drawn, so that one recipe gives one file everywhere.
Files are written chunk by chunk: 100 M events need the memory of one chunk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20260101
START_US = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z."""
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
DAYS = 90
END_US = START_US + DAYS * DAY_US
TIMESTAMP = pa.timestamp("us", tz="UTC")
CATEGORIES = tuple(f"cat_{i:02d}" for i in range(20))

CHUNK_ROWS = 5_000_000
ROW_GROUP_ROWS = 1 << 17
"""Near DuckDB's own default, so that every engine has enough row groups to share among threads."""


class Recipe(Protocol):
    """What `ensure` needs: a frozen dataclass of sizes that can draw its rows in order."""

    stem: ClassVar[str]

    def chunks(self) -> Iterator[pa.Table]:
        """Tables of one schema, `CHUNK_ROWS` rows at most."""
        ...


@dataclass(frozen=True, slots=True)
class Profiles:
    """Daily snapshots of every user, `snapshots` last days, each taken between 00:00 and 01:00; by time.

    Columns: user_id int64, ts, v{view}_f00 … float64 (four decimals).
    """

    stem: ClassVar[str] = "profiles"
    users: int
    snapshots: int = 30
    features: int = 20
    view: int = 0

    @property
    def names(self) -> list[str]:
        return [f"v{self.view}_f{i:02d}" for i in range(self.features)]

    def chunks(self) -> Iterator[pa.Table]:
        # One day is one chunk: a day's rows come before the next day's, whatever their hour.
        for day in range(DAYS - self.snapshots, DAYS):
            g = _generator(f"profiles{self.view}/{day}")
            ts = np.sort(START_US + day * DAY_US + (g.random(self.users) * HOUR_US).astype(np.int64))
            columns: dict[str, object] = {
                "user_id": g.permutation(self.users).astype(np.int64),
                "ts": pa.array(ts, TIMESTAMP),
            }
            for name in self.names:
                columns[name] = np.round(g.random(self.users) * 1000, 4)
            yield pa.table(columns)


@dataclass(frozen=True, slots=True)
class Transactions:
    """Events by time; users zipf-like (weight 1 / (rank + 1) ** skew), user 0 with `hot` of all rows on top.

    Columns: user_id int64, ts, amount float64 (two decimals, log-normal), category str (20 values),
    is_fraud bool, created_ts. `created_ts` is `ts`, but for `late` of the rows up to a day after it.
    """

    stem: ClassVar[str] = "transactions"
    rows: int
    users: int
    skew: float = 0.8
    late: float = 0.0
    hot: float = 0.0

    def chunks(self) -> Iterator[pa.Table]:
        count = -(-self.rows // CHUNK_ROWS)
        span = DAYS * DAY_US / count
        for i, n in enumerate(_shares(self.rows, count)):
            g = _generator(f"transactions/{i}")
            ts = np.sort(START_US + ((i + g.random(n)) * span).astype(np.int64))
            users = _draw_users(g, n, self.users, self.skew, self.hot)
            normal = np.sqrt(-2 * np.log(1 - g.random(n))) * np.cos(2 * np.pi * g.random(n))
            category = pa.array((g.random(n) ** 2 * len(CATEGORIES)).astype(np.int32))
            fraud = g.random(n) < 0.01
            delay = np.where(g.random(n) < self.late, 1 + g.random(n) * DAY_US, 0).astype(np.int64)
            yield pa.table(
                {
                    "user_id": users,
                    "ts": pa.array(ts, TIMESTAMP),
                    "amount": np.round(np.exp(3 + 1.2 * normal), 2),
                    "category": pa.DictionaryArray.from_arrays(category, list(CATEGORIES)).cast(pa.string()),
                    "is_fraud": fraud,
                    "created_ts": pa.array(ts + delay, TIMESTAMP),
                }
            )


@dataclass(frozen=True, slots=True)
class Histories:
    """Events by time in the last 30 days: exactly `each` rows for each user. Columns: user_id, ts, amount."""

    stem: ClassVar[str] = "histories"
    users: int
    each: int = 100

    def chunks(self) -> Iterator[pa.Table]:
        slices = max(1, min(self.each, -(-self.users * self.each // CHUNK_ROWS)))
        span = 30 * DAY_US / slices
        for i, each in enumerate(_shares(self.each, slices)):
            g = _generator(f"histories/{i}")
            n = self.users * each
            ts = np.sort(END_US - 30 * DAY_US + ((i + g.random(n)) * span).astype(np.int64))
            users = np.tile(np.arange(self.users, dtype=np.int64), each)[g.permutation(n)]
            amount = np.round(g.random(n) * 1000, 2)
            yield pa.table({"user_id": users, "ts": pa.array(ts, TIMESTAMP), "amount": amount})


@dataclass(frozen=True, slots=True)
class Spine:
    """Questions in random order, times uniform over the 90 days. Columns: user_id, event_timestamp, label."""

    stem: ClassVar[str] = "spine"
    rows: int
    users: int
    skew: float = 0.0
    hot: float = 0.0

    def chunks(self) -> Iterator[pa.Table]:
        for i, n in enumerate(_shares(self.rows, -(-self.rows // CHUNK_ROWS))):
            g = _generator(f"spine/{i}")
            users = _draw_users(g, n, self.users, self.skew, self.hot)
            ts = START_US + (g.random(n) * DAYS * DAY_US).astype(np.int64)
            label = (g.random(n) < 0.05).astype(np.int64)
            yield pa.table({"user_id": users, "event_timestamp": pa.array(ts, TIMESTAMP), "label": label})


def ensure(recipe: Recipe, folder: Path) -> Path:
    """The recipe's Parquet file in `folder`, drawn now if it is not there yet.

    The file appears whole or not at all: it is written beside its place and renamed.
    """
    path = folder / f"{_name(recipe)}.parquet"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    writer: pq.ParquetWriter | None = None
    for table in recipe.chunks():
        if writer is None:
            writer = pq.ParquetWriter(partial, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
    if writer is None:
        raise ValueError(f"{recipe} has no rows")
    writer.close()
    partial.rename(path)
    return path


def skewed_users(n: int, users: int, skew: float, what: str) -> np.ndarray:
    """`n` user ids as the events draw them, for the access pattern of online reads; seeded by `what`."""
    return _draw_users(_generator(what), n, users, skew, 0.0)


def _name(recipe: Recipe) -> str:
    sizes = (f"{f.name}={getattr(recipe, f.name)}" for f in fields(recipe))  # type: ignore[arg-type]
    return "-".join((recipe.stem, *sizes))


def _generator(what: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([SEED, *what.encode()]))


def _shares(total: int, parts: int) -> list[int]:
    """`total` cut into `parts` near-equal counts."""
    return [(i + 1) * total // parts - i * total // parts for i in range(parts)]


def _draw_users(g: np.random.Generator, n: int, users: int, skew: float, hot: float) -> np.ndarray:
    """`n` ids in [0, users): uniform for skew 0, else zipf-like with shuffled ids; then `hot` of them 0."""
    u = g.random(n)
    if skew == 0:
        drawn = (u * users).astype(np.int64)
    else:
        weights = np.cumsum(1.0 / (np.arange(users) + 1.0) ** skew)
        rank = np.searchsorted(weights / weights[-1], u).clip(0, users - 1)
        drawn = _generator("ids").permutation(users).astype(np.int64)[rank]
    if hot:
        drawn[g.random(n) < hot] = 0
    return drawn
