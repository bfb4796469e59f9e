"""The reference: rows → versions → what is seen at t → values. SEMANTICS in plain, slow Python.

    historical(group, rows, spine)                 one dict a spine row: feature → value, None, or OVERFLOW
    online(group, rows, keys, at)                  one `Answered` a key: values, statuses, event time

Rows are dicts with the source's columns; `batches` in the place of `rows` tells which came together.
Engines and stores must give the same to the last bit (`same`). Only content hashes are the product's own:
SEMANTICS leaves the hash open, and ties are ordered by it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from gnomon.define.aggregate import Aggregate, Window
from gnomon.define.expressions import columns_read, typed
from gnomon.define.feature import Feature
from gnomon.define.group import FeatureGroup
from gnomon.define.label import MATURE, Label
from gnomon.errors import DataError, UsageError
from gnomon.plan.identity import content_hashes, row_hashes
from gnomon.plan.layout import make_layout
from gnomon.plan.normal import normalise
from gnomon.testing.reference_values import OVERFLOW, Asked, Item, Overflow, aggregate, by_category
from gnomon.time import NEVER, instant

__all__ = ["OVERFLOW", "Answered", "Overflow", "Version", "historical", "online", "read", "same", "schema_of"]

Row = Mapping[str, Any]
Schema = Mapping[str, pl.DataType]
Key = tuple[Any, ...]
AsOf = str | datetime | int


# --------------------------------------------------------------------------------------- §2: rows, versions


@dataclass(frozen=True)
class Version:
    """One version of a row."""

    key: Key
    time: int
    """Event time in microseconds."""
    known: int
    """When it could first be known; NEVER for a declared null."""
    declared: int
    """The declared known_at; 0 for all rows where none is declared."""
    id: Any
    """The event id; else, in event groups, the hash of its content and ordinal; else None."""
    content: tuple[int, int]
    values: Mapping[tuple[int, str], Any]
    """(number of the feature, "value" or "where") → what its column or expression is worth in this row."""

    dead: bool = False
    """Whether it is a delete of the row, which has no content."""

    @property
    def activation(self) -> int:
        return max(self.time, self.known)


def read(
    group: FeatureGroup, batches: Sequence[Sequence[Row]], schema: Schema | None = None
) -> list[Version]:
    """Every version of every row. Rows with a null in the key or without an event time are ignored.

    Raises: DataError where two contents have one event id and one known_at, or an event id is null.
    """
    schema = schema or schema_of(group, [row for batch in batches for row in batch])
    versions: dict[Any, Version] = {}
    for batch in batches:
        taken = [row for row in batch if _complete(group, row)]
        for row, hashes in zip(taken, _hashes(group, taken, schema), strict=True):
            version = _version(group, row, schema, *hashes)
            # Delivered again, a row changes nothing.
            versions[version.key, version.time, version.id, version.known, version.content] = version
    if group.kind == "event" and group.event_id_column is not None:
        _check_ids(list(versions.values()))
    return list(versions.values())


def _complete(group: FeatureGroup, row: Row) -> bool:
    return all(row.get(c) is not None for c in (*group.key_names, group.timestamp_column or ""))


def _version(
    group: FeatureGroup, row: Row, schema: Schema, content: tuple[int, int], ordinal: tuple[int, int]
) -> Version:
    key = key_of(group, row)
    assert key is not None
    time = instant(row[group.timestamp_column or ""])
    declared = 0
    if group.known_at_column is None:
        known = time + group.known_lag
    else:
        given = row.get(group.known_at_column)
        known = declared = NEVER if given is None else instant(given)
    row_id = row.get(group.event_id_column) if group.event_id_column is not None else None
    if group.event_id_column is None and group.kind == "event":
        row_id = ordinal
    return Version(key, time, known, declared, row_id, content, evaluate(group, row, schema))


def key_of(group: FeatureGroup, row: Row) -> Key | None:
    """The typed key; None if a part of it is null."""
    parts = tuple(pl.Series([row.get(name)], dtype=dtype)[0] for name, dtype in group.keys)
    return None if any(part is None for part in parts) else parts


def _hashes(
    group: FeatureGroup, rows: Sequence[Row], schema: Schema
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Of each row the hash of its content, and of its content with its ordinal among equals of the batch."""
    layout = make_layout(group, dict(schema))
    frame = pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=dict(schema))
    normal = normalise(frame.lazy(), layout, inputs=(), with_content=True).collect()
    pairs = [
        list(zip(high.tolist(), low.tolist(), strict=True))
        for high, low in (content_hashes(normal, layout), row_hashes(normal, layout))
    ]
    return list(zip(*pairs, strict=True))


