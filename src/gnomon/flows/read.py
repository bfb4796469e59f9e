"""Reading: the rows of a group that can matter for questions of a stretch of time, in normal form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from gnomon.abc.source import Part, SourceReader, Wanted
from gnomon.engines.resolve import AsOf, needs_content
from gnomon.errors import DataError, Unavailable, counted
from gnomon.flows.misfit import misfit
from gnomon.plan.layout import Layout, Output
from gnomon.plan.normal import (
    PART,
    ROW,
    TIME,
    Ignored,
    count_ignored,
    days_are_times,
    event_time,
    is_day,
    lane,
    normalise,
    not_times,
    raw_columns,
    why_no_time,
)
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
    reader: SourceReader
    wanted: Wanted

    @property
    def pushed(self) -> tuple[str, ...]:
        """What of it the source itself is asked, line by line."""
        return self.reader.reads(self.columns, self.wanted)

    def ignored(self, layout: Layout) -> Ignored:
        return count_ignored(self.raw, layout)


def plan_reading(
    reader: SourceReader, layout: Layout, outputs: Sequence[Output], first_t: int, last_t: int, as_of: AsOf
) -> Reading:
    """Choose the rows and columns that `outputs` at times from `first_t` to `last_t` can depend on."""
    parts = reader.parts()
    overlapping = len(parts) > 1 and not layout.cached and layout.event_id is None and layout.kind == "event"
    inputs = sorted({i for o in outputs for i in o.inputs})
    with_content = needs_content(layout, outputs, overlapping)
    since, until = stretch(layout, outputs, first_t, last_t)
    part_column = PART if overlapping else None
    read = [*raw_columns(layout), *reader.changes()]
    raw = reader.scan(read, part_column=part_column)
    if overlapping and not _overlap(raw, Origin(reader, layout, parts)):
        overlapping = False
        with_content = needs_content(layout, outputs, False)
    schema = raw.collect_schema()
    wanted = Wanted(since, until)
    rows = reader.scan(read, part_column=part_column, wanted=wanted)
    numbered = layout.kind == "state" and reader.numbered
    filtered = rows.with_row_index(ROW) if numbered else rows
    time = event_time(layout, schema)
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
    wide = rows.select(name for name, _ in layout.columns)
    evaluated = tuple(layout.inputs[i].evaluate().alias(lane(i)) for i in inputs)
    columns = tuple(c for c in schema.names() if c != PART)
    told = reader.describe()
    return Reading(frame, narrow, wide, evaluated, raw, told, columns, since, until, parts, reader, wanted)


def stretch(layout: Layout, outputs: Sequence[Output], first_t: int, last_t: int) -> tuple[int, int]:
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


def _overlap(raw: pl.LazyFrame, origin: Origin) -> bool:
    """Whether two parts hold rows of one stretch of time, so that one may repeat rows of another."""
    time = event_time(origin.layout, raw.collect_schema()).alias(TIME)
    with telling(origin.layout.ref, origin):
        spans = (
            raw.select(PART, time)
            .group_by(PART)
            .agg(pl.col(TIME).min().alias("low"), pl.col(TIME).max().alias("high"))
            .drop_nulls()
            .sort("low")
            .collect(engine="streaming")
        )
    low, high = spans["low"], spans["high"]
    return bool((low.slice(1) <= high.head(len(high) - 1)).any()) if len(spans) > 1 else False


@dataclass(frozen=True)
class Origin:
    """Where rows that are being read come from: for telling what is wrong with them."""

    reader: SourceReader
    layout: Layout
    parts: tuple[Part, ...]

    def check_unchanged(self) -> None:
        """Raises: Unavailable if a part is another one than when reading began: rows of both may be mixed."""
        if self.layout.cached:
            return  # a table's files stay as they are
        now = {part.name: part.etag for part in self.reader.parts()}
        for part in self.parts:
            if now.get(part.name) != part.etag:
                raise Unavailable(
                    f"source `{self.reader.name}`: `{part.name}` was changed while it was being read",
                    at=part.name,
                    hint="run it again; files written under another name and then renamed are never half there",
                )

    def cause(self) -> DataError | None:
        """What in the rows cannot be read or computed: the first such time, part, or feature."""
        for part in self.parts:
            if not self.layout.cached:
                for column in (self.layout.timestamp, self.layout.known_at):
                    found = self._bad_time(part, column) if column is not None else None
                    if found is not None:
                        return found
            try:
                self.reader.scan(raw_columns(self.layout), parts=[part]).null_count().collect(
                    engine="streaming"
                )
            except (pl.exceptions.PolarsError, OSError) as error:
                return DataError(
                    f"source `{self.reader.name}`: cannot read `{part.name}`: {_first_words(error)}",
                    at=part.name,
                    hint="a file must be whole, and its values of the types that the group was applied with; "
                    "`gnomon apply` takes over new types",
                )
            found = misfit(self.reader.scan(raw_columns(self.layout), parts=[part]), self.layout)
            if found is not None:
                return DataError(found.what, at=None if self.layout.cached else part.name, hint=found.hint)
        return None

    def _bad_time(self, part: Part, column: str) -> DataError | None:
        """The first text in a time column that is no time; None too where times are no text."""
        try:
            rows = self.reader.with_types({column: pl.String()}).scan([column], parts=[part])
            texts = rows.collect()[column]
        except (DataError, OSError, pl.exceptions.PolarsError):
            return None
        days = column != self.layout.timestamp or days_are_times(self.layout.lag, self.layout.known_at)
        bad = not_times(texts, days=days).arg_true()
        if not len(bad):
            return None
        text = texts[int(bad[0])]
        return DataError(
            f"source `{self.reader.name}`: `{column}` of row {int(bad[0]) + 1:,} of `{part.name}` is `{text}`, "
            f"{why_no_time(text)}" + (f" ({counted(len(bad), 'such row')})" if len(bad) > 1 else ""),
            at=part.name,
            hint='a day is not known before it ends: declare lag="1d" or a known_at column, or write full times'
            if is_day(text)
            else "mend the value, or leave it empty: rows without an event time are ignored and counted",
        )


@contextmanager
def telling(what: str, origin: Origin | None = None) -> Iterator[None]:
    """Turn what Polars says of rows that cannot be read into an error that names the group and the reason.

    Raises: Unavailable if files were changed meanwhile, whether or not what was read looks right; DataError.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        found = None
        if origin is not None:
            known = origin.reader.failure(error)
            if known is not None:
                raise known from None
            origin.check_unchanged()
            found = origin.cause()
        if found is not None:
            raise DataError(f"group `{what}`: {found.what}", at=found.at, hint=found.hint) from None
        raise DataError(
            f"group `{what}`: its rows cannot be read: {_first_words(error)}",
            hint="a value does not fit the declared type; TRY_CAST in an expr turns such values into null",
        ) from None
    if origin is not None:
        origin.check_unchanged()


def collect_rows(frame: pl.LazyFrame, what: str, origin: Origin | None = None) -> pl.DataFrame:
    """Read the rows. Raises: what `telling` raises."""
    with telling(what, origin):
        return frame.collect()


def _first_words(error: Exception) -> str:
    return str(error).split("\n\n", maxsplit=1)[0]
