"""The normal form of rows: whatever a source's columns are called, from here on they are called the same.

`__k0 __k1 …` key columns, cast to the entity's types; `__t` event time, int64 µs, never null; `__known` the
declared known_at, int64 µs, `NEVER` where it is not known yet; `__id` the event id; `__x0 __x1 …` the
layout's inputs, evaluated; `__c0 …` the raw content columns, only where row hashes are wanted. Rows with a
null key or time are left out, and counted by `count_ignored`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from gnomon.errors import counted
from gnomon.plan.keys import as_key
from gnomon.plan.layout import Layout
from gnomon.time import DAY, NEVER

TIME, KNOWN, ID = "__t", "__known", "__id"
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


def micros(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A time column as int64 microseconds UTC, floored. Null stays null; text that is no time becomes an
    error.
    """
    if isinstance(dtype, pl.Datetime):
        ticks = column.to_physical()
        return {"ns": ticks // 1000, "us": ticks, "ms": ticks * 1000}[dtype.time_unit]
    if isinstance(dtype, pl.Date):
        return column.to_physical().cast(pl.Int64) * DAY
    return _text_micros(column)


_ZONE = r"(:\d{2}.*?)\s*(Z|z|[+-]\d{2}(?::?\d{2})?)$"
"""What stands between the minutes and the zone, and the zone: `Z`, `+01:00`, `+0100` or `+01`."""


def _text_micros(column: pl.Expr) -> pl.Expr:
    """ISO 8601 text, naive (UTC) and with offsets mixed in one column."""
    text = column.str.strip_chars()
    digits = text.str.extract(_ZONE, 2).str.replace(":", "", literal=True)
    naive = text.str.replace(_ZONE, "$1").str.replace("T", " ", literal=True)
    whole = pl.when(naive.str.len_chars() <= 10).then(naive + " 00:00:00").otherwise(naive)
    whole = pl.when(whole.str.len_chars() == 16).then(whole + ":00").otherwise(whole)
    # Microseconds and not finer: nanoseconds end with the year 2262, and a date beyond it would come out as another.
    parsed = whole.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=True).to_physical()
    hours = digits.str.slice(1, 2).cast(pl.Int64, strict=False)
    minutes = digits.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0)
    seconds = hours * 3600 + minutes * 60
    shift = pl.when(digits.str.starts_with("-")).then(-seconds).otherwise(seconds).fill_null(0)
    return parsed - shift * 1_000_000


def raw_columns(layout: Layout) -> list[str]:
    """The source's columns that the normal form is made of."""
    times = [c for c in (layout.timestamp, layout.known_at, layout.event_id) if c is not None]
    return list(dict.fromkeys([*layout.key_names, *times, *(name for name, _ in layout.columns)]))


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
    columns.append(micros(pl.col(layout.timestamp), schema[layout.timestamp]).alias(TIME))
    if layout.known_at is not None:
        known = micros(pl.col(layout.known_at), schema[layout.known_at]).fill_null(NEVER)
        columns.append(known.alias(KNOWN))
    if layout.event_id is not None:
        # The layout's type, not that of the rows at hand: what is packed online is told apart by it.
        whole = layout.id_dtype is not None and layout.id_dtype.is_integer()
        id_type = pl.Int64() if whole else pl.String()
        columns.append(pl.col(layout.event_id).cast(id_type).alias(ID))
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