def _check_ids(versions: Sequence[Version]) -> None:
    contents: dict[Any, Any] = {}
    for v in versions:
        if v.id is None:
            raise DataError("a row has no event id")
        if contents.setdefault((v.key, v.id, v.known), v.content) != v.content:
            raise DataError(f"event_id is not unique: {v.id!r} has two contents at one known_at")


def evaluate(group: FeatureGroup, row: Row, schema: Schema) -> dict[tuple[int, str], Any]:
    """What each feature's column or expression, and its condition, is worth in one row.

    Raises: DataError where an expression has no value, such as an integer beyond Int64.
    """
    frame = pl.DataFrame([{c: row.get(c) for c in schema}], schema=dict(schema))
    found: dict[tuple[int, str], Any] = {}
    for i, feature in enumerate(group.features):
        for what, expr in _wanted(feature, schema).items():
            try:
                found[i, what] = frame.select(expr.alias("x"))["x"].to_list()[0]
            except pl.exceptions.PolarsError as error:
                name = feature.base_name if isinstance(feature, Aggregate) else feature.name
                raise DataError(
                    f"group `{group.ref}`: feature `{name}` cannot be computed: {error}"
                ) from None
    return found


def _wanted(feature: Feature | Aggregate | Label, schema: Schema) -> dict[str, pl.Expr]:
    """The feature's "value", "where" and "by" as expressions over a row."""
    if isinstance(feature, Label):
        feature = feature.aggregate
    if isinstance(feature, Feature):
        raw = _expression(feature.expr, schema) if feature.expr is not None else pl.col(feature.name)
        return {"value": raw.cast(feature.dtype)}
    wanted = {}
    if feature.expr is not None:
        wanted["value"] = _expression(feature.expr, schema)
    elif feature.column is not None:
        wanted["value"] = _column(feature.column, schema)
    if feature.where is not None:
        wanted["where"] = _expression(feature.where, schema)
    if feature.by is not None:
        wanted["by"] = _column(feature.by, schema)
    return wanted


def _expression(text: str, schema: Schema) -> pl.Expr:
    return typed(text, columns_read(text, schema))


def _column(name: str, schema: Schema) -> pl.Expr:
    return pl.col(name).cast(pl.Int64) if schema[name].is_unsigned_integer() else pl.col(name)


def schema_of(group: FeatureGroup, rows: Sequence[Row] = ()) -> dict[str, pl.DataType]:
    """The columns of the group's rows: as declared, else as Polars finds them in the rows."""
    named = {column: None for row in rows for column in row}
    inferred = pl.DataFrame([{**named, **row} for row in rows], infer_schema_length=None).schema
    declared = dict(group.keys) | dict(group.schema)
    for feature in group.features:
        if isinstance(feature, Feature) and feature.expr is None:
            declared.setdefault(feature.name, feature.dtype)
    times: dict[str, pl.DataType] = {
        column: pl.Datetime("us")
        for column in (group.timestamp_column, group.known_at_column)
        if column is not None and inferred.get(column, pl.Null()) == pl.Null()
    }
    return {**inferred, **times, **declared}


