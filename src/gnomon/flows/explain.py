"""Explain: one value → the rows that it was made from, the window's edges, and why other rows do not count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from gnomon.engines.lanes import Lane
from gnomon.engines.part import Spine, answer
from gnomon.engines.resolve import AsOf, match_keys, resolve
from gnomon.errors import ComputeError, DataError, UsageError, counted
from gnomon.flows.how import how
from gnomon.flows.labels import completeness
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, collect_rows, telling
from gnomon.flows.request import Job, Request, with_default
from gnomon.flows.retractions import read_retractions, retracted
from gnomon.plan.layout import NONE, Layout, Output
from gnomon.plan.normal import (
    ALIVE,
    DEAD,
    DELETED,
    ID,
    KNOWN,
    RETRACTED,
    STORED,
    TIME,
    key,
    lane,
    normalise,
    raw_columns,
)
from gnomon.time import NEVER, instant, show, to_datetime
from gnomon.types import DType, dtype_text

_SHOWN = 20
_AFTER = 4
"""Of the rows shown, how many lie after the window."""


@dataclass(frozen=True)
class Explanation:
    """Why a feature has its value."""

    feature: str
    """`group@version:feature`."""
    key: dict[str, Any]
    at: int
    value: Any
    """None too where there is none to be had: `error` tells."""
    dtype: DType
    error: str | None
    """Why the value cannot be computed; None if it can."""
    how: str
    """What is computed, in words."""
    since: int | None
    """The window's first instant; None without bound."""
    until: int
    """The window's end: event groups, the first instant that is out; state groups, the last that is in."""
    rows: pl.DataFrame
    """The key's rows in order: event_time, known_at, until, id, value, category, counts, because."""

    @property
    def counted(self) -> pl.DataFrame:
        """The rows that the value was made from."""
        return self.rows.filter("counts")

    def __str__(self) -> str:
        low = "the beginning" if self.since is None else show(self.since)
        shown_key = ", ".join(f"{k}={v!r}" for k, v in self.key.items()) or "(global)"
        value = repr(self.value) if self.error is None else "ERROR"
        lines = [
            f"{self.feature} of {shown_key} at {show(self.at)} = {value} ({dtype_text(self.dtype)})",
            *([] if self.error is None else [f"  {self.error}"]),
            f"  {self.how}",
            f"  from {low} to {show(self.until)}",
            f"  {len(self.counted):,} of the key's {counted(len(self.rows), 'row')} count",
        ]
        near = self._near()
        if len(near) < len(self.rows):
            lines.append(f"  (the {len(near)} rows nearest to the window's end)")
        for row in near.iter_rows(named=True):
            mark = "+" if row["counts"] else " "
            shown = [f"event_time {_when(row['event_time'])}", f"known_at {_when(row['known_at'])}"]
            if row["id"] is not None:
                shown.append(f"id {row['id']!r}")
            if "value" in row:
                shown.append(f"value {row['value']!r}")
            lines.append(f"  {mark} {', '.join(shown)}" + ("" if row["counts"] else f" - {row['because']}"))
        return "\n".join(lines)

    __repr__ = __str__

    def _near(self) -> pl.DataFrame:
        """The rows about the window's end: mostly those before it."""
        before = int((self.rows["event_time"] <= to_datetime(self.until)).sum())
        first = max(0, before - _SHOWN + _AFTER)
        return self.rows.slice(first, _SHOWN)

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "feature": self.feature,
            "key": self.key,
            "at": show(self.at),
            "value": self.value,
            "error": self.error,
            "how": self.how,
            "from": None if self.since is None else show(self.since),
            "to": show(self.until),
            "rows": self.rows.to_dicts(),
        }


