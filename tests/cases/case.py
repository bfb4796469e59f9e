"""Case files: TOML → a group, its rows, questions, and the answers wanted. README.md tells the format."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

import gnomon as gn
from gnomon.define.aggregate import RULES, Aggregate
from gnomon.plan.layout import Layout, make_layout
from gnomon.time import duration, instant, to_datetime
from gnomon.types import DType, parse_dtype

FOLDER = Path(__file__).parent
INSTANT = pl.Datetime("us", "UTC")
DAY = date(2026, 1, 10)
"""The day of times that are written without one."""

Row = dict[str, Any]
_ANY_KEY = {"k": pl.Int64()}


class CaseError(Exception):
    """A case file that is not written as README.md says."""


@dataclass(frozen=True)
class Ask:
    """Questions with one reading of the past, and their answers."""

    spine: tuple[Row, ...]
    """Keys, `t`, and the request's own columns."""
    want: tuple[Row, ...]
    """Feature → value; null where it is left out."""
    as_of: Any
    statuses: tuple[Row, ...] | None
    event_times: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Error:
    """What must be raised, in the place of an answer."""

    type: str
    says: str


@dataclass(frozen=True)
class Case:
    """One case file."""

    path: Path
    about: str
    group: gn.FeatureGroup
    """Cached; `in_place` gives the same over a source."""
    schema: dict[str, DType]
    """All columns of its rows."""
    batches: tuple[tuple[Row, ...], ...]
    asks: tuple[Ask, ...]
    only: tuple[str, ...]
    """The legs that can be asked; empty: all."""
    error: Error | None

    @property
    def name(self) -> str:
        return str(self.path.relative_to(FOLDER).with_suffix(""))

    @cached_property
    def layout(self) -> Layout:
        return make_layout(self.group, self.schema)

    def in_place(self, source: gn.Source) -> gn.FeatureGroup:
        """The same group, read from a source."""
        group = self.group
        return gn.FeatureGroup(
            group.name,
            entity=group.entities,
            features=group.features,
            source=source,
            max_age=group.max_age,
            settling_delay=group.settling_delay,
        )

    def table(self, rows: Sequence[Row]) -> pl.DataFrame:
        """Rows as a frame, typed."""
        return pl.DataFrame([{c: row.get(c) for c in self.schema} for row in rows], schema=self.schema)

    def spine(self, ask: Ask) -> pl.DataFrame:
        """Questions as a frame: keys, `t`, and those request columns that any question has."""
        given = {column for row in ask.spine for column in row}
        schema = {n: d for n, d in self.schema.items() if n in given} | dict(self.group.keys) | {"t": INSTANT}
        return pl.DataFrame([{c: row.get(c) for c in schema} for row in ask.spine], schema=schema)


def load(path: Path) -> Case:
    """Read a case file. Raises: CaseError; DefinitionError if its group cannot be."""
    raw = tomllib.loads(path.read_text())
    known = (
        "about cases group rows batches spine want as_of statuses event_times ask only because error".split()
    )
    if unknown := set(raw) - set(known):
        raise CaseError(f"{path.name}: unknown {', '.join(sorted(unknown))}")
    if ("only" in raw) != ("because" in raw):
        raise CaseError(f"{path.name}: `only` needs its reason in `because`")
    group, schema, fill = _group(dict(raw["group"]))
    batches = raw.get("batches") or [raw.get("rows", [])]
    asks = ([raw] if "spine" in raw else []) + raw.get("ask", [])
    if not asks:
        raise CaseError(f"{path.name}: it asks nothing")
    types = {o.name: o.dtype for o in make_layout(group, schema).outputs}
    return Case(
        path=path,
        about=raw["about"],
        group=group,
        schema=schema,
        batches=tuple(tuple(_row(row, schema, fill) for row in batch) for batch in batches),
        asks=tuple(_ask(ask, schema, fill, types, path.name) for ask in asks),
        only=tuple(raw.get("only", ())),
        error=Error(**raw["error"]) if "error" in raw else None,
    )


# ---------------------------------------------------------------------------------------------- definitions


