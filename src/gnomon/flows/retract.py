"""Retract: ids of a source → rows that have never been, from now on, for every group that reads it.

    log       the ids and the moment, in one commit: from then on every reader of the source applies it
    online    the keys of the groups that are online, merged at once; a run that was killed before is caught up by
              the next one and by `materialize`

SEMANTICS §2: an id is removed under every key. What becomes known of it later counts again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import replace

from gnomon.abc.source import SourceReader
from gnomon.define.group import FeatureGroup
from gnomon.define.source import Source
from gnomon.engines.resolve import known_times, markers
from gnomon.errors import DataError, UsageError, counted, type_of
from gnomon.events import Retracted, Step, emit
from gnomon.flows.load import is_bounded, load_markers, load_whole
from gnomon.flows.markup import preformatted
from gnomon.flows.online import Table, filling, keys_of, read_document, replace_table, shape_of
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, collect_rows
from gnomon.flows.retractions import (
    Retractions,
    append_retractions,
    id_type,
    log_name,
    markers_of,
    read_retractions,
)
from gnomon.flows.table import declared_columns
from gnomon.frames import to_polars
from gnomon.plan.layout import Layout
from gnomon.plan.normal import ID, STORED, TIME, key, normalise, raw_columns
from gnomon.registry.snapshot import Snapshot
from gnomon.time import show
from gnomon.types import DType

Reading = tuple[FeatureGroup, Layout]


@dataclass(frozen=True, slots=True)
class Ack:
    """What became of a retraction. It is durable, and online."""

    source: str
    accepted: int
    """Ids whose rows count no more from `time` on."""
    repeated: int
    """Ids that were retracted already."""
    unknown: tuple[Any, ...]
    """Ids that no row has. They are kept: the retraction holds for rows that come and were known before it."""
    time: int
    """From when on the rows have never been, µs."""
    keys: int
    """Online keys that were written."""
    pending: tuple[str, ...] = ()
    """Groups whose online table waits for the next `materialize`, which builds it anew."""

    def __str__(self) -> str:
        text = f"{self.source}: {counted(self.accepted, 'id')} retracted as of {show(self.time)}"
        if self.repeated:
            text += f", {self.repeated:,} already"
        if self.unknown:
            text += f", {self.unknown[0]!r}" + (
                f" and {len(self.unknown) - 1:,} more" if len(self.unknown) > 1 else ""
            )
            text += " not found, and kept for rows that come"
        if self.keys:
            text += f", {counted(self.keys, 'key')} online"
        if self.pending:
            text += f"; online after the next materialize: {', '.join(self.pending)}"
        return text

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def readers_of(snapshot: Snapshot, source: Source | FeatureGroup | str) -> tuple[str, list[FeatureGroup]]:
    """What a source, or a group for what it reads, is called, and all groups that read it.

    Raises: NotFound for a name that is not registered; UsageError for what is neither.
    """
    if not isinstance(source, Source | FeatureGroup | str):
        raise UsageError(f"`{source!r}` is no source and no group", hint="give one, or its name")
    if isinstance(source, FeatureGroup):
        group = snapshot.group(source.ref)
    elif isinstance(source, str) and source not in snapshot.refs("source"):
        group = snapshot.group(source)
    else:
        name = (
            source
            if isinstance(source, str)
            else snapshot.resolve("source", str(getattr(source, "name", "")))
        )
        return name, [g for g in snapshot.groups() if g.source_name == name]
    if group.source is None:
        return group.ref, [group]
    return str(group.source_name), [g for g in snapshot.groups() if g.source_name == group.source_name]


def name_of_ids(snapshot: Snapshot, groups: Sequence[FeatureGroup]) -> tuple[str, DType] | None:
    """The column of the ids that groups of one source have, with its type; None if they have none."""
    if not groups or groups[0].event_id_column is None:
        return None
    group, name = groups[0], str(groups[0].event_id_column)
    columns = (
        declared_columns(group) if group.source is None else snapshot.columns(group.name, group.version) or {}
    )
    return name, columns.get(name, pl.String())


def retract(project: Project, source: str, groups: Sequence[Reading], ids: Any) -> Ack:
    """Retract ids of a source, or of a cached group. Doing it again changes nothing.

    groups: all that read it.
    Raises: UsageError where rows have no ids, or nothing reads the source; DataError for ids that cannot be.
    """
    if not groups:
        raise UsageError(
            f"no registered group reads `{source}`", hint="apply one first: it tells the type of ids"
        )
    group, layout = groups[0]
    if layout.event_id is None:
        cached = "; rows of a state group are deleted by key and time: insert(…, deletes=)"
        raise UsageError(
            f"rows of `{source}` have no ids",
            hint='declare its `event_id="…"`' + (cached if group.source is None else ""),
        )
    wanted = _as_ids(ids, id_type(layout), layout.event_id)

    def add(base: int) -> tuple[int, list[Any], int]:
        now = project.clock()
        log = read_retractions(project.offline, group, layout).of(wanted)
        moments, unknown, repeated = _moments(wanted, _versions(project, groups, wanted), log, now)
        if len(moments):
            append_retractions(project.offline, group, moments, author=project.author, after=base)
        return now, unknown, repeated

    now, unknown, repeated = project.offline.change(log_name(group), add)
    emit(Step("retract", source, "log"))
    keys, pending = 0, []
    for group, layout in groups:
        written = _bring_online(project, group, layout)
        keys += written or 0
        if written is None:
            pending.append(group.ref)
        emit(Step("retract", group.ref, "online"))
    ack = Ack(
        source, len(wanted) - len(unknown) - repeated, repeated, tuple(unknown), now, keys, tuple(pending)
    )
    emit(Retracted(source, ack.accepted, len(unknown)))
    return ack


def _as_ids(given: Any, dtype: pl.DataType, name: str) -> pl.Series:
    """Ids, each but once. Raises: DataError for what is no id of the type."""
    found = _listed(given, name)
    kind = str if isinstance(dtype, pl.String) else int
    for i, one in enumerate(found):
        if not isinstance(one, kind) or isinstance(one, bool):
            raise DataError(
                f"`{name}` is {'text' if kind is str else 'a whole number'}, found {one!r} of type {type_of(one)}",
                at=f"ids[{i}]",
                hint="5 and '5' are different ids",
            )
    try:
        return pl.Series(ID, found, dtype=dtype).unique(maintain_order=True)
    except (OverflowError, pl.exceptions.PolarsError, TypeError):
        raise DataError(f"an id of `{name}` is beyond 64 bits") from None


def _listed(given: Any, name: str) -> list[Any]:
    """Ids as they were given: one, several in whatever holds them, or the column `name` of a frame, or its only one.

    Raises: DataError for a frame without it, and for what holds nothing.
    """
    if isinstance(given, Mapping | pl.LazyFrame) or hasattr(given, "columns"):
        frame = to_polars(given, "frame of ids")
        if name not in frame.columns and frame.width != 1:
            raise DataError(
                f"the frame of ids has no column `{name}`", hint=f"found: {', '.join(frame.columns)}"
            )
        return (frame[name] if name in frame.columns else frame.to_series()).to_list()
    if isinstance(given, str) or not isinstance(given, Iterable):
        return [given]
    if hasattr(given, "to_pylist"):  # Arrow's
        return list(given.to_pylist())
    return [one.item() if isinstance(one, np.generic) else one for one in given]


def _versions(project: Project, groups: Sequence[Reading], ids: pl.Series) -> pl.DataFrame:
    """When each version of the ids became known, whatever its key: ID, `known`. Markers of deletes are none."""
    found = []
    for group, layout in groups:
        rows = _rows_of(layout, project.reader(group, layout), ids)
        dead = markers(rows)
        known = pl.Series("known", known_times(layout, rows, rows[TIME].to_numpy(writable=True)))
        versions = rows.select(ID).with_columns(known)
        found.append(versions.filter(pl.Series(dead == 0)) if len(dead) else versions)
    return pl.concat(found).unique()


def _rows_of(layout: Layout, reader: SourceReader, ids: pl.Series) -> pl.DataFrame:
    """The rows of some ids in normal form, without inputs."""
    raw = reader.scan([*raw_columns(layout), *reader.changes()])
    rows = normalise(raw, layout, inputs=()).filter(pl.col(ID).is_in(ids.implode()))
    return collect_rows(rows, layout.ref, Origin(reader, layout, reader.parts()))


def _moments(
    ids: pl.Series, versions: pl.DataFrame, log: Retractions, now: int
) -> tuple[pl.DataFrame, list[Any], int]:
    """What the log lacks (ID, STORED), the ids that no row has, and how many are retracted already.

    A version that becomes known only after `now` goes when it would: else it would count then.
    """
    ends = log.moments.group_by(ID).agg(pl.col(STORED).max().alias("end"))
    met = (
        ids.to_frame().join(ends, on=ID, how="left").join(versions, on=ID, how="left", maintain_order="left")
    )
    there = pl.col("known").is_not_null()
    new = pl.col("end").is_null() | (there & (pl.col("known") > pl.col("end")))
    lacks = met.filter(new).select(ID, pl.max_horizontal(pl.lit(now), pl.col("known")).alias(STORED)).unique()
    unknown = met.filter(~there)[ID].unique(maintain_order=True)
    repeated = met.filter(there)[ID].n_unique() - met.filter(there & new)[ID].n_unique()
    return lacks.sort(ID, STORED), unknown.to_list(), repeated


def _bring_online(project: Project, group: FeatureGroup, layout: Layout) -> int | None:
    """Let what a group has online go without what is retracted of its source. How many keys were written; None if
    its table is one of other columns, which the next materialize replaces.
    """
    if not group.online or read_document(project.online, layout.ref).live is None:
        return 0
    with filling(project.root, group.ref):
        live = read_document(project.online, layout.ref).live
        retractions = read_retractions(project.offline, group, layout)
        if live is None or live.retracted >= retractions.commits:
            return 0
        if live.shape != shape_of(layout) or live.keys != keys_of(layout):
            return None
        table, keys = take_out(project, layout, project.reader(group, layout), live, retractions)
        replace_table(project.online, layout.ref, table)
        return keys


def take_out(
    project: Project, layout: Layout, reader: SourceReader, table: Table, retractions: Retractions
) -> tuple[Table, int]:
    """Merge what is retracted into a table. The table as its document must tell of it now, and how many keys were
    written.
    """
    rows = _rows_of(layout, reader, retractions.moments[ID].unique())
    made = markers_of(layout, rows, retractions)
    keys = 0
    if len(made) and is_bounded(table):
        names = [key(i) for i in range(len(layout.keys))]
        chosen = made.select(names).unique()
        keys = load_whole(project.online, layout, reader, table, chosen, retractions, project.journal)
    elif len(made):
        keys = load_markers(project.online, layout, table, made, retractions.commits, project.journal)
    return replace(table, retracted=retractions.commits), keys
