"""The normal form of rows: whatever a source's columns are called, from here on they are called the same.

`__k0 __k1 …` key columns, cast to the entity's types; `__t` event time, int64 µs, never null; `__known` the
declared known_at, int64 µs, `NEVER` where it is not known yet; `__id` the event id; `__x0 __x1 …` the
layout's inputs, evaluated; `__c0 …` the raw content columns, only where row hashes are wanted. Rows with a
null key or time are left out, and counted by `count_ignored`.

Where rows were updated, deleted or retracted there are two columns more: `__dead`, what a marker of a delete is
(`ALIVE`, `DELETED`, `RETRACTED`), and `__stored`, when such a change became known, int64 µs, null for plain rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import polars as pl

from gnomon.errors import counted
from gnomon.plan.keys import as_key
from gnomon.plan.layout import Layout
from gnomon.time import DAY, NEVER

TIME, KNOWN, ID = "__t", "__known", "__id"
DEAD, STORED = "__dead", "__stored"
ALIVE, DELETED, RETRACTED = 0, 1, 2
OP, KNOWN_AT = "__op", "__known_at"
"""Columns of a table whose rows were updated or deleted: `UPDATE`, `DELETE` or null for a plain row, and when it
became known.
"""
UPDATE, DELETE = "update", "delete"
PART = "__part"
ROW = "__row"
"""The number of a row in its source, where rows are fetched by number."""


def key(i: int) -> str:
    return f"__k{i}"


def lane(i: int) -> str:
    return f"__x{i}"


def content(i: int) -> str:
    return f"__c{i}"


@dataclass(frozen=True, slots=True)
class Ignored:
    """Rows that take no part, by reason."""

    null_key: int = 0
    null_time: int = 0

    def __bool__(self) -> bool:
        return bool(self.null_key or self.null_time)

    def __add__(self, other: Ignored) -> Ignored:
        return Ignored(self.null_key + other.null_key, self.null_time + other.null_time)

    def __str__(self) -> str:
        counts = ((self.null_key, "with a null key"), (self.null_time, "without an event time"))
        return ", ".join(f"{counted(n, 'row')} {why}" for n, why in counts if n) or "none"


def micros(column: pl.Expr, dtype: pl.DataType, *, days: bool = True) -> pl.Expr:
    """A time column as int64 microseconds UTC, floored. Null stays null; text that is no time becomes an
    error, and so does a date alone in text where `days` is False.
    """
    if isinstance(dtype, pl.Datetime):
        ticks = column.to_physical()
        return {"ns": ticks // 1000, "us": ticks, "ms": ticks * 1000}[dtype.time_unit]
    if isinstance(dtype, pl.Date):
        return column.to_physical().cast(pl.Int64) * DAY
    return column.map_batches(
        partial(_text_micros, days=days, strict=True), return_dtype=pl.Int64, is_elementwise=True
    )


def as_type(column: pl.Expr, found: pl.DataType, dtype: pl.DataType, *, days: bool = True) -> pl.Expr:
    """A column as another type, strictly. Text becomes times as in `micros`; naive times are UTC."""
    if found == dtype:
        return column
    if isinstance(found, pl.String) and isinstance(dtype, pl.Datetime):
        instant = micros(column, found, days=days).cast(pl.Datetime("us", "UTC"))
        return (instant if dtype.time_zone else instant.dt.replace_time_zone(None)).cast(dtype)
    return column.cast(dtype)


def days_are_times(lag: int, known_at: str | None) -> bool:
    """Whether a date alone may be an event time: the day is not known before it ends, so that something must tell
    when it was.
    """
    return bool(lag) or known_at is not None


def not_times(text: pl.Series, *, days: bool = True) -> pl.Series:
    """Which texts are no times, as `micros` reads them."""
    return text.is_not_null() & _text_micros(text, days=days, strict=False).is_null()


def is_day(text: str) -> bool:
    """Whether a text is a date and nothing more."""
    return _DAY.fullmatch(text.strip()) is not None


def why_no_time(text: str) -> str:
    """What is wrong with a text that is no time, in words that go on after `is`."""
    if is_day(text):
        return "a date without a time of day, in a column of times"
    return "no time as ISO 8601 writes them, such as 2026-01-31T12:00:00Z"


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ZONE = r"(:\d{2}.*?)\s*(Z|z|[+-]\d{2}(?::?\d{2})?)$"
"""What stands between the minutes and the zone, and the zone: `Z`, `+01:00`, `+0100` or `+01`."""
_FORMS = ("%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f")
"""What most columns are written in, ten times as fast to read as everything that ISO 8601 allows."""


def _text_micros(text: pl.Series, *, days: bool, strict: bool) -> pl.Series:
    """ISO 8601 text, naive (UTC) and with offsets mixed in one column."""
    first = text.drop_nulls().head(1)
    form = next((form for form in _FORMS if not _parsed(first, form).null_count()), _FORMS[0])
    parsed = _parsed(text, form)
    rest = (parsed.is_null() & text.is_not_null()).arg_true()
    if not len(rest):
        return parsed
    return parsed.scatter(rest, _any_text_micros(text.gather(rest), days, strict))


def _parsed(text: pl.Series, form: str) -> pl.Series:
    # Microseconds and not finer: nanoseconds end with the year 2262, and a date beyond it would come out as another.
    return text.str.to_datetime(form, time_unit="us", strict=False).to_physical()


def _any_text_micros(given: pl.Series, days: bool, strict: bool) -> pl.Series:
    text = given.str.strip_chars()
    digits = text.str.extract(_ZONE, 2).str.replace(":", "", literal=True)
    naive = text.str.replace(_ZONE, "$1").str.replace("T", " ", literal=True)
    if days:
        naive = naive.zip_with(naive.str.len_chars() > 10, naive + " 00:00:00")
    naive = naive.zip_with(naive.str.len_chars() != 16, naive + ":00")
    parsed = _parsed(naive, "%Y-%m-%d %H:%M:%S%.f")
    if strict and parsed.null_count():
        first = given.gather(parsed.is_null().arg_true().head(1))
        raise pl.exceptions.InvalidOperationError(f"`{first[0]}` is {why_no_time(first[0])}")
    hours = digits.str.slice(1, 2).cast(pl.Int64, strict=False)
    minutes = digits.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0)
    seconds = hours * 3600 + minutes * 60
    shift = seconds.zip_with(~digits.str.starts_with("-").fill_null(False), -seconds).fill_null(0)
    return parsed - shift * 1_000_000


def raw_columns(layout: Layout) -> list[str]:
    """The source's columns that the normal form is made of."""
    times = [c for c in (layout.timestamp, layout.known_at, layout.event_id) if c is not None]
    return list(dict.fromkeys([*layout.key_names, *times, *(name for name, _ in layout.columns)]))


