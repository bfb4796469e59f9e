"""Insert: a frame → checked rows → ids → what is new → one atomic commit to the table of a cached group."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from gnomon.define.group import FeatureGroup
from gnomon.errors import DataError, UsageError, counted, nearest
from gnomon.events import Inserted, Step, emit
from gnomon.flows.changes import (
    Deleted,
    as_time,
    find_deleted,
    marker_rows,
    naming_columns,
    row,
    split,
    times_of_updates,
)
from gnomon.flows.markup import preformatted
from gnomon.flows.misfit import misfit
from gnomon.flows.project import Project
from gnomon.flows.read import collect_rows
from gnomon.flows.retractions import read_retractions, retracted
from gnomon.flows.table import HASHES, INSTANT, TableReader, declared_columns, note_filled, table_name
from gnomon.frames import to_polars
from gnomon.plan.identity import content_hashes, row_hashes
from gnomon.plan.keys import check_whole
from gnomon.plan.layout import Layout, castable
from gnomon.plan.normal import (
    ALIVE,
    DEAD,
    ID,
    KNOWN,
    KNOWN_AT,
    OP,
    STORED,
    TIME,
    UPDATE,
    Ignored,
    complete,
    count_ignored,
    micros,
    normalise,
    raw_columns,
)
from gnomon.types import DType, dtype_text


@dataclass(frozen=True, slots=True)
class Commit:
    """What became of an insert."""

    group: str
    id: int | None
    """The table's version after it; None if nothing was new."""
    rows: int
    """Rows given."""
    accepted: int
    duplicates: int
    """Rows whose content was there already."""
    quarantined: int = 0
    """Rows set aside by expectations. None are declared in this release."""
    ignored: Ignored = field(default_factory=Ignored)
    """Rows that can take no part: without a key or an event time."""
    updated: int = 0
    """Of the accepted, those that replace a row from this commit on."""
    deleted: int = 0
    """Rows deleted from this commit on, known ones and others."""
    repeated: int = 0
    """Deletes of what was deleted already."""
    unknown: int = 0
    """Of the deleted, rows that are not there. The delete is kept: it holds for what becomes known before it."""

    def __str__(self) -> str:
        text = f"{self.group}: {self.accepted:,} of {counted(self.rows, 'row')} committed"
        if self.duplicates:
            text += f", {self.duplicates:,} there already"
        if self.updated:
            text += f", {counted(self.updated, 'update')}"
        if self.deleted:
            text += f", {self.deleted:,} deleted"
        if self.unknown:
            text += f" ({self.unknown:,} not there)"
        if self.repeated:
            text += f", {self.repeated:,} deleted already"
        if self.ignored:
            text += f", ignored: {self.ignored}"
        return text + (f" (commit {self.id})" if self.id is not None else "")

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def insert(project: Project, group: FeatureGroup, layout: Layout, frame: Any, deletes: Any = None) -> Commit:
    """Commit what is new: rows, updates and deletes, in one commit. Doing it again changes nothing (SEMANTICS §2).

    `deletes`: rows named by key and id (state groups: key and time), other columns of the group may stand beside. A
    row that is deleted and given at once is an update.

    Raises: UsageError for a group with a source, or without ids for its deletes; DataError for columns and types
            that do not fit, and for an event id that has two contents at one known_at. Nothing is written then.
    """
    if group.source is not None:
        raise UsageError(
            f"group `{group.name}` reads `{group.source_name}` in place; rows cannot be inserted",
            hint="write to that source, or declare the group without `source=`",
        )
    given = split(
        _frame(frame, group, layout, f"frame for `{group.name}`"),
        _frame(deletes, group, layout, f"deletes for `{group.name}`"),
        group,
    )
    fitted = fit(given.rows, declared_columns(group), group.name)
    ignored = count_ignored(fitted.lazy(), layout)
    here = fitted.select(
        pl.all_horizontal(pl.col(c).is_not_null() for c in (*layout.key_names, layout.timestamp))
    ).to_series()
    whole, explicit = fitted.filter(here), given.explicit.filter(here)
    normal = evaluated(whole, layout)
    _check_ids(layout, normal[ID] if layout.event_id is not None else None)
    # Without an id the content and its ordinal in this insert are the identity; with one, the content tells
    # versions.
    hashes = content_hashes if layout.event_id is not None or layout.kind == "state" else row_hashes
    h1, h2 = hashes(normal, layout)
    stamped = whole.with_columns(
        pl.Series(HASHES[0], h1.view(np.int64)), pl.Series(HASHES[1], h2.view(np.int64))
    )
    identity = identities(layout, normal.with_columns(stamped.select(HASHES)))
    gone = _named(group, layout, given.deletes)
    explicit |= _among(identity["row"], gone.normal["row"])
    gone, ignored = gone.without(identity["row"]), ignored + gone.ignored

    def add(base: int) -> Commit:
        emit(Step("insert", group.ref, "look"))
        now = project.clock()
        held = _held(project, group, layout, normal, gone)
        rows = held.filter(~pl.col("dead"))
        new = identity.with_row_index("at").with_columns(explicit.alias("explicit"))
        new = new.unique("content", keep="first", maintain_order=True)
        new = new.join(rows, on="content", how="anti", maintain_order="left")
        stored = times_of_updates(layout, new, held, new["explicit"], now)
        new = new.with_columns(known=stored.fill_null(new["known"]))
        _check_conflicts(layout, new, rows, normal)
        deleted = find_deleted(gone.normal, held, now)
        accepted = stamped[new["at"]]
        if len(deleted.markers) or stored.null_count() < len(stored):
            accepted = _with_changes(group, accepted, stored, gone.raw, deleted, now)
        version = None
        if len(accepted):
            ordered = accepted.sort([*layout.key_names, layout.timestamp]) if layout.keys else accepted
            version = project.offline.append(
                table_name(group),
                ordered,
                note={"rows": str(len(given.rows)), "author": project.author},
                after=base,
            )
            emit(Step("insert", group.ref, "commit"))
        if len(accepted) or len(held):
            # After the commit, and again when nothing was new: whoever wrote the rows may have been killed before it.
            note_filled(project.root, project.offline, group)
        return Commit(
            group=group.ref,
            id=version,
            rows=len(given.rows),
            accepted=len(new),
            duplicates=len(whole) - len(new),
            ignored=ignored,
            updated=len(stored) - stored.null_count(),
            deleted=deleted.markers["at"].n_unique(),
            repeated=deleted.repeated,
            unknown=deleted.unknown,
        )

    commit = project.offline.change(table_name(group), add)
    if commit.id is not None:
        emit(Inserted(group.ref, commit.id, commit.rows, commit.accepted))
    return commit


