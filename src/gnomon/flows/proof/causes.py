"""Causes: a value that was served otherwise than it is computed → why, as far as journal and registry tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl

from gnomon import columns as cols
from gnomon.engines.part import Spine
from gnomon.errors import counted
from gnomon.flows.held import TOLERANCE, Cut, Gathered, answer_held, gather, read_writes, touches
from gnomon.flows.project import Project
from gnomon.flows.proof.answers import Answers, definitions_of
from gnomon.flows.proof.bits import bits
from gnomon.flows.proof.skew import arrivals, jobs_behind
from gnomon.flows.request import Job, with_default
from gnomon.flows.training import Question, cut_name, spine_of
from gnomon.kernels._jit import kernel_key
from gnomon.plan.normal import TIME
from gnomon.time import NEVER, show
from gnomon.types import DType


@dataclass(frozen=True)
class Cause:
    """Why a value differs: in a word, and in a sentence."""

    kind: str
    why: str


@dataclass(frozen=True)
class Case:
    """One value that differs."""

    project: Project
    logged: Answers
    row: pl.DataFrame
    """Of the log, one row."""
    question: Question
    i: int
    """The row of the question."""
    feature: str
    served: Any
    dtype: DType


def cause_of(case: Case) -> Cause:
    """The first cause that applies, the surest first."""
    changed = _changed_definition(case)
    if changed is not None:
        return changed
    column = case.question.request.columns[case.logged.columns.names.index(case.feature)]
    jobs = jobs_behind(case.question.request, column.ident)
    for job in jobs:
        found = _of_writes(case, job, direct=column.ident in job.idents)
        if found is not None:
            return found
    kernels = case.row["kernels"][0]
    if kernels != kernel_key():
        return Cause(
            "other kernels",
            f"it was computed by the kernels {kernels}, which are {kernel_key()} here: another release, other "
            "libraries, or another processor",
        )
    if not any(column.ident in job.idents for job in jobs):
        return Cause(
            "function",
            f"the inputs of `{case.feature}` are the same rows: its function gives another value now",
        )
    return Cause(
        "value",
        f"the rows that the online store held give another value: {_rows_in_words(case, jobs[0])}. What is stored, or "
        "what computed it, was altered",
    )


def _changed_definition(case: Case) -> Cause | None:
    """A group or function that is not what it was at the logged revision."""
    snapshot = case.project.registry.at(case.logged.revision)
    told: dict[str, str] = msgspec.json.decode(case.row["definitions"][0])
    now: dict[str, str] = msgspec.json.decode(definitions_of(snapshot, case.question.request))
    for name, digest in told.items():
        if now.get(name) != digest:
            kind, _, ref = name.partition(":")
            newest = case.project.registry.snapshot()
            stamp = newest.changed.get((kind, ref))
            by = f", last changed in revision {stamp.revision} by {stamp.author}" if stamp is not None else ""
            return Cause("definition", f"`{ref}` was answered by another definition than revision "
                         f"{case.logged.revision} tells{by}")  # fmt: skip
    return None


def _of_writes(case: Case, job: Job, *, direct: bool) -> Cause | None:
    """What the journal tells of the rows of a group: files that were rewritten, writes that were lost or unknown."""
    cut = case.question.cuts[cut_name(job)]
    assert cut.tables is not None
    assert cut.counters is not None
    table, seen, left = cut.tables[case.i], int(cut.at[case.i]), int(cut.counters[case.i])
    spine = _one(case, job)
    writes = read_writes(case.project, job.group)
    found, q_key = gather(case.project, job.group, job.layout, job.outputs, spine, writes)
    lost = found.rewritten().filter(pl.col("table") == table)
    if len(lost):
        name, there = lost["name"][0], lost["there"][0]
        return Cause(
            "source rewritten" if there else "source gone",
            f"`{name}` of group `{job.group.ref}` was {'rewritten' if there else 'removed'} after it was loaded: the "
            "rows that were served are no longer there",
        )
    touched = touches(found, job.layout, spine, q_key).filter(pl.col("table") == table)
    missing = touched.filter((pl.col("counter") > left) & (pl.col("end") < seen - TOLERANCE)).sort("end")
    if len(missing):
        entry = writes.entries[missing["entry"][0]]
        return Cause(
            "lost write",
            f"group `{job.group.ref}`: {_write_in_words(found, missing['entry'][0])} ended at {show(entry.end or 0)} "
            f"and left version {missing['counter'][0]} of the key; the answer was of {show(seen)}, and version {left}",
        )
    highest = int(touched.select(pl.col("counter").max().fill_null(0)).item() or 0)
    if left > highest and touched.filter(pl.col("end") == NEVER).is_empty():
        return Cause(
            "unknown write",
            f"group `{job.group.ref}`: the answer was made of version {left} of the key, and the journal knows of "
            f"{highest}: something was written that it does not tell of",
        )
    return _other_state(case, job, found, str(table)) if direct else None


def _other_state(case: Case, job: Job, found: Gathered, table: str) -> Cause | None:
    """A state that the key had before or after, if that gives what was served."""
    ends = [e.end for e in found.writes.entries if e.table == table and e.end is not None]
    moments = np.array(sorted({min(ends, default=0) - 1, *ends}), np.int64)
    n = len(moments)
    one = _one(case, job)
    again = np.zeros(n, np.int64)
    own = one.request[again] if one.request.width else one.request
    spine = Spine(one.keys[again] if one.keys.width else one.keys, np.repeat(one.t, n), own)
    output = next(o for o in job.outputs if o.name == _output_name(case, job))
    held = answer_held(
        case.project, job.group, job.layout, [output], spine, Cut(moments, (table,) * n), strict=False
    )
    values = with_default(held.answer.columns[0], output).to_list()
    for moment, value in zip(moments.tolist(), values, strict=True):
        if bits(value) == bits(case.served):
            seen = int(case.question.cuts[cut_name(job)].at[case.i])
            word = "before" if moment < seen else "after"
            return Cause(
                "other rows",
                f"it is what group `{job.group.ref}` was worth {word} the writes around {show(moment)}: "
                f"{_rows_in_words(case, job)}",
            )
    return None


def _output_name(case: Case, job: Job) -> str:
    column = case.question.request.columns[case.logged.columns.names.index(case.feature)]
    return job.outputs[job.idents.index(column.ident)].name


def _one(case: Case, job: Job) -> Spine:
    """The one question, of one group."""
    spine = spine_of(case.question, job)
    at = slice(case.i, case.i + 1)
    return Spine(
        spine.keys[at] if spine.keys.width else spine.keys,
        spine.t[at],
        spine.request[at] if spine.request.width else spine.request,
    )


def _write_in_words(found: Gathered, entry: int) -> str:
    names = list(found.writes.entries[entry].parts)
    rows = len(found.carried.filter(pl.col("entry") == entry))
    of = f" of `{names[0]}`" if names else ""
    return f"the write of {counted(rows, 'row')}{of}"


def _rows_in_words(case: Case, job: Job) -> str:
    """The newest rows of the key, and when each came online."""
    spine = _one(case, job)
    found, _ = gather(
        case.project, job.group, job.layout, job.outputs, spine, read_writes(case.project, job.group)
    )
    table = (case.question.cuts[cut_name(job)].tables or ("",))[case.i]
    came = arrivals(found).filter(pl.col("table") == table)
    times = pl.DataFrame({"row": np.arange(len(found.codes)), "time": cols.words(found.frame[TIME])})
    rows = (
        times.filter(pl.Series(found.codes >= 0))
        .join(came, on="row", how="left")
        .sort("time", descending=True)
    )
    told = [
        f"{show(time)} " + ("never online" if arrived is None else f"online since {show(arrived)}")
        for time, arrived in rows.head(3).select("time", "arrived").iter_rows()
    ]
    return f"{counted(len(rows), 'row')} of the key" + (f", the newest of {'; '.join(told)}" if told else "")
