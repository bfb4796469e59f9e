"""Layout: a group with the types of its source's columns resolved — what to read, what to keep, what to
compute.

A layout is made once from a group and a schema, and used alike by training, materialization and lookup. Its
*inputs* are the distinct evaluated columns (a raw column, an expression, a condition) that features need;
its *outputs* are the features, each naming its inputs by position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

import polars as pl

from gnomon.define.aggregate import RULES, Aggregate, by_type, value_type
from gnomon.define.base import Problems
from gnomon.define.expressions import Columns, columns_of, columns_read, dtype_of, typed
from gnomon.define.feature import Feature
from gnomon.define.group import FeatureGroup
from gnomon.define.label import Label
from gnomon.errors import nearest
from gnomon.types import DType, dtype_text, finer_than_micros, is_instant, is_nested, is_ordered

NONE = -1
"""No input, no window, no limit."""


@dataclass(frozen=True, slots=True)
class Input:
    """An evaluated column of one row."""

    column: str | None
    """The raw column, or None for an expression."""
    expr: str | None
    dtype: DType
    reads: Columns = ()
    """Of an expression: the raw columns that it reads, with their types."""

    @property
    def text(self) -> str:
        return self.column if self.column is not None else f"({self.expr})"

    def evaluate(self) -> pl.Expr:
        """The Polars expression over the source's raw columns, cast to the input's type (strictly).

        Evaluating it fails where a value does not fit a type, and never wraps.
        """
        raw = pl.col(self.column) if self.column is not None else typed(self.expr or "", self.reads)
        return raw.cast(self.dtype)


@dataclass(frozen=True, slots=True)
class Output:
    """A feature: which function of which inputs over which window."""

    name: str
    function: str
    """An aggregate's name, or `column` in a state group."""
    dtype: DType
    input: int = NONE
    where: int = NONE
    by: int = NONE
    """The input by whose values the rows of a window are taken apart."""
    window: int = NONE
    """Microseconds, or NONE: all rows before t."""
    offset: int = 0
    limit: int = NONE
    keep_nulls: bool = False
    k: int = 1
    q: float = 0.5
    half_life: int = 0
    """Microseconds, of decayed sums."""
    ddof: int = 1
    distinct: bool = False
    include_request: bool = False
    default: Any = None
    lateness: int = 0
    """Of a label: microseconds by which the source must be complete beyond its window's end."""

    @property
    def inputs(self) -> set[int]:
        """The positions of all that is read of a row."""
        return {self.input, self.where, self.by} - {NONE}

    @property
    def one(self) -> Output:
        """What is computed for each category, where there are some."""
        return self if self.by == NONE else replace(self, by=NONE, dtype=value_type(self.dtype))

    @property
    def span(self) -> int | None:
        """How far before t it looks, in microseconds; None without bound."""
        return None if self.window == NONE else self.window + self.offset


@dataclass(frozen=True)
class Layout:
    """Everything that the flows need to know about a group."""

    name: str
    version: int
    kind: Literal["state", "event"]
    keys: tuple[tuple[str, DType], ...]
    timestamp: str
    known_at: str | None
    event_id: str | None
    id_dtype: DType | None
    lag: int
    settling_delay: int
    max_age: int | None
    columns: tuple[tuple[str, DType], ...]
    """The raw columns that inputs read, with their types, sorted by name: the content of a row."""
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    cached: bool
    types: tuple[tuple[str, DType], ...] = ()
    """All raw columns that are read (keys, times, id and content) with the types in which they are read."""
    forward: bool = False
    """Whether its outputs are labels: their windows begin at t, and end at t + window."""
    labels: Layout | None = None
    """The group's labels: the same rows, with inputs of their own, so that none of them is kept online."""

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    @cached_property
    def by_name(self) -> dict[str, Output]:
        """Its features, and its labels."""
        labels = self.labels.outputs if self.labels is not None else ()
        return {output.name: output for output in (*self.outputs, *labels)}

    @property
    def key_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.keys)

    @cached_property
    def span(self) -> int | None:
        """The farthest that any feature looks back before t, in microseconds; None without bound.

        State groups look back no further than the newest row, which is always kept.
        """
        if self.kind == "state":
            return self.settling_delay
        spans = [output.span for output in self.outputs]
        known = [s for s in spans if s is not None]
        return None if len(known) < len(spans) else max(known, default=0) + self.settling_delay

    @cached_property
    def row_digest(self) -> str:
        """Digest of what a stored row consists of: key types, time columns and inputs, in order."""
        parts = [
            self.kind,
            repr([(n, dtype_text(d)) for n, d in self.keys]),
            self.timestamp,
            self.known_at or "",
        ]
        parts += [self.event_id or "", str(self.lag), repr([(n, dtype_text(d)) for n, d in self.columns])]
        parts += [f"{i.text}:{dtype_text(i.dtype)}" for i in self.inputs]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