def _when(value: Any) -> str:
    return "never" if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def explain(project: Project, request: Request, keys: Mapping[str, Any], at: Any, as_of: AsOf) -> Explanation:
    """Explain the one feature of `request`. Raises: UsageError for on-demand features; DataError for a wrong
    key.
    """
    if len(request.jobs) != 1 or request.steps:
        raise UsageError(
            f"`{request.columns[0].described}` is made by a function",
            hint="explain its inputs: "
            + ", ".join(f"{job.layout.ref}:{o.name}" for job in request.jobs for o in job.outputs),
        )
    job = request.jobs[0]
    layout, output = job.layout, job.outputs[0]
    if len(job.outputs) > 1:
        raise UsageError("one value is explained at a time", hint=f"such as `{layout.ref}:{output.name}`")
    now = project.clock()
    t = now if at is None else instant(at)
    if layout.forward:
        as_of = now
    frame = _rows_of_key(project, job, _key_frame(job, keys))
    # A label is what its aggregate is at the window's end.
    end = min(t + output.window, NEVER - 1) if layout.forward else t
    spine = Spine(_key_frame(job, keys), np.array([end], np.int64))
    # The request's own row is not at hand here: what the stored rows give is explained.
    plain = replace(output, include_request=False)
    value = error = None
    try:
        value = with_default(answer(layout, [plain], frame, spine, as_of).columns[0], output).to_list()[0]
    except ComputeError as overflow:
        error = f"{overflow.what} ({overflow.hint})"
    moved = end - layout.settling_delay
    since, until = _edges(layout, output, moved)
    immature = _immature(project, job, output, end, now) if layout.forward else ""
    if immature:
        value = None
    return Explanation(
        feature=f"{layout.ref}:{output.name}",
        key=dict(keys),
        at=t,
        value=value,
        dtype=output.dtype,
        error=error,
        how=how(layout, output)
        + immature
        + (", which is not at hand here: only stored rows are counted" if output.include_request else ""),
        since=since,
        until=until,
        rows=_told(layout, output, frame, spine, moved, since, until, as_of),
    )


def _immature(project: Project, job: Job, output: Output, end: int, now: int) -> str:
    """Why a label is not mature yet; empty if it is."""
    reader = project.reader(job.group, job.layout)
    raw = reader.scan([*raw_columns(job.layout), *reader.changes()])
    with telling(job.layout.ref, Origin(reader, job.layout, reader.parts())):
        complete = completeness(raw, job.layout, now)
    if complete is not None and end + output.lateness <= complete:
        return ""
    reached = "has no row" if complete is None else f"is complete up to {show(complete)}"
    return f", not mature before {show(end + output.lateness)}: the source {reached}"


def _key_frame(job: Job, keys: Mapping[str, Any]) -> pl.DataFrame:
    columns = {}
    for i, (column, (_, dtype)) in enumerate(zip(job.key_columns, job.layout.keys, strict=True)):
        if column not in keys or keys[column] is None:
            raise DataError(
                f"the key column `{column}` is missing", hint=f"keys: {', '.join(job.key_columns) or 'none'}"
            )
        try:
            columns[key(i)] = pl.Series([keys[column]], dtype=dtype, strict=True)
        except (TypeError, pl.exceptions.PolarsError):
            raise DataError(
                f"the key column `{column}` is {dtype_text(dtype)}, found {keys[column]!r}"
            ) from None
    unknown = sorted(set(keys) - set(job.key_columns))
    if unknown:
        raise DataError(f"unknown field `{unknown[0]}`", hint=f"keys: {', '.join(job.key_columns) or 'none'}")
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=1)


def _rows_of_key(project: Project, job: Job, keys: pl.DataFrame) -> pl.DataFrame:
    """The key's rows, all of them, in normal form with content."""
    layout = job.layout
    reader = project.reader(job.group, layout)
    origin = Origin(reader, layout, reader.parts())
    rows = normalise(reader.scan([*raw_columns(layout), *reader.changes()]), layout, with_content=True)
    for name in keys.columns:
        rows = rows.filter(pl.col(name) == pl.lit(keys[name][0], dtype=keys.schema[name]))
    retractions = read_retractions(project.offline, job.group, layout)
    return retracted(layout, collect_rows(rows, layout.ref, origin), retractions)


def _edges(layout: Layout, output: Output, t: int) -> tuple[int | None, int]:
    if layout.kind == "state":
        return (None if layout.max_age is None else t - layout.max_age), t
    end = t - output.offset
    return (None if output.window == NONE else end - output.window), end