def _frame(frame: Any, group: FeatureGroup, layout: Layout, what: str) -> pl.DataFrame:
    """What was given as a frame; none is one without rows, and so is one without columns, as of an empty list."""
    given = pl.DataFrame() if frame is None else to_polars(frame, what)
    if not given.width:
        return pl.DataFrame(schema=declared_columns(group))
    for name in layout.key_names:
        if name in given.columns:
            check_whole(given[name], "row")
    return given


def _with_changes(
    group: FeatureGroup,
    rows: pl.DataFrame,
    stored: pl.Series,
    named: pl.DataFrame,
    deleted: Deleted,
    now: int,
) -> pl.DataFrame:
    """The rows with what tells updates, and the markers of deletes behind them."""
    told = rows.with_columns(
        pl.select(pl.when(stored.is_not_null()).then(pl.lit(UPDATE))).to_series().alias(OP),
        stored.cast(INSTANT).alias(KNOWN_AT),
    )
    return pl.concat([told, marker_rows(group, named, deleted, now)], how="diagonal")


@dataclass(frozen=True)
class _Named:
    """Rows that are named to be deleted, each once."""

    raw: pl.DataFrame
    """The columns that name them, and the time where it is given."""
    normal: pl.DataFrame
    """`row`, as in `identities`; `declared`: the known_at given for the delete; `id`."""
    ignored: Ignored

    def without(self, rows: pl.Series) -> _Named:
        """Those that are not among `rows`."""
        others = ~_among(self.normal["row"], rows)
        return replace(self, raw=self.raw.filter(others), normal=self.normal.filter(others))