# ----------------------------------------------------------------------------------------- §1: what is seen


def seen(versions: Sequence[Version], as_of: AsOf, t: int) -> list[Version]:
    """The versions that a reading of the past sees at t."""
    if as_of == "latest":
        return list(versions)
    if as_of == "known":
        return [v for v in versions if v.known <= t]
    until = instant(as_of)
    return [v for v in versions if v.known <= until]


def counting(group: FeatureGroup, versions: Sequence[Version]) -> list[Version]:
    """Of each row the version that counts of those seen: the greatest by known_at, event id, content hash."""
    newest: dict[Any, Version] = {}
    for v in versions:
        row = row_of(group, v)
        if row not in newest or _precedence(newest[row]) < _precedence(v):
            newest[row] = v
    return [v for v in newest.values() if not v.dead]


def row_of(group: FeatureGroup, version: Version) -> Any:
    """What the versions of a row have in common."""
    return (version.key, version.time) if group.kind == "state" else (version.key, version.id)


def _counted(group: FeatureGroup, version: Version, mine: Sequence[Version]) -> bool:
    """Whether a version of a key was ever the one that counts: none replaced it by the time it was active."""
    return version in counting(group, [v for v in mine if v.known <= version.activation])


def _precedence(version: Version) -> Any:
    # Of one instant a delete is the last.
    content = () if version.dead else (version.id, version.content)
    return version.known, version.dead, *content


def in_order(versions: Sequence[Version]) -> list[Version]:
    """The rows of a key by event time, declared known_at, row id."""
    return sorted(versions, key=lambda v: (v.time, v.declared, v.id))


# --------------------------------------------------------------------------------------- §3, §4: the values


def _newest(rows: Sequence[Version], t: int) -> Version | None:
    """The row with the greatest event time up to t."""
    return max((v for v in rows if v.time <= t), key=lambda v: v.time, default=None)


def _fresh(group: FeatureGroup, row: Version, t: int) -> bool:
    return group.max_age is None or row.time >= t - group.max_age


def _state_values(group: FeatureGroup, rows: Sequence[Version], t: int) -> dict[str, Any]:
    row = _newest(rows, t)
    if row is not None and not _fresh(group, row, t):
        row = None
    return {
        name: None if row is None else row.values[i, "value"] for i, name in enumerate(group.feature_names)
    }


def _event_values(
    group: FeatureGroup, rows: Sequence[Version], t: int, own: Mapping[tuple[int, str], Any] | None
) -> dict[str, Any]:
    """`rows`: those that count, in order; `own`: the request's own row, for aggregates that include it."""
    found = {}
    for i, declared in enumerate(group.features):
        if not isinstance(declared, Aggregate):
            continue  # labels look forward
        for name, window in declared.names():
            chosen = [(v.time, v.values) for v in _in_window(rows, t - declared.offset, window)]
            if declared.include_request and own is not None:
                chosen.append((t, own))
            found[name] = _aggregated(i, chosen, Asked(declared, window, t))
    return found


def _aggregated(i: int, chosen: Sequence[tuple[int, Mapping[tuple[int, str], Any]]], asked: Asked) -> Any:
    """The value over a window's rows; by category, that of each which they have, as if the others were not there."""
    declared = asked.aggregate
    if declared.by is None:
        return aggregate(_items(i, declared, chosen), asked)
    chosen = [row for row in chosen if declared.where is None or row[1][i, "where"] is True]
    found = []
    for category, rows in by_category(chosen, lambda row: row[1][i, "by"]):
        value = aggregate(_items(i, declared, rows), asked)
        if isinstance(value, Overflow):
            return value
        found.append({"key": category, "value": value})
    return found


def _in_window(rows: Sequence[Version], end: int, window: Window | None) -> list[Version]:
    """Start inclusive, end exclusive."""
    return [v for v in rows if v.time < end and (window is None or v.time >= end - window.length)]


