"""Fill: what a group's online table lacks, by the parts of its source, and how far back it must reach.

What materialize and backfill decide in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
from msgspec.structs import replace

from gnomon.abc.source import Part, SourceReader, Wanted
from gnomon.define.group import FeatureGroup
from gnomon.errors import Gone
from gnomon.flows.journal import Carried, carried, new_identity
from gnomon.flows.load import Piece
from gnomon.flows.online import Reach, Table, keys_of, replace_table, shape_of
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, collect_rows
from gnomon.plan.layout import Layout
from gnomon.plan.normal import ALIVE, DEAD, KNOWN, STORED, TIME, normalise, raw_columns
from gnomon.time import ALWAYS, NEVER
from gnomon.types import dtype_text


def source_text(group: FeatureGroup, layout: Layout) -> str:
    """What decides which rows there are and which are one, beside the parts.

    The types of raw columns are among it: what is 1 in one file and 1.0 in another is one row only where both are
    read alike, as training reads them.
    """
    types = ", ".join(f"{name}: {dtype_text(dtype)}" for name, dtype in layout.columns)
    source = group.source
    if source is None:
        return types
    return f"{source.kind} {getattr(source, 'query', '')} {source.timestamp} {source.lag} {types}"


def check_there(project: Project, group: FeatureGroup, live: Table | None, parts: Sequence[Part]) -> None:
    """Raises: Gone if the rows that a table came from are no longer there."""
    if group.source is None and live is not None and live.parts and not parts:
        raise Gone(
            f"the table of `{group.ref}` is gone, and the online store holds rows that came from it",
            at=str(project.config.offline),
            hint="put the offline table back, or insert its rows again; what is online still answers",
        )


def still_good(table: Table, layout: Layout, reach: Reach, parts: Sequence[Part], start: int) -> bool:
    """Whether rows can be added to the table: it has the group's shape, nothing that was loaded has changed
    or gone, and what was let go is not needed now."""
    if table.shape != shape_of(layout) or table.keys != keys_of(layout) or start < table.start:
        return False
    farther = layout.span is None or (table.span is not None and layout.span > table.span)
    if table.horizon != ALWAYS and farther and reach.horizon(table.watermark) < table.horizon:
        return False
    now = {part.name: part.etag for part in parts}
    return all(loaded.etag and now.get(name) == loaded.etag for name, loaded in table.parts.items())


def held_until(table: Table, parts: Sequence[Part]) -> int:
    """No row with this activation or a later one is in the table; ALWAYS if nothing was loaded."""
    if table.pushed:
        return NEVER
    growing = {part.name for part in parts if part.grows}
    # Of a part that grows the end is where its newest row is, which is read again, and is in the table.
    ends = (min(NEVER, one.end + (name in growing)) for name, one in table.parts.items())
    return max(ends, default=ALWAYS)


def adopted(project: Project, layout: Layout, reader: SourceReader, table: Table) -> Table:
    """The table with an identity: one that answers, of a release that kept no journal, gets it now. The journal then
    tells what it holds, and that it answers from now on: what it held before is not known.
    """
    if table.identity or not table.complete:
        return table
    named = replace(table, identity=new_identity())
    parts: dict[str, Carried] = {}
    for part in reader.parts():
        if part.name in table.parts:
            parts |= carried(reader, part, table.start, table.parts[part.name].end + part.grows)
    tell_published(project, layout.ref, named, parts)
    return replace_table(project.online, layout.ref, named)


def tell_published(project: Project, ref: str, table: Table, parts: dict[str, Carried] | None = None) -> None:
    """Note in the journal that a table answers from now on."""
    lanes = [name for name, _ in table.shape.lanes]
    project.journal.publish(
        ref, table.identity, start=table.start, lanes=lanes, parts=parts, retracted=table.retracted
    )


def missing(table: Table, parts: Sequence[Part], end: int) -> Iterator[Piece]:
    for part in parts:
        loaded = table.parts.get(part.name)
        since = table.start if loaded is None else loaded.end
        if since < end:
            yield Piece(part, since, end, again=loaded is not None)


def moved_on(table: Table, layout: Layout, reach: Reach, newest: int) -> Table:
    """The table with watermark and horizon as rows up to the activation `newest` have them; ALWAYS: no rows."""
    watermark = max(table.watermark, newest)
    horizon = max(table.horizon, reach.horizon(watermark))
    return replace(table, watermark=watermark, horizon=horizon, span=layout.span)


def newest_activation(layout: Layout, reader: SourceReader, pieces: Sequence[Piece], now: int) -> int:
    """The greatest activation up to now; ALWAYS: no rows. One row dated 2099 moves nothing on: it waits."""
    newest = ALWAYS
    for end, same in _by_end(pieces).items():
        since = min(piece.wanted.active_since for piece in pieces if piece.end == end)
        raw = reader.scan(
            [*raw_columns(layout), *reader.changes()], parts=same, wanted=Wanted(active_since=since)
        )
        active = activation(layout, normalise(raw, layout, inputs=()))
        found = collect_rows(
            active.filter((pl.col("__active") < end) & (pl.col("__active") <= now)).select(
                pl.col("__active").max()
            ),
            layout.ref,
            Origin(reader, layout, tuple(same)),
        )
        value = found.item() if len(found) else None
        newest = max(newest, ALWAYS if value is None else int(value))
    return newest


def _by_end(pieces: Sequence[Piece]) -> dict[int, list[Part]]:
    ends: dict[int, list[Part]] = {}
    for piece in pieces:
        ends.setdefault(piece.end, []).append(piece.part)
    return ends


def activation(layout: Layout, frame: pl.LazyFrame) -> pl.LazyFrame:
    """The rows with the instant from which each counts. Markers of deletes are none: they let nothing go."""
    known = pl.col(KNOWN) if layout.known_at is not None else pl.col(TIME) + layout.lag
    if STORED in frame.collect_schema():
        frame, known = frame.filter(pl.col(DEAD) == ALIVE), pl.coalesce(STORED, known)
    return frame.with_columns(pl.max_horizontal(TIME, known).alias("__active"))
