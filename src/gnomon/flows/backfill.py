"""Backfill: a group's online table from its source once more, chunk by chunk, beside the one that answers.

A materialization reads what is new. A backfill reads all that the table is to hold, whatever was noted as loaded: after
a source was corrected where nothing tells that it changed, or to let a table begin earlier. Why it reads more than the
interval that it is asked for: docs/decisions/0022.

    1  choose     the table's extent, which is never less than that of the table which answers; or go on where a
                  stopped run was
    2  survey     how many rows, from when to when → chunks, horizon, and an estimate of what it takes
    3  load       chunk by chunk, some at once; the document notes each
    4  catch up   with what was materialized meanwhile
    5  publish    the new table by naming it in the document

The group is held for a chunk at a time: others go on filling the table that answers. Merging is a union of row
versions, so neither the chunks nor their order leave a trace, and no row is overwritten by another.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from gnomon.abc.online import OnlineStore
from gnomon.abc.source import Part, SourceReader
from gnomon.define.group import FeatureGroup
from gnomon.errors import Conflict, GnomonError, Stopped, UsageError
from gnomon.events import Backfilled, Progress, Step, emit
from gnomon.flows.backfilled import BackfillReport
from gnomon.flows.chunks import at_once, bin_length, chunk_ends, cut
from gnomon.flows.estimate import Estimate, Survey, bins, estimate, survey
from gnomon.flows.fill import (
    check_there,
    held_until,
    missing,
    moved_on,
    newest_activation,
    source_text,
    still_good,
    tell_published,
)
from gnomon.flows.journal import new_identity
from gnomon.flows.load import LoadedPiece, Piece, load
from gnomon.flows.moved import follow, in_origins
from gnomon.flows.online import (
    Document,
    Loaded,
    Refill,
    Table,
    change_document,
    ensure_table,
    filling,
    keys_of,
    reach_of,
    read_document,
    settle,
    shape_of,
    unnamed_tables,
)
from gnomon.flows.project import Project
from gnomon.flows.retract import take_out
from gnomon.flows.retractions import read_retractions
from gnomon.online.weighing import WeighingStore
from gnomon.plan.layout import Layout
from gnomon.time import ALWAYS, NEVER, show, show_duration, stopwatch

_FEW = 4
"""The most chunks at once, where their number is not given: each is held in memory."""
_SHORT = 0.05
"""Seconds: of a shorter run nothing is learnt about how long the next one takes."""


@dataclass(frozen=True)
class _Job:
    """What is to be done."""

    project: Project
    group: FeatureGroup
    layout: Layout
    asked: tuple[int, int]
    chunk: int | None
    workers: int

    @property
    def ref(self) -> str:
        return self.layout.ref

    @property
    def store(self) -> OnlineStore:
        return self.project.online


@dataclass(frozen=True)
class _Plan:
    """How it is to be done."""

    reader: SourceReader
    parts: tuple[Part, ...]
    extent: tuple[int, int]
    """Activations that the table is to hold."""
    edges: tuple[int, ...]
    """Where chunks end, rising; the last is the extent's end."""
    refill: Refill
    resumed: bool
    surveyed: Survey
    estimated: Estimate
    slowness: float | None
    """By which the estimate was corrected."""

    def left(self) -> tuple[int, ...]:
        """The ends of the chunks that are still to be done."""
        done = _reached(self.refill.table)
        return tuple(edge for edge in self.edges if edge > done)


def backfill(
    project: Project,
    group: FeatureGroup,
    layout: Layout,
    *,
    start: int = ALWAYS,
    end: int = NEVER,
    chunk: int | None = None,
    workers: int | None = None,
    dry_run: bool = False,
) -> BackfillReport:
    """Read the rows with an activation in [start, end) again, and all others that the table holds; publish at the end.

    A run that was stopped anywhere is gone on with by one for the same interval; the source must not have changed
    in between, else it begins anew.

    Units:  `chunk` in microseconds.
    Raises: UsageError for arguments that cannot be; Stopped, naming what is complete, if something fails half-way.
    """
    _check(group, start, end, chunk, workers)
    job = _Job(
        project,
        group,
        layout,
        (start, end),
        chunk,
        min(_FEW, os.cpu_count() or 1) if workers is None else workers,
    )
    step = "choose"
    try:
        if dry_run:
            return _report(job, _plan(job, read_document(job.store, job.ref)), dry_run=True)
        plan = _begin(job)
        report = _report(job, plan)
        elapsed = stopwatch()
        emit(Step("backfill", job.ref, step))
        step = "load"
        refill = _load_all(job, plan, report)
        step = "catch up"
        with filling(project.root, job.ref):
            published = False
            while not published:
                seen = read_document(job.store, job.ref).pushed
                table = _caught_up(job, plan, refill, report)
                emit(Step("backfill", job.ref, step))
                report.seconds = elapsed()
                published = _publish(job, table, _slowness(plan, report.seconds), seen)
            step = "publish"
    except GnomonError as error:
        if isinstance(error, UsageError):
            raise
        raise Stopped(
            f"backfill stopped in step `{step}` for `{group.ref}`: {error.what}",
            at=error.at,
            hint=f"{error.hint + '; ' if error.hint else ''}what answered before still does; running it again "
            "goes on with the chunks that are left",
        ) from error
    emit(Step("backfill", job.ref, step))
    emit(Backfilled(group.ref, report.rows, report.seconds))
    return report