def _items(
    i: int, declared: Aggregate, chosen: Sequence[tuple[int, Mapping[tuple[int, str], Any]]]
) -> list[Item]:
    """`where` first, then nulls, then `limit`."""
    if declared.where is not None:
        chosen = [(time, values) for time, values in chosen if values[i, "where"] is True]
    items = [Item(time, values.get((i, "value"))) for time, values in chosen]
    takes_a_value = declared.column is not None or declared.expr is not None
    if takes_a_value and declared.nulls == "skip":
        items = [item for item in items if item.value is not None]
    return items if declared.limit is None else items[-declared.limit :]


def _defaulted(group: FeatureGroup, schema: Schema, found: Mapping[str, Any]) -> dict[str, Any]:
    """`default`, of the feature's type, replaces null, as the last step."""
    defaults = {
        output.name: pl.Series([output.default], dtype=output.dtype)[0]
        for output in make_layout(group, dict(schema)).outputs
    }
    return {name: defaults[name] if value is None else value for name, value in found.items()}


# ----------------------------------------------------------------------------------------- §5, §6: training


def historical(
    group: FeatureGroup,
    rows: Sequence[Row] = (),
    spine: Sequence[Row] = (),
    *,
    batches: Sequence[Sequence[Row]] | None = None,
    versions: Sequence[Version] | None = None,
    as_of: AsOf = "known",
    timestamp: str = "event_timestamp",
    features: Sequence[str] | None = None,
    schema: Schema | None = None,
    now: Any = NEVER - 1,
    complete_until: Any = None,
) -> list[dict[str, Any]]:
    """The training set: one dict a spine row, in its order.

    `features`: names of features and labels, and what tells whether these are mature; None: all features.
    `schema`: types of the rows' columns, where the group does not declare them and the rows do not show them.
    `versions`: what `read` gives, in the place of rows: `reference_changes` makes them of updates and deletes.
    `now`, `complete_until`: the instant of the retrieval, and until when the source is said to be complete.

    Raises: DataError for spine rows without a time, and for event ids that are not unique.
    """
    batches = [rows] if batches is None else batches
    schema = schema or schema_of(group, [row for batch in batches for row in batch])
    versions = read(group, batches, schema) if versions is None else versions
    timeless = sum(row.get(timestamp) is None for row in spine)
    if timeless:
        raise DataError(f"{timeless} spine rows have no `{timestamp}`")
    until = completeness(group, versions, instant(now)) if complete_until is None else instant(complete_until)
    found = [
        _spine_row(group, versions, row, instant(row[timestamp]), as_of, schema)
        | labels(group, versions, key_of(group, row), instant(row[timestamp]), instant(now), until)
        for row in spine
    ]
    return [{name: row[name] for name in features or group.feature_names} for row in found]


def _spine_row(
    group: FeatureGroup, versions: Sequence[Version], row: Row, t: int, as_of: AsOf, schema: Schema
) -> dict[str, Any]:
    key = key_of(group, row)
    if key is None:
        return _defaulted(group, schema, dict.fromkeys(group.feature_names))
    t -= group.settling_delay
    mine = [v for v in versions if v.key == key]
    counted = in_order(counting(group, seen(mine, as_of, t)))
    return _defaulted(group, schema, _values(group, counted, t, _own(group, row, schema)))


def _values(
    group: FeatureGroup, counted: Sequence[Version], t: int, own: Mapping[tuple[int, str], Any] | None
) -> dict[str, Any]:
    if group.kind == "state":
        return _state_values(group, counted, t)
    return _event_values(group, counted, t, own)


def _own(group: FeatureGroup, row: Row | None, schema: Schema) -> Mapping[tuple[int, str], Any] | None:
    wanted = any(isinstance(f, Aggregate) and f.include_request for f in group.features)
    return evaluate(group, row, schema) if wanted and row is not None else None


