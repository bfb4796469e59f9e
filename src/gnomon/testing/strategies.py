"""Random groups, rows and questions for hypothesis: small, and full of ties, edges, late and replaced rows.

    @given(event_cases())
    def test_engine_equals_reference(case: Case) -> None: ...

Hypothesis comes with the `test` extra; only this file imports it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import strategies as st

from gnomon.define.aggregate import QUANTILES, RULES, Aggregate
from gnomon.define.entity import Entity
from gnomon.define.feature import Feature
from gnomon.define.group import FeatureGroup
from gnomon.define.label import Label, label
from gnomon.types import DType, is_ordered

__all__ = [
    "Case",
    "aggregates",
    "event_cases",
    "event_groups",
    "labels",
    "spines",
    "state_cases",
    "state_groups",
]

Row = dict[str, Any]

COLUMNS: dict[str, DType] = {
    "i": pl.Int64(),
    "x": pl.Float64(),
    "y": pl.Float32(),
    "b": pl.Boolean(),
    "s": pl.String(),
    "d": pl.Decimal(12, 2),
    "z": pl.Binary(),
    "day": pl.Date(),
    "moment": pl.Datetime("us", "UTC"),
    "span": pl.Duration("us"),
    "l": pl.List(pl.Int64()),
    "r": pl.Struct({"a": pl.Int64(), "s": pl.String()}),
}
"""The columns of every row, beside key, times and id."""

CONDITIONS = ("b", "i > 0", "x > 0.5 OR b", "s = 'a'", "i IS NULL")
EXPRESSIONS: dict[str, DType] = {
    "i / 2.0": pl.Float64(),
    "x * 2.0": pl.Float64(),
    "CASE WHEN b THEN i ELSE NULL END": pl.Int64(),
    "UPPER(s)": pl.String(),
}
_TYPES = COLUMNS | EXPRESSIONS
WINDOWS = ("1us", "1s", "3s", "10s", "1d")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """A group, the rows of its source, and questions."""

    group: FeatureGroup
    batches: tuple[tuple[Row, ...], ...]
    """Rows as they come together, in one file or insert."""
    spine: tuple[Row, ...]
    """Keys, `event_timestamp`, and the columns of the request's own row."""

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for batch in self.batches for row in batch)

    @property
    def schema(self) -> dict[str, DType]:
        """The types of the rows' columns."""
        return dict(self.group.keys) | dict(self.group.schema)


# --------------------------------------------------------------------------------------------------- values

_FINE_FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.1, -0.1, 1.0, 2.5, 1e16, -1e16, 5e-324, math.nan, math.inf, -math.inf]),
    st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
)
_HUGE_FLOATS = st.sampled_from([1.7e308, -1.7e308, 1e200])
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "i": st.one_of(st.integers(-3, 3), st.integers(-(2**60), 2**60)),
    "x": _FINE_FLOATS,
    "y": st.sampled_from([0.0, -0.0, 0.5, 0.10000000149011612, -3.25, math.nan, math.inf]),
    "b": st.booleans(),
    "s": st.sampled_from(["", "a", "b", "B", "é", "\U0001f600", "￿"]),
    "d": st.integers(-(10**6), 10**6).map(lambda cents: Decimal(cents).scaleb(-2)),
}
_CARRIED: dict[str, tuple[Any, ...]] = {
    "z": (None, b"", b"\0", b"a", b"a\0", b"\xff"),
    "day": (None, date(1969, 12, 31), date(1970, 1, 1), date(9999, 12, 31)),
    "moment": (None, _EPOCH - timedelta(microseconds=1), _EPOCH, datetime(1, 1, 1, tzinfo=UTC)),
    "span": (None, timedelta(0), timedelta(microseconds=-1), timedelta(days=10_000)),
    "l": (None, [], [None], [1], [1, 2], [2, None, 1]),
    "r": (None, {"a": 1, "s": "a"}, {"a": None, "s": ""}, {"a": None, "s": None}),
}
"""Values that are compared and carried, never computed with."""
_COMBINATIONS = math.prod(map(len, _CARRIED.values()))


def _instants(first: int = -3, last: int = 15) -> st.SearchStrategy[datetime]:
    """Few whole seconds around 1970, some a microsecond beside, so that ties and edges are frequent."""
    return st.builds(
        lambda second, micro: _EPOCH + timedelta(seconds=second, microseconds=micro),
        st.integers(first, last),
        st.sampled_from([0, 0, 0, 0, 1, -1]),
    )


@st.composite
def _values(draw: st.DrawFn, huge: bool) -> Row:
    row = {name: draw(st.none() | values) for name, values in _VALUES.items()}
    # One draw for all of them: it is the number of draws that takes the time.
    combination = draw(st.integers(0, _COMBINATIONS - 1))
    for name, choices in _CARRIED.items():
        combination, place = divmod(combination, len(choices))
        row[name] = choices[place]
    if huge and draw(st.booleans()):
        row["x"] = draw(_HUGE_FLOATS)
        row["i"] = draw(st.sampled_from([2**63 - 1, -(2**63)]))
    return row


