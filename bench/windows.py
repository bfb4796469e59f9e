"""Twenty windowed aggregates, Parquet to Arrow: count sum mean min max × 1h 1d 7d 30d, [t - W, t).

Sizes:  events, spine, users.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import gnomon as gn
from bench.brute import Events
from bench.harness import Digest, Job, Sizes, Timed, Work
from bench.reach import MemoryUnder, SameBits, TimesFaster, TimesSlower, Within
from bench.tables import digest, duck, project
from bench.workload import DAY_US, HOUR_US, Spine, Transactions, ensure

LENGTHS = {"1h": HOUR_US, "1d": DAY_US, "7d": 7 * DAY_US, "30d": 30 * DAY_US}
FUNCTIONS = ("count", "sum", "mean", "min", "max")
SKEW = 0.8
"""Of events and of questions alike: who acts often is asked about often."""
SAMPLE_ROWS = 1_000


def output(function: str, window: str) -> str:
    """The feature's name, as we name it."""
    return f"count_{window}" if function == "count" else f"amount_{function}_{window}"


OUTPUTS = [output(function, window) for window in LENGTHS for function in FUNCTIONS]


class Windows(Timed):
    """What all sides do: open the events and the spine, keep the result's digest."""

    late: float = 0.0
    """Share of the events that become known up to a day after they happened."""
    hot: float = 0.0
    """Share of events and of questions that one user has."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        sizes = job.sizes
        self.events = ensure(
            Transactions(sizes["events"], sizes["users"], SKEW, self.late, self.hot), job.data
        )
        self.spine = ensure(Spine(sizes["spine"], sizes["users"], SKEW, self.hot), job.data)

    def digest(self) -> Digest:
        return dict(digest(self.result, OUTPUTS))


def aggregates() -> list[Any]:
    """The twenty features, as a user writes them."""
    windows = list(LENGTHS)
    return [
        gn.count(windows=windows),
        gn.sum("amount", windows=windows),
        gn.mean("amount", windows=windows),
        gn.min("amount", windows=windows),
        gn.max("amount", windows=windows),
    ]


class Gnomon(Windows):
    """An event group on the file; nothing is late."""

    name = "gnomon"
    known_at: str | None = None

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.store = project(job.scratch / "project")
        source = gn.FileSource("events", path=str(self.events), timestamp="ts", known_at=self.known_at)
        user = gn.Entity("user", keys={"user_id": pl.Int64})
        self.group = gn.FeatureGroup("spending", entity=user, source=source, features=aggregates())
        self.store.apply([self.group])

    def work(self) -> pa.Table:
        spine = pl.read_parquet(self.spine)
        return self.store.get_historical_features(spine, [self.group]).to_arrow()

    def sample(self) -> tuple[int, int]:
        return compare(self.result, self.events, self.known_at or "ts")


class GnomonOnTime(Gnomon):
    """Beside `GnomonLate` and `GnomonHot`: the same without what makes those hard."""

    name = "gnomon, plain"


class GnomonLate(Gnomon):
    """`late` of the rows become known up to a day after they happened."""

    late = 0.2
    known_at = "created_ts"


class GnomonHot(Gnomon):
    """One user has `hot` of all events, and of all questions."""

    hot = 0.2


class GnomonToParquet(Gnomon):
    """More than fits into memory comfortably: the spine is a file, and so is the answer."""

    def work(self) -> Path:
        out = self.job.scratch / "training.parquet"
        out.unlink(missing_ok=True)
        self.store.get_historical_features(pl.scan_parquet(self.spine), [self.group]).write_parquet(out)
        return out

    def digest(self) -> Digest:
        return {"rows": (float(pq.read_metadata(self.result).num_rows),)}

    def sample(self) -> tuple[int, int]:
        rows = next(pq.ParquetFile(self.result).iter_batches(SAMPLE_ROWS))
        return compare(pa.Table.from_batches([rows]), self.events, "ts")


def compare(result: pa.Table, events: Path, known_at: str) -> tuple[int, int]:
    """(values looked at, values that differ from brute force in any bit), of rows across the result."""
    rows = sampled(result)
    asked = rows.column("user_id").to_numpy()
    moments = pl.Series(rows.column("event_timestamp")).to_physical().to_list()
    brute = read_events(events, known_at, np.unique(asked))
    columns = {name: rows.column(name).to_pylist() for name in OUTPUTS}
    wrong = 0
    for i, (user, t) in enumerate(zip(asked.tolist(), moments, strict=True)):
        for window, length in LENGTHS.items():
            want = brute.window(user, t, length)
            wrong += sum(columns[output(name, window)][i] != want[name] for name in FUNCTIONS)
    return len(moments) * len(OUTPUTS), wrong


def sampled(result: pa.Table) -> pa.Table:
    """`SAMPLE_ROWS` rows across the result."""
    step = max(1, result.num_rows // SAMPLE_ROWS)
    return result.take(pa.array(np.arange(0, result.num_rows, step)[:SAMPLE_ROWS]))


def read_events(path: Path, known_at: str, users: np.ndarray) -> Events:
    """The events of `users` alone: 100 M rows need not be held for a thousand questions."""
    frame = (
        pl.scan_parquet(path)
        .filter(pl.col("user_id").is_in(pl.Series(users).implode()))
        .select("user_id", pl.col("ts").to_physical(), known=pl.col(known_at).to_physical(), amount="amount")
        .collect(engine="streaming")
    )
    return Events(*(frame[name].to_numpy() for name in ("user_id", "ts", "known", "amount")))


class DuckDB(Windows):
    """`UNION ALL` of events and questions, and a `RANGE` frame for each window.

    Times are integers: a frame then ends exactly one microsecond before the question, so that neither events
    nor other questions of that very moment count, and no calendar arithmetic is done. The mean is sum ÷ count
    of the same frame, which saves four of twenty frames.
    """

    name = "duckdb"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.connection = duck(job.threads)

    def work(self) -> pa.Table:
        return self.connection.sql(window_query(self.events, self.spine)).to_arrow_table()


def window_query(events: Path, spine: Path) -> str:
    framed = ("count", "sum", "min", "max")
    over = [f"{function}(amount) OVER w{w} AS {output(function, w)}" for w in LENGTHS for function in framed]
    means = [f"{output('sum', w)} / {output('count', w)} AS {output('mean', w)}" for w in LENGTHS]
    frames = [
        f"w{w} AS (PARTITION BY user_id ORDER BY t RANGE BETWEEN {length} PRECEDING AND 1 PRECEDING)"
        for w, length in LENGTHS.items()
    ]
    return f"""
        SELECT * EXCLUDE (t, amount), {_listed(means)}
        FROM (
            SELECT *, {_listed(over)}
            FROM (
                SELECT user_id, epoch_us(ts) AS t, amount,
                       NULL::TIMESTAMPTZ AS event_timestamp, NULL::BIGINT AS label
                FROM read_parquet('{events}')
                UNION ALL
                SELECT user_id, epoch_us(event_timestamp), NULL, event_timestamp, label
                FROM read_parquet('{spine}'))
            WINDOW {_listed(frames)}
            QUALIFY event_timestamp IS NOT NULL)
        """


def _listed(parts: Sequence[str]) -> str:
    return ",\n               ".join(parts)


def sizes(events: int) -> Sizes:
    """A tenth as many questions, a hundredth as many users."""
    return {"events": events, "spine": events // 10, "users": events // 100}


WORKS = (
    Work(
        "windows",
        "20 windowed aggregates: {events:,} events × {spine:,} spine",
        sizes(100_000),
        sizes(1_000_000),
        Gnomon,
        (DuckDB,),
        (TimesFaster(20), SameBits()),
    ),
    Work(
        "windows-late",
        "20 aggregates, 20 % of rows known up to a day late: {events:,} × {spine:,}",
        sizes(100_000),
        sizes(1_000_000),
        GnomonLate,
        (GnomonOnTime,),
        (TimesSlower(4), SameBits()),
        comparable=False,
    ),
    Work(
        "windows-large",
        "20 windowed aggregates: {events:,} events × {spine:,} spine",
        sizes(1_000_000),
        sizes(10_000_000),
        Gnomon,
        (),
        (Within(6), SameBits()),
        turns=3,
    ),
    Work(
        "windows-hot",
        "20 aggregates, one key with 20 % of all events: {events:,} × {spine:,}",
        sizes(1_000_000),
        sizes(10_000_000),
        GnomonHot,
        (GnomonOnTime,),
        (TimesSlower(1.5), SameBits()),
        turns=3,
        comparable=False,
    ),
    Work(
        "windows-huge",
        "20 windowed aggregates: {events:,} events × {spine:,} spine, to Parquet",
        sizes(2_000_000),
        sizes(100_000_000),
        GnomonToParquet,
        (),
        (MemoryUnder(6), SameBits()),
        turns=0,
        huge=True,
    ),
)