def event_time(layout: Layout, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """The event time of raw rows as int64 microseconds."""
    days = layout.cached or days_are_times(layout.lag, layout.known_at)
    return micros(pl.col(layout.timestamp), schema[layout.timestamp], days=days)


def normalise(
    frame: pl.LazyFrame,
    layout: Layout,
    *,
    inputs: Iterable[int] | None = None,
    with_content: bool = False,
    keep: Iterable[str] = (),
) -> pl.LazyFrame:
    """Rows in normal form, lazily. `inputs`: only these lanes; `keep`: further columns to carry along."""
    schema = frame.collect_schema()
    columns = [
        as_key(pl.col(name), schema[name], dtype).alias(key(i)) for i, (name, dtype) in enumerate(layout.keys)
    ]
    columns.append(event_time(layout, schema).alias(TIME))
    if layout.known_at is not None:
        known = micros(pl.col(layout.known_at), schema[layout.known_at]).fill_null(NEVER)
        columns.append(known.alias(KNOWN))
    if layout.event_id is not None:
        # The layout's type, not that of the rows at hand: what is packed online is told apart by it.
        whole = layout.id_dtype is not None and layout.id_dtype.is_integer()
        id_type = pl.Int64() if whole else pl.String()
        columns.append(pl.col(layout.event_id).cast(id_type).alias(ID))
    if OP in schema:
        columns.append((pl.col(OP) == DELETE).fill_null(False).cast(pl.UInt8).alias(DEAD))
        columns.append(pl.col(KNOWN_AT).to_physical().alias(STORED))
    wanted = range(len(layout.inputs)) if inputs is None else inputs
    columns.extend(layout.inputs[i].evaluate().alias(lane(i)) for i in wanted)
    if with_content:
        columns.extend(pl.col(name).alias(content(i)) for i, (name, _) in enumerate(layout.columns))
    columns.extend(pl.col(name) for name in keep)
    # The raw columns are filtered before anything is evaluated: a row that is ignored cannot fail a cast.
    return frame.filter(complete(layout)).select(columns)


def complete(layout: Layout) -> pl.Expr:
    """Whether a raw row has all its key columns and its event time."""
    return pl.all_horizontal(pl.col(c).is_not_null() for c in (*layout.key_names, layout.timestamp))


def count_ignored(frame: pl.LazyFrame, layout: Layout) -> Ignored:
    """How many raw rows of `frame` take no part, and why."""
    null_key = (
        pl.any_horizontal(pl.col(c).is_null() for c in layout.key_names) if layout.keys else pl.lit(False)
    )
    counts = frame.select(
        null_key.sum().alias("null_key"),
        (pl.col(layout.timestamp).is_null() & ~null_key).sum().alias("null_time"),
    ).collect(engine="streaming")
    return Ignored(int(counts["null_key"][0] or 0), int(counts["null_time"][0] or 0))
