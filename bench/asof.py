"""As-of joins: for each spine row the newest row of its key, Parquet to Arrow.

Sizes:  spine (rows), users, snapshots (rows a user in a profile view), events; whichever a work needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
from duckdb import DuckDBPyConnection

import gnomon as gn
from bench.harness import Digest, Job, Timed, Work
from bench.reach import TimesFaster, TimesSlower
from bench.tables import digest, duck, project
from bench.workload import Profiles, Spine, Transactions, ensure

TRANSACTION_TYPES = {"amount": pl.Float64, "category": pl.String, "is_fraud": pl.Boolean}
VIEWS = 5


class View:
    """A Parquet file of rows by `ts`, and the columns wanted from it."""

    def __init__(self, name: str, path: Path, types: dict[str, type[pl.DataType]]) -> None:
        self.name = name
        self.path = path
        self.types = types

    @property
    def columns(self) -> list[str]:
        return list(self.types)


class AsOf(Timed):
    """What all sides do: open the views and the spine, keep the result's digest. Here: one profile view."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.views = self.open_views(job)
        self.spine = ensure(Spine(job.sizes["spine"], job.sizes["users"]), job.data)

    def open_views(self, job: Job) -> list[View]:
        return [profile_view(job, 0)]

    def digest(self) -> Digest:
        return dict(digest(self.result, [column for view in self.views for column in view.columns]))


class OverTransactions(AsOf):
    """The views are one: the newest transaction."""

    def open_views(self, job: Job) -> list[View]:
        recipe = Transactions(job.sizes["events"], job.sizes["users"])
        return [View("transactions", ensure(recipe, job.data), dict(TRANSACTION_TYPES))]


class OverFiveProfiles(AsOf):
    """The views are five profile views."""

    def open_views(self, job: Job) -> list[View]:
        return [profile_view(job, i) for i in range(VIEWS)]


def profile_view(job: Job, number: int) -> View:
    recipe = Profiles(job.sizes["users"], job.sizes["snapshots"], view=number)
    return View(f"profiles_{number}", ensure(recipe, job.data), dict.fromkeys(recipe.names, pl.Float64))


# ---- ours


def file_groups(views: Sequence[View]) -> list[gn.FeatureGroup]:
    """State groups that read the views in place."""
    user = gn.Entity("user", keys={"user_id": pl.Int64})
    return [
        gn.FeatureGroup(
            view.name,
            entity=user,
            source=gn.FileSource(f"{view.name}_file", path=str(view.path), timestamp="ts"),
            features=[gn.Feature(name, dtype) for name, dtype in view.types.items()],
        )
        for view in views
    ]


class Gnomon(AsOf):
    """Groups on files, the spine read from its file within the measured time, as the peers do."""

    name = "gnomon"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.store = project(job.scratch / "project")
        self.groups = file_groups(self.views)
        self.store.apply(self.groups)

    def work(self) -> pa.Table:
        spine = pl.read_parquet(self.spine)
        return self.store.get_historical_features(spine, self.groups).to_arrow()


class GnomonTransactions(OverTransactions, Gnomon):
    pass


class GnomonFive(OverFiveProfiles, Gnomon):
    pass


class GnomonStored(AsOf):
    """The same rows out of the store's own table, inserted and optimized beforehand."""

    name = "gnomon"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        (view,) = self.views
        self.store = project(job.scratch / "project")
        self.group = gn.FeatureGroup(
            view.name,
            entity=gn.Entity("user", keys={"user_id": pl.Int64}),
            timestamp="ts",
            features=[gn.Feature(name, dtype) for name, dtype in view.types.items()],
        )
        self.store.apply([self.group])
        self.store.insert(self.group, pl.read_parquet(view.path))
        self.store.optimize(self.group)

    def work(self) -> pa.Table:
        spine = pl.read_parquet(self.spine)
        return self.store.get_historical_features(spine, [self.group]).to_arrow()


# ---- peers


def duckdb_join(connection: DuckDBPyConnection, spine: Path, view: View) -> pa.Table:
    """ASOF LEFT JOIN on keys and times alone, then the wanted rows' columns by row number.

    The ASOF join sorts what it is given: with the twenty columns in it, it takes 1.4 times as long.
    """
    rows = f"read_parquet('{view.path}', file_row_number = true)"
    return connection.sql(
        f"""
        WITH matched AS (
            SELECT s.*, r.file_row_number AS row
            FROM read_parquet('{spine}') s
            ASOF LEFT JOIN {rows} r ON s.user_id = r.user_id AND s.event_timestamp >= r.ts)
        SELECT matched.* EXCLUDE (row), {", ".join(f"r.{column}" for column in view.columns)}
        FROM matched LEFT JOIN {rows} r ON matched.row = r.file_row_number
        """
    ).to_arrow_table()


