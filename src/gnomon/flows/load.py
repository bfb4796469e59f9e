"""Load: the rows of one piece of a source, by key, into a group's online table.

    read → identities → cut out the interval → flat rows, key by key → merged with what the table holds

Merging is a union of row versions, so a piece that was loaded in part, or whole, is just loaded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon import columns
from gnomon.abc.online import OnlineStore
from gnomon.abc.source import Part, SourceReader, Wanted
from gnomon.columns import Words
from gnomon.engines.resolve import known_times, markers
from gnomon.errors import DataError, counted
from gnomon.events import Progress, emit
from gnomon.flows.journal import Carried, Journal, Written, carried, name_of
from gnomon.flows.online import Table
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, collect_rows, telling
from gnomon.flows.retractions import NONE_RETRACTED, Retractions, retracted
from gnomon.flows.table import HASHES
from gnomon.kernels import order
from gnomon.online import codec, writer
from gnomon.online.arrays import Column, WordColumn
from gnomon.online.merge import IdConflict, Retention
from gnomon.online.values import encode
from gnomon.online.views import views_of
from gnomon.plan.identity import Hashes, content_hashes, row_hashes
from gnomon.plan.keys import key_bytes
from gnomon.plan.layout import Layout
from gnomon.plan.normal import (
    ALIVE,
    DEAD,
    ID,
    KNOWN,
    RETRACTED,
    STORED,
    TIME,
    Ignored,
    count_ignored,
    key,
    lane,
    normalise,
    raw_columns,
)
from gnomon.time import ALWAYS, NEVER

_KEYS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Piece:
    """A part, and the activations of it that are not loaded yet."""

    part: Part
    since: int
    """Rows with an earlier activation are in the table, or not wanted."""
    end: int
    again: bool = False
    """Whether the part was loaded before, up to `since`."""

    @property
    def wanted(self) -> Wanted:
        """What of the part must be read. A part that is new is read whole: of its rows before a table's start some
        count too, and what is ignored is told.
        """
        return Wanted(active_since=self.since if self.again else ALWAYS)


@dataclass
class LoadedPiece:
    """What loading a piece did."""

    rows: int = 0
    """Rows read in the interval."""
    keys: int = 0
    """Keys written."""
    duplicates: int = 0
    ties: int = 0
    late: int = 0
    retired: int = 0
    ignored: Ignored = field(default_factory=Ignored)
    newest_known: int = ALWAYS
    """The newest known_at in it that is not in the future; ALWAYS if there is none."""

    def add(self, counts: writer.Counts) -> None:
        self.duplicates += counts.duplicates
        self.ties += counts.ties
        self.late += counts.late
        self.retired += counts.retired


def load(
    project: Project,
    layout: Layout,
    reader: SourceReader,
    table: Table,
    piece: Piece,
    *,
    retractions: Retractions = NONE_RETRACTED,
    store: OnlineStore | None = None,
    journal: Journal | None = None,
    quiet: bool = False,
) -> LoadedPiece:
    """Bring a piece into the table, and what its keys need of the rows before the table's start.

    Where rows were let go, keys of which anything was deleted are read whole, whatever the piece: what is held cannot
    tell what came before a row that is no more.

    `retractions`: of the source; `store`: where the table lies, if not in the project's online store; `journal`: where
    it is noted, if not in the project's; `quiet`: who calls tells how far it is.

    Raises: DataError for event ids that are not unique, or rows that cannot be read.
    """
    journal = project.journal if journal is None else journal
    stored = HASHES if _has_stored_ids(layout) else ()
    wanted_columns = [*raw_columns(layout), *stored, *reader.changes()]
    raw = reader.scan(wanted_columns, parts=[piece.part], wanted=piece.wanted)
    with telling(layout.ref, Origin(reader, layout, (piece.part,))):
        loaded = LoadedPiece(ignored=count_ignored(raw, layout))
        begins = piece.since == table.start != ALWAYS
        normal = normalise(raw, layout, with_content=not stored, keep=stored)
        within = _within(layout, ALWAYS if begins else piece.since, piece.end, bool(reader.changes()))
        frame = normal.filter(within).collect()
    # Ordinals count equal rows of the whole part. Their times are equal too: an interval has all of them, or none.
    frame = retracted(layout, frame, retractions)
    hashes = _hashes(layout, frame)
    time = columns.words(frame[TIME])
    known = known_times(layout, frame, time)
    active = np.maximum(time, known)
    wanted = active < piece.end if piece.end != NEVER else np.ones(len(frame), bool)
    if piece.since != ALWAYS:
        wanted &= active >= piece.since
    alive = _alive(frame)
    loaded.rows = int(np.count_nonzero(wanted & alive))
    # A row that says it becomes known in years must not hide those that become known before it.
    told = known[wanted & alive & (known <= project.clock())]
    loaded.newest_known = int(told.max(initial=ALWAYS))
    if DEAD in frame.columns:
        # Their rows are in the interval, whenever they were taken back.
        wanted |= (frame[DEAD] == RETRACTED).to_numpy()
    if begins:
        wanted[_before(layout, frame, active, table.start)] = True
    if is_bounded(table):
        names = [key(i) for i in range(len(layout.keys))]
        corrected = _corrected_keys(layout, reader, retractions)
        here = _among(frame, corrected, names) & wanted
        if here.any():
            keys_here = frame.filter(pl.Series(here)).select(names)
            loaded.keys += load_whole(
                store or project.online,
                layout,
                reader,
                table,
                keys_here.unique(),
                retractions,
                journal,
            )
            wanted &= ~here
    at = np.flatnonzero(wanted)
    if len(at):
        keys, rows = _flat(layout, frame, known, hashes, at)
        since = ALWAYS if begins else piece.since
        parts = carried(reader, piece.part, since, piece.end) if table.identity else {}
        with journal.writing(layout.ref, table.identity, parts, retracted=retractions.commits) as written:
            _write(store or project.online, layout, table, keys, rows, loaded, written, quiet)
            if piece.part.grows:
                # Rows of that very instant may come yet: they are read again.
                written.until = min(piece.end, max(loaded.newest_known, piece.since) + 1)
    return loaded


def _within(layout: Layout, since: int, end: int, changed: bool) -> pl.Expr:
    """Whether a row in normal form has an activation in [since, end), without computing it: sums may overflow.

    `changed`: whether there are rows with a stored known_at.
    """
    plain = _plain_within(layout, since, end)
    if not changed:
        return plain
    stored = pl.max_horizontal(TIME, STORED)
    late = (stored >= since) & ((stored < end) if end != NEVER else pl.lit(True))
    return pl.when(pl.col(STORED).is_null()).then(plain).otherwise(late)


def _plain_within(layout: Layout, since: int, end: int) -> pl.Expr:
    time, later_by = pl.col(TIME), layout.lag if layout.known_at is None else 0
    inside = pl.lit(True)
    if end != NEVER:
        inside = inside & (time < max(ALWAYS, end - later_by))
        if layout.known_at is not None:
            inside = inside & (pl.col(KNOWN) < end)
    if since != ALWAYS:
        begun = time >= max(ALWAYS, since - later_by)
        inside = inside & (begun if layout.known_at is None else begun | (pl.col(KNOWN) >= since))
    return inside


def is_bounded(table: Table) -> bool:
    """Whether rows have been let go, or never loaded, that lie before others."""
    return Retention(table.horizon, table.watermark, table.start).first != ALWAYS


def load_whole(
    store: OnlineStore,
    layout: Layout,
    reader: SourceReader,
    table: Table,
    keys: pl.DataFrame,
    retractions: Retractions,
    journal: Journal,
) -> int:
    """Bring everything that is known of some keys into the table; returns how many keys were written.

    keys: `__k0 …`, each but once; no columns where the group has no keys.
    """
    parts = reader.parts()
    raw = reader.scan([*raw_columns(layout), *reader.changes()], parts=parts)
    rows = normalise(raw, layout, with_content=True)
    if keys.width:
        rows = rows.join(keys.lazy(), on=keys.columns, how="semi")
    read = collect_rows(rows, layout.ref, Origin(reader, layout, parts))
    frame = retracted(layout, read, retractions)
    if not len(frame):
        return 0
    known = known_times(layout, frame, columns.words(frame[TIME]))
    found, flat = _flat(layout, frame, known, content_hashes(frame, layout), np.arange(len(frame)))
    # Not counted: they are counted where they are loaded one by one, and most were there before.
    names: dict[str, Carried] = {}
    for part in parts if table.identity else ():
        names |= carried(reader, part)
    with journal.writing(
        layout.ref, table.identity, names, retracted=retractions.commits, only=True
    ) as written:
        _write(store, layout, table, found, flat, LoadedPiece(), written, quiet=True, whole=True)
    return len(found)


def load_rows(
    store: OnlineStore,
    layout: Layout,
    table: Table,
    frame: pl.DataFrame,
    hashes: Hashes,
    parts: Sequence[Part],
    journal: Journal,
) -> LoadedPiece:
    """Bring rows that are at hand into a table that answers.

    frame: in normal form, with inputs; hashes: of its rows; parts: those that hold these rows and no others.
    """
    known = known_times(layout, frame, columns.words(frame[TIME]))
    keys, rows = _flat(layout, frame, known, hashes, np.arange(len(frame)))
    loaded = LoadedPiece(rows=len(frame))
    told = {name_of(part): Carried(part.etag) for part in parts}
    with journal.writing(layout.ref, table.identity, told, retracted=table.retracted) as written:
        _write(store, layout, table, keys, rows, loaded, written, quiet=True)
    return loaded


def load_markers(
    store: OnlineStore, layout: Layout, table: Table, made: pl.DataFrame, commits: int, journal: Journal
) -> int:
    """Bring markers of what is retracted into the table, of `markers_of` the first `commits` of the retractions;
    returns how many keys were written.
    """
    lanes = [pl.lit(None, given.dtype).alias(lane(i)) for i, given in enumerate(layout.inputs)]
    frame = made.with_columns(*lanes)
    hashes = np.zeros(len(frame), np.uint64), np.zeros(len(frame), np.uint64)
    keys, rows = _flat(layout, frame, columns.words(frame[STORED]), hashes, np.arange(len(frame)))
    with journal.writing(layout.ref, table.identity, {}, retracted=commits, only=True) as written:
        _write(store, layout, table, keys, rows, LoadedPiece(), written, quiet=True)
    return len(keys)


def _alive(frame: pl.DataFrame) -> NDArray[np.bool_]:
    dead = markers(frame)
    return dead == 0 if len(dead) else np.ones(len(frame), bool)


def _corrected_keys(layout: Layout, reader: SourceReader, retractions: Retractions) -> pl.DataFrame:
    """The keys of which a row was deleted or retracted, each but once; a row or none where there are no key columns."""
    names = [key(i) for i in range(len(layout.keys))]
    gone = pl.lit(False)
    if len(retractions.moments):
        gone |= pl.col(ID).is_in(retractions.moments[ID].unique().implode())
    changes = reader.changes()
    if changes:
        gone |= pl.col(DEAD) != ALIVE
    raw = reader.scan([*raw_columns(layout), *changes])
    found = normalise(raw, layout, inputs=()).filter(gone)
    return (found.select(names).unique() if names else found.select(TIME).head(1)).collect()


def _among(frame: pl.DataFrame, keys: pl.DataFrame, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which rows have one of the keys."""
    if not len(keys) or not names:
        return np.full(len(frame), len(keys) > 0)
    there = keys.with_columns(pl.lit(True).alias("__there"))
    met = frame.select(names).join(there, on=names, how="left", maintain_order="left")
    return columns.flags(met["__there"]).view(np.bool_)


