"""The table of a cached group: its columns, and reading it like any source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from gnomon.abc.offline import OfflineStore
from gnomon.abc.source import EVERY_ROW, Part, SourceReader, Wanted
from gnomon.define.feature import Feature
from gnomon.define.group import FeatureGroup
from gnomon.errors import Gone
from gnomon.plan.normal import KNOWN_AT, OP
from gnomon.types import DType

INSTANT = pl.Datetime("us", "UTC")
HASHES = ("__h1", "__h2")
"""The row's 128-bit hash in two int64 columns: its id if it has no event id, else its content."""
CHANGES: dict[str, DType] = {OP: pl.String(), KNOWN_AT: INSTANT}
"""Columns that a table has from its first update or delete on."""


def table_name(group: FeatureGroup) -> str:
    return f"{group.name}@{group.version}"


def declared_columns(group: FeatureGroup) -> dict[str, DType]:
    """The columns of a cached group with their types, as its definition tells them: keys, times, id, and
    content.

    A column that only aggregates or expressions use must stand in `schema`; what is missing shows when a
    layout is made.
    """
    columns = dict(group.keys)
    schema = dict(group.schema)
    for name in (group.timestamp, group.known_at):
        if name is not None:
            columns[name] = schema.get(name, INSTANT)
    if group.event_id is not None:
        columns[group.event_id] = schema.get(group.event_id, pl.String())
    for feature in group.features:
        if isinstance(feature, Feature) and feature.expr is None:
            columns.setdefault(feature.name, feature.dtype)
    for name, dtype in schema.items():
        columns.setdefault(name, dtype)
    return columns


def was_filled(root: Path, offline: OfflineStore, group: FeatureGroup) -> bool:
    """Whether rows were once committed to the group's table, by the notes that `note_filled` left."""
    return _note(root, group).exists() or bool(offline.notes(_shared_note(group)))


def note_filled(root: Path, offline: OfflineStore, group: FeatureGroup) -> None:
    """Keep that the group's table has rows: in the offline store, for all who share it, and in the project, should the
    whole of the store be lost.

    Without it a table that was lost reads as one that never was: its features would be null, and nobody told.
    """
    note = _note(root, group)
    if not offline.notes(_shared_note(group)):
        offline.write_note(_shared_note(group), "rows were inserted")
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()


def forget_filled(root: Path, offline: OfflineStore, group: FeatureGroup) -> None:
    """The group begins empty again."""
    offline.write_note(_shared_note(group), None)
    _note(root, group).unlink(missing_ok=True)


def _note(root: Path, group: FeatureGroup) -> Path:
    return root / ".gnomon" / "filled" / table_name(group)


def _shared_note(group: FeatureGroup) -> str:
    # Closed, so that no name is the beginning of another.
    return f"filled-{table_name(group)}-"


class TableReader(SourceReader):
    """Reads a cached group's rows, and their hashes if asked for. Its parts are the table's files.

    `filled`: tells whether the table must have rows; asked where it has none, and reading raises Gone then.
    """

    numbered = True

    def __init__(
        self, offline: OfflineStore, group: FeatureGroup, *, filled: Callable[[], bool] = lambda: False
    ) -> None:
        self.offline = offline
        self.name = group.name
        self.table = table_name(group)
        self.columns = declared_columns(group)
        self.filled = filled

    def schema(self) -> dict[str, DType]:
        return dict(self.columns)

    def parts(self) -> tuple[Part, ...]:
        found = self.offline.parts(self.table)
        if not found and self.filled():
            raise Gone(
                f"the table of group `{self.name}` is gone: rows were inserted, and `{self.table}` is not there",
                at=repr(self.offline),
                hint="bring it back from a copy, or insert the rows again: reading goes on with what is inserted; "
                "a new `version` of the group begins empty",
            )
        return found

    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        types = self.columns | dict.fromkeys(HASHES, pl.Int64()) | CHANGES
        chosen = {name: types[name] for name in dict.fromkeys(columns)}
        return self.offline.scan(self.table, chosen, parts=self.parts() if parts is None else parts)

    def changes(self) -> tuple[str, ...]:
        return tuple(CHANGES) if OP in self.offline.schema(self.table) else ()

    def origins(self, part: Part) -> tuple[Part, ...]:
        return self.offline.origins(self.table, part)

    def present(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        return self.offline.present(self.table, parts)

    def describe(self) -> str:
        version = self.offline.version(self.table)
        return f"table {self.table}" + (" (empty)" if version is None else f", commit {version}")
