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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import polars as pl

from gnomon import columns
from gnomon.abc.online import OnlineStore
from gnomon.abc.source import Part, SourceReader
from gnomon.columns import Words
from gnomon.define.group import FeatureGroup
from gnomon.engines.resolve import later
from gnomon.errors import DataError, GnomonError, Gone, Stopped, UsageError, counted
from gnomon.events import Materialized, Progress, Step, emit
from gnomon.flows.forget import forget_removed
from gnomon.flows.online import (
    Document,
    Loaded,
    Reach,
    Table,
    change_document,
    filling,
    keys_of,
    reach_of,
    read_document,
    settle,
    shape_of,
    unnamed_tables,
)
from gnomon.flows.project import Project
from gnomon.flows.read import collect_rows
from gnomon.flows.table import HASHES
from gnomon.kernels import order
from gnomon.online import codec
from gnomon.online.arrays import Column, WordColumn
from gnomon.online.merge import IdConflict, Merged, Retention, merge
from gnomon.online.values import encode
from gnomon.plan.identity import Hashes, content_hashes, row_hashes
from gnomon.plan.keys import key_bytes
from gnomon.plan.layout import Layout
from gnomon.plan.normal import ID, KNOWN, TIME, Ignored, count_ignored, key, lane, normalise, raw_columns
from gnomon.time import ALWAYS, NEVER, show, stopwatch