def _check(group: FeatureGroup, start: int, end: int, chunk: int | None, workers: int | None) -> None:
    if start >= end:
        raise UsageError(
            f"the interval [{show(start)}, {show(end)}) is empty", hint="`start` must lie before `end`"
        )
    if chunk is not None and chunk <= 0:
        raise UsageError(f"a chunk of {show_duration(chunk)} holds nothing", hint="such as `30d`")
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers do nothing", hint="give 1 or more")
    if not group.online:
        raise UsageError(
            f"group `{group.ref}` is not kept online: there is no table to fill",
            hint="declare it without `online=False`",
        )


def _report(job: _Job, plan: _Plan, *, dry_run: bool = False) -> BackfillReport:
    return BackfillReport(
        group=job.ref,
        start=plan.extent[0],
        end=plan.extent[1],
        chunks=len(plan.edges),
        resumed=len(plan.edges) - len(plan.left()),
        estimate=plan.estimated,
        asked=plan.surveyed.asked,
        rows=plan.refill.rows,
        notes=_notes(job, plan),
        dry_run=dry_run,
        durable=job.store.capabilities.durable,
    )


def _notes(job: _Job, plan: _Plan) -> tuple[str, ...]:
    if job.chunk is not None and at_once(plan.parts):
        return ("read at once, since its source does not tell what has changed",)
    return ()


# --- choose and survey --------------------------------------------------------------------------------------


def _begin(job: _Job) -> _Plan:
    """Plan, and note in the document that a backfill is on its way."""
    while True:
        document = read_document(job.store, job.ref)
        plan = _plan(job, document)  # may take long, and needs nobody to wait
        with filling(job.project.root, job.ref):
            now = settle(job.store, job.ref)
            if _names(now) != _names(document):
                continue
            if plan.resumed and now.refill is not None:
                plan = dataclasses.replace(plan, refill=_with_horizon(now.refill, plan.refill))
            if now.refill != plan.refill:
                _note(job, plan.refill, generation=now.generation + (not plan.resumed))
                settle(job.store, job.ref)
            return plan


def _with_horizon(refill: Refill, planned: Refill) -> Refill:
    """A backfill as it is now, with the horizon and the size that were found while planning."""
    found = planned.table
    table = replace(refill.table, watermark=found.watermark, horizon=found.horizon, span=found.span)
    return replace(refill, table=table, size=planned.size)


def _names(document: Document) -> tuple[Any, ...]:
    """What a plan relies on. Not on how far the tables are: others may fill them meanwhile."""
    refilled = None if document.refill is None else document.refill.table
    return (document.generation, *(t.name if t is not None else None for t in (document.live, refilled)))


def _plan(job: _Job, document: Document) -> _Plan:
    """Decide everything, and write nothing."""
    reader = job.project.reader(job.group, job.layout)
    parts = reader.parts()
    check_there(job.project, job.group, document.live, parts)
    extent = _extent(job.asked, document.live, parts)
    refill = _going_on(job, document, parts)
    resumed = refill is not None
    if refill is not None:
        # Weighed anew: a run that is killed after it wrote and before it noted that does not know.
        refill = replace(refill, size=_weigh(job.store, refill.table.name))
    else:
        name = f"{job.ref}#{document.generation + 1}"
        text = source_text(job.group, job.layout)
        told = read_retractions(job.project.offline, job.group, job.layout).commits
        shape, keys = shape_of(job.layout), keys_of(job.layout)
        table = Table(name, shape, keys, text, start=extent[0], retracted=told, identity=new_identity())
        refill = Refill(table, *job.asked, replaces=document.live.name if document.live is not None else "")
    surveyed = survey(reader, job.layout, parts, extent, job.asked, job.project.clock())
    reach = reach_of(job.layout, job.project.config.slack)
    refill = replace(refill, table=moved_on(refill.table, job.layout, reach, surveyed.newest))
    length = bin_length(job.chunk, surveyed, parts)
    edges: tuple[int, ...] = (extent[1],)
    if length is not None:
        filled = bins(reader, job.layout, parts, extent, length)
        edges = chunk_ends(filled, length, extent[1], given=job.chunk is not None)
    estimated = estimate(
        job.project, job.layout, reader, parts, surveyed, refill.table, extent, len(edges), document.slowness
    )
    return _Plan(reader, parts, extent, edges, refill, resumed, surveyed, estimated, document.slowness)