def duckdb_joins(connection: DuckDBPyConnection, spine: Path, views: Sequence[View]) -> pa.Table:
    """An ASOF join for each view, each into a table of its own, then all beside each other.

    In one statement the planner builds its hash tables on the wide side and takes twice as long. Tables in
    between let each gather be an inner join, whose keys are pushed down into the scan.
    """
    sql = connection.sql
    sql(
        f"""
        CREATE OR REPLACE TEMP TABLE spine AS
        SELECT * RENAME (file_row_number AS i) FROM read_parquet('{spine}', file_row_number = true)
        """
    )
    for view in views:
        rows = f"read_parquet('{view.path}', file_row_number = true)"
        sql(
            f"""
            CREATE OR REPLACE TEMP TABLE matched AS
            SELECT s.i, r.file_row_number AS row
            FROM spine s ASOF JOIN {rows} r ON s.user_id = r.user_id AND s.event_timestamp >= r.ts
            """
        )
        sql(
            f"""
            CREATE OR REPLACE TEMP TABLE {view.name} AS
            SELECT m.i, {", ".join(f"r.{column}" for column in view.columns)}
            FROM matched m JOIN {rows} r ON m.row = r.file_row_number
            """
        )
    columns = ", ".join(f"{view.name}.{column}" for view in views for column in view.columns)
    joins = " ".join(f"LEFT JOIN {view.name} USING (i)" for view in views)
    return sql(f"SELECT spine.* EXCLUDE (i), {columns} FROM spine {joins}").to_arrow_table()


def polars_joins(spine: Path, views: Sequence[View]) -> pa.Table:
    """`join_asof` by user, view after view; the files are by time already, and Polars is told so."""
    joined = pl.scan_parquet(spine).sort("event_timestamp")
    for view in views:
        rows = pl.scan_parquet(view.path).select("user_id", "ts", *view.columns).set_sorted("ts")
        joined = joined.join_asof(
            rows,
            left_on="event_timestamp",
            right_on="ts",
            by="user_id",
            check_sortedness=False,
        ).drop("ts")
    return joined.collect().to_arrow()


class DuckDB(AsOf):
    name = "duckdb"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.connection = duck(job.threads)

    def work(self) -> pa.Table:
        return duckdb_join(self.connection, self.spine, self.views[0])


class DuckDBTransactions(OverTransactions, DuckDB):
    pass


class DuckDBFive(OverFiveProfiles, DuckDB):
    def work(self) -> pa.Table:
        return duckdb_joins(self.connection, self.spine, self.views)


class Polars(AsOf):
    name = "polars"

    def work(self) -> pa.Table:
        return polars_joins(self.spine, self.views)


class PolarsTransactions(OverTransactions, Polars):
    pass


class PolarsFive(OverFiveProfiles, Polars):
    pass


SMALL = {"spine": 100_000, "users": 10_000, "snapshots": 30, "rows": 300_000}
FULL = {"spine": 1_000_000, "users": 100_000, "snapshots": 30, "rows": 3_000_000}

WORKS = (
    Work(
        "asof-files",
        "as-of: {spine:,} spine × {rows:,} rows × 20 features",
        SMALL,
        FULL,
        Gnomon,
        (DuckDB, Polars),
        (TimesFaster(1),),
    ),
    Work(
        "asof-stored",
        "as-of: {spine:,} spine × {rows:,} rows × 20 features, ours from its own table",
        SMALL,
        FULL,
        GnomonStored,
        (DuckDB, Polars),
        (TimesFaster(1.3),),
    ),
    Work(
        "asof-transactions",
        "as-of: {spine:,} spine × {events:,} rows × 3 features",
        {"spine": 100_000, "users": 10_000, "events": 1_000_000},
        {"spine": 1_000_000, "users": 100_000, "events": 10_000_000},
        GnomonTransactions,
        (DuckDBTransactions, PolarsTransactions),
        (TimesSlower(1.3),),
    ),
    Work(
        "asof-five",
        "as-of: 5 groups × 20 features × {spine:,} spine on 5 × {rows:,} rows",
        {**SMALL, "spine": 10_000},
        {**FULL, "spine": 100_000},
        GnomonFive,
        (DuckDBFive, PolarsFive),
        (TimesFaster(1, than="duckdb"),),
    ),
)
