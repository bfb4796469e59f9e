"""Questions to the online side: entities and times as they come → columns, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon.errors import DataError, counted, nearest, type_of
from gnomon.frames import to_polars
from gnomon.plan.keys import check_whole
from gnomon.time import ALWAYS, NEVER, Clock, argument

Columns = dict[str, list[Any]]


def key_columns(entities: Any, wanted: frozenset[str]) -> tuple[Columns, int]:
    """The key columns as lists, and how many questions there are. Raises: DataError naming row and column."""
    if isinstance(entities, list):
        for row in entities:
            if not isinstance(row, Mapping) or row.keys() != wanted:
                raise _wrong_row(entities, wanted)
        return {name: [row[name] for row in entities] for name in wanted}, len(entities)
    if isinstance(entities, Mapping):
        columns = {name: _keys(name, values) for name, values in entities.items()}
    else:
        frame = to_polars(entities, "entities")
        columns = {name: _keys(name, frame[name]) for name in frame.columns}
    _check_fields(columns, wanted, "entities")
    sizes = {len(values) for values in columns.values()}
    if len(sizes) > 1:
        shown = ", ".join(f"{name}: {len(values)}" for name, values in columns.items())
        raise DataError(f"the entity columns differ in length ({shown})")
    if not wanted:
        raise DataError(
            "these features have no keys", hint="ask with entities=[{}], one empty dict an answer"
        )
    return columns, sizes.pop()


def _keys(name: str, values: Any) -> list[Any]:
    if isinstance(values, pl.Series):
        check_whole(values.alias(name), "row")
    return _values(name, values)


def _values(name: str, values: Any) -> list[Any]:
    if isinstance(values, np.ndarray | pl.Series):
        return list(values.tolist() if isinstance(values, np.ndarray) else values.to_list())
    if isinstance(values, list | tuple):
        return list(values)
    raise DataError(
        f"the key column `{name}` is {type_of(values)}, not a list",
        hint="give a list of values for each key column, or a list of dicts",
    )


def _wrong_row(rows: Sequence[Any], wanted: Iterable[str]) -> DataError:
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            return DataError(f"entity row {i} is {type_of(row)}, not a dict", hint='such as {"user": 1}')
        try:
            _check_fields(row, wanted, f"entity row {i}")
        except DataError as error:
            return error
    return DataError("the entities cannot be read")


def _check_fields(given: Iterable[str], wanted: Iterable[str], where: str) -> None:
    missing, unknown = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing:
        close = nearest(missing[0], unknown)
        raise DataError(
            f"{where}: the key column `{missing[0]}` is missing",
            hint=f"did you mean it by `{close}`?" if close else f"keys: {', '.join(sorted(wanted))}",
        )
    if unknown:
        raise DataError(
            f"{where}: unknown field `{unknown[0]}`", hint=f"keys: {', '.join(sorted(wanted)) or 'none'}"
        )


@dataclass(slots=True, eq=False)
class Instants:
    """When the questions ask."""

    each: NDArray[np.int64]
    earliest: int
    latest: int


def instants(at: Any, n: int, clock: Clock) -> Instants:
    """The time of each question: now, one for all, or one each. Raises: DataError, UsageError."""
    if at is None:
        one = clock()
    elif isinstance(at, list | tuple | np.ndarray | pl.Series):
        # NumPy's own times are read as Polars reads them; one by one they would be numbers of an unknown unit.
        given = pl.Series(at) if isinstance(at, np.ndarray) else at
        each = np.array([argument(value, f"at[{i}]") for i, value in enumerate(given)], np.int64)
        if len(each) != n:
            raise DataError(
                f"`at` has {counted(len(each), 'time')} for {counted(n, 'entity')}",
                hint="give one time, or one an entity",
            )
        return Instants(each, int(each.min()), int(each.max())) if n else Instants(each, NEVER, ALWAYS)
    else:
        one = argument(at, "at")
    each = np.empty(n, np.int64)
    each.fill(one)
    return Instants(each, one, one)