def labels(
    group: FeatureGroup, versions: Sequence[Version], key: Key | None, t: int, now: int, until: int | None
) -> dict[str, Any]:
    """Each label at t, and whether it is mature. `until`: how far the source is complete; None: no row tells."""
    rows = in_order(counting(group, [v for v in versions if v.key == key and v.known <= now]))
    found: dict[str, Any] = {}
    for i, label in enumerate(group.features):
        if not isinstance(label, Label):
            continue
        end = t + label.window.length
        mature = until is not None and end + label.lateness <= until
        chosen = [(v.time, v.values) for v in rows if t <= v.time < end]
        value = _aggregated(i, chosen, Asked(label.aggregate, label.window, end))
        # What overflows is an error, mature or not.
        known = key is not None and (mature or isinstance(value, Overflow))
        found[label.name], found[label.name + MATURE] = value if known else None, mature
    return found


def completeness(group: FeatureGroup, versions: Sequence[Version], now: int) -> int | None:
    """How far a source is complete: its greatest known_at up to now; that of an update is what it had before."""
    alive = [v for v in versions if not v.dead]
    known = [v.time + group.known_lag if group.known_at_column is None else v.declared for v in alive]
    return max((k for k in known if k <= now), default=None)


# ----------------------------------------------------------------------------------------------- §7: online


@dataclass(frozen=True)
class Answered:
    """One key's online answer."""

    values: dict[str, Any]
    statuses: dict[str, str]
    event_time: int | None
    """Of the newest visible row of the key, in microseconds."""


def online(
    group: FeatureGroup,
    rows: Sequence[Row] = (),
    keys: Sequence[Row] = (),
    at: Any = None,
    *,
    batches: Sequence[Sequence[Row]] | None = None,
    versions: Sequence[Version] | None = None,
    request: Sequence[Row] | None = None,
    schema: Schema | None = None,
) -> list[Answered]:
    """The online answers at `at`, one a key, in their order. `request`: one dict a key.

    Raises: UsageError for a null in a key; DataError for event ids that are not unique.
    """
    batches = [rows] if batches is None else batches
    schema = schema or schema_of(group, [row for batch in batches for row in batch])
    versions = read(group, batches, schema) if versions is None else versions
    t = instant(at) - group.settling_delay
    answers = []
    for i, given in enumerate(keys):
        key = key_of(group, given)
        if key is None:
            raise UsageError(f"row {i} has a null in its key")
        own = _own(group, request[i] if request is not None else {}, schema)
        mine = [v for v in versions if v.key == key]
        answers.append(_answer(group, schema, mine, t, own))
    return answers


def _answer(
    group: FeatureGroup,
    schema: Schema,
    mine: Sequence[Version],
    t: int,
    own: Mapping[tuple[int, str], Any] | None,
) -> Answered:
    counted = in_order(counting(group, seen(mine, "known", t)))
    found = _values(group, counted, t, own)
    newest = _newest(counted, t)
    ever_visible = any(v.activation <= t and _counted(group, v, mine) for v in mine)
    expired = group.kind == "state" and newest is not None and not _fresh(group, newest, t)
    statuses = {}
    for name, value in found.items():
        if isinstance(value, Overflow):
            statuses[name] = "ERROR"
        elif not ever_visible:
            statuses[name] = "NOT_FOUND"
        elif expired:
            statuses[name] = "EXPIRED"
        else:
            statuses[name] = "NULL" if value is None else "PRESENT"
    values = {n: None if isinstance(v, Overflow) else v for n, v in _defaulted(group, schema, found).items()}
    return Answered(values, statuses, newest.time if newest is not None else None)


# ------------------------------------------------------------------------------------------------ comparing


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same to the last bit: −0.0 is not 0.0, NaN is NaN, 1 is not 1.0 or True."""
    if isinstance(a, float) and isinstance(b, float):
        return (a != a and b != b) or struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and bool(a == b)