_KEYS_AT_ONCE = 20_000


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
    rebuilt: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        if not self.parts:
            return f"{self.group}: nothing new"
        text = f"{self.group}: {self.rows:,} rows → {self.keys:,} keys in {self.seconds:.2f} s"
        extras = [
            (self.rebuilt, "rebuilt"),
            (self.duplicates, f"{self.duplicates:,} there already"),
            (self.late, f"{self.late:,} older than the horizon, not kept"),
            (self.retired, f"{self.retired:,} let go"),
            (self.ties, f"{self.ties:,} ties"),
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
        return "\n".join([*(str(g) for g in self.groups), f"{self.rows:,} rows in {self.seconds:.2f} s"])

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Piece:
    """A part, and the activations of it that are not loaded yet."""

    part: Part
    since: int
    """Rows with an earlier activation are in the table, or not wanted."""
    end: int


def materialize(
    project: Project, groups: Sequence[tuple[FeatureGroup, Layout]], *, start: int = ALWAYS, end: int = NEVER
) -> Report:
    """Bring the rows with an activation in [start, end) online, those that are not there yet.

    A table has no holes: it is filled from where it ends, however late `start` is, and built anew where it
    begins after `start`. A table that takes the place of another reaches as far as that one. What groups
    have left that are no longer registered is removed.

    Raises: Stopped, naming group and step and what is complete, if something fails half-way; Unavailable if
            another process fills a group for too long.
    """
    if start >= end:
        raise UsageError(
            f"the interval [{show(start)}, {show(end)}) is empty", hint="`start` must lie before `end`"
        )
    elapsed = stopwatch()
    report = Report(durable=project.online.capabilities.durable)
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
        reader = project.reader(group)
        table, pieces = _choose(project, group, layout, reader, start, end)
        report.rebuilt = _is_rebuild(store, layout.ref, table)
        emit(Step("materialize", group.ref, step))
        step = "horizon"
        table = _raise_horizon(project, layout, reader, table, pieces)
        emit(Step("materialize", group.ref, step))
        step = "load"
        for i, piece in enumerate(pieces):
            newest = _load(project, layout, reader, table, piece, report)
            table = _note_part(store, layout, table, piece, newest)
            done = i + 1
            emit(Step("materialize", group.ref, f"{step} {i + 1}/{len(pieces)}"))
            emit(Progress("materialize", group.ref, i + 1, len(pieces), "parts"))
        step = "publish"
        _publish(store, layout, table)
        emit(Step("materialize", group.ref, step))
    except GnomonError as error:
        raise Stopped(
            f"materialize stopped in step `{step}` for `{group.ref}` ({place}): {error.what}",
            at=error.at,
            hint=f"{error.hint + '; ' if error.hint else ''}{done} parts are complete; running it again goes on from "
            "there and is safe",
        ) from error
    report.seconds = elapsed()
    emit(Materialized(group.ref, report.rows, report.keys, report.seconds))
    return report


# --- choose -------------------------------------------------------------------------------------------------


def _choose(
    project: Project, group: FeatureGroup, layout: Layout, reader: SourceReader, start: int, end: int
) -> tuple[Table, list[Piece]]:
    """The table to fill and what it lacks. A table whose rows can no longer be right is built anew."""
    store, parts, source = project.online, reader.parts(), _source_text(group)
    reach = reach_of(layout, project.config.slack)
    document = settle(store, layout.ref)
    live = document.live
    if group.source is None and live is not None and live.parts and not parts:
        raise Gone(
            f"the table of `{group.ref}` is gone, and the online store holds rows that came from it",
            at=str(project.config.offline),
            hint="put the offline table back, or insert its rows again; what is online still answers",
        )
    if live is not None and live.source == source and _still_good(live, layout, reach, parts, start):
        return live, list(_missing(live, parts, end))
    if live is not None:
        start = min(start, live.start)
        end = max([end, *(loaded.end for loaded in live.parts.values())])
    table = document.building
    if table is not None and table.source == source and _still_good(table, layout, reach, parts, start):
        return table, list(_missing(table, parts, end))
    generation = document.generation + 1
    table = Table(f"{layout.ref}#{generation}", shape_of(layout), keys_of(layout), source, start=start)
    change_document(store, layout.ref, lambda d: Document(generation, d.live, table))
    settle(store, layout.ref)
    return table, list(_missing(table, parts, end))


def _source_text(group: FeatureGroup) -> str:
    """What decides which rows there are, beside the parts."""
    source = group.source
    return (
        ""
        if source is None
        else f"{source.kind} {getattr(source, 'query', '')} {source.timestamp} {source.lag}"
    )


def _still_good(table: Table, layout: Layout, reach: Reach, parts: Sequence[Part], start: int) -> bool:
    """Whether rows can be added to the table: it has the group's shape, nothing that was loaded has changed
    or gone, and what was let go is not needed now."""
    if table.shape != shape_of(layout) or table.keys != keys_of(layout) or start < table.start:
        return False
    farther = layout.span is None or (table.span is not None and layout.span > table.span)
    if table.horizon != ALWAYS and farther and reach.horizon(table.watermark) < table.horizon:
        return False
    now = {part.name: part.etag for part in parts}
    return all(loaded.etag and now.get(name) == loaded.etag for name, loaded in table.parts.items())


def _missing(table: Table, parts: Sequence[Part], end: int) -> Iterator[Piece]:
    for part in parts:
        loaded = table.parts.get(part.name)
        since = table.start if loaded is None else loaded.end
        if since < end:
            yield Piece(part, since, end)


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
    newest = _newest_activation(layout, reader, pieces)
    watermark = max(table.watermark, min(project.clock(), newest)) if newest != ALWAYS else table.watermark
    horizon = max(table.horizon, reach_of(layout, project.config.slack).horizon(watermark))
    moved = msgspec.structs.replace(table, watermark=watermark, horizon=horizon, span=layout.span)
    return _replace_table(project.online, layout.ref, moved)


def _newest_activation(layout: Layout, reader: SourceReader, pieces: Sequence[Piece]) -> int:
    newest = ALWAYS
    for end, same in _by_end(pieces).items():
        raw = reader.scan(raw_columns(layout), parts=same)
        active = _activation(layout, normalise(raw, layout, inputs=()))
        found = collect_rows(
            active.filter(pl.col("__active") < end).select(pl.col("__active").max()), layout.ref
        )
        value = found.item() if len(found) else None
        newest = max(newest, ALWAYS if value is None else int(value))
    return newest


def _by_end(pieces: Sequence[Piece]) -> dict[int, list[Part]]:
    ends: dict[int, list[Part]] = {}
    for piece in pieces:
        ends.setdefault(piece.end, []).append(piece.part)
    return ends


def _activation(layout: Layout, frame: pl.LazyFrame) -> pl.LazyFrame:
    known = pl.col(KNOWN) if layout.known_at is not None else pl.col(TIME) + layout.lag
    return frame.with_columns(pl.max_horizontal(TIME, known).alias("__active"))


def _replace_table(store: OnlineStore, ref: str, table: Table) -> Table:
    def change(document: Document) -> Document:
        if document.live is not None and document.live.name == table.name:
            return msgspec.structs.replace(document, live=table)
        return msgspec.structs.replace(document, building=table)

    change_document(store, ref, change)
    return table


def _note_part(store: OnlineStore, layout: Layout, table: Table, piece: Piece, newest: int) -> Table:
    # Of a part that grows, what was newest is read again: more rows may become known at that very instant.
    end = min(piece.end, max(newest, piece.since)) if piece.part.grows else piece.end
    parts = {**table.parts, piece.part.name: Loaded(piece.part.etag, end)}
    return _replace_table(store, layout.ref, msgspec.structs.replace(table, parts=parts))


def _publish(store: OnlineStore, layout: Layout, table: Table) -> None:
    whole = msgspec.structs.replace(table, complete=True)
    document = read_document(store, layout.ref)
    if document.live != whole or document.building is not None:
        document = change_document(store, layout.ref, lambda d: Document(d.generation, whole, None))
    for name in unnamed_tables(store, layout.ref, document):
        store.drop(name)


# --- load ---------------------------------------------------------------------------------------------------


def _load(
    project: Project, layout: Layout, reader: SourceReader, table: Table, piece: Piece, report: GroupReport
) -> int:
    """Bring a piece into the table; returns the newest known_at in it that is not in the future, else ALWAYS."""
    stored = HASHES if _has_stored_ids(layout) else ()
    raw = reader.scan([*raw_columns(layout), *stored], parts=[piece.part])
    report.ignored += count_ignored(raw, layout)
    frame = collect_rows(normalise(raw, layout, with_content=not stored, keep=stored), layout.ref)
    # Ordinals of equal rows count over the whole part, so ids come before the interval is cut out.
    hashes = _hashes(layout, frame)
    known = (
        columns.words(frame[KNOWN])
        if layout.known_at is not None
        else later(columns.words(frame[TIME]), layout.lag)
    )
    active = np.maximum(columns.words(frame[TIME]), known)
    wanted = active < piece.end if piece.end != NEVER else np.ones(len(frame), bool)
    if piece.since != ALWAYS:
        wanted &= active >= piece.since
    at = np.flatnonzero(wanted)
    report.parts += 1
    report.rows += len(at)
    if not len(at):
        return ALWAYS
    keys, rows = _flat(layout, frame, known, hashes, at)
    retention = Retention(table.horizon, table.watermark)
    _write(project.online, layout, table, keys, rows, retention, report)
    # A row that says it becomes known in years must not hide those that become known before it.
    told = known[at][known[at] <= project.clock()]
    return int(told.max()) if len(told) else ALWAYS


def _has_stored_ids(layout: Layout) -> bool:
    """Whether rows got their ids when they were inserted: a file of the table need not be what one insert
    brought.
    """
    return layout.cached and layout.kind == "event" and layout.event_id is None


def _hashes(layout: Layout, frame: pl.DataFrame) -> Hashes:
    if _has_stored_ids(layout):
        h1, h2 = (columns.words(frame[name]).view(np.uint64) for name in HASHES)
        return h1, h2
    by_content = layout.kind == "state" or layout.event_id is not None
    return content_hashes(frame, layout) if by_content else row_hashes(frame, layout)


def _flat(
    layout: Layout, frame: pl.DataFrame, known: Words, hashes: Hashes, at: Words
) -> tuple[list[bytes], codec.FlatRows]:
    """The rows `at`, by key, keys in the order of their bytes."""
    chosen = frame if len(at) == len(frame) else frame[at]
    keys, codes = _number_keys(layout, chosen)
    time = columns.words(chosen[TIME])
    perm = order.sort_rows(codes, time)
    source = at[perm]
    key_start = np.zeros(len(keys) + 1, np.int64)
    np.cumsum(np.bincount(codes, minlength=len(keys)), out=key_start[1:])
    content = np.stack([half[source].view(np.int64) for half in hashes], axis=1).reshape(-1)
    lanes = [lane(i) for i in range(len(layout.inputs))]
    ids = [ID] if layout.event_id is not None else []
    # One pass over all columns, which Polars shares out among threads.
    moved = chosen.select(pl.col(lanes + ids).gather(pl.Series(perm)))
    row_id: Column = encode(moved[ID]) if ids else WordColumn(content, 2)
    rows = codec.fresh(
        key_start,
        time[perm],
        known[source],
        row_id,
        tuple(encode(moved[name]) for name in lanes),
        content=content if ids else np.empty(0, np.int64),
    )
    return keys, rows


def _number_keys(layout: Layout, frame: pl.DataFrame) -> tuple[list[bytes], Words]:
    """The distinct keys in the order of their bytes, and the number of each row's."""
    names = [key(i) for i in range(len(layout.keys))]
    if not names:
        return [b""], np.zeros(len(frame), np.int64)
    if len(names) == 1 and columns.kind_of(layout.keys[0][1]) == "word":
        # Numbers order as their bytes do.
        values, codes = np.unique(columns.words(frame[names[0]]), return_inverse=True)
        return key_bytes([pl.Series(values)], len(values)), codes.astype(np.int64)
    distinct = frame.select(names).unique(maintain_order=True)
    encoded = pl.Series("__bytes", key_bytes([distinct[n] for n in names], len(distinct)), dtype=pl.Binary)
    ranked = distinct.with_columns(encoded).sort("__bytes").with_row_index("__code")
    found = frame.select(names).join(ranked, on=names, how="left", maintain_order="left")["__code"]
    return ranked["__bytes"].to_list(), columns.words(found)


def _write(
    store: OnlineStore,
    layout: Layout,
    table: Table,
    keys: list[bytes],
    rows: codec.FlatRows,
    retention: Retention,
    report: GroupReport,
) -> None:
    shape = table.shape.layout()
    fresh = not table.parts and not table.complete and not _has_rows(store, table.name)
    try:
        if fresh:
            merged = merge(shape, codec.nothing(shape, len(keys)), rows, retention)
            buffer, offsets = codec.pack(shape, merged.rows)
            # Copies: a million views of one buffer keep the garbage collector busy for longer than copying
            # takes.
            view, bounds = buffer.tobytes(), offsets.tolist()
            store.load(
                table.name, ((k, view[a:b]) for k, a, b in zip(keys, bounds, bounds[1:], strict=False))
            )
            _count(report, merged)
        else:
            for first in range(0, len(keys), _KEYS_AT_ONCE):
                last = min(first + _KEYS_AT_ONCE, len(keys))
                _update(store, shape, table.name, keys, rows, first, last, retention, report)
                emit(Progress("materialize", layout.ref, last, len(keys), "keys"))
    except IdConflict as conflict:
        raise DataError(
            f"event_id `{layout.event_id}` of group `{layout.name}` is not unique: "
            f"{counted(len(conflict.keys), 'key')} with an id of two contents known at the same time",
            hint=conflict.hint,
        ) from None
    report.keys += len(keys)


def _has_rows(store: OnlineStore, table: str) -> bool:
    return table in store.tables()


def _update(
    store: OnlineStore,
    shape: codec.Layout,
    table: str,
    keys: list[bytes],
    rows: codec.FlatRows,
    first: int,
    last: int,
    retention: Retention,
    report: GroupReport,
) -> None:
    here = keys[first:last]
    done: dict[int, Merged] = {}

    def combine(positions: Sequence[int], old: list[bytes | None]) -> list[memoryview]:
        held = codec.unpack(shape, old, lambda i: f"{table}, key {here[positions[i]]!r}")
        merged = merge(shape, held, select_keys(rows, [first + p for p in positions]), retention)
        buffer, offsets = codec.pack(shape, merged.rows)
        # A store may ask again for the same keys: what the last answer did is what was done.
        done[positions[0]] = merged
        view, bounds = buffer.data, offsets.tolist()
        return [view[a:b] for a, b in pairwise(bounds)]

    store.update(table, here, combine)
    for merged in done.values():
        _count(report, merged)


def _count(report: GroupReport, merged: Merged) -> None:
    report.duplicates += merged.duplicates
    report.ties += merged.ties
    report.late += merged.late
    report.retired += merged.retired


def select_keys(rows: codec.FlatRows, keys: Sequence[int]) -> codec.FlatRows:
    """The rows of some keys, in the order given."""
    chosen = np.asarray(keys, np.int64)
    starts, ends = rows.key_start[chosen], rows.key_start[chosen + 1]
    sizes = ends - starts
    key_start = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(sizes, out=key_start[1:])
    at = np.arange(key_start[-1]) + np.repeat(starts - key_start[:-1], sizes)
    content = rows.content.reshape(-1, 2)[at].reshape(-1) if rows.content.size else rows.content
    return codec.FlatRows(
        key_start=key_start,
        event_time=rows.event_time[at],
        known_at=rows.known_at[at],
        until=rows.until[at],
        dead=rows.dead[at],
        row_id=rows.row_id.take(at),
        content=content,
        lanes=tuple(column.take(at) for column in rows.lanes),
        counter=rows.counter[chosen],
        first_activation=rows.first_activation[chosen],
        newest_dropped=rows.newest_dropped[chosen],
    )
