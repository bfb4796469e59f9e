"""Labels: an event group's aggregates over the rows from t on, by the latest knowledge, where their windows are over.

A label at t is what its aggregate over a window of the same length is when asked at t + window, of all rows that
are known at the time of the retrieval. It is *mature* once its source is complete up to t + window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from gnomon import columns as cols
from gnomon.abc.source import SourceReader
from gnomon.define.label import MATURE
from gnomon.engines.families import grouped
from gnomon.engines.lanes import masked
from gnomon.engines.part import Spine, answer
from gnomon.engines.resolve import later
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, Reading, plan_reading, telling
from gnomon.flows.request import Ident, Job
from gnomon.flows.retractions import read_retractions, retracted
from gnomon.plan.layout import Layout, Output
from gnomon.plan.normal import DELETE, OP, complete, event_time, key, micros
from gnomon.time import ALWAYS, NEVER

_T = "__asked"


@dataclass(frozen=True)
class Labelled:
    """The labels of one group for a spine, and where they came from."""

    job: Job
    values: dict[Ident, pl.Series]
    """Each label, null where it is not mature, and whether it is: its ident with `_mature` behind."""
    reading: Reading
    complete: int | None
    """Up to when the source is complete; None if it has no row."""


def answer_labels(
    project: Project, job: Job, spine: pl.DataFrame, t: cols.Words, now: int, complete_until: int | None
) -> Labelled:
    """The labels of a group for the rows of a spine at times `t`, int64 µs.

    `now`: rows known by then count. `complete_until`: until when the source is said to be complete; None: up to
    its greatest known_at.

    Raises: ComputeError, DataError, as features do.
    """
    reader = project.reader(job.group, job.layout)
    reading = read_labels(reader, job, t)
    keys = [key(i) for i in range(len(job.layout.keys))]
    asked = pl.DataFrame([*job.keys_of(spine), pl.Series(_T, t)])

    retractions = read_retractions(project.offline, job.group, job.layout)

    def work(rows: pl.DataFrame, part: pl.DataFrame) -> pl.DataFrame:
        rows = retracted(job.layout, rows, retractions)
        return look_forward(
            job.layout, job.outputs, rows, part.select(keys), cols.words(part[_T]), now, until
        )

    with telling(job.layout.ref, Origin(reader, job.layout, reading.parts)):
        until = complete_until if complete_until is not None else completeness(reading.raw, job.layout, now)
        found = project.engine.run(reading.frame, asked, keys, work, expected_rows=reader.expected_rows())
    values: dict[Ident, pl.Series] = {}
    for ident, output in zip(job.idents, job.outputs, strict=True):
        ok = is_mature(t, output.window + output.lateness, until)
        values[ident] = masked(found[output.name], ok)
        values[ident + MATURE] = pl.Series(output.name + MATURE, ok.view(np.bool_))
    return Labelled(job, values, reading, until)


def look_forward(
    layout: Layout,
    outputs: Sequence[Output],
    rows: pl.DataFrame,
    keys: pl.DataFrame,
    t: cols.Words,
    now: int,
    until: int | None,
) -> pl.DataFrame:
    """The values of labels over the rows known by `now`. Those that are not mature, by `until`, mean nothing.

    `rows`: in normal form; `keys` and `t`: of the questions, in whose order the values are.
    """
    made: dict[str, pl.Series] = {}
    for (window, lateness), chosen in grouped(
        outputs, lambda output: (output.window, output.lateness)
    ).items():
        # What is not mature is asked before all rows: it is null whatever they are, and cannot overflow.
        ok = is_mature(t, window + lateness, until).view(np.bool_)
        found = answer(layout, chosen, rows, Spine(keys, np.where(ok, later(t, window), ALWAYS)), now)
        made.update({column.name: column for column in found.columns})
    return pl.DataFrame([made[output.name] for output in outputs])


def read_labels(reader: SourceReader, job: Job, t: cols.Words) -> Reading:
    """What answering a group's labels reads: the rows from the first t to the end of the last window."""
    windows = [output.window for output in job.outputs]
    ends = later(np.array([t.min(), t.max()]) if len(t) else np.zeros(2, np.int64), min(windows))
    last = later(ends[1:], max(windows) - min(windows))
    return plan_reading(reader, job.layout, job.outputs, int(ends[0]), min(int(last[0]), NEVER - 1), "latest")


def completeness(raw: pl.LazyFrame, layout: Layout, now: int) -> int | None:
    """The greatest known_at, up to `now`, of a source's rows that take part; None if there is none.

    What is dated beyond `now` says nothing of the rows before it. Nor does an update, delete or retraction of one
    row tell how far the others are there: its row counts with the time that it had before.
    """
    schema = raw.collect_schema()
    if layout.known_at is not None:
        known = micros(pl.col(layout.known_at), schema[layout.known_at])
    else:
        time = event_time(layout, schema)
        known = pl.when(time <= NEVER - layout.lag).then(time + layout.lag)
    if OP in schema:
        raw = raw.filter(pl.col(OP).ne_missing(DELETE))
    greatest = raw.filter(complete(layout)).select(known.alias(_T)).filter(pl.col(_T) <= now).max()
    found = greatest.collect(engine="streaming")[_T][0]
    return None if found is None else int(found)


def is_mature(t: cols.Words, span: int, until: int | None) -> cols.Flags:
    """Whether t + span is not after the source's completeness, uint8[n]. Times beyond int64 never are."""
    if until is None:
        return np.zeros(len(t), np.uint8)
    end = later(t, span)
    return ((end <= until) & (end < NEVER)).astype(np.uint8)
