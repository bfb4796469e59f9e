"""The online side of a group: which table holds its rows, how far back they reach, and how they lie there.

For each group one small document tells what is true: the table, what was loaded, the horizon. The document
is written after the data that it tells of; a table is published whole by naming it there. `EPOCH` changes
with every document, so that one look tells a reader whether what it knows is still so.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from gnomon.abc.online import OnlineStore
from gnomon.columns import Kind, kind_of
from gnomon.errors import Unavailable
from gnomon.locks import locked
from gnomon.online import codec
from gnomon.online.index import leaves_table
from gnomon.plan.layout import Input, Layout
from gnomon.time import ALWAYS, DAY
from gnomon.types import dtype_text

EPOCH = "epoch"
_TRIES = 64


class Loaded(msgspec.Struct, frozen=True):
    """How much of a part of the source is in a table."""

    etag: str
    end: int
    """Rows with an activation before it are loaded."""


class Shape(msgspec.Struct, frozen=True):
    """How values lie in a table: what makes a `codec.Layout`."""

    kind: Literal["state", "event"]
    id_kind: codec.IdKind
    declared_known: bool
    lag: int
    lanes: tuple[tuple[str, Kind], ...]

    def layout(self) -> codec.Layout:
        lanes = tuple(codec.Lane(name, kind) for name, kind in self.lanes)
        return codec.Layout(self.kind, self.id_kind, self.declared_known, self.lag, lanes)


class Table(msgspec.Struct, frozen=True):
    """A table of one group's rows."""

    name: str
    shape: Shape
    keys: str = ""
    """The key columns with their types: what the keys' bytes mean."""
    source: str = ""
    """What the rows are read from: another source's rows are other rows."""
    parts: dict[str, Loaded] = {}
    start: int = ALWAYS
    """Of rows with an earlier activation there is only what answers from it on need."""
    watermark: int = ALWAYS
    """The greatest min(now, activation) over what was applied."""
    horizon: int = ALWAYS
    """Rows of earlier event times have been let go."""
    span: int | None = None
    """How far features looked back when the horizon was set; None: without bound."""
    complete: bool = False
    """Whether a run has ended, so that the table may be read."""
    retracted: int = 0
    """How many commits of the source's retractions are in it."""
    identity: str = ""
    """What the journal calls it: no other table has it, be the online store lost and made anew. Empty: of a release
    that kept no journal."""
    pushed: bool = False
    """Whether rows were pushed into it, which `parts` does not tell of."""


class Refill(msgspec.Struct, frozen=True):
    """A backfill on its way: the table that it fills beside the live one, and how far it is."""

    table: Table
    """Its parts tell how far: all rows with an activation before the least of their ends are in it."""
    start: int
    """Of the interval that was asked for."""
    end: int
    replaces: str = ""
    """The name of the table that was live when it began; empty if there was none."""
    newest: dict[str, int] = {}
    """Part → the newest known_at that was read of it."""
    rows: int = 0
    size: int = 0
    """Bytes of keys and values in the table."""


class Document(msgspec.Struct, frozen=True):
    """What is true of a group online."""

    generation: int = 0
    """Counts the tables that the group has had."""
    live: Table | None = None
    """The table that answers."""
    building: Table | None = None
    """A table that is being filled to take its place."""
    refill: Refill | None = None
    """A table that a backfill fills to take its place, while others go on filling the live one."""
    slowness: float | None = None
    """How many times longer backfills take than a sample tells."""
    pushed: int = 0
    """Counts the commits that were brought into the live table while another was being made: whoever makes it looks
    for them before it is published."""
    epoch: int = -1
    """The store's epoch when the document was written: it turns right after, unless the writer is killed."""


_decode = msgspec.json.Decoder(Document).decode
_encode = msgspec.json.Encoder().encode


def document_name(ref: str) -> str:
    return f"group/{ref}"


def read_document(store: OnlineStore, ref: str) -> Document:
    raw = store.get_meta(document_name(ref))
    return Document() if raw is None else _decode(raw)


def change_document(store: OnlineStore, ref: str, change: Callable[[Document], Document]) -> Document:
    """Replace the document by `change` of it, whoever else writes at the time, and let readers know."""
    name = document_name(ref)
    for _ in range(_TRIES):
        raw, epoch = store.get_meta(name), _epoch(store)
        new = msgspec.structs.replace(change(Document() if raw is None else _decode(raw)), epoch=epoch)
        if store.set_meta(name, raw, _encode(new)):
            _turn(store)
            return new
    raise Unavailable(
        f"the document of `{ref}` changes all the time", hint="try again when other writers are done"
    )


