"""The support table holds: every cell is computed on each of its ways, or refused when planned."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from docs.generators.aggregates import REFUSED, TYPES, cell
from gnomon.define.aggregate import RULES
from gnomon.errors import DefinitionError
from gnomon.testing.reference import historical

START = datetime(2026, 1, 1, tzinfo=UTC)
ENTITY = gn.Entity("thing", keys={"id": int})
DTYPES = [(family, dtype) for family, dtypes in TYPES.items() for dtype in dtypes]
DTYPES.append(("String", pl.Categorical()))  # read as text
OWN = {"first_k": {"k": 2}, "last_k": {"k": 2}, "top_k": {"k": 2}, "quantile": {"q": 0.9}}
OWN |= {"approx_quantile": {"q": 0.9}, "decayed_sum": {"half_life": "7s"}}
"""Arguments of their own that aggregates need, or show more with."""


def second(n: int) -> datetime:
    return START + timedelta(seconds=n)


def values(dtype: pl.DataType) -> list[Any]:
    """Three values and a null; the second and the third are equal."""
    if isinstance(dtype, pl.Boolean):
        return [True, False, False, None]
    if isinstance(dtype, pl.Decimal):
        # All digits that there can be, less one for the sum of them.
        least = Decimal((0, (1,), -dtype.scale))
        most = Decimal((0, (9,) * (dtype.precision - 1), -dtype.scale))
        return [-least, most, most, None]
    if dtype.is_float():
        return [0.5, 2.25, 2.25, None]
    if dtype.is_integer():
        return [3, 7, 7, None]
    made: dict[type[pl.DataType], list[Any]] = {
        pl.String: ["a", "b", "b"],
        pl.Categorical: ["a", "b", "b"],
        pl.Binary: [b"a", b"b", b"b"],
        pl.Date: [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 2)],
        pl.Time: [time(1), time(2), time(2)],
        pl.Duration: [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=2)],
        pl.Datetime: [second(1), second(2), second(2)],
        pl.List: [[1], [2, 3], [2, 3]],
        pl.Array: [[1.0, 2.0], [3.0, 4.0], [3.0, 4.0]],
        pl.Struct: [{"a": 1}, {"a": 2}, {"a": 2}],
    }
    found = made[type(dtype)]
    if isinstance(dtype, pl.Datetime) and not dtype.time_zone:
        found = [v.replace(tzinfo=None) for v in found]
    return [*found, None]


def group(dtype: pl.DataType, names: list[str], *, late: bool) -> gn.FeatureGroup:
    features = [getattr(gn, name)("x", windows=["1h"], **OWN.get(name, {})) for name in names]
    return gn.FeatureGroup(
        "late" if late else "plain",
        entity=ENTITY,
        timestamp="at",
        known_at="known" if late else None,
        schema={"x": dtype},
        features=features,
    )


@pytest.mark.parametrize(("family", "dtype"), DTYPES, ids=[str(dtype) for _, dtype in DTYPES])
def test_cells_are_computed_on_all_their_ways(family, dtype):
    names = [name for name, rule in RULES.items() if cell(rule, TYPES[family]) != REFUSED]
    rows = [{"id": 1, "at": second(10 * (i + 1)), "x": value} for i, value in enumerate(values(dtype))]
    known = [second(10), second(60), second(30), second(40)]
    spine = [{"id": key, "event_timestamp": second(s)} for key in (1, 2) for s in (35, 70)]
    with gn.Store(clock=lambda: int(second(80).timestamp()) * 1_000_000) as store:
        for late in (False, True):
            made = group(dtype, names, late=late)
            given = [{**row, "known": k} for row, k in zip(rows, known, strict=True)] if late else rows
            store.apply([made])
            instant = pl.Datetime("us", "UTC")
            schema = {"id": pl.Int64(), "at": instant, "x": dtype, "known": instant}
            columns = list(given[0])
            store.insert(made, pl.DataFrame(given, schema={name: schema[name] for name in columns}))
            store.materialize(made)
            offline = store.get_historical_features(spine, [made]).to_polars().select(made.feature_names)
            online = store.get_online_features(
                [made], [{"id": row["id"]} for row in spine], at=[row["event_timestamp"] for row in spine]
            )
            assert offline.to_dict(as_series=False) == online.to_polars().to_dict(as_series=False)
            assert online.to_polars().schema == offline.schema
            assert offline.to_dicts() == historical(made, given, spine)


ORDERED = [dtype for family, dtype in DTYPES if family != "List, Array, Struct"]


@pytest.mark.parametrize("dtype", ORDERED, ids=map(str, ORDERED))
def test_every_type_that_can_be_compared_can_be_a_category(dtype):
    made = gn.FeatureGroup(
        "taken_apart",
        entity=ENTITY,
        timestamp="at",
        known_at="known",
        schema={"x": dtype, "n": pl.Int64()},
        features=[gn.sum("n", by="x"), gn.last("x", by="x"), gn.rate(by="x", windows=["1h"])],
    )
    rows = [
        {"id": 1, "at": second(i), "x": value, "n": n, "known": second(known)}
        for i, (value, n, known) in enumerate(zip(values(dtype), (1, None, 3, 4), (0, 60, 2, 3), strict=True))
    ]
    spine = [{"id": key, "event_timestamp": second(s)} for key in (1, 2) for s in (35, 70)]
    with gn.Store(clock=lambda: int(second(80).timestamp()) * 1_000_000) as store:
        store.apply([made])
        instant = pl.Datetime("us", "UTC")
        schema = {"id": pl.Int64(), "at": instant, "x": dtype, "n": pl.Int64(), "known": instant}
        store.insert(made, pl.DataFrame(rows, schema=schema))
        store.materialize(made)
        offline = store.get_historical_features(spine, [made]).to_polars().select(made.feature_names)
        online = store.get_online_features(
            [made], [{"id": row["id"]} for row in spine], at=[row["event_timestamp"] for row in spine]
        )
        assert offline.to_dict(as_series=False) == online.to_polars().to_dict(as_series=False)
        assert online.to_polars().schema == offline.schema
        assert offline.to_dicts() == historical(made, rows, spine)


def test_nested_values_are_no_categories():
    made = gn.FeatureGroup(
        "g", entity=ENTITY, timestamp="at", schema={"x": pl.List(pl.Int64)}, features=[gn.count(by="x")]
    )
    with (
        gn.Store() as store,
        pytest.raises(DefinitionError, match=r"values of `x`, which is List.*no categories"),
    ):
        store.plan([made])


@pytest.mark.parametrize(("family", "dtype"), DTYPES, ids=[str(dtype) for _, dtype in DTYPES])
def test_refused_cells_are_errors_of_the_definition(family, dtype):
    refused = [name for name, rule in RULES.items() if cell(rule, TYPES[family]) == REFUSED]
    with gn.Store() as store:
        for name in refused:
            with pytest.raises(DefinitionError, match=f"`{name}` does not take"):
                store.plan([group(dtype, [name], late=False)])
