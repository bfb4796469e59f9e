"""Insert: a frame → checked rows → ids → what is new → one atomic commit to the table of a cached group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from gnomon.define.group import FeatureGroup
from gnomon.errors import DataError, UsageError, counted, nearest
from gnomon.events import Inserted, Step, emit
from gnomon.flows.markup import preformatted
from gnomon.flows.misfit import misfit
from gnomon.flows.project import Project
from gnomon.flows.read import collect_rows
from gnomon.flows.table import HASHES, declared_columns, note_filled, table_name
from gnomon.frames import to_polars
from gnomon.plan.identity import content_hashes, row_hashes
from gnomon.plan.keys import check_whole
from gnomon.plan.layout import Layout, castable
from gnomon.plan.normal import ID, KNOWN, TIME, Ignored, count_ignored, key, micros, normalise
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

    def __str__(self) -> str:
        text = f"{self.group}: {self.accepted:,} of {counted(self.rows, 'row')} committed"
        if self.duplicates:
            text += f", {self.duplicates:,} there already"
        if self.ignored:
            text += f", ignored: {self.ignored}"
        return text + (f" (commit {self.id})" if self.id is not None else "")

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def insert(project: Project, group: FeatureGroup, layout: Layout, frame: Any) -> Commit:
    """Commit the rows that are new. Doing it again changes nothing (SEMANTICS §2).

    Raises: UsageError for a group with a source; DataError for columns and types that do not fit, and for an
            event id that has two contents at one known_at. Nothing is written then.
    """
    if group.source is not None:
        raise UsageError(
            f"group `{group.name}` reads `{group.source_name}` in place; rows cannot be inserted",
            hint="write to that source, or declare the group without `source=`",
        )
    given = to_polars(frame, f"frame for `{group.name}`")
    for name in layout.key_names:
        if name in given.columns:
            check_whole(given[name], "row")
    rows = fit(given, declared_columns(group), group.name)
    ignored = count_ignored(rows.lazy(), layout)
    whole = rows.filter(
        pl.all_horizontal(pl.col(c).is_not_null() for c in (*layout.key_names, layout.timestamp))
    )
    normal = _evaluated(whole, layout)
    _check_ids(layout, normal)
    # Without an id the content and its ordinal in this insert are the identity; with one, the content tells
    # versions.
    hashes = content_hashes if layout.event_id is not None or layout.kind == "state" else row_hashes
    h1, h2 = hashes(normal, layout)
    stamped = whole.with_columns(
        pl.Series(HASHES[0], h1.view(np.int64)), pl.Series(HASHES[1], h2.view(np.int64))
    )
    identity = _identity(layout, normal, h1, h2)

    def add(base: int) -> tuple[int | None, int]:
        emit(Step("insert", group.ref, "look"))
        held = _held(project, group, layout, normal)
        new = identity.with_row_index("at").unique("content", keep="first", maintain_order=True)
        new = new.join(held, on="content", how="anti", maintain_order="left")
        _check_conflicts(layout, identity, held, normal)
        accepted = stamped[new["at"]]
        version = None
        if len(accepted):
            ordered = accepted.sort([*layout.key_names, layout.timestamp]) if layout.keys else accepted
            version = project.offline.append(
                table_name(group),
                ordered,
                note={"rows": str(len(given)), "author": project.author},
                after=base,
            )
            emit(Step("insert", group.ref, "commit"))
        if len(accepted) or len(held):
            # After the commit, and again when nothing was new: whoever wrote the rows may have been killed before it.
            note_filled(project.root, group)
        return version, len(accepted)

    version, accepted = project.offline.change(table_name(group), add)
    commit = Commit(group.ref, version, len(given), accepted, len(whole) - accepted, 0, ignored)
    if version is not None:
        emit(Inserted(group.ref, version, commit.rows, commit.accepted))
    return commit


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


def _evaluated(rows: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """The rows in normal form. Raises: DataError naming a feature that cannot be computed from them."""
    try:
        return collect_rows(normalise(rows.lazy(), layout, with_content=True), layout.ref)
    except DataError:
        found = misfit(rows.lazy(), layout)
        if found is None:
            raise
        raise DataError(f"group `{layout.ref}`: {found.what}", hint=found.hint) from None


def _check_ids(layout: Layout, normal: pl.DataFrame) -> None:
    if layout.event_id is not None and normal[ID].null_count():
        raise DataError(
            f"group `{layout.name}`: `{layout.event_id}` is null in {counted(normal[ID].null_count(), 'row')}",
            hint="every row of a group with an event_id needs one",
        )


def _identity(layout: Layout, normal: pl.DataFrame, h1: Any, h2: Any) -> pl.DataFrame:
    """By row: `content` (what makes it the same), `row` (key and id) and `known` (its known_at)."""
    known = pl.col(KNOWN) if layout.known_at is not None else pl.col(TIME) + layout.lag
    keys = [pl.col(key(i)) for i in range(len(layout.keys))]
    id_ = [pl.col(ID)] if layout.event_id is not None else []
    return normal.with_columns(pl.Series("a", h1.view(np.int64)), pl.Series("b", h2.view(np.int64))).select(
        pl.struct("a", "b", *id_).alias("content"),
        pl.struct(*keys, *id_).alias("row") if keys or id_ else pl.lit(0).alias("row"),
        known.alias("known"),
    )


def _held(project: Project, group: FeatureGroup, layout: Layout, normal: pl.DataFrame) -> pl.DataFrame:
    """What the table holds that the new rows could meet: the same columns as `_identity`."""
    columns = declared_columns(group) | dict.fromkeys(HASHES, pl.Int64())
    raw = project.offline.scan(table_name(group), columns)
    held = normalise(raw, layout, inputs=(), keep=HASHES)
    if len(normal):
        near = pl.col(TIME).is_between(normal[TIME].min(), normal[TIME].max())
        if layout.known_at is not None:
            near = near | pl.col(KNOWN).is_between(normal[KNOWN].min(), normal[KNOWN].max())
        held = held.filter(near)
    rows = held.collect()
    return _identity(layout, rows, rows[HASHES[0]].to_numpy(), rows[HASHES[1]].to_numpy())


def _check_conflicts(
    layout: Layout, identity: pl.DataFrame, held: pl.DataFrame, normal: pl.DataFrame
) -> None:
    """One event id of an event group, one known_at, two contents."""
    if layout.event_id is None or layout.kind == "state":
        return
    everything = pl.concat([identity.with_row_index("at"), held.with_row_index("at", offset=len(identity))])
    contents = everything.unique("content", keep="first")
    twice = contents.filter(pl.struct("row", "known").is_duplicated())
    if len(twice):
        at = int(twice["at"].min())  # type: ignore[arg-type]
        example = normal[ID][at] if at < len(normal) else None
        raise DataError(
            f"event_id `{layout.event_id}` of group `{layout.name}` is not unique: {counted(len(twice), 'row')} "
            "with an id in common with other content known at the same time",
            at=f"{layout.event_id} = {example!r}",
            hint="a correction needs a later known_at; rows that are different events need different ids",
        )
