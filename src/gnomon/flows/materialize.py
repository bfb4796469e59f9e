"""Materialize: the rows of groups, from where they are kept, into the online store.

Incremental by the source's parts: what a part holds is loaded once, rows beyond `end` in a later run.
Merging is a union of row versions, so doing a thing twice is doing it once, and a run that was stopped
anywhere goes on from there:

    1  choose       which parts, and which of their activations, are not in the table yet
    2  horizon      raise it in the document, so that nobody asks about what will be let go
    3  load         part by part: rows → identities → merged values; the part is noted when its rows are in
    4  publish      a rebuilt table takes the place of the old one by being named in the document
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from gnomon.abc.online import OnlineStore
from gnomon.abc.source import SourceReader
from gnomon.define.group import FeatureGroup
from gnomon.errors import GnomonError, Stopped, UsageError, counted
from gnomon.events import Materialized, Progress, Step, emit
from gnomon.flows.fill import (
    adopted,
    check_there,
    held_until,
    missing,
    moved_on,
    newest_activation,
    source_text,
    still_good,
    tell_published,
)
from gnomon.flows.forget import forget_removed
from gnomon.flows.journal import new_identity
from gnomon.flows.load import LoadedPiece, Piece, load
from gnomon.flows.markup import preformatted
from gnomon.flows.moved import follow, in_origins
from gnomon.flows.online import (
    Document,
    Loaded,
    Table,
    change_document,
    ensure_table,
    filling,
    keys_of,
    not_behind,
    reach_of,
    read_document,
    replace_table,
    settle,
    shape_of,
    unnamed_tables,
)
from gnomon.flows.project import Project
from gnomon.flows.retract import take_out
from gnomon.flows.retractions import read_retractions
from gnomon.plan.layout import Layout
from gnomon.plan.normal import Ignored
from gnomon.time import ALWAYS, NEVER, show, stopwatch


@dataclass
class GroupReport:
    """What became of one group."""

    group: str
    parts: int = 0
    """Parts of the source that were read."""
    rows: int = 0
    """Rows read in the interval."""
    keys: int = 0
    """Keys written."""
    duplicates: int = 0
    """Rows that were there already."""
    ties: int = 0
    """Rows that lost to another of the same time and known_at."""
    late: int = 0
    """Rows older than the horizon: in training, not online."""
    retired: int = 0
    """Rows let go because no window reaches them any more."""
    ignored: Ignored = field(default_factory=Ignored)
    retracted: int = 0
    """Keys written because of retractions that were not online yet."""
    rebuilt: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        if not self.parts and not self.rebuilt and not self.retracted:
            return f"{self.group}: nothing new"
        text = (
            f"{self.group}: {counted(self.rows, 'row')} → {counted(self.keys, 'key')} in {self.seconds:.2f} s"
        )
        extras = [
            (self.rebuilt, "rebuilt"),
            (self.duplicates, f"{self.duplicates:,} there already"),
            (self.late, f"{self.late:,} older than the horizon, not kept"),
            (self.retired, f"{self.retired:,} let go"),
            (self.ties, counted(self.ties, "tie")),
            (self.retracted, f"{counted(self.retracted, 'key')} with rows retracted"),
            (bool(self.ignored), f"ignored {self.ignored}"),
        ]
        return ", ".join([text, *(words for present, words in extras if present)])


@dataclass
class Report:
    """What a materialization did."""

    groups: list[GroupReport] = field(default_factory=list)
    seconds: float = 0.0
    durable: bool = True
    """Whether the online store outlives this process."""

    @property
    def rows(self) -> int:
        return sum(g.rows for g in self.groups)

    @property
    def keys(self) -> int:
        return sum(g.keys for g in self.groups)

    def __str__(self) -> str:
        return "\n".join(
            [*(str(g) for g in self.groups), f"{counted(self.rows, 'row')} in {self.seconds:.2f} s"]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self))

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]


def materialize(
    project: Project, groups: Sequence[tuple[FeatureGroup, Layout]], *, start: int = ALWAYS, end: int = NEVER
) -> Report:
    """Bring the rows with an activation in [start, end) online, those that are not there yet.

    A table has no holes: it is filled from where it ends, however late `start` is, and built anew where it
    begins after `start`. A table that takes the place of another reaches as far as that one. What groups
    have left that are no longer registered is removed.

    `start` is to a new table what the horizon is to an old one: of the rows before it each key keeps what answers
    need from `start` on, which is its times and, in a state group, its newest row.

    Raises: Stopped, naming group and step and what is complete, if something fails half-way; Unavailable if
            another process fills a group for too long.
    """
    if start >= end:
        raise UsageError(
            f"the interval [{show(start)}, {show(end)}) is empty", hint="`start` must lie before `end`"
        )
    elapsed = stopwatch()
    # What other processes see outlives this one, however its server keeps it.
    report = Report(durable=project.online.capabilities.multi_process)
    forget_removed(project)
    for i, (group, layout) in enumerate(groups):
        with filling(project.root, group.ref):
            report.groups.append(_group(project, group, layout, start, end, f"{i + 1}/{len(groups)}"))
    report.seconds = elapsed()
    return report


def _group(
    project: Project, group: FeatureGroup, layout: Layout, start: int, end: int, place: str
) -> GroupReport:
    elapsed = stopwatch()
    report, done = GroupReport(group.ref), 0
    store, step = project.online, "choose"
    try:
        reader = project.reader(group, layout)
        published = False
        while not published:
            step, seen = "choose", read_document(store, layout.ref).pushed
            table, pieces = _choose(project, group, layout, reader, start, end)
            table = adopted(project, layout, reader, table)
            report.rebuilt = _is_rebuild(store, layout.ref, table)
            emit(Step("materialize", group.ref, step))
            step = "horizon"
            retractions = read_retractions(project.offline, group, layout)
            if not table.parts:
                table = replace(table, retracted=retractions.commits)  # each part is loaded without them
            table = _raise_horizon(project, layout, reader, table, pieces)
            emit(Step("materialize", group.ref, step))
            step = "load"
            for i, piece in enumerate(pieces):
                loaded = load(project, layout, reader, table, piece, retractions=retractions)
                _count(report, loaded)
                table = _note_part(store, layout, table, piece, loaded.newest_known)
                done += 1
                emit(Step("materialize", group.ref, f"{step} {i + 1}/{len(pieces)}"))
                emit(Progress("materialize", group.ref, i + 1, len(pieces), "parts"))
            if table.retracted < retractions.commits:
                step = "retract"
                table, keys = take_out(project, layout, reader, table, retractions)
                report.retracted = keys
                emit(Step("materialize", group.ref, step))
            step = "publish"
            published = _publish(project, layout, in_origins(table, reader, reader.parts()), seen)
        emit(Step("materialize", group.ref, step))
    except GnomonError as error:
        raise Stopped(
            f"materialize stopped in step `{step}` for `{group.ref}` ({place}): {error.what}",
            at=error.at,
            hint=f"{error.hint + '; ' if error.hint else ''}{counted(done, 'part')} done; running it again "
            "goes on from there and is safe",
        ) from error
    report.seconds = elapsed()
    emit(Materialized(group.ref, report.rows, report.keys, report.seconds))
    return report


def _count(report: GroupReport, loaded: LoadedPiece) -> None:
    report.parts += 1
    report.rows += loaded.rows
    report.keys += loaded.keys
    report.duplicates += loaded.duplicates
    report.ties += loaded.ties
    report.late += loaded.late
    report.retired += loaded.retired
    report.ignored += loaded.ignored


# --- choose -------------------------------------------------------------------------------------------------


def _choose(
    project: Project, group: FeatureGroup, layout: Layout, reader: SourceReader, start: int, end: int
) -> tuple[Table, list[Piece]]:
    """The table to fill and what it lacks. A table whose rows can no longer be right is built anew."""
    store, parts, source = project.online, reader.parts(), source_text(group, layout)
    reach = reach_of(layout, project.config.slack)
    document = settle(store, layout.ref)
    live = document.live
    check_there(project, group, live, parts)
    if live is not None and live.source == source:
        followed, counted_in = follow(live, reader, parts, end)
        if still_good(followed, layout, reach, counted_in, start):
            return followed, list(missing(followed, counted_in, end))
    if live is not None:
        start = min(start, live.start)
        end = max(end, held_until(live, parts))
    table = document.building
    if table is not None and table.source == source:
        followed, counted_in = follow(table, reader, parts, end)
        if still_good(followed, layout, reach, counted_in, start):
            return followed, list(missing(followed, counted_in, end))
    generation = document.generation + 1
    table = Table(
        f"{layout.ref}#{generation}",
        shape_of(layout),
        keys_of(layout),
        source,
        start=start,
        identity=new_identity(),
    )
    change_document(store, layout.ref, lambda d: replace(d, generation=generation, building=table))
    settle(store, layout.ref)
    # Looked for once more: from now on whoever pushes rows sees that a table is made, and tells of them.
    return table, list(missing(table, reader.parts() if layout.cached else parts, end))


def _is_rebuild(store: OnlineStore, ref: str, table: Table) -> bool:
    live = read_document(store, ref).live
    return live is not None and live.name != table.name


# --- horizon ------------------------------------------------------------------------------------------------


def _raise_horizon(
    project: Project, layout: Layout, reader: SourceReader, table: Table, pieces: Sequence[Piece]
) -> Table:
    """Move watermark and horizon on, before any row is let go."""
    if not pieces:
        return table
    newest = newest_activation(layout, reader, pieces, project.clock())
    moved = moved_on(table, layout, reach_of(layout, project.config.slack), newest)
    return replace_table(project.online, layout.ref, moved)


def _note_part(store: OnlineStore, layout: Layout, table: Table, piece: Piece, newest: int) -> Table:
    # Of a part that grows, what was newest is read again: more rows may become known at that very instant.
    end = min(piece.end, max(newest, piece.since)) if piece.part.grows else piece.end
    parts = {**table.parts, piece.part.name: Loaded(piece.part.etag, end)}
    return replace_table(store, layout.ref, replace(table, parts=parts))


def _publish(project: Project, layout: Layout, table: Table, seen: int) -> bool:
    """Let the table answer. False if rows were pushed into the one that answers since `seen` of them were: what takes
    its place must have them.
    """
    store = project.online
    whole = replace(table, complete=True)
    document = read_document(store, layout.ref)
    if document.building is not None and document.pushed != seen:
        return False
    if document.live is None or document.live.identity != whole.identity:
        tell_published(project, layout.ref, whole)
    if document.live != whole or document.building is not None:
        ensure_table(store, document, whole.name)

        def change(document: Document) -> Document:
            stays = document.live is not None and document.live.name == whole.name
            if not stays and document.pushed != seen:
                return document
            return replace(document, live=not_behind(whole, document.live), building=None)

        document = change_document(store, layout.ref, change)
    if document.live is None or document.live.name != whole.name:
        return False
    for name in unnamed_tables(store, layout.ref, document):
        store.drop(name)
    return True
