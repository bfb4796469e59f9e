"""Requests again: logged answers → the question that they were the answers to, for training to answer once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from gnomon import columns as cols
from gnomon.errors import UsageError
from gnomon.flows.fields import needed_fields
from gnomon.flows.held import Cut
from gnomon.flows.proof.answers import Answers, Columns
from gnomon.flows.request import Request
from gnomon.flows.training import Question, check_spine, cut_name

TIMESTAMP = "event_timestamp"


def asked_again(columns: Columns, frame: pl.DataFrame) -> Question:
    """Logged answers as the question that they answered, as of served. Features are called `v__…`."""
    request = columns.request
    spine = frame.select(pl.col(f"k__{name}").alias(name) for name in columns.keys)
    if not columns.keys:
        spine = frame.select("at")
    fields = {
        (want.name, want.dtype): frame[f"r__{want.name}"].cast(want.dtype).alias(want.name)
        for want in needed_fields(request).wants
    }
    return Question(
        spine=spine,
        timestamp="at",
        t=cols.words(frame["at"]),
        as_of="served",
        request=request,
        names=[f"v__{name}" for name in columns.names],
        fields=fields,
        cuts=cuts_of(request, frame),
    )


def cuts_of(request: Request, frame: pl.DataFrame) -> dict[str, Cut]:
    """Of which values each answer was made, by job."""
    seen = cols.words(frame["seen"])
    return {
        cut_name(job): Cut(
            seen,
            tuple(frame["tables"].list.get(j).to_list()),
            cols.words(frame["counters"].list.get(j)),
        )
        for j, job in enumerate(request.jobs)
    }


def regenerated(answers: Sequence[Answers], request: Request, *, full_names: bool = False) -> Question:
    """The question of what other features were worth for the logged requests: keys, request values and times are the
    spine, and each group has the rows that the answers were made of; groups that were not asked then are as of "known".

    Raises: UsageError if nothing was logged; what `check_spine` raises, for keys or request values that were not asked.
    """
    if not answers:
        raise UsageError(
            "no answers of this service were logged",
            hint="`[log] sample = 1` in gnomon.toml logs all of them; a server logs a share by itself",
        )
    frames = []
    for one in answers:
        c = one.columns
        frames.append(
            one.frame.select(
                *(pl.col(f"k__{name}").alias(name) for name in c.keys),
                *(pl.col(f"r__{name}").alias(name) for name in c.fields if name not in c.keys),
                pl.col("at").alias(TIMESTAMP),
            )
        )
    spine = pl.concat(frames, how="diagonal_relaxed")
    question = check_spine(spine, request, TIMESTAMP, "served", full_names)
    logged = [(cuts_of(one.columns.request, one.frame), len(one.frame)) for one in answers]
    wanted = {cut_name(job) for job in request.jobs}
    seen = np.concatenate([cols.words(one.frame["seen"]) for one in answers])
    cuts = {}
    for name in wanted & {name for cuts, _ in logged for name in cuts}:
        tables: list[str | None] = []
        counters = []
        for of_one, n in logged:
            cut = of_one.get(name)
            tables += [None] * n if cut is None or cut.tables is None else cut.tables
            counters.append(np.full(n, -1) if cut is None or cut.counters is None else cut.counters)
        cuts[name] = Cut(seen, tuple(tables), np.concatenate(counters))
    return replace(question, cuts=cuts, again=True)
