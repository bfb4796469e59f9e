"""Where values are written, and the feature columns that they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon import columns
from gnomon.columns import NO_FLAGS, NO_WORDS, Flags, Words
from gnomon.engines.lanes import Lane, gather, masked, series
from gnomon.kernels import sums
from gnomon.plan.layout import NONE, Output

SELECTIONS = frozenset({"min", "max", "first", "last", "mode", "column"})
"""Functions whose value is the value of one row."""
LISTS = frozenset({"first_k", "last_k", "top_k", "histogram"})
"""Functions whose value is a list."""
_REALS = frozenset({"mean", "var", "std", "median", "quantile", "approx_quantile", "decayed_sum"})
_BY_EQUALITY = frozenset({"mode", "top_k", "histogram"})
"""Functions whose values stand for all that are equal to them."""

FAILED = 2
"""Of `Result.ok`: the value could not be computed."""

_COUNT = Output("", "count", pl.Int64())
_NO_LOWS: NDArray[np.uint64] = np.empty(0, np.uint64)


@dataclass
class Result:
    """Where a task's values are written, for all queries of a part, in the order of the spine."""

    values: NDArray[Any]
    """Physical numbers; row numbers (-1: none) for selections; the upper halves of Decimal sums."""
    low: NDArray[np.uint64] = field(default_factory=lambda: _NO_LOWS)
    """The lower halves of Decimal sums."""
    ok: Flags = field(default_factory=lambda: NO_FLAGS)
    """0 null, 1 a value, FAILED; not used by selections and lists."""
    lists: list[Lists] = field(default_factory=list)
    """Of each chunk, for lists."""


@dataclass(frozen=True)
class Lists:
    """A list for each query of a chunk."""

    at: Words
    """Where each list goes."""
    offsets: Words
    """[q + 1]: list i is `rows[offsets[i]:offsets[i + 1]]`."""
    rows: Words
    """Numbers of the rows whose values stand in the lists."""
    each: Result | None = None
    """Beside each row, where the list goes by key: what its value, the key, is worth."""


def make_result(task: Output, n: int) -> Result:
    """Room for `n` values: null where nothing will be written."""
    if is_list(task):
        return Result(NO_WORDS)
    if task.function in SELECTIONS:
        return Result(np.full(n, -1, np.int64))
    ok = np.zeros(n, np.uint8)
    if task.function in _REALS or (task.function == "sum" and task.dtype.is_float()):
        return Result(np.zeros(n, np.float64), ok=ok)
    if task.function in ("any", "all"):
        return Result(np.zeros(n, np.uint8), ok=ok)
    low = np.zeros(n, np.uint64) if isinstance(task.dtype, pl.Decimal) else _NO_LOWS
    return Result(np.zeros(n, np.int64), low, ok)


def is_list(task: Output) -> bool:
    """Whether a value is a list of what the window holds."""
    return task.function in LISTS or task.by != NONE


def failed(result: Result, n: int) -> NDArray[np.bool_]:
    """Which of the `n` values could not be computed; one category is enough."""
    flags = result.ok == FAILED if len(result.ok) else np.zeros(n, np.bool_)
    for given in result.lists:
        if given.each is not None and (given.each.ok == FAILED).any():
            flags[np.repeat(given.at, np.diff(given.offsets))[given.each.ok == FAILED]] = True
    return flags


def column(task: Output, result: Result, lanes: Mapping[int, Lane], n: int) -> pl.Series:
    """The `n` values as a column, whatever where a value could not be computed (`failed`)."""
    if is_list(task):
        return _list_column(task, result, lanes, n)
    if task.function in SELECTIONS:
        return gather(_source(task, lanes), result.values).alias(task.name)
    if task.function == "rate":
        return series(task.name, sums.rate(result.values, task.window), result.ok, task.dtype)
    if isinstance(task.dtype, pl.Decimal):
        made = columns.from_halves(result.values, result.low, task.dtype)
        return masked(made, result.ok).alias(task.name)
    return series(task.name, result.values, result.ok, task.dtype)


def _source(task: Output, lanes: Mapping[int, Lane]) -> pl.Series:
    """The values that row numbers select."""
    if task.by != NONE:
        return lanes[task.by].folded
    lane = lanes[task.input]
    return lane.folded if task.function in _BY_EQUALITY else lane.column


def _list_column(task: Output, result: Result, lanes: Mapping[int, Lane], n: int) -> pl.Series:
    """Lists from the chunks' lists; empty where no chunk wrote one."""
    sizes = np.zeros(n, np.int64)
    for given in result.lists:
        sizes[given.at] = np.diff(given.offsets)
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    rows = np.empty(starts[-1], np.int64)
    # Of each place in the lists, where its value stands among those of all chunks, one after the other.
    among = np.empty(starts[-1], np.int64)
    done = 0
    for given in result.lists:
        place = np.repeat(starts[given.at] - given.offsets[:-1], np.diff(given.offsets))
        place += np.arange(len(given.rows))
        rows[place] = given.rows
        among[place] = np.arange(done, done + len(place))
        done += len(place)
    values = gather(_source(task, lanes), rows).alias("value")
    if task.by != NONE or task.function == "histogram":
        each = _each(task, result.lists, lanes).gather(among)
        values = pl.DataFrame({"key": values, "value": each}).to_struct("value")
    owner = pl.Series(np.repeat(np.arange(n), sizes))
    grouped = (
        pl.DataFrame({"owner": owner, "value": values}).group_by("owner", maintain_order=True).agg("value")
    )
    everyone = pl.DataFrame({"owner": np.arange(n)})
    joined = everyone.join(grouped, on="owner", how="left", maintain_order="left")
    return joined["value"].fill_null([]).cast(task.dtype).alias(task.name)


def _each(task: Output, lists: Sequence[Lists], lanes: Mapping[int, Lane]) -> pl.Series:
    """The values beside the keys, chunk by chunk."""
    one = _COUNT if task.function == "histogram" else task.one
    made = [column(one, given.each, lanes, len(given.rows)) for given in lists if given.each is not None]
    return pl.concat([pl.Series(dtype=one.dtype), *(part.rename("") for part in made)])