def ensure_table(store: OnlineStore, document: Document, name: str) -> None:
    """Make the table that a document is about to name, had it no rows to be made by: readers need not miss it."""
    if document.live is None or document.live.name != name:
        store.load(name, ())


def replace_table(store: OnlineStore, ref: str, table: Table) -> Table:
    """Let the document tell of a table what is true now, whether it answers or is being filled."""

    def change(document: Document) -> Document:
        if document.live is not None and document.live.name == table.name:
            return msgspec.structs.replace(document, live=not_behind(table, document.live))
        return msgspec.structs.replace(document, building=table)

    change_document(store, ref, change)
    return table


def not_behind(table: Table, live: Table | None) -> Table:
    """The table with what pushes have made of it meanwhile: what was let go by its horizon is gone."""
    if live is None or live.name != table.name:
        return table
    return msgspec.structs.replace(
        table,
        watermark=max(table.watermark, live.watermark),
        horizon=max(table.horizon, live.horizon),
        pushed=table.pushed or live.pushed,
    )


def settle(store: OnlineStore, ref: str) -> Document:
    """Finish what a killed run left undone: let readers know of the document, drop tables it does not name."""
    document = read_document(store, ref)
    left = unnamed_tables(store, ref, document)
    if left or _epoch(store) == document.epoch:
        # Before anything goes: who still answers from such a table must look at the document again.
        _turn(store)
    for name in left:
        store.drop(name)
    return document


def unnamed_tables(store: OnlineStore, ref: str, document: Document) -> list[str]:
    """The tables of a group that its document does not name."""
    refilled = None if document.refill is None else document.refill.table
    tables = [table.name for table in (document.live, document.building, refilled) if table is not None]
    named = {*tables, *map(leaves_table, tables)}
    return [name for name in store.tables() if name.rpartition("#")[0] == ref and name not in named]


def forget_group(store: OnlineStore, ref: str) -> bool:
    """Remove a group's online rows; the values of other groups stay. Returns whether there was anything."""
    name = document_name(ref)
    tables = unnamed_tables(store, ref, Document())
    if not tables and store.get_meta(name) is None:
        return False
    for _ in range(_TRIES):
        raw = store.get_meta(name)
        if raw is None or store.set_meta(name, raw, None):
            break
    else:
        raise Unavailable(f"the document of `{ref}` changes all the time")
    _turn(store)
    for table in tables:
        store.drop(table)
    return True


def filling(root: Path, ref: str, *, wait: float = 60.0) -> AbstractContextManager[None]:
    """Hold a group's tables for one writer of the project at `root`.

    Raises: Unavailable after `wait` seconds.
    """
    return locked(root / ".gnomon" / "locks" / f"materialize-{ref}.lock", wait=wait)


def _epoch(store: OnlineStore) -> int:
    return int(store.get_meta(EPOCH) or b"0")


def _turn(store: OnlineStore) -> None:
    for _ in range(_TRIES):
        raw = store.get_meta(EPOCH)
        if store.set_meta(EPOCH, raw, str(int(raw or b"0") + 1).encode()):
            return
    raise Unavailable(
        "the online store's epoch changes all the time", hint="try again when other writers are done"
    )


def lane_name(given: Input) -> str:
    """What a lane is called in tables: what it holds, whatever its place."""
    return f"{given.text}:{dtype_text(given.dtype)}"


def shape_of(layout: Layout) -> Shape:
    """How the rows of a group lie in online values."""
    id_kind: codec.IdKind = "hash"
    if layout.id_dtype is not None:
        id_kind = "int" if layout.id_dtype.is_integer() else "text"
    lanes = tuple((lane_name(i), kind_of(i.dtype)) for i in layout.inputs)
    return Shape(layout.kind, id_kind, layout.known_at is not None, layout.lag, lanes)


def keys_of(layout: Layout) -> str:
    return ", ".join(f"{name}: {dtype_text(dtype)}" for name, dtype in layout.keys)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back a group's online rows must reach."""

    span: int | None
    """Microseconds before t that the farthest feature looks at; None: everything."""
    slack: int
    """Microseconds before the watermark at which t may still be asked about."""

    def horizon(self, watermark: int) -> int:
        """Rows of event times before it are let go."""
        if self.span is None or watermark == ALWAYS:
            return ALWAYS
        return max(ALWAYS, watermark - self.span - self.slack)


def reach_of(layout: Layout, slack: int | None) -> Reach:
    """`slack` as configured; None: as long again as the farthest feature looks back, and at least a day."""
    span = layout.span
    return Reach(span, max(span or 0, DAY) if slack is None else slack)
