"""What the sides share: a result's digest, a DuckDB connection, a project of our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

import gnomon as gn


def digest(table: pa.Table, columns: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Per column: rows, values that are not null, and their sum weighted by the row's user and time.

    The weights tell a value in the wrong row from the right one, and do not depend on the order of rows.
    """
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    when = pl.col("event_timestamp").to_physical()
    weight = ((pl.col("user_id") * 31 + when) % 1009).cast(pl.Float64) / 1009
    number = {
        name: pl.col(name).cast(pl.Float64) if dtype.is_numeric() else pl.col(name).hash() % 1000
        for name, dtype in frame.schema.items()
    }
    sums = frame.select(
        **{f"n {name}": pl.col(name).count() for name in columns},
        **{
            f"s {name}": (pl.when(pl.col(name).is_not_null()).then(number[name]) * weight).sum()
            for name in columns
        },
    ).row(0, named=True)
    return {name: (frame.height, float(sums[f"n {name}"]), float(sums[f"s {name}"])) for name in columns}


def duck(threads: int) -> duckdb.DuckDBPyConnection:
    """A database in memory, set up as one would for speed.

    Ask it with `.sql(…).to_arrow_table()`: Arrow through `.execute(…)` copies the rows once more.
    """
    connection = duckdb.connect()
    connection.sql(f"SET threads = {threads}")
    connection.sql("SET enable_progress_bar = false")
    connection.sql("SET preserve_insertion_order = false")
    return connection


def project(folder: Path, *, online: str | None = None) -> gn.Store:
    """A new store in `folder`, with everything at its defaults but, where given, the online store's URL."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gnomon.toml").write_text('[project]\nname = "bench"\n', encoding="utf-8")
    return gn.Store(folder, online=online)