# --------------------------------------------------------------------------------------------------- groups

_KEYS: tuple[dict[str, Any], ...] = ({"k": pl.Int64()}, {"k": pl.String(), "m": pl.Int32()}, {})
_KEY_VALUES: dict[type[DType], list[Any]] = {pl.Int64: [1, 2], pl.String: ["1", "a"]}
_UNKNOWN: dict[type[DType], Any] = {pl.Int64: 99, pl.String: "never"}


@st.composite
def aggregates(
    draw: st.DrawFn, name: str, *, include_request: bool = True, default: bool = False
) -> Aggregate:
    """Any aggregate of any column or expression that it takes."""
    function = draw(st.sampled_from(sorted(RULES)))
    rule = RULES[function]
    takes = [text for text, dtype in _TYPES.items() if rule.accepts(dtype)]
    chosen = draw(st.sampled_from(takes) if rule.column == "required" else st.sampled_from([None, *takes]))
    given: dict[str, Any] = {"expr": chosen} if chosen in EXPRESSIONS else {"column": chosen}
    windows = st.lists(
        st.sampled_from(WINDOWS), max_size=2, unique=True, min_size=1 if rule.needs_window else 0
    )
    given["windows"] = tuple(draw(windows))
    given["where"] = draw(st.none() | st.sampled_from(CONDITIONS))
    if rule.scalar:
        given["by"] = draw(st.sampled_from([None, None, None, "s", "x", "i", "b", "d"]))
    given["limit"] = draw(st.sampled_from([None, None, None, 1, 2]))
    given["offset"] = draw(st.sampled_from(["0s", "0s", "1us", "2s"]))
    if include_request and given["offset"] == "0s":
        given["include_request"] = draw(st.booleans())
    if function in ("first", "last"):
        given["nulls"] = draw(st.sampled_from(["skip", "keep"]))
    if function in ("first_k", "last_k", "top_k"):
        given["k"] = draw(st.integers(1, 3))
    if function == "decayed_sum":
        given["half_life"] = draw(st.sampled_from(["1us", "1s", "7s", "1d"]))
    if function in QUANTILES:
        given["q"] = draw(st.sampled_from([0, 0.1, 0.5, 0.9, 1]))
    if function in ("first_k", "last_k"):
        given["distinct"] = is_ordered(_TYPES.get(chosen or "", pl.Null())) and draw(st.booleans())
    if function in ("var", "std"):
        given["ddof"] = draw(st.sampled_from([0, 1]))
    returned = rule.returns(_TYPES.get(chosen or "", pl.Null()))
    if default and given.get("by") is None and isinstance(returned, pl.Int64 | pl.Float64):
        given["default"] = draw(st.sampled_from([None, 0, 7]))
    return Aggregate(function, name=name, **given)


@st.composite
def labels(draw: st.DrawFn, name: str) -> Label:
    """Any aggregate, looking forward."""
    made = draw(aggregates(name, include_request=False))
    window = made.windows[0].text if made.windows else draw(st.sampled_from(WINDOWS))
    plain = replace(made, windows=made.windows[:1], offset=0)
    return label(plain, window, name=name, lateness=draw(st.sampled_from(["0s", "0s", "1us", "2s"])))


@st.composite
def _identity(draw: st.DrawFn) -> dict[str, Any]:
    """How rows are identified and when they are known."""
    known = draw(st.sampled_from(["declared", "declared", "lag", "at once"]))
    given: dict[str, Any] = {"timestamp": "t"}
    columns: dict[str, Any] = {"t": pl.Datetime("us", "UTC"), **COLUMNS}
    if known == "declared":
        given["known_at"] = "known"
        columns["known"] = pl.Datetime("us", "UTC")
    elif known == "lag":
        given["lag"] = draw(st.sampled_from(["1us", "2s"]))
    if draw(st.booleans()):
        given["event_id"] = "id"
        columns["id"] = draw(st.sampled_from([pl.Int64(), pl.String()]))
    return {**given, "schema": columns}


@st.composite
def event_groups(
    draw: st.DrawFn,
    *,
    ids: bool | None = None,
    requests: bool = True,
    default: bool = False,
    forward: bool = False,
) -> FeatureGroup:
    """A cached event group. `ids`: with an event id always or never; None means either. `forward`: with labels."""
    entity = Entity("thing", keys=draw(st.sampled_from(_KEYS)))
    delay = draw(st.sampled_from(["0s", "0s", "1us", "2s"]))
    own = requests and delay == "0s"
    features: list[Aggregate | Label] = [
        draw(aggregates(f"f{i}", include_request=own, default=default))
        for i in range(draw(st.integers(1, 4)))
    ]
    if forward:
        features += [draw(labels(f"label{i}")) for i in range(draw(st.integers(1, 2)))]
    given = draw(_identity())
    if ids is not None:
        given.pop("event_id", None)
        given["schema"].pop("id", None)
        if ids:
            given |= {"event_id": "id", "schema": given["schema"] | {"id": pl.Int64()}}
    return FeatureGroup("events", entity=entity, features=features, settling_delay=delay, **given)


