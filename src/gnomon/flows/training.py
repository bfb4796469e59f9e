"""Training set: a spine of keys and times → the same rows, with what each feature was worth at each time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon import columns as cols
from gnomon.abc.source import SourceReader
from gnomon.engines.part import Answer, Picked, Spine, answer, pick_newest
from gnomon.engines.resolve import AsOf
from gnomon.errors import DataError, UsageError, nearest
from gnomon.events import Retrieved, emit
from gnomon.flows import ondemand
from gnomon.flows.fields import Fields, needed_fields, own_rows
from gnomon.flows.held import Cut, Held, answer_held
from gnomon.flows.labels import Labelled, answer_labels, read_labels
from gnomon.flows.leaks import declared_leaks, leaks_of_rows
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, Reading, plan_reading, telling
from gnomon.flows.request import Ident, Job, Request, with_default
from gnomon.flows.retractions import read_retractions, retracted
from gnomon.plan.keys import check_whole
from gnomon.plan.normal import ROW, key, lane, micros
from gnomon.time import NEVER, argument, stopwatch
from gnomon.types import DType, dtype_text, is_instant

_ASKED = "__asked"

PastReading = AsOf | Literal["served"]
"""Which rows are seen at t; served: those that the online store held then."""


@dataclass(frozen=True)
class Question:
    """A spine, checked against a request."""

    spine: pl.DataFrame
    timestamp: str
    t: cols.Words
    as_of: PastReading
    request: Request
    names: list[str]
    fields: Fields
    """The spine's columns that are request values, in the types that are wanted of them."""
    complete_until: int | None = None
    """Until when the sources of labels are said to be complete; None: each up to its greatest known_at."""
    cuts: Mapping[str, Cut] = field(default_factory=dict)
    """As of "served": by group, which values logged answers were made of; else it is told by t."""
    again: bool = False
    """Whether logged requests are answered by other definitions: groups that they did not ask are read as of "known",
    and features that were not ready then are told all the same.
    """


@dataclass
class Computed:
    """The features of a question, and what was done to get them."""

    frame: pl.DataFrame
    readings: dict[str, Reading] = field(default_factory=dict)
    ties: dict[str, int] = field(default_factory=dict)
    labelled: list[Labelled] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    seconds: float = 0.0


def read_as_of(value: object) -> AsOf:
    """`"known"`, `"latest"`, or an instant. Raises: UsageError."""
    if value in ("known", "latest"):
        return value
    if isinstance(value, str) and value[:1].isalpha():
        raise UsageError(f"as_of cannot be `{value}`", hint='give "known", "latest" or a datetime')
    return argument(value, "as_of")


def read_past(value: object) -> PastReading:
    """What `read_as_of` reads, or `"served"`. Raises: UsageError."""
    return "served" if value == "served" else read_as_of(value)


def check_spine(
    spine: pl.DataFrame,
    request: Request,
    timestamp: str,
    as_of: PastReading,
    full_names: bool,
    complete_until: int | None = None,
) -> Question:
    """Check a spine before any data is read.

    Raises: DataError or UsageError naming the column, what was found, and a hint.
    """
    t = _times(spine, timestamp)
    for job in request.jobs:
        _check_keys(spine, job)
    fields = needed_fields(request).of_spine(spine)
    names = request.names(full_names, spine.columns)
    return Question(spine, timestamp, t, as_of, request, names, fields, complete_until)


def _times(spine: pl.DataFrame, timestamp: str) -> cols.Words:
    if timestamp not in spine.columns:
        found = [n for n, d in spine.schema.items() if isinstance(d, pl.Datetime | pl.Date)]
        hint = (
            f'timestamp="{found[0]}"'
            if len(found) == 1
            else f"datetime columns found: {', '.join(found) or 'none'}"
        )
        raise DataError(f"the spine has no column `{timestamp}`", hint=f"name the time column: {hint}")
    dtype = spine.schema[timestamp]
    if not is_instant(dtype):
        raise DataError(
            f"the spine's time column `{timestamp}` is {dtype_text(dtype)}",
            hint="give datetimes or ISO 8601 text",
        )
    try:
        t = spine.select(micros(pl.col(timestamp), dtype)).to_series()
    except pl.exceptions.PolarsError as error:
        first = str(error).split("\n", maxsplit=1)[0]
        raise DataError(f"the spine's time column `{timestamp}` cannot be read: {first}") from None
    if t.null_count():
        raise DataError(
            f"{t.null_count():,} of {len(t):,} spine rows have no `{timestamp}`",
            at=f"spine row {t.is_null().arg_true()[0]}",
            hint="every row of a spine needs a time; drop or fill those rows",
        )
    return t.to_numpy(writable=True)