def _group(raw: dict[str, Any]) -> tuple[gn.FeatureGroup, dict[str, DType], Row]:
    """The group, the types of its rows' columns, and what stands in every row: a key, if none is named."""
    keys = {n: parse_dtype(t) for n, t in raw.pop("keys").items()} if "keys" in raw else _ANY_KEY
    fill = {"k": 1} if keys is _ANY_KEY else {}
    columns = {name: parse_dtype(text) for name, text in raw.pop("columns", {}).items()}
    features = raw.pop("features")
    made: list[Any]
    if isinstance(features, list):
        made = [_aggregate(dict(feature), columns) for feature in features]
    else:
        made = [_feature(name, feature) for name, feature in features.items()]
        columns = {f.name: f.dtype for f in made if f.expr is None} | columns
    for name in ("known_at", "event_id"):
        if name in raw:
            columns.setdefault(raw[name], INSTANT if name == "known_at" else pl.Int64())
    time_type = parse_dtype(raw.pop("t", "Datetime(us, UTC)"))
    group = gn.FeatureGroup(
        "g",
        entity=gn.Entity("thing", keys=keys),
        features=made,
        timestamp="t",
        schema={"t": time_type, **columns},
        **raw,
    )
    return group, {**dict(group.keys), "t": time_type, **columns}, fill


def _aggregate(raw: dict[str, Any], columns: Mapping[str, DType]) -> Aggregate:
    """`{ sum = "x", windows = "20s" }`; `{ count = "" }` has no column."""
    function = next((name for name in raw if name in RULES), None)
    if function is None:
        raise CaseError(f"no aggregate in {raw}")
    column = raw.pop(function) or None
    if isinstance(raw.get("default"), str):
        raw["default"] = value(raw["default"], RULES[function].returns(columns.get(column, pl.Int64())))
    make = getattr(gn, function)
    made: Aggregate = make(column, **raw) if column is not None or "expr" not in raw else make(**raw)
    return made


def _feature(name: str, raw: Any) -> gn.Feature:
    """`v = "Float64"` or `v = { type = "Float64", expr = "a + b", default = 0 }`."""
    given = {"type": raw} if isinstance(raw, str) else dict(raw)
    dtype = parse_dtype(given.pop("type"))
    default = value(given.pop("default"), dtype) if "default" in given else None
    return gn.Feature(name, dtype, default=default, **given)


# --------------------------------------------------------------------------------------------- rows, values


def _row(raw: Row, schema: Mapping[str, DType], fill: Row) -> Row:
    if unknown := set(raw) - set(schema):
        raise CaseError(f"unknown column {', '.join(sorted(unknown))} in {raw}")
    return {**fill, **{name: value(given, schema[name]) for name, given in raw.items()}}


def _ask(raw: Row, schema: Mapping[str, DType], fill: Row, types: Mapping[str, DType], where: str) -> Ask:
    want = raw.get("want", [])
    for answer in [*want, *raw.get("statuses", [])]:
        if unknown := set(answer) - set(types):
            raise CaseError(f"{where}: no feature {', '.join(sorted(unknown))}; there are {', '.join(types)}")
    for answers in ("want", "statuses", "event_times"):
        if answers in raw and len(raw[answers]) != len(raw["spine"]):
            raise CaseError(f"{where}: {len(raw['spine'])} questions, {len(raw[answers])} {answers}")
    as_of = raw.get("as_of", "known")
    return Ask(
        spine=tuple(_row(row, {**schema, "t": INSTANT}, fill) for row in raw["spine"]),
        want=tuple(
            {n: value(answer[n], t) if n in answer else None for n, t in types.items()} for answer in want
        ),
        as_of=as_of if as_of in ("known", "latest") else moment(as_of),
        statuses=tuple(raw["statuses"]) if "statuses" in raw else None,
        event_times=tuple(None if t == "" else instant(moment(t)) for t in raw["event_times"])
        if "event_times" in raw
        else None,
    )


def moment(given: Any) -> datetime:
    """`"09:00"` of the cases' day, seconds since 1970, ISO 8601 text, or a date."""
    if isinstance(given, int | float):
        return to_datetime(round(given * 1_000_000))
    if isinstance(given, str) and given[2:3] == ":":
        return datetime.combine(DAY, time.fromisoformat(given), UTC)
    return to_datetime(instant(given))


def value(given: Any, dtype: DType) -> Any:
    """What a case file writes → the Python value of the type."""
    if isinstance(dtype, pl.Datetime):
        at = moment(given)
        return at if dtype.time_zone else at.replace(tzinfo=None)
    if isinstance(dtype, pl.List | pl.Array):
        return [None if item == "null" else value(item, dtype.inner) for item in given]  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        return {f.name: value(given[f.name], f.dtype) if f.name in given else None for f in dtype.fields}  # type: ignore[arg-type]
    if isinstance(dtype, pl.Float32):
        return pl.Series([float(given)], dtype=dtype)[0]
    read = {
        pl.Float64: float,
        pl.Decimal: Decimal,
        pl.Binary: str.encode,
        pl.Duration: lambda text: timedelta(microseconds=duration(text)),
        pl.Date: lambda day: day if isinstance(day, date) else date.fromisoformat(day),
    }.get(type(dtype))
    return read(given) if read is not None else given
