"""Skew: rows that were known at t, and not online yet → the settling_delay that would have waited for them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.flows.held import Gathered, gather, read_writes
from gnomon.flows.project import Project
from gnomon.flows.proof.answers import Columns
from gnomon.flows.request import Ident, Job, Request
from gnomon.flows.training import Question, cut_name, spine_of
from gnomon.time import NEVER, SECOND


def delay_of(
    project: Project, question: Question, name: str, columns: Columns, rows: NDArray[np.bool_]
) -> int | None:
    """The least settling_delay, in whole seconds of µs, by which the questions `rows` would have waited for all rows
    that a feature depends on; None if no row was on its way.
    """
    column = question.request.columns[columns.names.index(name)]
    longest = 0
    for job in jobs_behind(question.request, column.ident):
        longest = max(longest, _longest(project, question, job, rows))
    return -(-longest // SECOND) * SECOND if longest else None


def jobs_behind(request: Request, ident: Ident) -> list[Job]:
    """The jobs that a value is made of."""
    for step in request.steps:
        if ident in step.idents:
            inputs = [one for _, one, _ in step.inputs if one is not None]
            return list({id(job): job for one in inputs for job in jobs_behind(request, one)}.values())
    return [job for job in request.jobs if ident in job.idents]


def _longest(project: Project, question: Question, job: Job, rows: NDArray[np.bool_]) -> int:
    """By how much the settling_delay must exceed the time that rows were on their way; 0 if none was."""
    cut = question.cuts[cut_name(job)]
    spine = spine_of(question, job)
    found, q_key = gather(project, job.group, job.layout, job.outputs, spine, read_writes(project, job.group))
    asked = pl.DataFrame(
        {"key": q_key, "t": question.t, "seen": cut.at, "table": list(cut.tables or ())}
    ).filter(pl.Series(rows) & (pl.col("key") >= 0))
    arrived = arrivals(found)
    all_rows = pl.DataFrame({"row": np.arange(len(found.codes)), "key": found.codes, "active": found.active})
    late = (
        asked.join(all_rows, on="key")
        .filter(pl.col("active") <= pl.col("t") - job.layout.settling_delay)
        .join(arrived, on=["row", "table"], how="left")
        .filter(pl.col("arrived").fill_null(NEVER) > pl.col("seen"))
    )
    waited = late.select((pl.col("t") - pl.col("active")).max()).item()
    return 0 if waited is None else int(waited) + 1


def arrivals(found: Gathered) -> pl.DataFrame:
    """`row`, `table`, `arrived`: when each row was first in each table."""
    ends = found.writes.frame.select("entry", "table", "end")
    return found.carried.join(ends, on="entry").group_by("row", "table").agg(arrived=pl.col("end").min())