def _check_keys(spine: pl.DataFrame, job: Job) -> None:
    for column, (name, dtype) in zip(job.key_columns, job.layout.keys, strict=True):
        if column not in spine.columns:
            close = nearest(column, spine.columns)
            raise DataError(
                f"the spine has no column `{column}`, the key of group `{job.layout.name}`",
                hint=f"did you mean `{close}`?"
                if close
                else f'rename the column, or read the key from another: group.renamed(keys={{"{name}": "…"}})',
            )
        found = spine.schema[column]
        if not key_fits(found, dtype):
            raise DataError(
                f"the spine's column `{column}` is {dtype_text(found)}, "
                f"the key of group `{job.layout.name}` is {dtype_text(dtype)}",
                hint="cast the column; 5 and '5' are different keys",
            )
        check_whole(spine[column], "spine row")


def key_fits(found: DType, declared: DType) -> bool:
    """Whether values of a column can be keys of a type."""
    if isinstance(found, pl.Null):
        return True
    if declared.is_integer():
        return found.is_integer()
    if isinstance(declared, pl.String):
        return isinstance(found, pl.String | pl.Categorical | pl.Enum)
    return type(found) is type(declared)


def compute(project: Project, question: Question) -> Computed:
    """Answer a question: groups one after another, then on-demand functions, then the columns in their order."""
    elapsed = stopwatch()
    done = Computed(question.spine)
    values: dict[Ident, pl.Series] = {}
    now = project.clock()
    for job in question.request.jobs:
        if job.layout.forward:
            labelled = answer_labels(project, job, question.spine, question.t, now, question.complete_until)
            done.labelled.append(labelled)
            done.readings.setdefault(job.layout.ref, labelled.reading)
            values.update(labelled.values)
            continue
        unready: Sequence[NDArray[np.bool_]] = ()
        if _by_journal(question, job):
            held, reading = answer_served(project, question, job)
            found, unready = held.answer, () if question.again else held.unready
        else:
            found, reading = answer_job(project, question, job)
        done.readings[job.layout.ref] = reading
        done.ties[job.layout.ref] = done.ties.get(job.layout.ref, 0) + found.ties
        for ident, output, column in zip(job.idents, job.outputs, found.columns, strict=True):
            values[ident] = with_default(column, output)
        for ident, early in zip(job.idents, unready, strict=False):
            if early.any():
                values[ident] = values[ident].to_frame("v").select(pl.when(pl.Series(~early)).then("v"))["v"]
    run_steps(question.request, values, question.fields, len(question.spine))
    features = [
        values[column.ident].alias(name)
        for column, name in zip(question.request.columns, question.names, strict=True)
    ]
    done.frame = question.spine.with_columns(features)
    done.leaks = leaks(project, question)
    done.seconds = elapsed()
    emit(Retrieved(len(question.spine), len(features), done.seconds))
    return done


def _by_journal(question: Question, job: Job) -> bool:
    """Whether the journal must tell what was served. Of an external source the rows themselves are what was served."""
    if question.as_of != "served" or job.group.external is not None:
        return False
    return not question.again or cut_name(job) in question.cuts


def leaks(project: Project, question: Question) -> list[str]:
    """What features of the question may know of its labels, in words."""
    request = question.request
    fields = [name for name, _ in request.fields]
    declared = declared_leaks(request.jobs, fields, "known" if question.as_of == "served" else question.as_of)
    return [*declared, *leaks_of_rows(project, request.jobs)]


def read_job(reader: SourceReader, question: Question, job: Job) -> Reading:
    """What answering a group's part of a question reads."""
    t = question.t
    if job.layout.forward:
        return read_labels(reader, job, t)
    as_of: AsOf = "known" if question.as_of == "served" else question.as_of
    first, last = (int(t.min()), int(t.max())) if len(t) else (0, 0)
    return plan_reading(reader, job.layout, job.outputs, first, min(last, NEVER - 1), as_of)


