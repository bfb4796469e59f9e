"""The part function: the rows of some keys and the questions about them → feature columns. Pure.

Training, backfills and every engine call this; who brings the rows together is the engine's affair.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import polars as pl

from gnomon import columns
from gnomon.columns import NO_WORDS, Flags, Words
from gnomon.engines.lanes import Lane, masked
from gnomon.engines.resolve import AsOf, ContentNeeded, Rows, match_keys, resolve
from gnomon.engines.results import Result, column, failed, is_list, make_result
from gnomon.engines.walks import Chunk
from gnomon.engines.windows import newest, solve
from gnomon.errors import ComputeError, counted
from gnomon.kernels import asof, order
from gnomon.plan.layout import NONE, Layout, Output
from gnomon.plan.normal import STORED, TIME, lane
from gnomon.types import dtype_text

_SMALL = 20_000
"""Rows and queries that are not worth a second thread."""
_BY_VALUE = frozenset("sum mean var std min max median quantile approx_quantile decayed_sum any all".split())
_BY_EQUALITY = frozenset("n_distinct mode top_k histogram".split())


@dataclass(frozen=True)
class Spine:
    """The questions about one group: keys and times, and the request's own rows."""

    keys: pl.DataFrame
    """`__k0 …`, one row a question."""
    t: Words
    """int64 µs, as given."""
    request: pl.DataFrame = field(default_factory=pl.DataFrame)
    """`__x0 …` of the request's own rows, for outputs with `include_request`; else no columns."""


@dataclass(frozen=True)
class Answer:
    """Feature columns in the order of the spine, defaults not yet applied."""

    columns: list[pl.Series]
    ties: int
    """State groups: rows that lost to another of the same key, event time and known_at."""


@dataclass(frozen=True)
class Picked:
    """The newest row of each question."""

    position: Words
    """Its place in the frame, -1 for none."""
    ties: int
    """As in `Answer`."""


def answer(
    layout: Layout, outputs: Sequence[Output], frame: pl.DataFrame, spine: Spine, as_of: AsOf
) -> Answer:
    """Compute `outputs` of a group for the questions of `spine`.

    `frame`: rows in normal form with the lanes that the outputs need, in any order.

    Raises: ComputeError when a value cannot be computed; DataError for ids that are not unique.
    """
    q_code, row_code = match_keys(spine.keys, len(spine.t), frame, layout)
    return answer_coded(layout, outputs, frame, spine, as_of, q_code, row_code)


def answer_coded(
    layout: Layout,
    outputs: Sequence[Output],
    frame: pl.DataFrame,
    spine: Spine,
    as_of: AsOf,
    q_code: Words,
    row_code: Words,
) -> Answer:
    """`answer` where it is said which rows each question sees: those of its code; -1 is a null key, or nobody's row."""
    rows = resolve(layout, frame, row_code, as_of, outputs)
    t = spine.t - layout.settling_delay
    q_at = order.sort_queries(q_code, t)
    chunks = list(_chunks(layout, rows, q_code[q_at], t[q_at], q_at))
    made = (_state if layout.kind == "state" else _events)(
        layout, outputs, frame, spine, rows, chunks, q_code
    )
    return Answer(made, rows.ties)


def pick_newest(layout: Layout, frame: pl.DataFrame, spine: Spine, as_of: AsOf) -> Picked | None:
    """State groups: which row of `frame` answers each question of `spine`.

    None if rows tie for which content decides, and `frame` has none.
    """
    q_code, row_code = match_keys(spine.keys, len(spine.t), frame, layout)
    met = None
    if STORED not in frame.columns:
        met = _pick_in_order(layout, columns.words(frame[TIME]), row_code, q_code, spine.t, as_of)
    if met is not None:
        return Picked(met, 0)
    try:
        rows = resolve(layout, frame, row_code, as_of, ())
    except ContentNeeded:
        return None
    t = spine.t - layout.settling_delay
    q_at = order.sort_queries(q_code, t)
    chunks = list(_chunks(layout, rows, q_code[q_at], t[q_at], q_at))
    return Picked(_newest_rows(layout, rows, chunks, len(spine.t)), rows.ties)


def _pick_in_order(
    layout: Layout, time: Words, row_code: Words, q_code: Words, given: Words, as_of: AsOf
) -> Words | None:
    """The newest rows without sorting; None where rows do not come in order, tie, or become known otherwise."""
    if layout.known_at is not None or isinstance(as_of, int) or not asof.in_order(time):
        return None
    t = given - layout.settling_delay
    lag = layout.lag if as_of == "known" else 0
    if len(t) and int(t.min()) < np.iinfo(np.int64).min + lag + (layout.max_age or 0):
        return None  # the kernel does not saturate
    picked = np.full(len(t), -1, np.int64)
    last = np.full(int(q_code.max(initial=-1)) + 1, -1, np.int64)
    by_time = order.sort_rows(np.zeros(len(t), np.int64), t)
    max_age = NONE if layout.max_age is None else layout.max_age
    met = asof.newest_in_order(row_code, time, lag, by_time, q_code, t, max_age, last, picked)
    return picked if met else None


def _newest_rows(layout: Layout, rows: Rows, chunks: Sequence[Chunk], n: int) -> Words:
    """The place in the frame of each question's newest row, -1 for none."""
    picked = np.full(n, -1, np.int64)
    max_age = NONE if layout.max_age is None else layout.max_age
    _each(chunks, lambda chunk: newest(chunk, max_age, picked))
    return np.where(picked < 0, -1, rows.position[picked]) if len(rows.position) else picked


