"""Sources: whether what groups read can be read, and is what they were applied with."""

from __future__ import annotations

from collections.abc import Sequence

from gnomon.abc.source import Part, SourceReader
from gnomon.define.group import FeatureGroup
from gnomon.errors import DataError, megabytes
from gnomon.flows import apply as applying
from gnomon.flows.checks.check import Found
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, telling
from gnomon.plan.layout import Layout, make_layout
from gnomon.plan.normal import normalise, raw_columns
from gnomon.registry.snapshot import Snapshot
from gnomon.types import dtype_text

_MOST_PARTS = 200
"""Parts of a source of which a row is read."""


def source(project: Project, snapshot: Snapshot, group: FeatureGroup) -> Found:
    """Whether a group's source can be read, and its columns are those that the group was applied with."""
    schema = applying.source_schema(project, snapshot, group)
    layout = make_layout(group, schema)
    reader = project.reader(group, layout)
    registered = snapshot.columns(group.name, group.version) if group.ref in snapshot.refs("group") else None
    moved = [
        f"`{name}` is {dtype_text(schema[name])}, was {dtype_text(dtype)}"
        for name, dtype in (registered or {}).items()
        if name in schema and schema[name] != dtype
    ]
    if moved:
        raise DataError(
            f"{reader.describe()}: {'; '.join(moved)}",
            hint="mend the source, or `gnomon plan` to see what it changes",
        )
    parts = reader.parts()
    if not parts:
        return Found("warn", f"{reader.describe()}: no rows yet", f"`gnomon insert {group.name} FILE`")
    looked = _read_a_row(reader, layout, parts)
    known = [part.size for part in parts if part.size >= 0]
    size = f", {megabytes(sum(known))}" if known else ""
    rest = f"; of {looked} of {len(parts)} parts a row was read" if looked < len(parts) else ""
    return Found("ok", f"{reader.describe()}{size}{rest}")


def _read_a_row(reader: SourceReader, layout: Layout, parts: Sequence[Part]) -> int:
    """Read the first row of each part, the newest parts first; how many.

    Raises: DataError that names the part, if it is damaged: columns and sizes may be known where rows are not.
    """
    chosen = list(reversed(parts))[:_MOST_PARTS]
    for part in chosen:
        with telling(layout.ref, Origin(reader, layout, (part,))):
            try:
                normalise(reader.scan(raw_columns(layout), parts=[part]).head(1), layout).collect()
            except OSError as error:
                raise DataError(
                    f"`{part.name}` cannot be read: {error}", hint="bring it back from a copy"
                ) from None
    return len(chosen)