@st.composite
def state_groups(draw: st.DrawFn, *, default: bool = False) -> FeatureGroup:
    """A cached state group."""
    entity = Entity("thing", keys=draw(st.sampled_from(_KEYS)))
    features = [Feature(name, dtype) for name, dtype in COLUMNS.items()]
    features.append(Feature("doubled", pl.Float64(), expr="x * 2.0", default=1.5 if default else None))
    features.append(Feature("wide", pl.Float64(), expr="i"))
    return FeatureGroup(
        "states",
        entity=entity,
        features=features,
        max_age=draw(st.sampled_from([None, "0s", "1us", "3s", "1d"])),
        settling_delay=draw(st.sampled_from(["0s", "1us", "2s"])),
        **draw(_identity()),
    )


# --------------------------------------------------------------------------------------- rows and questions


def _key_value(dtype: DType, null: bool) -> st.SearchStrategy[Any]:
    values = st.sampled_from(_KEY_VALUES[type(dtype)])
    return st.integers(0, 9).flatmap(lambda n: st.none() if null and n == 0 else values)


@st.composite
def _row(draw: st.DrawFn, group: FeatureGroup, huge: bool) -> Row:
    row = {name: draw(_key_value(dtype, null=True)) for name, dtype in group.keys}
    row["t"] = draw(_instants()) if draw(st.integers(0, 19)) else None
    if group.known_at_column is not None:
        late = st.sampled_from([-2, 0, 0, 1, 5, 1000]).map(lambda s: timedelta(seconds=s))
        row["known"] = draw(st.none() | _instants()) if row["t"] is None else row["t"] + draw(late)
        if draw(st.integers(0, 9)) == 0:
            row["known"] = None
    if group.event_id_column is not None:
        number = draw(st.integers(1, 6))
        row["id"] = number if isinstance(dict(group.schema)["id"], pl.Int64) else f"{number:x}é"
    return row | draw(_values(huge))


def _known(group: FeatureGroup, row: Row) -> Any:
    return row["t"] if group.known_at_column is None else row["known"]


@st.composite
def logs(
    draw: st.DrawFn, group: FeatureGroup, *, max_rows: int = 14, inserted: bool = False
) -> tuple[tuple[Row, ...], ...]:
    """Rows in batches. Some are delivered twice; with event ids, some are replaced by later versions.

    `inserted`: for `store.insert`, which takes another row of an id for an update from the commit on, unless rows say
    themselves when they are known. The rows then mean the same in any order.
    """
    huge = draw(st.integers(0, 9)) == 0
    drawn = draw(st.lists(_row(group, huge), max_size=max_rows))
    rows: list[Row] = []
    taken: set[Any] = set()
    for row in drawn:
        if group.event_id_column is not None:
            # One id has one content at one known_at.
            known = () if inserted and group.known_at_column is None else (_known(group, row),)
            version = (*(row[name] for name in group.key_names), row["id"], *known)
            if version in taken:
                continue
            taken.add(version)
        rows.append(row)
    if rows:
        rows += draw(st.lists(st.sampled_from(rows), max_size=3))
    return tuple(map(tuple, _split(rows, draw(st.lists(st.integers(0, len(rows)), max_size=2)))))


def _split(rows: list[Row], at: list[int]) -> list[list[Row]]:
    cuts = [0, *sorted(at), len(rows)]
    return [rows[a:b] for a, b in pairwise(cuts)]


@st.composite
def spines(draw: st.DrawFn, group: FeatureGroup, *, nulls: bool = True) -> tuple[Row, ...]:
    """Questions: known, unknown and (with `nulls`) null keys, at times that meet the edges of windows."""

    def key(dtype: DType) -> Any:
        number = draw(st.integers(0, 9))
        return _UNKNOWN[type(dtype)] if number == 0 else draw(_key_value(dtype, null=nulls))

    return tuple(
        {name: key(dtype) for name, dtype in group.keys}
        | {"event_timestamp": draw(_instants(-4, 25))}
        | draw(_values(huge=False))
        for _ in range(draw(st.integers(1, 6)))
    )


@st.composite
def event_cases(draw: st.DrawFn, /, *, nulls: bool = True, inserted: bool = False, **options: Any) -> Case:
    """An event group with rows, as `logs` draws them, and questions. `options` are those of `event_groups`."""
    group = draw(event_groups(**options))
    return Case(group, draw(logs(group, inserted=inserted)), draw(spines(group, nulls=nulls)))


@st.composite
def state_cases(draw: st.DrawFn, /, *, nulls: bool = True, **options: Any) -> Case:
    """A state group with rows and questions. `options` are those of `state_groups`."""
    group = draw(state_groups(**options))
    return Case(group, draw(logs(group)), draw(spines(group, nulls=nulls)))