def _told(
    layout: Layout,
    output: Output,
    frame: pl.DataFrame,
    spine: Spine,
    t: int,
    since: int | None,
    until: int,
    as_of: AsOf,
) -> pl.DataFrame:
    """The key's resolved rows, each with whether it counts, and why not."""
    _, code = match_keys(spine.keys, len(spine.t), frame, layout)
    rows = resolve(layout, frame, code, as_of, layout.outputs)
    n = len(rows.position)
    known = rows.known if len(rows.known) else rows.time
    replaced = rows.until if len(rows.until) else np.full(n, NEVER)
    names = frame[TIME if layout.kind == "state" or ID not in frame.columns else ID]
    ended, names = _ended(frame, names), names.gather(rows.position)
    chosen = frame[rows.position]
    values = chosen[lane(output.input)] if output.input != NONE else None
    passes = chosen[lane(output.where)].fill_null(False).to_list() if output.where != NONE else [True] * n
    categories = Lane(chosen[lane(output.by)]) if output.by != NONE else None
    because: list[str] = []
    for i in range(n):
        time = int(rows.time[i])
        after = time > until if layout.kind == "state" else time >= until
        if after:
            because.append("after the window")
        elif since is not None and time < since:
            because.append("before the window")
        elif as_of == "known" and known[i] > t:
            because.append("not known yet")
        elif as_of == "known" and replaced[i] <= t:
            how_it_went = ended.get((names[i], int(replaced[i])), "replaced")
            because.append(f"{how_it_went} at {show(int(replaced[i]))}")
        elif not passes[i]:
            because.append("the condition is not true")
        elif categories is not None and categories.column[i] is None:
            because.append("no category")
        elif values is not None and layout.kind == "event" and not output.keep_nulls and values[i] is None:
            because.append("no value")
        else:
            because.append("")
    counts = [why == "" for why in because]
    keep = 1 if layout.kind == "state" else output.limit
    if keep != NONE:
        beyond = "not the newest" if layout.kind == "state" else f"not of the newest {keep}"
        for i in _older(np.flatnonzero(counts).tolist(), keep, categories):
            counts[i], because[i] = False, beyond
    ids = chosen[ID] if ID in chosen.columns else pl.Series([None] * n, dtype=pl.String)
    shown_known = known if len(rows.known) or KNOWN not in chosen.columns else chosen[KNOWN].to_numpy()
    told = {
        "event_time": _instants(chosen[TIME].to_list()),
        "known_at": _instants([int(k) for k in shown_known]),
        "until": _instants([int(u) for u in replaced]),
        "id": ids,
        "counts": pl.Series(counts, dtype=pl.Boolean),
        "because": pl.Series(because, dtype=pl.String),
    }
    if values is not None:
        told["value"] = values
    if categories is not None:
        told["category"] = categories.column
    return pl.DataFrame(told)


def _older(standing: Sequence[int], keep: int, categories: Lane | None) -> Iterator[int]:
    """All but the newest `keep` rows, of each category where there are some."""
    by_category: dict[int, list[int]] = {}
    for i in standing:
        by_category.setdefault(int(categories.distinct[0][i]) if categories is not None else 0, []).append(i)
    for same in by_category.values():
        yield from same[:-keep]


def _ended(frame: pl.DataFrame, names: pl.Series) -> dict[tuple[Any, int], str]:
    """What a key's markers of deletes did: the name of a row and the instant → the word for it."""
    if DEAD not in frame.columns:
        return {}
    told = frame.select(DEAD, STORED, names.alias("name")).filter(pl.col(DEAD) != ALIVE).sort(DEAD)
    words = {DELETED: "deleted", RETRACTED: "retracted"}
    return {(name, stored): words[dead] for dead, stored, name in told.iter_rows()}


def _instants(values: list[int]) -> pl.Series:
    return pl.Series([None if v == NEVER else to_datetime(v) for v in values], dtype=pl.Datetime("us", "UTC"))
