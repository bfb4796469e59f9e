"""Splits: a training set's rows → the numbers of the rows of each part, and what leaks between parts.

Hashes decide where chance would, so that a row falls where it falls on every machine and in every order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.columns import Words
from gnomon.define.split import EntitySplit, RandomSplit, Shares, Splitting, TimeSplit, WalkForward
from gnomon.errors import DataError, UsageError, counted, nearest
from gnomon.flows.contents import Contents, LabelColumn
from gnomon.plan.identity import hashes_of
from gnomon.plan.normal import micros
from gnomon.time import show_duration
from gnomon.types import is_instant

_ROW, _T, _PART = "__row", "__t", "__part"


@dataclass(frozen=True)
class Assigned:
    """Which rows are in which part."""

    rows: Mapping[str, Words]
    """By part, the numbers of its rows, ascending."""
    left_out: int
    """Rows in no part: those of gaps, and of walking forward those before the last fold's end that no fold has."""
    leaks: tuple[str, ...]
    """What one part knows of another, in words."""


def assign(frame: pl.DataFrame, contents: Contents, split: Splitting) -> Assigned:
    """Share out the rows of a training set.

    Raises: UsageError for columns that it does not have.
    """
    match split:
        case TimeSplit():
            rows, leaks = _by_time(frame, contents, split)
        case WalkForward():
            rows, leaks = _walking(frame, contents, split)
        case EntitySplit():
            keys = split.keys or contents.keys
            if not keys:
                raise UsageError("the keys of the training set are not known", hint="name them: keys=[…]")
            rows = _by_share(split.shares, _fractions(_columns(frame, keys, "keys"), len(frame), split.seed))
            leaks = _overlaps(frame, contents, rows)
        case RandomSplit():
            rows = _at_random(frame, contents, split)
            leaks = _overlaps(frame, contents, rows)
    taken = np.zeros(len(frame), bool)
    for numbers in rows.values():
        taken[numbers] = True
    return Assigned(rows, int((~taken).sum()), tuple(leaks))


# -------------------------------------------------------------------------------------------------- by time


def _by_time(frame: pl.DataFrame, contents: Contents, split: TimeSplit) -> tuple[dict[str, Words], list[str]]:
    t, gap = _times(frame, contents.timestamp), _gap(split.gap, contents)
    starts = [start for start in (split.validate_from, split.test_from) if start is not None]
    names = ["train", "validation", "test"] if len(starts) == 2 else ["train", "test"]
    ends = [start - gap for start in starts]
    rows = {
        name: np.flatnonzero(_between(t, low, high))
        for name, low, high in zip(names, [None, *starts], [*ends, None], strict=True)
    }
    leaks = _reaching(t, gap, contents, [(rows[name], end) for name, end in zip(names, starts, strict=False)])
    return rows, leaks