def _named(group: FeatureGroup, layout: Layout, deletes: pl.DataFrame) -> _Named:
    """Raises: DataError for columns that are missing or not those of the group, and for null ids."""
    types = declared_columns(group)
    naming = naming_columns(group, layout)
    times = [name for name in (layout.timestamp, layout.known_at) if name is not None and name not in naming]
    wanted = naming | {name: types[name] for name in times if name in deletes.columns}
    # What else stands in an image of the row is of no use, but what the group does not know is refused.
    raw = fit(deletes.select(c for c in deletes.columns if c in wanted or c not in types), wanted, group.name)
    raw = raw.with_columns(pl.lit(None, types[name]).alias(name) for name in times if name not in wanted)
    timed = raw.with_columns(pl.col(layout.timestamp).fill_null(as_time(0, types[layout.timestamp])))
    timeless = layout.kind == "state"
    ignored = count_ignored((raw if timeless else timed).lazy(), layout)
    here = complete(layout)
    if not timeless:
        raw = raw.filter(timed.select(here).to_series())
        timed = timed.filter(here)
    else:
        raw = timed = raw.filter(here)
    if layout.event_id in naming:
        _check_ids(layout, raw[str(layout.event_id)])
    elif layout.event_id is not None:
        timed = timed.with_columns(pl.lit(None, types[layout.event_id]).alias(layout.event_id))
    known = pl.lit(None, pl.Int64)
    if layout.known_at is not None:
        known = micros(pl.col(layout.known_at), types[layout.known_at])
    named = (
        normalise(timed.lazy(), layout, inputs=())
        .select(
            row(layout).alias("row"), pl.col(TIME), *([pl.col(ID)] if layout.event_id is not None else [])
        )
        .collect()
        .with_columns(raw.with_columns(known.alias("declared"))["declared"])
    )
    first = named.select(pl.col("row").is_first_distinct()).to_series()
    return _Named(raw.filter(first), named.filter(first), ignored)


def _among(rows: pl.Series, others: pl.Series) -> pl.Series:
    """Which of the rows are among the others: Boolean."""
    there = others.unique().to_frame("row").with_columns(there=pl.lit(True))
    met = rows.to_frame("row").join(there, on="row", how="left", maintain_order="left")
    return met["there"].fill_null(False)