def _weigh(store: OnlineStore, table: str) -> int:
    """Bytes of keys and values in a table, and in those that belong to it."""
    own = [name for name in store.tables() if name == table or name.startswith(f"{table}/")]
    return sum(len(key) + len(value) for name in own for key, value in store.scan(name))


def _extent(asked: tuple[int, int], live: Table | None, parts: Sequence[Part]) -> tuple[int, int]:
    """What the table is to hold: no less than the one that it takes the place of, and without a hole."""
    if live is None:
        return asked
    return min(asked[0], live.start), max(asked[1], held_until(live, parts))


def _going_on(job: _Job, document: Document, parts: Sequence[Part]) -> Refill | None:
    """The backfill of the same interval that was stopped, if what it has loaded can still be right."""
    refill, live = document.refill, document.live
    if refill is None or (refill.start, refill.end) != job.asked:
        return None
    if refill.replaces != ("" if live is None else live.name):
        return None
    table, reach = refill.table, reach_of(job.layout, job.project.config.slack)
    same = table.source == source_text(job.group, job.layout)
    return refill if same and still_good(table, job.layout, reach, parts, table.start) else None


# --- load ---------------------------------------------------------------------------------------------------


def _load_all(job: _Job, plan: _Plan, report: BackfillReport) -> Refill:
    """Load the chunks that are left, as many at once as there are workers."""
    refill, left, total = plan.refill, plan.left(), len(plan.edges)
    while left:
        # The first rows of a table are loaded by one: they are written without asking what is there.
        many = job.workers if refill.table.parts else 1
        chunks, left = left[:many], left[many:]
        with filling(job.project.root, job.ref):
            _check_ours(job, refill)
            refill = _load_chunks(job, plan, refill, chunks, report)
        done = total - len(left)
        emit(Step("backfill", job.ref, f"load {done}/{total}"))
        emit(Progress("backfill", job.ref, done, total, "chunks"))
    return refill


def _load_chunks(
    job: _Job, plan: _Plan, refill: Refill, chunks: Sequence[int], report: BackfillReport
) -> Refill:
    """Load all rows before the last of the chunks' ends that are not in the table, and note it."""
    table, end = refill.table, chunks[-1]
    pieces = [one for piece in missing(table, plan.parts, end) for one in cut(piece, chunks)]
    refill = _load_pieces(job, plan.reader, refill, pieces, report)
    ends = {part.name: Loaded(part.etag, end) for part in plan.parts}
    refill = replace(refill, table=replace(table, parts={**table.parts, **ends}))
    _note(job, refill)
    return refill


def _load_pieces(
    job: _Job,
    reader: SourceReader,
    refill: Refill,
    pieces: Sequence[Piece],
    report: BackfillReport,
    *,
    again: bool = False,
) -> Refill:
    """Load pieces, and count what came of them. `again`: of what is there already nothing is told."""
    store = WeighingStore(job.store)
    retractions = read_retractions(job.project.offline, job.group, job.layout)

    def load_one(piece: Piece) -> LoadedPiece:
        table = refill.table
        return load(
            job.project, job.layout, reader, table, piece, retractions=retractions, store=store, quiet=True
        )

    # Without parts in the table the first piece may write over what lies there: one after another.
    with ThreadPoolExecutor(job.workers if refill.table.parts else 1, "gnomon-backfill") as pool:
        loaded = list(pool.map(load_one, pieces))
    newest, rows = dict(refill.newest), refill.rows
    for piece, one in zip(pieces, loaded, strict=True):
        part = piece.part.name
        if part not in newest:  # each piece of a part tells of all its rows
            report.ignored += one.ignored
        newest[part] = max(one.newest_known, newest.get(part, ALWAYS))
        rows += one.rows - (one.duplicates if again else 0)
        report.duplicates += 0 if again else one.duplicates
        report.ties += one.ties
        report.late += one.late
    report.rows, report.size = rows, refill.size + store.grown
    return replace(refill, newest=newest, rows=rows, size=report.size)


def _reached(table: Table) -> int:
    """All rows with an earlier activation are in the table."""
    return min((loaded.end for loaded in table.parts.values()), default=ALWAYS)