def _chunks(layout: Layout, rows: Rows, q_code: Words, q_t: Words, q_at: Words) -> Iterator[Chunk]:
    """Cut at key boundaries into pieces of like size, two a processor; one skewed key makes one piece long."""
    n, q = len(rows.code), len(q_code)
    workers = os.cpu_count() or 1
    pieces = 1 if n + q < _SMALL or workers == 1 else 2 * workers
    longer = rows.code if n > q else q_code
    at = np.linspace(0, len(longer), pieces, endpoint=False).astype(np.int64)
    cuts = np.unique(longer[at] if len(longer) else longer)[1:]
    codes = [0, *cuts.tolist(), np.iinfo(np.int64).max]
    for low, high in pairwise(codes):
        r0, r1 = np.searchsorted(rows.code, [low, high])
        q0, q1 = np.searchsorted(q_code, [low, high])
        if q1 > q0:
            yield Chunk(
                first=int(r0),
                code=rows.code[r0:r1],
                time=rows.time[r0:r1],
                known=rows.known[r0:r1],
                until=rows.until[r0:r1],
                q_code=q_code[q0:q1],
                q_t=q_t[q0:q1],
                at=q_at[q0:q1],
                n_part=n,
                inclusive=layout.kind == "state",
            )


def _each(chunks: Sequence[Chunk], work) -> None:  # type: ignore[no-untyped-def]
    """Run `work` on every chunk, in threads where there are several: kernels release the interpreter's lock."""
    if len(chunks) <= 1:
        for chunk in chunks:
            work(chunk)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, chunks))


def _state(
    layout: Layout,
    outputs: Sequence[Output],
    frame: pl.DataFrame,
    spine: Spine,
    rows: Rows,
    chunks: Sequence[Chunk],
    q_code: Words,
) -> list[pl.Series]:
    # One index for all columns.
    picked = _newest_rows(layout, rows, chunks, len(spine.t))
    index = pl.Series(picked)
    if len(picked) and int(picked.min()) < 0:
        index = pl.select(pl.when(index >= 0).then(index)).to_series()
    found = frame.select(pl.col(lane(o.input)).gather(index).alias(f"{i}") for i, o in enumerate(outputs))
    return [found[f"{i}"].alias(o.name) for i, o in enumerate(outputs)]


def _events(
    layout: Layout,
    outputs: Sequence[Output],
    frame: pl.DataFrame,
    spine: Spine,
    rows: Rows,
    chunks: Sequence[Chunk],
    q_code: Words,
) -> list[pl.Series]:
    tasks = {_task(output): make_result(output, len(spine.t)) for output in outputs}
    lanes: dict[int, Lane] = {}
    wheres: dict[int, Flags] = {}
    for task in tasks:
        for i in task.inputs - lanes.keys():
            values = frame[lane(i)].gather(rows.position)
            if lane(i) in spine.request.columns:
                values = pl.concat([values, spine.request[lane(i)]])
            lanes[i] = Lane(values)
        if task.where != NONE:
            wheres[task.where] = columns.flags(lanes[task.where].column)
    _warm(lanes, tasks)
    _each(chunks, lambda chunk: solve(chunk, tasks, lanes, wheres))
    return [_column(layout, output, tasks[_task(output)], lanes, spine, q_code) for output in outputs]


def _task(output: Output) -> Output:
    """What is computed, without the name it is given: features that compute the same share it."""
    return replace(output, name="", default=None)


def _warm(lanes: dict[int, Lane], tasks: dict[Output, Result]) -> None:
    """Make the shared codes of lanes before threads ask for them."""
    for task in tasks:
        if task.by != NONE:
            _ = lanes[task.by].sample
        if task.input == NONE:
            continue
        lane = lanes[task.input]
        _ = lane.valid
        if task.function in ("sum", "mean") and isinstance(lane.column.dtype, pl.Decimal):
            _ = lane.halves
        elif task.function in _BY_VALUE:
            _ = lane.code
            _ = lane.grid
        if task.function in _BY_EQUALITY or task.distinct:
            _ = lane.sample
        if task.function == "approx_n_distinct":
            _ = lane.hashes


def _column(
    layout: Layout, output: Output, result: Result, lanes: dict[int, Lane], spine: Spine, q_code: Words
) -> pl.Series:
    """The feature's column. Keys that are null have null."""
    wrong = failed(result, len(spine.t))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ComputeError(
            f"feature `{output.name}` of `{layout.ref}` cannot be computed for {counted(int(wrong.sum()), 'row')}: "
            f"the {output.function} does not fit {dtype_text(output.one.dtype)}",
            at=f"spine row {first}, key {_key_text(layout, spine, first)}",
            hint='a smaller window, or a wider type: expr="CAST(… AS DOUBLE)"',
        )
    made = column(output, result, lanes, len(spine.t))
    return masked(made, (q_code >= 0).view(np.uint8)) if is_list(output) else made


def _key_text(layout: Layout, spine: Spine, row: int) -> str:
    values = spine.keys.row(row) if spine.keys.width else ()
    return ", ".join(f"{n}={v!r}" for n, v in zip(layout.key_names, values, strict=True)) or "(none)"


__all__ = ["NO_WORDS", "Answer", "Spine", "answer", "answer_coded"]