def fit(frame: pl.DataFrame, columns: dict[str, DType], group: str) -> pl.DataFrame:
    """The declared columns in their types. Raises: DataError with the column, what was found, and a hint."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        close = nearest(missing[0], [c for c in frame.columns if c not in columns])
        raise DataError(
            f"group `{group}` needs the columns {', '.join(f'`{m}`' for m in missing)}, which the frame does not have",
            hint=f"did you mean `{close}`?" if close else f"columns found: {', '.join(frame.columns)}",
        )
    unknown = [name for name in frame.columns if name not in columns]
    if unknown:
        raise DataError(
            f"group `{group}` has no columns {', '.join(f'`{u}`' for u in unknown)}",
            hint="nothing is dropped silently: declare them in the group's `schema`, or select the columns to insert",
        )
    casts = []
    for name, dtype in columns.items():
        found = frame.schema[name]
        readable = isinstance(dtype, pl.Datetime) and isinstance(found, pl.String | pl.Datetime)
        if found != dtype and not castable(found, dtype) and not readable:
            raise DataError(
                f"column `{name}` of group `{group}` is {dtype_text(dtype)}, found {dtype_text(found)}",
                hint="cast the column before inserting it",
            )
        casts.append(_cast(name, found, dtype))
    try:
        return frame.select(casts)
    except pl.exceptions.PolarsError as error:
        first = str(error).split("\n\n", maxsplit=1)[0]
        raise DataError(f"group `{group}`: a value does not fit its column: {first}") from None


def _cast(name: str, found: DType, dtype: DType) -> pl.Expr:
    column = pl.col(name)
    if not isinstance(dtype, pl.Datetime):
        return column.cast(dtype)
    if isinstance(found, pl.Datetime) and (found.time_zone is not None) == (dtype.time_zone is not None):
        return column.cast(dtype)
    if isinstance(found, pl.Datetime | pl.String | pl.Date):
        # Text, and times with or without a zone: the same instant; naive is UTC.
        instant = micros(column, found).cast(pl.Datetime("us", "UTC"))
        return (instant if dtype.time_zone else instant.dt.replace_time_zone(None)).cast(dtype)
    return column.cast(dtype)


def evaluated(rows: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """The rows in normal form. Raises: DataError naming a feature that cannot be computed from them."""
    try:
        return collect_rows(normalise(rows.lazy(), layout, with_content=True), layout.ref)
    except DataError:
        found = misfit(rows.lazy(), layout)
        if found is None:
            raise
        raise DataError(f"group `{layout.ref}`: {found.what}", hint=found.hint) from None


def _check_ids(layout: Layout, ids: pl.Series | None) -> None:
    if ids is not None and ids.null_count():
        raise DataError(
            f"group `{layout.name}`: `{layout.event_id}` is null in {counted(ids.null_count(), 'row')}",
            hint="every row of a group with an event_id needs one",
        )


def identities(layout: Layout, normal: pl.DataFrame) -> pl.DataFrame:
    """By row of a normal frame with hashes: `content` (what makes it the same), `row` (what its versions have in
    common) and `known` (its known_at).
    """
    known = pl.col(KNOWN) if layout.known_at is not None else pl.col(TIME) + layout.lag
    if STORED in normal.columns:
        known = pl.coalesce(STORED, known)
    id_ = [pl.col(ID)] if layout.event_id is not None else []
    return normal.select(
        pl.struct(*HASHES, *id_).alias("content"), row(layout).alias("row"), known.alias("known")
    )


def _held(
    project: Project, group: FeatureGroup, layout: Layout, normal: pl.DataFrame, gone: _Named
) -> pl.DataFrame:
    """What the table holds that the new rows and deletes could meet: the columns of `identities`, and `dead` (whether
    it is a marker) and `time` (the raw event time).
    """
    reader = TableReader(project.offline, group)
    raw = reader.scan([*raw_columns(layout), *HASHES, *reader.changes()])
    time = pl.col(layout.timestamp).alias("time")
    held = normalise(raw.with_columns(time), layout, inputs=(), keep=(*HASHES, "time"))
    near = pl.lit(False)
    if len(normal):
        near |= pl.col(TIME).is_between(normal[TIME].min(), normal[TIME].max())
        if layout.known_at is not None:
            near |= pl.col(KNOWN).is_between(normal[KNOWN].min(), normal[KNOWN].max())
    if layout.event_id is not None and layout.kind == "event":
        # The versions of a row may say that it was at any time.
        ids = gone.normal[ID] if layout.known_at is not None else pl.concat([gone.normal[ID], normal[ID]])
        near |= pl.col(ID).is_in(ids.unique().implode())
    elif len(gone.normal):
        near |= pl.col(TIME).is_in(gone.normal[TIME].unique().implode())
    retractions = read_retractions(project.offline, group, layout)
    rows = retracted(layout, held.filter(near).collect(), retractions)
    dead = rows[DEAD] != ALIVE if DEAD in rows.columns else pl.repeat(False, len(rows), eager=True)
    return identities(layout, rows).with_columns(dead.alias("dead"), rows["time"])


def _check_conflicts(layout: Layout, new: pl.DataFrame, held: pl.DataFrame, normal: pl.DataFrame) -> None:
    """One event id of an event group, one known_at, two contents. `new`: with `at`, the place in `normal`."""
    if layout.event_id is None or layout.kind == "state":
        return
    told = ["at", "content", "row", "known"]
    everything = pl.concat([new.select(told), held.with_columns(at=pl.lit(None, pl.UInt32)).select(told)])
    contents = everything.unique("content", keep="first", maintain_order=True)
    twice = contents.filter(pl.struct("row", "known").is_duplicated())
    if len(twice):
        at = twice["at"].min()
        example = None if at is None else normal[ID][int(at)]  # type: ignore[arg-type]
        raise DataError(
            f"event_id `{layout.event_id}` of group `{layout.name}` is not unique: {counted(len(twice), 'row')} "
            "with an id in common with other content known at the same time",
            at=f"{layout.event_id} = {example!r}",
            hint="a correction needs a later known_at; rows that are different events need different ids",
        )