Inputs = dict[tuple[str | None, str | None, str], Input]


def make_layout(group: FeatureGroup, schema: Mapping[str, DType]) -> Layout:
    """Resolve a group against the columns of its source (or of its own table, if it is cached).

    Raises: DefinitionError with all problems: missing columns, wrong types, expressions that do not fit.
    """
    problems = Problems(f"group {group.name}")
    types = declared_types(group, schema)
    known = {name: dtype for name, dtype in types.items() if not _untold(name, dtype, group)}
    find = _Finder(known, frozenset(types.keys() - known.keys()), bool(schema), problems)
    for key, dtype in group.keys:
        found = find(key, "key column", "entity")
        if found is not None and not _same_kind_of_key(found, dtype):
            problems.add(
                f"key column `{key}` is {dtype_text(found)} in the source, {dtype_text(dtype)} in the entity",
                at="entity",
                hint="declare the source's type in the entity; of a CSV file, text that looks like numbers is read as "
                f'text with schema={{"{key}": pl.String}} in the group'
                if isinstance(dtype, pl.String)
                else "declare the source's type in the entity",
            )
    _check_times(group, find, problems)
    inputs: Inputs = {}
    label_inputs: Inputs = {}

    def use(
        column: str | None, expr: str | None, at: str, declared: DType | None = None, into: Inputs = inputs
    ) -> int:
        """The position of an input, entered once; NONE if it has a problem."""
        if expr is None:
            dtype = find(column or "", "column", at)
        elif all(find.is_told(name, at) for name in problems.attempt(columns_of, expr, at=at) or ()):
            dtype = problems.attempt(dtype_of, expr, known, at=at)
        else:
            dtype = None
        if dtype is None:
            return NONE
        if declared is not None:
            if expr is None and not castable(dtype, declared):
                problems.add(
                    f"column `{column}` is {dtype_text(dtype)}, declared {dtype_text(declared)}",
                    at=at,
                    hint=f'declare {dtype_text(dtype)}, or cast it: expr="CAST({column} AS …)"',
                )
                return NONE
            dtype = declared
        if dtype.is_unsigned_integer() and declared is None:
            dtype = pl.Int64()
        if isinstance(dtype, pl.Categorical | pl.Enum):
            dtype = pl.String()
        if is_nested(dtype) and group.online and finer_than_micros(dtype):
            problems.add(
                f"`{column or expr}` is {dtype_text(dtype)}: inside lists and structs, times finer than microseconds "
                "cannot be kept online",
                at=at,
                hint="cast them to microseconds, or declare the group with online=False",
            )
            return NONE
        made = (
            Input(column, None, dtype)
            if expr is None
            else Input(None, expr, dtype, columns_read(expr, known))
        )
        at_key = (made.column, made.expr, dtype_text(dtype))
        into.setdefault(at_key, made)
        return list(into).index(at_key)

    outputs: list[Output] = []
    labels: list[Output] = []
    for i, feature in enumerate(group.features):
        at = f"features[{i}]"
        if isinstance(feature, Feature):
            position = use(feature.name, feature.expr, at, feature.dtype)
            if position != NONE:
                outputs.append(
                    Output(feature.name, "column", feature.dtype, input=position, default=feature.default)
                )
        elif isinstance(feature, Label):
            used = partial(use, into=label_inputs)
            made = _aggregate_outputs(feature.aggregate, at, used, label_inputs, problems)
            labels.extend(replace(o, name=feature.name, lateness=feature.lateness) for o in made)
        else:
            outputs.extend(_aggregate_outputs(feature, at, use, inputs, problems))
    for output in outputs:
        _check_default(output, problems)
    raw: set[str] = set()
    for given in (*inputs.values(), *label_inputs.values()):
        raw.update([given.column] if given.column is not None else columns_of(given.expr or ""))
    problems.done()
    event_id = group.event_id_column
    times = (group.timestamp_column or "", group.known_at_column, event_id)
    read = dict.fromkeys([*group.key_names, *(c for c in times if c is not None), *sorted(raw)])
    layout = Layout(
        name=group.name,
        version=group.version,
        kind=group.kind,
        keys=group.keys,
        timestamp=group.timestamp_column or "",
        known_at=group.known_at_column,
        event_id=event_id,
        id_dtype=known[event_id] if event_id else None,
        lag=group.known_lag,
        settling_delay=group.settling_delay,
        max_age=group.max_age,
        columns=tuple((name, known[name]) for name in sorted(raw)),
        inputs=tuple(inputs.values()),
        outputs=tuple(outputs),
        cached=group.source is None,
        types=tuple((name, known[name]) for name in read),
    )
    if not labels:
        return layout
    # What has not settled yet is the features' affair: a label is told by the latest knowledge.
    forward = replace(
        layout, inputs=tuple(label_inputs.values()), outputs=tuple(labels), settling_delay=0, forward=True
    )
    return replace(layout, labels=forward)