def _walking(
    frame: pl.DataFrame, contents: Contents, split: WalkForward
) -> tuple[dict[str, Words], list[str]]:
    t, gap = _times(frame, contents.timestamp), _gap(split.gap, contents)
    if not len(t):
        raise DataError("a training set without rows has no folds")
    first, end = int(t.min()), int(t.max()) + 1
    start = split.test_from if split.test_from is not None else first + (end - first) // (split.folds + 1)
    if start >= end:
        raise UsageError("`test_from` is after the last row", hint="no fold would have a row to test with")
    edges = [start + (end - start) * i // split.folds for i in range(split.folds + 1)]
    rows: dict[str, Words] = {}
    for i in range(split.folds):
        rows[f"train_{i + 1}"] = np.flatnonzero(_between(t, None, edges[i] - gap))
        rows[f"test_{i + 1}"] = np.flatnonzero(_between(t, edges[i], edges[i + 1]))
    trains = [(rows[f"train_{i + 1}"], edges[i]) for i in range(split.folds)]
    return rows, _reaching(t, gap, contents, trains)


def _between(t: Words, low: int | None, high: int | None) -> NDArray[np.bool_]:
    inside = np.ones(len(t), bool)
    if low is not None:
        inside &= t >= low
    if high is not None:
        inside &= t < high
    return inside


def _gap(given: Any, contents: Contents) -> int:
    return int(given) if given is not None else max((label.span for label in contents.labels), default=0)


def _reaching(t: Words, gap: int, contents: Contents, ends: Sequence[tuple[Words, int]]) -> list[str]:
    """Labels with windows that reach beyond the part's end, into the next part."""
    found = []
    for label in contents.labels:
        if label.span <= gap:
            continue
        n = sum(int((t[rows] > end - label.span).sum()) for rows, end in ends)
        found.append(
            f"the gap of {show_duration(gap) if gap else '0'} is shorter than the {show_duration(label.span)} of label "
            f"`{label.name}`: the windows of {counted(n, 'row')} reach into the part that follows"
        )
    return found


# --------------------------------------------------------------------------------------------------- by hash


def _fractions(columns: Sequence[pl.Series], n: int, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each row, that its columns and the seed alone decide."""
    h1, _ = hashes_of([*_seeded(seed, n), *columns], n)
    return (h1 >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _seeded(seed: int, n: int) -> list[pl.Series]:
    return [pl.Series("seed", np.full(n, seed, np.int64))]


def _by_share(shares: Shares, fractions: NDArray[np.float64]) -> dict[str, Words]:
    edges = np.cumsum([share for _, share in shares])[:-1]
    part = np.searchsorted(edges, fractions, side="right")
    return {name: np.flatnonzero(part == i) for i, (name, _) in enumerate(shares)}


def _at_random(frame: pl.DataFrame, contents: Contents, split: RandomSplit) -> dict[str, Words]:
    n = len(frame)
    own = [_same_unit(frame[name]) for name in contents.spine]
    if split.stratify is None:
        return _by_share(split.shares, _fractions(own, n, split.seed))
    (stratum,) = _columns(frame, [split.stratify], "stratify")
    h1, h2 = hashes_of([*_seeded(split.seed, n), *own], n)
    g1, g2 = hashes_of([stratum], n)
    order = np.lexsort((h2, h1, g2, g1))
    if not n:
        return {name: np.empty(0, np.int64) for name, _ in split.shares}
    here = np.stack([g1[order], g2[order], h1[order], h2[order]])
    new_stratum = _changes(here[:2])
    new_row = _changes(here)
    place = np.arange(n)
    start = np.maximum.accumulate(np.where(new_stratum, place, 0))
    # Equal rows stand together, and fall where the first of them does.
    first = np.maximum.accumulate(np.where(new_row, place, 0)) - start
    size = np.diff(np.append(np.flatnonzero(new_stratum), n))[np.cumsum(new_stratum) - 1]
    part = np.zeros(n, np.int64)
    for edge in np.cumsum([share for _, share in split.shares])[:-1]:
        part += first >= np.floor(edge * size + 0.5)
    found = np.empty(n, np.int64)
    found[order] = part
    return {name: np.flatnonzero(found == i) for i, (name, _) in enumerate(split.shares)}


def _changes(rows: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Where a column of `rows` differs from the one before it; the first does."""
    return np.append(True, (rows[:, 1:] != rows[:, :-1]).any(axis=0))


def _columns(frame: pl.DataFrame, names: Sequence[str], what: str) -> list[pl.Series]:
    for name in names:
        if name not in frame.columns:
            close = nearest(name, frame.columns)
            raise UsageError(
                f"the training set has no column `{name}`",
                at=what,
                hint=f"did you mean `{close}`?" if close else f"columns: {', '.join(frame.columns[:20])}",
            )
    return [_same_unit(frame[name]) for name in names]


def _same_unit(column: pl.Series) -> pl.Series:
    """One value for one instant or length of time, whatever its unit; nanoseconds stay as they are."""
    if isinstance(column.dtype, pl.Datetime | pl.Duration) and column.dtype.time_unit == "ms":
        return column.cast(pl.Duration("us") if isinstance(column.dtype, pl.Duration) else pl.Datetime("us"))
    return column


# ------------------------------------------------------------------------------------------------------ leaks


def _overlaps(frame: pl.DataFrame, contents: Contents, rows: Mapping[str, Words]) -> list[str]:
    """Labels whose windows overlap for rows of one key in two parts."""
    if not contents.labels:
        return []
    part = np.full(len(frame), -1, np.int64)
    for i, numbers in enumerate(rows.values()):
        part[numbers] = i
    t = _times(frame, contents.timestamp)
    found = []
    for label in contents.labels:
        n = _overlapping(frame, label, t, part)
        if n:
            found.append(
                f"the windows of label `{label.name}` overlap between parts for {counted(n, 'row')}: one part knows "
                "of what another is tested with; split by time, or by the label's key"
            )
    return found


def _overlapping(frame: pl.DataFrame, label: LabelColumn, t: Words, part: Words) -> int:
    """How many rows have a row of the same key in another part, less than the label's window away."""
    keys = [name for name in label.keys if name in frame.columns]
    code = (
        frame.select(pl.struct(keys).rank("dense")).to_series().to_numpy() if keys else np.zeros(len(frame))
    )
    order = np.lexsort((t, code))
    code, t, part = code[order], t[order], part[order]
    met = np.zeros(len(t), bool)
    # Towards the past, then towards the future: the nearest row of another part decides.
    for step in (1, -1):
        c, at, p = code[::step], t[::step], part[::step]
        new = np.append(True, (c[1:] != c[:-1]) | (p[1:] != p[:-1]))[: len(c)]
        place = np.arange(len(c))
        run = np.maximum.accumulate(np.where(new, place, 0))
        before = np.maximum(run - 1, 0)
        near = (run > 0) & (c[before] == c) & (np.abs(at - at[before]) < label.span)
        met[::step] |= near
    return int(met.sum())


def _times(frame: pl.DataFrame, timestamp: str) -> Words:
    (column,) = _columns(frame, [timestamp], "timestamp")
    if not is_instant(column.dtype):
        raise UsageError(f"the column `{timestamp}` holds no times")
    return (
        frame.select(micros(pl.col(timestamp), frame.schema[timestamp])).to_series().to_numpy(writable=True)
    )
