"""PostgreSQL, through ADBC: rows come in Arrow's own form, by COPY, while the database is still sending."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import cast

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as driver
import polars as pl
import pyarrow as pa

from gnomon.errors import DataError, GnomonError
from gnomon.sources.database import Database
from gnomon.types import DType

_PLAIN: dict[str, DType] = {
    "bool": pl.Boolean(),
    "int2": pl.Int16(),
    "int4": pl.Int32(),
    "int8": pl.Int64(),
    "float4": pl.Float32(),
    "float8": pl.Float64(),
    "text": pl.String(),
    "varchar": pl.String(),
    "bpchar": pl.String(),
    "name": pl.String(),
    "bytea": pl.Binary(),
    "date": pl.Date(),
    "time": pl.Time(),
    "timestamp": pl.Datetime("us"),
    "timestamptz": pl.Datetime("us", "UTC"),
}
"""What comes as it is. Arrays of these are lists; anything else is read as the text that PostgreSQL writes."""
_LOOKED_AT = 10_000
"""Rows that tell the scale of a numeric column without one."""
_LOST = ("08", "57P", "53")
"""How the codes of errors begin that pass: a connection that broke, a server that stops, no room for one more."""
_NOT_CONNECTED = "[libpq] Failed to connect"
_LASTING = (
    "authentication failed",
    "does not exist",
    "is not permitted to log in",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied",
    "certificate verify failed",
    "does not support SSL",
)
"""What libpq says, without a code, of connections that are refused for as long as nobody changes anything."""
_WIDEST = 38
_EARLIEST = {pl.Date: -2_440_588, pl.Datetime: -210_866_803_200_000_000}
"""The earliest finite times of PostgreSQL, in 4713 BC, as days and as microseconds since 1970."""


class Postgres(Database):
    """A database of PostgreSQL, or one that speaks as it does."""

    def columns(self) -> dict[str, DType]:
        return {name: self._type(name) for name in self._fields}

    def batches(self, columns: Sequence[str], where: str = "") -> Iterator[pl.DataFrame]:
        types = {name: self._type(name) for name in columns}
        for batch in self._run(self.text(columns, where)):
            frame = cast(pl.DataFrame, pl.from_arrow(batch))
            for name, dtype in types.items():
                if isinstance(dtype, pl.Decimal):
                    self._check_scale(frame[name], dtype)
                self._check_finite(frame[name])
            yield frame.select(pl.col(name).cast(dtype) for name, dtype in types.items())

    def expression(self, column: str) -> str:
        name = self.quoted(column)
        cast_to = "" if self._is_plain(column) else "::text"
        return f"{name}{cast_to} AS {name.removeprefix('q.')}"

    # ---- types

    @cached_property
    def _fields(self) -> dict[str, pa.Field]:
        """The columns as PostgreSQL declares them, without running the query."""
        try:
            with driver.connect(self.url) as connection, connection.cursor() as cursor:
                # In parentheses, where only a query can stand.
                schema = cursor.adbc_execute_schema(f"SELECT * FROM ({self.inner}) AS q")
        except (adbc_driver_manager.Error, OSError) as error:
            raise self._told(error) from None
        return {field.name: field for field in schema}

    def _declared(self, column: str) -> str:
        return cast(str, self._fields[column].metadata[b"POSTGRESQL:type"].decode())

    def _is_plain(self, column: str) -> bool:
        declared = self._declared(column)
        return declared.removeprefix("_") in _PLAIN

    def _type(self, column: str) -> DType:
        declared = self._declared(column)
        if declared == "numeric":
            return self._numeric(column)
        if not self._is_plain(column):
            return pl.String()
        plain = _PLAIN[declared.removeprefix("_")]
        return pl.List(plain) if declared.startswith("_") else plain

    def _numeric(self, column: str) -> pl.Decimal:
        given = self.types.get(column)
        modifier = int(self._fields[column].metadata[b"POSTGRESQL:typmod"]) - 4
        if modifier >= 0:
            precision, scale = modifier >> 16, modifier & 0x7FF
            return pl.Decimal(min(precision, _WIDEST), min(scale, _WIDEST))
        if isinstance(given, pl.Decimal):
            return given
        return pl.Decimal(_WIDEST, self._scales[column])

    @cached_property
    def _scales(self) -> dict[str, int]:
        """Of numeric columns without one, the scale that holds the first rows."""
        free = [
            name
            for name, field in self._fields.items()
            if self._declared(name) == "numeric" and field.metadata[b"POSTGRESQL:typmod"] == b"-1"
        ]
        scales = ", ".join(f"max(scale({self.quoted(name)})) AS {self.quoted(name)[2:]}" for name in free)
        text = f"SELECT {scales} FROM (SELECT * FROM ({self.inner}) AS q LIMIT {_LOOKED_AT}) AS q"
        (row,) = (found for batch in self._run(text) for found in batch.to_pylist())
        return {name: min(row[name] or 0, _WIDEST) for name in free}

    def _check_scale(self, texts: pl.Series, dtype: pl.Decimal) -> None:
        """Raises: DataError for a number with more decimals than the type: a cast would round it."""
        decimals = texts.str.extract(r"\.(\d*[1-9])").str.len_bytes()
        if decimals.len() and (decimals.max() or 0) > dtype.scale:  # type: ignore[operator]
            first = texts.filter(decimals > dtype.scale)[0]
            raise DataError(
                f"source `{self.name}`: column `{texts.name}` is read with {dtype.scale} decimals, and holds {first}",
                at=self.at,
                hint=f"give it a type in the query: CAST({texts.name} AS numeric(38, …)) AS {texts.name}",
            )

    def _check_finite(self, values: pl.Series) -> None:
        """Raises: DataError for a time beyond 64 bits, such as infinity: the driver counts from 1970, and it wraps
        round into the past.
        """
        if isinstance(values.dtype, pl.List):
            values = values.explode()
        earliest = _EARLIEST.get(values.dtype.base_type())
        if earliest is not None and (values.to_physical() < earliest).any():
            name = values.name
            raise DataError(
                f"source `{self.name}`: column `{name}` holds infinity, or a time beyond 64 bits of microseconds",
                at=self.at,
                hint=f"let the query give null: CASE WHEN isfinite({name}) THEN {name} END AS {name}",
            )

    # ---- the server

    def _run(self, text: str) -> Iterator[pa.RecordBatch]:
        try:
            with driver.connect(self.url) as connection, connection.cursor() as cursor:
                cursor.execute(text)
                yield from cursor.fetch_record_batch()
        except (adbc_driver_manager.Error, OSError) as error:
            raise self._told(error) from None

    def _told(self, error: Exception) -> GnomonError:
        """An error of the driver in our words. While rows are read it is an OSError, without a code."""
        text = str(error)
        if _NOT_CONNECTED in text and any(known in text for known in _LASTING):
            return DataError(
                f"source `{self.name}`: the database refuses: {text.partition('FATAL:')[2].strip() or text}",
                at=self.at,
                hint="check the URL, and what its user may do in that database",
            )
        state = getattr(error, "sqlstate", None)
        if isinstance(error, OSError) or state is None or str(state).startswith(_LOST):
            return self.away(error)
        return self.refused(error)
