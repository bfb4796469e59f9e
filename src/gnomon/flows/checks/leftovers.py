"""Leftovers: tables, folders and files that nobody names, and runs that were stopped on their way."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gnomon.errors import Unavailable, counted
from gnomon.flows import journal
from gnomon.flows.checks.check import Found, some
from gnomon.flows.checks.places import local_folders
from gnomon.flows.dataset import drafts
from gnomon.flows.forget import forget_removed
from gnomon.flows.journal import journal_name
from gnomon.flows.online import filling, read_document, settle, unnamed_tables
from gnomon.flows.project import Project
from gnomon.flows.retractions import log_name, of_group
from gnomon.flows.table import table_name
from gnomon.online.index import leaves_table
from gnomon.online.leftovers import unnamed_leaves
from gnomon.registry.snapshot import Snapshot
from gnomon.time import DAY, HOUR, show


def online_tables(project: Project, snapshot: Snapshot) -> Found:
    """Online tables that no document names: of runs that were killed, and of groups that are gone."""
    store, registered = project.online, set(snapshot.refs("group"))
    once = {ref for kind, ref in snapshot.changed if kind == "group"} - registered
    left: list[str] = []
    strangers: list[str] = []
    for ref in sorted({name.rpartition("#")[0] for name in store.tables()}):
        if ref in registered:
            left += unnamed_tables(store, ref, read_document(store, ref))
        else:
            mine = [name for name in store.tables() if name.rpartition("#")[0] == ref]
            (left if ref in once else strangers).extend(mine)
    if left:
        return Found(
            "warn",
            f"{counted(len(left), 'table')} that nobody reads: {some(left)}",
            "`gnomon doctor --fix` removes them, and so does the next materialization",
            partial(_drop_left, project, snapshot),
        )
    if strangers:
        return Found(
            "warn",
            f"{counted(len(strangers), 'table')} of groups that were never in this registry: {some(strangers)}",
            "another project may share this online store; if none does, give the store a place of its own",
        )
    return Found("ok", "every table is named")


def leaves(project: Project, snapshot: Snapshot) -> Found:
    """Leaves of hot keys that no index names: of writers that were killed."""
    counts = {ref: sum(1 for _ in _left_leaves(project, ref)) for ref in snapshot.refs("group")}
    left = {ref: count for ref, count in counts.items() if count}
    if left:
        return Found(
            "warn",
            f"{counted(sum(left.values()), 'piece')} of hot keys that nobody reads: of {some(sorted(left))}",
            "`gnomon doctor --fix` removes them; who writes at this moment may be about to need them",
            partial(_remove_leaves, project, sorted(left)),
        )
    return Found("ok", "every piece of a hot key is named")


def _left_leaves(project: Project, ref: str) -> Iterator[bytes]:
    table = read_document(project.online, ref).live
    if table is not None:
        yield from unnamed_leaves(project.online, table.shape.layout(), table.name)


def _remove_leaves(project: Project, refs: list[str]) -> str:
    """Delete leaves that no index names, but of groups that somebody fills at this moment."""
    gone, busy = 0, []
    for ref in refs:
        try:
            with filling(project.root, ref, wait=0.0):
                table = read_document(project.online, ref).live
                left = list(_left_leaves(project, ref))
                if table is not None and left:
                    project.online.delete(leaves_table(table.name), left)
                    gone += len(left)
        except Unavailable:
            busy.append(ref)
    rest = f"; left alone, since somebody fills it: {', '.join(busy)}" if busy else ""
    return f"removed {counted(gone, 'piece')}{rest}"


def runs(project: Project, snapshot: Snapshot) -> Found:
    """Materializations that build a table anew, and backfills, that are on their way or were stopped."""
    told, hints = [], []
    for ref in snapshot.refs("group"):
        document = read_document(project.online, ref)
        if document.building is not None:
            told.append(f"the table of {ref} is being made anew")
            hints.append(f"`gnomon materialize {ref}`")
        if document.refill is not None:
            told.append(f"a backfill of {ref} has read {counted(document.refill.rows, 'row')}")
            start, end = (show(edge) for edge in (document.refill.start, document.refill.end))
            edges = [
                f"{option} {edge}"
                for option, edge, none in (("--start", start, "always"), ("--end", end, "never"))
                if edge != none
            ]
            hints.append(f"`{' '.join(['gnomon backfill', ref, *edges])}`")
    if told:
        return Found(
            "warn", "; ".join(told), f"if nobody is at it any more, {' and '.join(hints)} goes on with it"
        )
    return Found("ok", "none was stopped on its way")


def offline_tables(project: Project, snapshot: Snapshot) -> Found:
    """Folders of the offline store that are no table, and tables that no group names."""
    tables = project.offline.tables()
    named = {table_name(group) for group in snapshot.groups() if group.source is None}
    named |= {log_name(group) for group in snapshot.groups()}
    named |= {journal_name(group.ref) for group in snapshot.groups()}
    once = {ref for kind, ref in snapshot.changed if kind in ("group", "source")}
    kept: list[str] = []
    strangers: list[str] = []
    for table in tables:
        if table not in named:
            (kept if journal.of_group(of_group(table)) in once else strangers).append(table)
    broken = _no_tables(project, tables)
    if broken:
        return Found(
            "warn",
            f"{counted(len(broken), 'folder')} in the offline store without a table's log: {some(broken)}",
            "what an insert leaves that was killed before its commit; nothing reads it, so it can be removed",
        )
    if strangers:
        return Found(
            "warn",
            f"{counted(len(strangers), 'table')} of groups that were never in this registry: {some(strangers)}",
            "another project may share this offline store; if none does, they can be removed",
        )
    note = (
        f"; {counted(len(kept), 'table')} of removed groups kept for a revert: {some(kept)}" if kept else ""
    )
    return Found("ok", f"every table is named{note}")


def files(project: Project) -> Found:
    """Drafts of datasets and parts of training sets, of processes that were killed."""
    left = [*_dead_drafts(project), *_old_parts(project)]
    if left:
        return Found(
            "warn",
            f"{counted(len(left), 'folder')} left by processes that were killed: {some([str(p) for p in left])}",
            "`gnomon doctor --fix` removes them",
            partial(_remove, left),
        )
    return Found("ok", "none left over")


def _drop_left(project: Project, snapshot: Snapshot) -> str:
    """Drop tables that nobody names, but of groups that somebody fills at this moment."""
    before = set(project.online.tables())
    busy = []
    for ref in snapshot.refs("group"):
        try:
            with filling(project.root, ref, wait=0.0):
                settle(project.online, ref)
        except Unavailable:
            busy.append(ref)
    forget_removed(project)
    gone = before - set(project.online.tables())
    rest = f"; left alone, since somebody fills it: {', '.join(busy)}" if busy else ""
    return f"removed {counted(len(gone), 'table')}{rest}"


def _no_tables(project: Project, tables: list[str]) -> list[str]:
    folder = local_folders(project.config).get("the offline store")
    if folder is None or folder == project.root or not folder.is_dir():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.is_dir() and path.name not in tables and any(path.glob("*.parquet"))
    )


def _dead_drafts(project: Project) -> Iterator[Path]:
    """Drafts of datasets whose process is gone. An hour old at least: it may run on another machine."""
    for draft, process in drafts(project):
        if not _is_alive(process) and _age(project, draft) > HOUR:
            yield draft


def _old_parts(project: Project) -> Iterator[Path]:
    """What training sets that did not fit into memory wrote: older than any of them runs."""
    for folder in Path(tempfile.gettempdir()).glob("gnomon-parts-*"):
        if folder.is_dir() and folder.stat().st_uid == os.getuid() and _age(project, folder) > 2 * DAY:
            yield folder


def _age(project: Project, path: Path) -> int:
    return project.clock() - path.stat().st_mtime_ns // 1000


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _remove(folders: list[Path]) -> str:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return f"removed {counted(len(folders), 'folder')}"
