"""Verify: logged answers → computed again from the offline rows → compared bit by bit, and what differs explained.

By revision: the definitions are those by which was answered. Beside it is told how training as of "known" would differ:
rows that were known, and on their way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.errors import ComputeError
from gnomon.flows.held import TOLERANCE, blurred_until
from gnomon.flows.project import Project
from gnomon.flows.proof.answers import Answers, Columns
from gnomon.flows.proof.bits import differ
from gnomon.flows.proof.causes import Case, cause_of
from gnomon.flows.proof.report import ConsistencyReport, Mismatch
from gnomon.flows.proof.requests import asked_again
from gnomon.flows.proof.skew import delay_of
from gnomon.flows.training import Question, compute
from gnomon.online.statuses import STATUSES
from gnomon.time import ALWAYS, show, stopwatch

_NOT_READY, _ERROR = STATUSES.index("NOT_READY"), STATUSES.index("ERROR")
Flags = NDArray[np.bool_]


def verify(
    project: Project, service: str, answers: Sequence[Answers], *, sample: int | None = None
) -> ConsistencyReport:
    """Compare logged answers of a service with what the offline rows give. `sample`: at most so many, spread evenly."""
    elapsed = stopwatch()
    report = ConsistencyReport(service)
    total = sum(len(one.frame) for one in answers)
    for one in answers:
        frame = one.frame.sort("seen", maintain_order=True)
        if sample is not None and total > sample:
            share = max(1, sample * len(frame) // total)
            frame = frame[np.linspace(0, len(frame) - 1, share).astype(np.int64)] if len(frame) else frame
        _verify(project, replace(one, frame=frame), report)
    report.seconds = elapsed()
    return report


def _verify(project: Project, logged: Answers, report: ConsistencyReport) -> None:
    columns, frame = logged.columns, logged.frame
    names = list(columns.features)
    failed = pl.any_horizontal(pl.col(f"s__{name}") == _ERROR for name in names)
    errors = int(frame.select(failed.sum()).item()) if len(frame) else 0
    if errors:
        _put_aside(report, "a value of theirs was an ERROR", errors)
        frame = frame.filter(~failed)
    frame = _provable(project, columns, frame, report)
    if not len(frame):
        return
    question = asked_again(columns, frame)
    try:
        again = compute(project, question).frame
    except ComputeError as error:
        # It was answered without an error: what cannot be computed now is another value.
        _put_aside(report, f"they cannot be computed again: {error}", len(frame))
        first = report.feature(names[0])
        first.values += len(frame)
        first.mismatches += len(frame)
        return
    known = compute(project, replace(question, as_of="known", cuts={})).frame
    report.rows += len(frame)
    for name in names:
        served, made = frame[f"v__{name}"], again[f"v__{name}"]
        compared = (frame[f"s__{name}"] != _NOT_READY).to_numpy()
        wrong = differ(served, made) & compared
        found = report.feature(name)
        found.values += int(compared.sum())
        found.not_ready += int((~compared).sum())
        found.mismatches += int(wrong.sum())
        skewed = differ(known[f"v__{name}"], made) & compared
        if skewed.any():
            found.skewed += int(skewed.sum())
            delay = delay_of(project, question, name, columns, skewed)
            found.delay = delay if found.delay is None else max(found.delay, delay or 0)
        if wrong.any():
            _explain(project, logged, frame, question, name, served, made, wrong, report)


def _provable(
    project: Project, columns: Columns, frame: pl.DataFrame, report: ConsistencyReport
) -> pl.DataFrame:
    """The answers of which the journal and the files still tell what the online store held."""
    groups = {job.layout.ref: job for job in columns.request.jobs if job.group.external is None}
    for ref, job in groups.items():
        until = blurred_until(project, job.group, job.layout)
        # Near that instant counters would decide, of which the writes before are not known.
        early = frame["seen"].to_physical() < until + TOLERANCE
        if until > ALWAYS and early.any():
            why = f"a vacuum removed the files that told what was online of `{ref}` before {show(until)}"
            _put_aside(report, why, int(early.sum()))
            frame = frame.filter(~early)
    return frame


def _put_aside(report: ConsistencyReport, why: str, rows: int) -> None:
    report.not_compared[why] = report.not_compared.get(why, 0) + rows


_FEW = 20
"""Mismatches of a feature that are looked at for kinds that no example shows yet."""


def _explain(
    project: Project,
    logged: Answers,
    frame: pl.DataFrame,
    question: Question,
    name: str,
    served: pl.Series,
    made: pl.Series,
    wrong: Flags,
    report: ConsistencyReport,
) -> None:
    """Add an example of each kind of mismatch that none shows yet."""
    known = {example.kind for example in report.examples}
    for i in np.flatnonzero(wrong)[:_FEW].tolist():
        row = frame.row(i, named=True)
        # Of a column of lists, [i] would be a series.
        [was], [would] = served.slice(i, 1).to_list(), made.slice(i, 1).to_list()
        case = Case(project, logged, frame[i], question, i, name, was, made.dtype)
        cause = cause_of(case)
        if cause.kind in known:
            continue
        known.add(cause.kind)
        report.examples.append(
            Mismatch(
                kind=cause.kind,
                feature=name,
                key={key: row[f"k__{key}"] for key in logged.columns.keys},
                at=int(question.t[i]),
                seen=int(cast(int, frame["seen"].to_physical()[i])),
                request=row["request"],
                served=was,
                computed=would,
                why=cause.why,
            )
        )
