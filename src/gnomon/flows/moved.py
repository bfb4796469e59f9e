"""Moved rows: what of a table's progress is still so when its source has put the same rows into other parts.

Progress is counted in the parts that rows were inserted in, their *origins*, whatever became of those: a part that was
rewritten tells them. So `optimize` changes nothing of what is loaded, as often as it runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gnomon.abc.source import Part, SourceReader
from gnomon.flows.online import Loaded, Table

Family = tuple[tuple[Part, ...], list[Part]]
"""Origins, and the parts that together hold their rows."""


def follow(
    table: Table, reader: SourceReader, parts: Sequence[Part], end: int
) -> tuple[Table, tuple[Part, ...]]:
    """The table with its progress told of parts that can be read up to `end`, and those parts.

    Of rows that have moved these are the origins, as long as those that are not loaded yet can still be read. Else,
    and where nothing is loaded yet, they are the parts that hold the rows now; what is loaded twice is merged once.
    """
    families, others = _families(reader, parts)
    if not families:
        return table, tuple(parts)
    loaded = dict(in_origins(table, reader, parts).parts)
    chosen = list(others)
    for origins, moved in families:
        ends = [loaded[o.name].end if o.name in loaded else table.start for o in origins]
        lacking = [o for o, until in zip(origins, ends, strict=True) if until < end]
        begun = any(p.name in loaded for p in moved) or not any(o.name in loaded for o in origins)
        if not begun and len(reader.present(lacking)) == len(lacking):
            chosen += origins
            continue
        chosen += moved
        if all(o.name in loaded for o in origins):
            for part in moved:
                loaded.setdefault(part.name, Loaded(part.etag, min(ends)))
        for origin in origins:
            loaded.pop(origin.name, None)
    return replace(table, parts=loaded), tuple(chosen)


def in_origins(table: Table, reader: SourceReader, parts: Sequence[Part]) -> Table:
    """The table with the progress of rewritten parts told of their origins, where it is told of all that hold them."""
    families, _ = _families(reader, parts)
    loaded = dict(table.parts)
    for origins, moved in families:
        if all(part.name in loaded for part in moved):
            end = min(loaded.pop(part.name).end for part in moved)
            for origin in origins:
                before = loaded.get(origin.name)
                loaded[origin.name] = Loaded(origin.etag, end if before is None else max(end, before.end))
    return table if loaded == table.parts else replace(table, parts=loaded)


def _families(reader: SourceReader, parts: Sequence[Part]) -> tuple[list[Family], list[Part]]:
    """Parts that hold moved rows, by what they hold, and the others."""
    families: dict[tuple[Part, ...], list[Part]] = {}
    others = []
    for part in parts:
        origins = reader.origins(part)
        if origins:
            families.setdefault(origins, []).append(part)
        else:
            others.append(part)
    return list(families.items()), others