def _note(job: _Job, refill: Refill, generation: int | None = None) -> None:
    def change(document: Document) -> Document:
        number = document.generation if generation is None else generation
        return replace(document, refill=refill, generation=number)

    change_document(job.store, job.ref, change)


def _check_ours(job: _Job, refill: Refill) -> Document:
    """Raises: Conflict if somebody else has begun a backfill, or made the live table anew."""
    document = read_document(job.store, job.ref)
    theirs = document.refill.table.name if document.refill is not None else None
    if theirs != refill.table.name:
        raise Conflict(
            f"another backfill of `{job.ref}` took the place of this one", hint="let one of them end"
        )
    live = document.live.name if document.live is not None else ""
    if live != refill.replaces:
        raise Conflict(f"the table of `{job.ref}` was made anew meanwhile, from the source as it is now")
    return document


# --- catch up and publish -----------------------------------------------------------------------------------


def _caught_up(job: _Job, plan: _Plan, refill: Refill, report: BackfillReport) -> Table:
    """The table with what others brought into the live one while it was filled."""
    document = _check_ours(job, refill)
    reader = job.project.reader(job.group, job.layout)
    found = reader.parts()
    end = _extent(plan.extent, document.live, found)[1]
    followed, parts = follow(refill.table, reader, found, end)
    refill = replace(refill, table=followed)
    _check_unchanged(job, followed, parts)
    refill = replace(refill, table=_with_ends(refill, parts, plan.extent[1]))
    pieces = list(missing(refill.table, parts, end))
    if pieces:
        newest = newest_activation(job.layout, reader, pieces, job.project.clock())
        reach = reach_of(job.layout, job.project.config.slack)
        moved = moved_on(refill.table, job.layout, reach, newest)
        # Noted before rows are let go.
        refill = replace(refill, table=moved)
        _note(job, refill)
        refill = _load_pieces(job, reader, refill, pieces, report, again=True)
        ends = {piece.part.name: Loaded(piece.part.etag, piece.end) for piece in pieces}
        refill = replace(refill, table=replace(moved, parts={**moved.parts, **ends}))
    table = refill.table
    retractions = read_retractions(job.project.offline, job.group, job.layout)
    if table.retracted < retractions.commits:
        table, _ = take_out(job.project, job.layout, reader, table, retractions)
    return in_origins(_with_ends(replace(refill, table=table), parts, end), reader, found)


def _check_unchanged(job: _Job, table: Table, parts: Sequence[Part]) -> None:
    now: Mapping[str, str] = {part.name: part.etag for part in parts}
    moved = [name for name, loaded in table.parts.items() if now.get(name) != loaded.etag]
    if moved:
        raise Conflict(
            f"the source of `{job.ref}` changed while it was read: `{moved[0]}`"
            + (f" and {len(moved) - 1} more" if len(moved) > 1 else ""),
            hint="the next run begins anew",
        )


def _with_ends(refill: Refill, parts: Sequence[Part], end: int) -> Table:
    """The table with the ends of parts that grow where their newest row was: what comes later is yet to be read.

    More rows may become known at that very instant, so it is read again.
    """
    table = refill.table
    growing = {
        part.name: Loaded(part.etag, min(end, max(refill.newest.get(part.name, ALWAYS), table.start)))
        for part in parts
        if part.grows and part.name in table.parts
    }
    return replace(table, parts={**table.parts, **growing})


def _slowness(plan: _Plan, seconds: float) -> float | None:
    """How far off estimates are, for the next one; None if this run does not tell."""
    before = plan.slowness or 1.0
    told = plan.estimated.seconds / before
    if plan.resumed or told < _SHORT:
        return None
    # Half of the way from what was thought before: one run on a busy machine must not decide.
    return math.sqrt(before * seconds / told)


def _publish(job: _Job, table: Table, slowness: float | None, seen: int) -> bool:
    """Name the new table as the one that answers, and drop the others. False if rows were pushed into the one that
    answers since `seen` of them were.
    """
    whole = replace(table, complete=True)

    def change(document: Document) -> Document:
        if document.pushed != seen:
            return document
        told = document.slowness if slowness is None else slowness
        return replace(document, live=whole, building=None, refill=None, slowness=told)

    document = read_document(job.store, job.ref)
    if document.pushed != seen:
        return False
    tell_published(job.project, job.ref, whole)
    ensure_table(job.store, document, whole.name)
    document = change_document(job.store, job.ref, change)
    if document.live is None or document.live.name != whole.name:
        return False
    for name in unnamed_tables(job.store, job.ref, document):
        job.store.drop(name)
    return True
