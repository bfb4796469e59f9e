"""Pushed: rows that were just committed → the online table that answers, so that it has them when a push returns.

Nobody is waited for: the rows of a key are merged in one atomic step, whoever loads the table at the time. The document
of the group is written only where it must be, since every reader reads it again then.
"""

from __future__ import annotations

import polars as pl
from msgspec.structs import replace

from gnomon.columns import Words
from gnomon.define.group import FeatureGroup
from gnomon.errors import Unavailable
from gnomon.flows.fill import moved_on, source_text
from gnomon.flows.load import load_rows, load_whole
from gnomon.flows.materialize import materialize
from gnomon.flows.online import (
    Document,
    Reach,
    Table,
    change_document,
    keys_of,
    reach_of,
    read_document,
    shape_of,
)
from gnomon.flows.project import Project
from gnomon.flows.retractions import markers_of, read_retractions
from gnomon.flows.table import table_name
from gnomon.plan.identity import Hashes
from gnomon.plan.layout import Layout
from gnomon.plan.normal import key
from gnomon.time import ALWAYS

_TRIES = 64
_GRAIN = 64
"""The horizon moves on by this part of what it reaches back: each move lets all readers look at the document anew."""


def bring_online(
    project: Project,
    group: FeatureGroup,
    layout: Layout,
    frame: pl.DataFrame,
    hashes: Hashes,
    active: Words,
    version: int,
) -> int:
    """Let answers tell of committed rows; return how many are older than the horizon.

    frame: in normal form, with inputs; hashes, active (activations, int64 µs): of its rows; version: of the commit.
    Where nothing answers yet, or what answers is of other columns, the group is materialized, these rows among all.
    """
    for _ in range(_TRIES):
        live = read_document(project.online, layout.ref).live
        if live is None or not _fits(live, group, layout):
            materialize(project, [(group, layout)])
            return 0
        now = project.clock()
        newest = int(active[active <= now].max(initial=ALWAYS))
        table = _moved(project, layout, live, newest)
        late = _write(project, group, layout, table, frame, hashes, version)
        if _still_answers(project, layout, table):
            return late
    raise Unavailable(
        f"the online table of `{layout.ref}` is made anew all the time",
        hint="try again when other writers are done",
    )


def _fits(table: Table, group: FeatureGroup, layout: Layout) -> bool:
    """Whether rows of the group as it is defined now can be written to the table."""
    return (
        table.shape == shape_of(layout)
        and table.keys == keys_of(layout)
        and table.source == source_text(group, layout)
    )


def _moved(project: Project, layout: Layout, live: Table, newest: int) -> Table:
    """The table as its document tells of it: with a horizon for rows up to the activation `newest`, if not to the last
    microsecond, and with the mark that rows are pushed into it.
    """
    reach = reach_of(layout, project.config.slack)
    if live.pushed and not _is_far(reach, live, newest):
        return live

    def change(document: Document) -> Document:
        if document.live is None or document.live.name != live.name:
            return document
        return replace(document, live=replace(moved_on(document.live, layout, reach, newest), pushed=True))

    # Told before rows are let go, so that nobody asks about them.
    changed = change_document(project.online, layout.ref, change).live
    return changed if changed is not None and changed.name == live.name else live


def _is_far(reach: Reach, table: Table, newest: int) -> bool:
    horizon = reach.horizon(newest)
    if horizon == ALWAYS or reach.span is None:
        return False
    return table.horizon == ALWAYS or horizon - table.horizon > (reach.span + reach.slack) // _GRAIN


def _write(
    project: Project,
    group: FeatureGroup,
    layout: Layout,
    table: Table,
    frame: pl.DataFrame,
    hashes: Hashes,
    version: int,
) -> int:
    retractions = read_retractions(project.offline, group, layout)
    if len(retractions.moments) and len(markers_of(layout, frame, retractions)):
        # Rows that count no more as they come, by a declared known_at: what is left of their keys is read whole.
        keys = frame.select(key(i) for i in range(len(layout.keys))).unique()
        reader = project.reader(group, layout)
        load_whole(project.online, layout, reader, table, keys, retractions, project.journal)
        return 0
    parts = project.offline.added(table_name(group), version) if table.identity else ()
    return load_rows(project.online, layout, table, frame, hashes, parts, project.journal).late


def _still_answers(project: Project, layout: Layout, table: Table) -> bool:
    """Whether what was written to is still what answers, and will be in what takes its place."""
    document = read_document(project.online, layout.ref)
    if document.live is None or document.live.name != table.name:
        return False
    if document.building is None and document.refill is None:
        return True
    # Whoever makes another table has perhaps looked already which rows there are: this lets him look again.
    told = change_document(project.online, layout.ref, lambda d: replace(d, pushed=d.pushed + 1))
    return told.live is not None and told.live.name == table.name
