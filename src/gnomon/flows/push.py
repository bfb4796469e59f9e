"""Push: rows as they happen → checked one by one → one durable commit → online, when it returns.

Pushes of one group that come at once, from threads of one process, share a commit: whoever finds nobody at work takes
all that wait. What one of them brings never costs the others anything but time.

A pushed row is known from its arrival on, unless it declares when (SEMANTICS §1): the arrival is stored beside it. The
commit comes first and then the online store, so that whoever is killed in between has lost nothing: the next push of
the same rows, or the next `materialize`, brings them online.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from gnomon import columns
from gnomon.abc.offline import NO_TABLE
from gnomon.columns import Words
from gnomon.define.group import FeatureGroup
from gnomon.define.source import Source
from gnomon.engines.resolve import known_times
from gnomon.errors import GnomonError, Unavailable, UsageError, type_of
from gnomon.events import Pushed, Step, emit
from gnomon.flows.acks import PushAck, Rejected
from gnomon.flows.fitting import Fitting, fit_rows
from gnomon.flows.holding import Holding
from gnomon.flows.insert import identities
from gnomon.flows.materialize import materialize
from gnomon.flows.project import Project
from gnomon.flows.pushed import bring_online
from gnomon.flows.table import HASHES, INSTANT, declared_columns, note_filled, table_name
from gnomon.plan.identity import content_hashes, row_hashes
from gnomon.plan.layout import Layout
from gnomon.plan.normal import ALIVE, DEAD, KNOWN_AT, OP, STORED, TIME
from gnomon.registry.snapshot import Snapshot
from gnomon.time import NEVER, stopwatch
from gnomon.types import DType

_AT_ONCE = 100_000
"""Rows that one commit takes from pushes that wait, unless one push alone brings more."""


@dataclass(frozen=True, slots=True)
class Pushable:
    """What rows can be pushed into."""

    group: str
    """`name@version`."""
    columns: Mapping[str, DType]
    """Every row has them, null where there is no value."""
    times: tuple[str, ...]
    """Columns that tell when a row was, and was known."""


@dataclass(eq=False)
class _Waiting:
    """A push on its way."""

    fitting: Fitting
    done: bool = False
    version: int | None = None
    accepted: int = 0
    duplicates: int = 0
    conflicts: list[Rejected] = field(default_factory=list)
    failed: GnomonError | None = None


class Pushes:
    """The pushes into one group as it is defined now."""

    def __init__(self, project: Project, group: FeatureGroup, layout: Layout) -> None:
        self.project = project
        self.group = group
        self.layout = layout
        self._holding = Holding(project, group, layout)
        self._turn = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._busy = False
        self._noted = False
        self._sure = NO_TABLE
        """All rows of this version of the table, and of those before it, are known to be online."""

    def push(self, rows: Any) -> PushAck:
        """Commit rows and bring them online, or all that wait with them. Doing it again changes nothing.

        rows: a list of dicts, or a frame.
        Raises: DataError for a frame of other columns; Unavailable if a store cannot be reached: what was committed by
                then stays, and the same push again is safe.
        """
        mine = _Waiting(fit_rows(rows, self.group, self.layout))
        if len(mine.fitting.rows):
            self._take_turn(mine)
        if mine.failed is not None:
            raise mine.failed
        fitting = mine.fitting
        rejected = sorted([*fitting.rejected, *mine.conflicts], key=lambda r: r.row)
        return PushAck(
            source=self.group.ref,
            id=mine.version,
            rows=fitting.given,
            accepted=mine.accepted,
            duplicates=mine.duplicates,
            rejected=tuple(rejected),
            online=self.group.online,
        )

    def _take_turn(self, mine: _Waiting) -> None:
        """Wait until somebody has written `mine`, or do it for all that wait."""
        with self._turn:
            self._waiting.append(mine)
        while True:
            with self._turn:
                while self._busy and not mine.done:
                    self._turn.wait()
                if mine.done:
                    return
                self._busy = True
                together = _first(self._waiting)
                del self._waiting[: len(together)]
            failed: GnomonError | None = Unavailable(
                "the push that wrote for this one too has failed", hint="push the same rows again: it is safe"
            )
            try:
                self._write(together)
                failed = None
            except GnomonError as error:
                failed = error
            finally:
                with self._turn:
                    for one in together:
                        one.done, one.failed = True, failed
                    self._busy = False
                    self._turn.notify_all()

    def _write(self, together: list[_Waiting]) -> None:
        elapsed = stopwatch()
        batch = _Batch.of(together, self.layout)
        arrived = self.project.offline.change(
            table_name(self.group), lambda base: self._commit(base, batch, together)
        )
        emit(Step("push", self.group.ref, "commit"))
        late = (
            self._bring_online(arrived, any(one.duplicates for one in together)) if self.group.online else 0
        )
        emit(
            Pushed(
                self.group.ref,
                len(together),
                sum(one.accepted for one in together),
                sum(one.duplicates for one in together),
                sum(len(one.fitting.rejected) + len(one.conflicts) for one in together),
                late,
                elapsed(),
            )
        )

    def _bring_online(self, arrived: _Arrived, met: bool) -> int:
        """Let answers tell of what is committed; return how many rows are older than the horizon.

        met: whether the table had some of the rows already. Who committed them may have been killed before they were
        online: unless that is known, all that the table has is brought online.
        """
        late = 0
        if met and arrived.base > self._sure:
            materialize(self.project, [(self.group, self.layout)])
            self._sure = arrived.base if arrived.version is None else arrived.version
        elif arrived.version is not None:
            active = np.maximum(columns.words(arrived.frame[TIME]), arrived.known)
            h1, h2 = (columns.words(arrived.frame[name]).view(np.uint64) for name in HASHES)
            late = bring_online(
                self.project, self.group, self.layout, arrived.frame, (h1, h2), active, arrived.version
            )
            if arrived.base == self._sure:
                self._sure = arrived.version
        else:
            return 0
        emit(Step("push", self.group.ref, "online"))
        return late

    def _commit(self, base: int, batch: _Batch, together: list[_Waiting]) -> _Arrived:
        """Look what is new of the batch as of version `base`, and append that."""
        emit(Step("push", self.group.ref, "look"))
        layout, now = self.layout, self.project.clock()
        met = self._holding.look(base, batch.normal)
        held = identities(layout, met).with_columns(
            met[STORED].alias("stored"), (met[DEAD] != ALIVE).alias("dead")
        )
        told = batch.identity.unique("content", keep="first", maintain_order=True)
        told = told.join(
            held.filter(~pl.col("dead")).select("content"), on="content", how="anti", maintain_order="left"
        )
        new = _with_arrival(layout, told, held, now)
        new, conflicts = _without_conflicts(layout, new, held)
        at = new["at"]
        version = None
        stored = new["stored"]
        if len(new):
            version = self.project.offline.append(
                table_name(self.group),
                self._rows(batch.rows[at], stored),
                note={"rows": str(len(batch.rows)), "author": self.project.author},
                after=base,
            )
        frame = batch.normal[at].with_columns(pl.lit(ALIVE, pl.UInt8).alias(DEAD), stored.alias(STORED))
        if version is not None:
            self._holding.add(version, frame)
        if not self._noted:
            # After the commit, and also where nothing was new: whoever wrote the rows may have been killed before it.
            note_filled(self.project.root, self.project.offline, self.group)
            self._noted = True
        _tell(together, batch, new, conflicts, version)
        return _Arrived(frame, known_times(layout, frame, columns.words(frame[TIME])), base, version)

    def _rows(self, rows: pl.DataFrame, stored: pl.Series) -> pl.DataFrame:
        """Rows as the table keeps them: with their arrival, where that tells when they were known."""
        if self.layout.known_at is None:
            rows = rows.with_columns(pl.lit(None, pl.String).alias(OP), stored.cast(INSTANT).alias(KNOWN_AT))
        return rows.sort([*self.layout.key_names, self.layout.timestamp]) if len(rows) > 1 else rows


def _first(waiting: list[_Waiting]) -> list[_Waiting]:
    """The pushes that have waited longest: one, and as many more as a commit takes."""
    taken, rows = 0, 0
    for one in waiting:
        rows += len(one.fitting.rows)
        if taken and rows > _AT_ONCE:
            break
        taken += 1
    return waiting[:taken]


@dataclass(frozen=True)
class _Batch:
    """The rows of several pushes, one behind the other."""

    rows: pl.DataFrame
    """Raw, with hashes."""
    normal: pl.DataFrame
    """In normal form, with hashes."""
    identity: pl.DataFrame
    """`content`, `row`, `known` as in `identities`; `push`, the place of its push; `number`, of the row in it; `at`,
    the place in `rows`."""

    @classmethod
    def of(cls, together: list[_Waiting], layout: Layout) -> _Batch:
        normals = []
        for i, one in enumerate(together):
            normal = one.fitting.normal
            # Without an id the content and its ordinal in this push are the identity.
            own = layout.kind == "event" and layout.event_id is None
            h1, h2 = (row_hashes if own else content_hashes)(normal, layout)
            normals.append(
                normal.with_columns(
                    pl.Series(HASHES[0], h1.view(np.int64)),
                    pl.Series(HASHES[1], h2.view(np.int64)),
                    pl.lit(i, pl.Int64).alias("push"),
                    one.fitting.numbers.alias("number"),
                )
            )
        normal = normals[0] if len(normals) == 1 else pl.concat(normals)
        rows = pl.concat([one.fitting.rows for one in together]).with_columns(normal.select(HASHES))
        identity = (
            identities(layout, normal).with_columns(normal.select("push", "number")).with_row_index("at")
        )
        return cls(rows, normal.drop("push", "number"), identity)


@dataclass(frozen=True)
class _Arrived:
    """Rows that are new, and committed."""

    frame: pl.DataFrame
    """In normal form, with inputs, hashes, DEAD and STORED."""
    known: Words
    """When each is known, int64[n] µs."""
    base: int
    """The version that was looked at."""
    version: int | None
    """The version that has them; None if there are none."""


def _with_arrival(layout: Layout, new: pl.DataFrame, held: pl.DataFrame, now: int) -> pl.DataFrame:
    """The rows with `stored`, when each arrives, int64 µs; null where known_at is declared. `known` follows it.

    A version arrives after every other of its row, whatever the clock says: what came later is what counts.
    """
    if layout.known_at is not None:
        return new.with_columns(pl.lit(None, pl.Int64).alias("stored"))
    if layout.kind == "event" and layout.event_id is None:
        return new.with_columns(pl.lit(now).alias("stored"), pl.lit(now).alias("known"))
    before = held.group_by("row").agg(newest=pl.col("known").max())
    after = pl.when(pl.col("newest") < NEVER).then(pl.col("newest") + 1)
    turn = pl.col("push").rank("dense").over("row").cast(pl.Int64) - 1
    return (
        new.join(before, on="row", how="left", maintain_order="left")
        .with_columns((pl.max_horizontal(pl.lit(now), after) + turn).alias("stored"))
        .with_columns(pl.col("stored").alias("known"))
        .drop("newest")
    )


def _without_conflicts(
    layout: Layout, new: pl.DataFrame, held: pl.DataFrame
) -> tuple[pl.DataFrame, dict[int, str]]:
    """The rows without those whose event id and known_at another content has, and why, by `at`."""
    if layout.event_id is None or layout.kind == "state" or not len(new):
        return new, {}
    alive = held.filter(~pl.col("dead")).select("row", "known").unique().with_columns(taken=pl.lit(True))
    met = new.join(alive, on=["row", "known"], how="left", maintain_order="left")
    clash = (
        met["taken"].fill_null(False) | ~new.select(pl.struct("row", "known").is_first_distinct()).to_series()
    )
    reason = f"event_id `{layout.event_id}` is not unique: the id is there with other content known at the same time"
    return new.filter(~clash), dict.fromkeys(new["at"].filter(clash).to_list(), reason)


def _tell(
    together: list[_Waiting], batch: _Batch, new: pl.DataFrame, conflicts: dict[int, str], version: int | None
) -> None:
    """Tell each push what became of its rows. A step that is done again tells anew."""
    accepted = dict(new.group_by("push").len().iter_rows())
    for i, one in enumerate(together):
        one.accepted = accepted.get(i, 0)
        one.version = version if one.accepted else None
        one.conflicts = []
    of_batch = batch.identity.select("push", "number")
    for at, reason in conflicts.items():
        push, number = of_batch.row(at)
        together[push].conflicts.append(Rejected(number, reason))
    for one in together:
        one.duplicates = len(one.fitting.rows) - one.accepted - len(one.conflicts)


def pushes_of(project: Project, opened: dict[str, Pushes], source: Source | FeatureGroup | str) -> Pushes:
    """The pushes into what `source` names; `opened` keeps them from one to the next.

    Raises: NotFound for a name that is not registered; UsageError for what rows cannot be pushed into.
    """
    snapshot = project.recent_snapshot()
    group = _pushable(snapshot, source)
    layout = project.layout(snapshot, group)
    found = opened.get(group.ref)
    if found is None or found.layout is not layout:
        found = opened[group.ref] = Pushes(project, group, layout)
    return found


def pushable(project: Project, source: Source | FeatureGroup | str) -> Pushable:
    """What rows of `source` must look like. Raises: as `pushes_of`."""
    group = _pushable(project.recent_snapshot(), source)
    times = tuple(name for name in (group.timestamp, group.known_at) if name is not None)
    return Pushable(group.ref, declared_columns(group), times)


def _pushable(snapshot: Snapshot, source: Source | FeatureGroup | str) -> FeatureGroup:
    if not isinstance(source, Source | FeatureGroup | str):
        raise UsageError(
            f"rows cannot be pushed into {type_of(source)}", hint="give a cached group, or its name"
        )
    if isinstance(source, Source) or (isinstance(source, str) and source in snapshot.refs("source")):
        name = source if isinstance(source, str) else getattr(source, "name", "")
        raise UsageError(f"source `{name}` is read in place; rows cannot be pushed", hint=_ACCEPTED)
    group = snapshot.group(source if isinstance(source, str) else source.ref)
    if group.source is not None:
        raise UsageError(
            f"group `{group.name}` reads `{group.source_name}` in place; rows cannot be pushed",
            hint=_ACCEPTED,
        )
    return group


_ACCEPTED = "write to that source, or push into a group without `source=`, which keeps its rows itself"
