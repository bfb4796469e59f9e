"""Compiled requests: what the online side needs to know to answer, read once from the documents of the
groups.

From which t on a table can answer what is decided here: rows before its horizon have been let go, rows
before its start were never loaded, and a feature that is new may need inputs or a past that the table does
not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.errors import HorizonError
from gnomon.flows.external import Asker, asker
from gnomon.flows.fields import Needed, needed_fields
from gnomon.flows.online import EPOCH, Table, keys_of, lane_name, read_document
from gnomon.flows.project import Project
from gnomon.flows.question import Instants
from gnomon.flows.request import Job, Request, literal, served
from gnomon.online.program import Program, make_program
from gnomon.plan.keys import Encode, part_encoder
from gnomon.plan.layout import NONE, Output
from gnomon.time import ALWAYS, NEVER, show

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Ready:
    """A job that can be asked: its table and the program over it."""

    job: Job
    table: Table | None
    program: Program | None
    """Over the outputs that the table has the inputs for."""
    asked: tuple[int, ...]
    """Which of the job's outputs the program answers."""
    encoders: tuple[Encode, ...]
    safe_t: int
    """From this t on every output can be answered; NEVER if one cannot at all."""
    defaults: tuple[tuple[int, Any], ...] = ()
    """(output, value) of outputs with a default."""
    asker: Asker | None = None
    """Who asks the external source of the group, in the place of a table."""


@dataclass(frozen=True)
class Compiled:
    """A request over the tables as of an epoch."""

    request: Request
    epoch: bytes | None
    ready: tuple[Ready, ...]
    names: tuple[str, ...]
    keys: frozenset[str]
    needed: Needed
    places: tuple[tuple[int, int], ...]
    """Where each output column comes from: (job, output), or (-1 - step, output)."""
    where: Mapping[str, tuple[int, int]]
    """The same by ident, for the inputs of functions."""
    direct: bool
    """Whether the columns are those of the one job, as they are."""
    dtypes: tuple[pl.DataType, ...]
    straight: list[int]
    """0, 1, 2, … for as many columns."""
    asks_services: bool = False
    """Whether a group has an external source."""


def compile_request(project: Project, request: Request, full_names: bool) -> Compiled:
    """Read what is true of each group online, and make the programs.

    Raises: UsageError for a label that is asked for by name.
    """
    request = served(request)
    epoch = project.online.get_meta(EPOCH)
    ready = tuple(_make_ready(project, job) for job in request.jobs)
    where: dict[str, tuple[int, int]] = {}
    for j, job in enumerate(request.jobs):
        where.update({ident: (j, i) for i, ident in enumerate(job.idents)})
    for s, step in enumerate(request.steps):
        where.update({ident: (-1 - s, i) for i, ident in enumerate(step.idents)})
    places = tuple(where[c.ident] for c in request.columns)
    return Compiled(
        request,
        epoch,
        ready,
        tuple(request.names(full_names)),
        frozenset(request.key_columns),
        needed_fields(request),
        places,
        where,
        len(request.jobs) == 1 and places == tuple((0, i) for i in range(len(request.jobs[0].outputs))),
        tuple(c.dtype for c in request.columns),
        list(range(len(request.columns))),
        any(one.asker is not None for one in ready),
    )


def _make_ready(project: Project, job: Job) -> Ready:
    store, layout = project.online, job.layout
    last = len(layout.keys) - 1
    defaults = tuple(
        (i, literal(o.default, o.dtype).to_list()[0])
        for i, o in enumerate(job.outputs)
        if o.default is not None
    )
    encoders = tuple(part_encoder(dtype, i == last) for i, (_, dtype) in enumerate(layout.keys))
    if job.group.external is not None:
        made = asker(project, job.group, layout)
        return Ready(job, None, None, (), encoders, ALWAYS, defaults, made)
    table = read_document(store, layout.ref).live
    if table is None or table.keys != keys_of(layout):
        return Ready(job, None, None, (), encoders, NEVER, defaults)
    # A table from before a change of the group may lack lanes, or have them elsewhere: they are found by
    # name.
    place = {name: i for i, (name, _) in enumerate(table.shape.lanes)}
    moved, asked = [], []
    for i, output in enumerate(job.outputs):
        spots = [
            place.get(lane_name(layout.inputs[k])) if k != NONE else NONE
            for k in (output.input, output.where, output.by)
        ]
        if None not in spots and table.shape.kind == layout.kind:
            moved.append(_with_inputs(output, *spots))  # type: ignore[arg-type]
            asked.append(i)
    types: list[pl.DataType] = [pl.Null()] * len(place)
    for given in layout.inputs:
        if lane_name(given) in place:
            types[place[lane_name(given)]] = given.dtype
    program = make_program(table.shape.layout(), types, moved, layout.max_age) if moved else None
    safe = [safe_t(job, table, output) for output in job.outputs]
    whole = len(asked) == len(job.outputs)
    return Ready(job, table, program, tuple(asked), encoders, max(safe) if whole else NEVER, defaults)


def _with_inputs(output: Output, given: int, where: int, by: int) -> Output:
    return replace(output, input=given, where=where, by=by)


def safe_t(job: Job, table: Table, output: Output) -> int:
    """The earliest t at which the table answers an output."""
    delay = job.layout.settling_delay
    if table.horizon == ALWAYS and table.start == ALWAYS:
        return ALWAYS
    # Of a state group the newest row at that instant is there.
    span = 0 if job.layout.kind == "state" else output.span
    return NEVER if span is None else max(table.horizon, table.start) + span + delay


def unanswerable(ready: Ready, t: Instants) -> dict[int, Flags]:
    """Output → which rows cannot be answered at their t, for outputs that have such rows.

    Raises: HorizonError where t is merely too old: rows that the answer needs were there and have been let
            go.
    """
    job, table = ready.job, ready.table
    refused: dict[int, Flags] = {}
    for i, output in enumerate(job.outputs):
        if table is None or i not in ready.asked:
            refused[i] = np.ones(len(t.each), np.bool_)
            continue
        safe = safe_t(job, table, output)
        early = t.each < safe
        if not early.any():
            continue
        _check_horizon(job, table, output, int(t.each[early].min()), safe)
        refused[i] = early
    return refused


def _check_horizon(job: Job, table: Table, output: Output, t: int, safe: int) -> None:
    """Refuse a t for which the table once had the rows."""
    delay, span = job.layout.settling_delay, 0 if job.layout.kind == "state" else output.span
    kept = table.span is None or (span is not None and span + delay <= table.span)
    if not kept or table.horizon == ALWAYS or t >= table.horizon + (span or 0) + delay:
        return
    raise HorizonError(
        f"t = {show(t)} is before the horizon of group `{job.layout.name}`: `{output.name}` can be answered "
        f"from {show(safe)} on; rows are kept back to {show(table.horizon)}",
        hint="get_historical_features answers any time; `slack` in gnomon.toml keeps online rows for longer",
    )