def _before(layout: Layout, frame: pl.DataFrame, active: Words, start: int) -> Words:
    """The rows with an activation before `start` that answers from `start` on need: [n] positions.

    These are each key's first to be active and its newest. Where rows have ids, or are deleted, all are needed, to tell
    which of them count: a correction may say of an event that it was at another time.
    """
    names = [key(i) for i in range(len(layout.keys))]
    older = frame.select(*names, pl.col(TIME), pl.Series("__active", active)).with_row_index("__at")
    older = older.filter(pl.col("__active") < start)
    if (layout.kind == "state" or layout.event_id is None) and DEAD not in frame.columns:
        newest, first = pl.col(TIME).max(), pl.col("__active").min()
        if names:
            newest, first = newest.over(names), first.over(names)
        older = older.filter((pl.col(TIME) == newest) | (pl.col("__active") == first))
    return older["__at"].cast(pl.Int64).to_numpy()


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
    if ids and moved[ID].null_count():
        # The marker of a delete in a state group, which has no id of its own.
        moved = moved.with_columns(pl.col(ID).fill_null("" if moved[ID].dtype == pl.String else 0))
    dead = markers(chosen)
    row_id: Column = encode(moved[ID]) if ids else WordColumn(content, 2)
    rows = codec.fresh(
        key_start,
        time[perm],
        known[source],
        row_id,
        tuple(encode(moved[name]) for name in lanes),
        content=content if ids else np.empty(0, np.int64),
        dead=dead[perm] if len(dead) else dead,
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
    loaded: LoadedPiece,
    written: Written,
    quiet: bool = False,
    *,
    whole: bool = False,
) -> None:
    target = writer.Target(table.name, table.shape.layout(), views_of(layout.outputs))
    retention = Retention(table.horizon, table.watermark, table.start)
    fresh = not table.parts and not table.complete and not _has_rows(store, table.name)
    try:
        if fresh:
            counts = writer.load(store, target, keys, rows, retention)
            loaded.add(counts)
            written.add(keys, counts.versions)
        else:
            for first in range(0, len(keys), _KEYS_AT_ONCE):
                last = min(first + _KEYS_AT_ONCE, len(keys))
                here = codec.select_keys(rows, range(first, last))
                counts = writer.update(store, target, keys[first:last], here, retention, whole=whole)
                loaded.add(counts)
                written.add(keys[first:last], counts.versions)
                if not quiet:
                    emit(Progress("materialize", layout.ref, last, len(keys), "keys"))
    except IdConflict as conflict:
        raise DataError(
            f"event_id `{layout.event_id}` of group `{layout.name}` is not unique: "
            f"{counted(len(conflict.keys), 'key')} with an id of two contents known at the same time",
            hint=conflict.hint,
        ) from None
    loaded.keys += len(keys)


def _has_rows(store: OnlineStore, table: str) -> bool:
    return table in store.tables()
