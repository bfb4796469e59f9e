"""Reading: the rows of a group that can matter for questions of a stretch of time, in normal form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from gnomon.abc.source import Part, SourceReader
from gnomon.engines.resolve import AsOf, needs_content
from gnomon.errors import DataError
from gnomon.plan.layout import NONE, Layout, Output
from gnomon.plan.normal import PART, ROW, TIME, Ignored, count_ignored, lane, micros, normalise, raw_columns
from gnomon.time import ALWAYS, NEVER


@dataclass(frozen=True)
class Reading:
    """Rows to be read, lazily, and what is told about it."""

    frame: pl.LazyFrame
    """In normal form."""
    narrow: pl.LazyFrame | None
    """State groups on numbered sources: keys, times and the row's number alone."""
    wide: pl.LazyFrame
    """Every row's raw columns, by number."""
    inputs: tuple[pl.Expr, ...]
    """What is computed from them."""
    raw: pl.LazyFrame
    """The same rows before, unfiltered, for counting what takes no part."""
    source: str
    columns: tuple[str, ...]
    """Raw columns that are read."""
    since: int
    """Event times before it are not read; ALWAYS: all are."""
    until: int
    """Event times after it are not read; NEVER: all are."""
    parts: tuple[Part, ...]

    def ignored(self, layout: Layout) -> Ignored:
        return count_ignored(self.raw, layout)


def plan_reading(
    reader: SourceReader, layout: Layout, outputs: Sequence[Output], first_t: int, last_t: int, as_of: AsOf
) -> Reading:
    """Choose the rows and columns that `outputs` at times from `first_t` to `last_t` can depend on."""
    parts = reader.parts()
    overlapping = len(parts) > 1 and not layout.cached and layout.event_id is None and layout.kind == "event"
    inputs = sorted({i for o in outputs for i in (o.input, o.where)} - {NONE})
    with_content = needs_content(layout, outputs, overlapping)
    since, until = _stretch(layout, outputs, first_t, last_t)
    raw = reader.scan(raw_columns(layout), part_column=PART if overlapping else None)
    if overlapping and not _overlap(raw, layout):
        overlapping = False
        with_content = needs_content(layout, outputs, False)
    schema = raw.collect_schema()
    numbered = layout.kind == "state" and reader.numbered
    filtered = raw.with_row_index(ROW) if numbered else raw
    time = micros(pl.col(layout.timestamp), schema[layout.timestamp])
    if isinstance(schema[layout.timestamp], pl.Datetime):
        # In the column's own type, so that files can skip row groups by their statistics.
        unit = schema[layout.timestamp].time_unit  # type: ignore[attr-defined]
        time = pl.col(layout.timestamp)
        if since != ALWAYS:
            filtered = filtered.filter(time >= _tick(since, unit, schema[layout.timestamp]))
        if until != NEVER:
            filtered = filtered.filter(time < _tick(until + 1, unit, schema[layout.timestamp]))
    else:
        if since != ALWAYS:
            filtered = filtered.filter(time >= since)
        if until != NEVER:
            filtered = filtered.filter(time <= until)
    frame = normalise(
        filtered, layout, inputs=inputs, with_content=with_content, keep=(PART,) if overlapping else ()
    )
    narrow = normalise(filtered, layout, inputs=(), keep=(ROW,)) if numbered else None
    wide = raw.select(name for name, _ in layout.columns)
    evaluated = tuple(layout.inputs[i].evaluate().alias(lane(i)) for i in inputs)
    columns = tuple(c for c in schema.names() if c != PART)
    return Reading(frame, narrow, wide, evaluated, raw, reader.describe(), columns, since, until, parts)


def _stretch(layout: Layout, outputs: Sequence[Output], first_t: int, last_t: int) -> tuple[int, int]:
    """Event times that can matter. With event ids every version of a row matters, whenever it says it
    happened.
    """
    if layout.event_id is not None and layout.kind == "event":
        return ALWAYS, NEVER
    if layout.kind == "state":
        span = layout.max_age
    else:
        spans = [o.span for o in outputs]
        span = None if None in spans else max(s for s in spans if s is not None)
    since = ALWAYS if span is None else max(ALWAYS, first_t - layout.settling_delay - span)
    return since, last_t - layout.settling_delay


def _tick(instant: int, unit: str, dtype: pl.DataType) -> pl.Expr:
    ticks = {"ns": instant * 1000, "us": instant, "ms": -(-instant // 1000)}[unit]
    return pl.lit(max(-(2**63), min(2**63 - 1, ticks)), dtype=pl.Int64).cast(dtype)


def _overlap(raw: pl.LazyFrame, layout: Layout) -> bool:
    """Whether two parts hold rows of one stretch of time, so that one may repeat rows of another."""
    schema = raw.collect_schema()
    spans = (
        raw.select(PART, micros(pl.col(layout.timestamp), schema[layout.timestamp]).alias(TIME))
        .group_by(PART)
        .agg(pl.col(TIME).min().alias("low"), pl.col(TIME).max().alias("high"))
        .drop_nulls()
        .sort("low")
        .collect(engine="streaming")
    )
    low, high = spans["low"], spans["high"]
    return bool((low.slice(1) <= high.head(len(high) - 1)).any()) if len(spans) > 1 else False


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn what Polars says of rows that cannot be read into a DataError that names the group."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        first = str(error).split("\n\n", maxsplit=1)[0]
        raise DataError(
            f"group `{what}`: its rows cannot be read: {first}",
            hint="a value does not fit the declared type; TRY_CAST in an expr turns such values into null",
        ) from None


def collect_rows(frame: pl.LazyFrame, what: str) -> pl.DataFrame:
    """Read the rows. Raises: DataError that names the group, if a value does not fit its type."""
    with telling(what):
        return frame.collect()