def declared_types(group: FeatureGroup, schema: Mapping[str, DType]) -> dict[str, DType]:
    """The columns of a source with their types: where it has no value that tells a type, that of the definition.

    A source without rows may not tell even its columns: then they are those of the definition.
    """
    declared = dict(group.keys)
    for feature in group.features:
        if isinstance(feature, Feature) and feature.expr is None:
            declared.setdefault(feature.name, feature.dtype)
    return filled_in(schema, declared | dict(group.schema))


def filled_in(schema: Mapping[str, DType], known: Mapping[str, DType]) -> dict[str, DType]:
    """Columns of a source, those without a type in the one that is `known`; all of `known` if there are no columns."""
    if not schema:
        return dict(known)
    return {
        name: known.get(name, dtype) if isinstance(dtype, pl.Null) else dtype
        for name, dtype in schema.items()
    }


def _check_default(output: Output, problems: Problems) -> None:
    if output.default is None:
        return
    try:
        pl.Series([output.default], dtype=output.dtype, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        problems.add(
            f"the default {output.default!r} of `{output.name}` is not of type {dtype_text(output.dtype)}",
            at=output.name,
        )


def _aggregate_outputs(
    aggregate: Aggregate, at: str, use: Any, inputs: Mapping[Any, Input], problems: Problems
) -> list[Output]:
    rule = RULES[aggregate.function]
    position = where = by = NONE
    dtype: DType = pl.Null()
    if aggregate.column is not None or aggregate.expr is not None:
        position = use(aggregate.column, aggregate.expr, at)
        if position == NONE:
            return []
        dtype = list(inputs.values())[position].dtype
        if not rule.accepts(dtype):
            problems.add(
                f"`{aggregate.function}` does not take {dtype_text(dtype)} "
                f"(`{aggregate.column or aggregate.expr}`)",
                at=at,
                hint=f"it takes {rule.accepted}; an expr can cast",
            )
            return []
        if aggregate.distinct and is_nested(dtype):
            problems.add(f"`distinct` does not take {dtype_text(dtype)}", at=at)
            return []
    if aggregate.where is not None:
        where = use(None, aggregate.where, f"{at}.where")
        if where == NONE:
            return []
        if not isinstance(list(inputs.values())[where].dtype, pl.Boolean):
            problems.add(f"the condition `{aggregate.where}` is not true or false", at=f"{at}.where")
            return []
    returned = rule.returns(dtype)
    if aggregate.by is not None:
        by = use(aggregate.by, None, f"{at}.by")
        if by == NONE:
            return []
        category = list(inputs.values())[by].dtype
        if not is_ordered(category):
            problems.add(
                f"values of `{aggregate.by}`, which is {dtype_text(category)}, are no categories",
                at=f"{at}.by",
            )
            return []
        returned = by_type(category, returned)
    return [
        Output(
            name=name,
            function=aggregate.function,
            dtype=returned,
            input=position,
            where=where,
            by=by,
            window=window.length if window else NONE,
            offset=aggregate.offset,
            limit=aggregate.limit if aggregate.limit is not None else NONE,
            keep_nulls=aggregate.nulls == "keep",
            k=aggregate.k or 1,
            q=0.5 if aggregate.q is None else aggregate.q,
            half_life=aggregate.half_life or 0,
            ddof=1 if aggregate.ddof is None else aggregate.ddof,
            distinct=aggregate.distinct,
            include_request=aggregate.include_request,
            default=aggregate.default,
        )
        for name, window in aggregate.names()
    ]


def _untold(name: str, dtype: DType, group: FeatureGroup) -> bool:
    """Whether neither a value in the source nor the definition tells the type of a column."""
    return isinstance(dtype, pl.Null) and name not in dict(group.schema) and group.source is not None


@dataclass(frozen=True)
class _Finder:
    """Finds columns of a source; what is wrong with them goes to `problems`."""

    known: Mapping[str, DType]
    untold: frozenset[str]
    """Columns without a value that would tell their type."""
    filled: bool
    """Whether the source has told its columns, which it cannot without a row."""
    problems: Problems

    def __call__(self, name: str, what: str, at: str) -> DType | None:
        """The column's type. `what`: what it is for."""
        if name in self.known:
            return self.known[name]
        if self.is_told(name, at, what):
            close = nearest(name, self.known)
            self.problems.add(
                f"{what} `{name}` not found" + (" in the source" if what == "column" else ""),
                at=at,
                hint=f"did you mean `{close}`?" if close else f"columns: {', '.join(list(self.known)[:20])}",
            )
        return None

    def is_told(self, name: str, at: str, what: str = "column") -> bool:
        """Whether the source tells of the column, or of others but not of it."""
        if name in self.known or (self.filled and name not in self.untold):
            return True
        lacks = "no value in it" if self.filled else "no rows"
        example = 'pl.Datetime("us", "UTC")' if at in ("timestamp", "known_at") else "pl.Float64"
        self.problems.add(
            f"the type of the {what} `{name}` is not known: the source has {lacks}",
            at=at,
            hint=f'declare it in the group, such as schema={{"{name}": {example}}}',
        )
        return False


def _check_times(group: FeatureGroup, find: _Finder, problems: Problems) -> None:
    found = find(group.timestamp_column or "", "time column", "timestamp")
    if found is not None:
        if not is_instant(found):
            unit = (
                "; whole numbers do not tell their unit: write them as datetimes"
                if found.is_integer()
                else ""
            )
            problems.add(
                f"the time column `{group.timestamp_column}` is {dtype_text(found)}",
                at="timestamp",
                hint=f"an event time is a datetime, ISO 8601 text, or a date with a lag{unit}",
            )
        if isinstance(found, pl.Date) and not group.known_lag and not group.known_at_column:
            problems.add(
                f"the time column `{group.timestamp_column}` is a date",
                at="timestamp",
                hint='a day is not known before it ends: declare lag="1d" or a known_at column',
            )
    for field, column in (("known_at", group.known_at_column), ("event_id", group.event_id_column)):
        if column is None:
            continue
        dtype = find(column, f"{field} column", field)
        if dtype is None:
            continue
        if field == "known_at" and not is_instant(dtype):
            problems.add(f"the known_at column `{column}` is {dtype_text(dtype)}", at="known_at")
        if field == "event_id" and not (dtype.is_integer() or isinstance(dtype, pl.String)):
            problems.add(
                f"the event_id column `{column}` is {dtype_text(dtype)}",
                at="event_id",
                hint="ids are integers or text",
            )


def _same_kind_of_key(found: DType, declared: DType) -> bool:
    if found.is_integer() or declared.is_integer():
        return found.is_integer() and declared.is_integer()
    if isinstance(found, pl.Categorical | pl.Enum):
        return isinstance(declared, pl.String)
    return type(found) is type(declared)


def castable(found: DType, declared: DType) -> bool:
    """Whether a column may be declared as another type: a value that does not fit is an error of the strict
    cast, and none is changed — but for integers that are declared as floats, which become the nearest float
    (beyond 2**53 another number), and for times in a coarser unit, which lose what it cannot tell apart.
    """
    if found == declared or isinstance(found, pl.Null):
        return True
    if found.is_integer():
        return declared.is_numeric()
    if found.is_float():
        return isinstance(declared, pl.Float64)
    if isinstance(found, pl.Decimal):
        return isinstance(declared, pl.Decimal) and declared.scale >= found.scale
    if isinstance(found, pl.Categorical | pl.Enum):
        return isinstance(declared, pl.String)
    if isinstance(found, pl.Datetime):
        return isinstance(declared, pl.Datetime)
    if isinstance(found, pl.Duration):
        return isinstance(declared, pl.Duration)
    if isinstance(found, pl.List) and isinstance(declared, pl.List):
        return castable(found.inner, declared.inner)  # type: ignore[arg-type]
    return isinstance(found, pl.Date) and isinstance(declared, pl.Datetime)