def _asked(question: Question, job: Job) -> pl.DataFrame:
    """[n]: keys, the request's own rows, and t."""
    spine = question.spine
    return spine.select(
        *job.keys_of(spine),
        *own_rows(job, question.fields, len(spine)),
        pl.Series(_ASKED, question.t),
    )


def spine_of(question: Question, job: Job) -> Spine:
    """The questions about one group."""
    asked = _asked(question, job)
    keys = asked.select(key(i) for i in range(len(job.layout.keys)))
    return Spine(keys, question.t, asked.select(lane(i) for i in job.request_inputs))


def answer_served(project: Project, question: Question, job: Job) -> tuple[Held, Reading]:
    """The features of one group for a spine, as the online store would have answered at each time."""
    reading = read_job(project.reader(job.group, job.layout), question, job)
    spine = spine_of(question, job)
    cut = question.cuts.get(cut_name(job))
    strict = cut is None
    held = answer_held(
        project, job.group, job.layout, job.outputs, spine, cut or Cut(question.t), strict=strict
    )
    return held, reading


def cut_name(job: Job) -> str:
    """What tells the values that a job is made of from those of other jobs: a group may stand in several roles."""
    return f"{job.layout.ref}[{','.join(job.key_columns)}]"


def answer_job(project: Project, question: Question, job: Job) -> tuple[Answer, Reading]:
    """The features of one group for a spine."""
    as_of: AsOf = "known" if question.as_of == "served" else question.as_of
    layout = job.layout
    reader = project.reader(job.group, layout)
    reading = read_job(reader, question, job)
    keys = [key(i) for i in range(len(layout.keys))]
    own = [lane(i) for i in job.request_inputs]
    questions = _asked(question, job)
    counts: list[Answer | Picked] = []
    retractions = read_retractions(project.offline, job.group, layout)

    def asked_in(part: pl.DataFrame) -> Spine:
        return Spine(part.select(keys), part[_ASKED].to_numpy(writable=True), part.select(own))

    def pick(rows: pl.DataFrame, part: pl.DataFrame) -> cols.Words | None:
        rows = retracted(layout, rows, retractions)
        found = pick_newest(layout, rows, asked_in(part), as_of)
        if found is None:
            return None
        counts.append(found)
        number = cols.words(rows[ROW])
        return np.where(found.position < 0, -1, number[found.position]) if len(number) else found.position

    def work(rows: pl.DataFrame, part: pl.DataFrame) -> pl.DataFrame:
        rows = retracted(layout, rows, retractions)
        found = answer(layout, job.outputs, rows, asked_in(part), as_of)
        counts.append(found)
        return pl.DataFrame(found.columns)

    expected = reader.expected_rows()
    with telling(layout.ref, Origin(reader, layout, reading.parts)):
        found = None
        if reading.narrow is not None:
            found = project.engine.newest(
                reading.narrow, reading.wide, reading.inputs, questions, pick, expected_rows=expected
            )
        if found is not None:
            made = [found[lane(o.input)].alias(o.name) for o in job.outputs]
        else:
            counts.clear()
            run = project.engine.run(reading.frame, questions, keys, work, expected_rows=expected)
            made = run.get_columns()
    return Answer(made, sum(c.ties for c in counts)), reading


def run_steps(request: Request, values: dict[Ident, pl.Series], fields: Fields, n: int) -> None:
    """Call the on-demand functions, adding their outputs to `values`."""
    for step in request.steps:
        inputs = {
            name: (fields[name, dtype] if ident is None else values[ident]).alias(name)
            for name, ident, dtype in step.inputs
        }
        outputs = ondemand.call(step.on_demand, step.function, inputs, n)
        values.update(zip(step.idents, outputs, strict=True))


def row_hash(frame: pl.DataFrame) -> str:
    """Digest of a frame's content, for telling spines apart."""
    digest = hashlib.sha256()
    for column in frame.get_columns():
        digest.update(column.name.encode())
        kind = cols.kind_of(column.dtype)
        arrays = {
            "word": lambda c: (cols.words(c),),
            "float": lambda c: (cols.floats(c),),
            "wide": cols.halves,
            "bytes": cols.to_bytes,
        }[kind](column)
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(cols.valid(column).tobytes())
    return digest.hexdigest()[:16]
