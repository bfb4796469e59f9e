"""Fitting: rows as they are pushed → those that fit, in the types of their columns, and why each other does not.

One row that cannot be used does not cost the others: it is told by its number. What fits is what an insert would take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from gnomon.define.group import FeatureGroup
from gnomon.errors import DataError, UsageError, nearest, type_of
from gnomon.flows.acks import Rejected
from gnomon.flows.insert import evaluated, fit
from gnomon.flows.table import declared_columns
from gnomon.frames import to_polars
from gnomon.plan.keys import check_whole
from gnomon.plan.layout import Layout
from gnomon.types import DType

ROW = "__row"


@dataclass(frozen=True)
class Fitting:
    """What became of rows before anybody looked at the table."""

    given: int
    rows: pl.DataFrame
    """Those that fit: the declared columns."""
    normal: pl.DataFrame
    """The same rows in normal form, with content."""
    numbers: pl.Series
    """Of each, its number among those that were given."""
    rejected: tuple[Rejected, ...]
    """The others, by number."""


def fit_rows(given: Any, group: FeatureGroup, layout: Layout) -> Fitting:
    """Sort out what fits a cached group. `given`: a list of dicts, or a frame.

    Every row has every column of the group, None where there is no value: a row in part is rejected, so that nobody
    takes a forgotten field for a null.

    Raises: DataError for a frame whose columns are not those of the group, or are of other types.
    """
    columns = declared_columns(group)
    refused: dict[int, str] = {}
    listed = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    if listed:
        n, pieces = len(given), _of_dicts(given, columns, group.name, refused)
    else:
        frame = to_polars(given, f"rows for `{group.name}`")
        n, pieces = len(frame), _of_frame(frame, columns, group, refused)
    fitted = _joined(pieces, columns)
    fitted = _without(fitted, _incomplete(fitted, layout), refused)
    fitted, normal = _computed(fitted, layout, refused)
    rejected = tuple(Rejected(row, refused[row]) for row in sorted(refused))
    return Fitting(n, fitted.drop(ROW), normal, fitted[ROW], rejected)


Pieces = list[tuple[list[int], pl.DataFrame]]
"""Numbers of rows, and the rows."""


def _of_frame(
    frame: pl.DataFrame, columns: Mapping[str, DType], group: FeatureGroup, refused: dict[int, str]
) -> Pieces:
    if not frame.width:
        return []
    fit(frame.clear(), dict(columns), group.name)

    def attempt(at: list[int]) -> pl.DataFrame:
        chosen = frame if len(at) == len(frame) else frame[at]
        for name in group.key_names:
            check_whole(chosen[name], "row")
        return fit(chosen, dict(columns), group.name)

    return _sift(list(range(len(frame))), attempt, refused)


def _of_dicts(
    rows: Sequence[Any], columns: Mapping[str, DType], group: str, refused: dict[int, str]
) -> Pieces:
    """Rows with values of the same types stand and fall together, so that a thousand of one mistake cost no more than
    one.
    """
    alike: dict[tuple[type, ...], list[int]] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            refused[i] = f"a row is a dict of values by column, found {type_of(row)}"
        elif row.keys() != columns.keys():
            refused[i] = _other_fields(row, columns, group)
        else:
            alike.setdefault(tuple(type(row[name]) for name in columns), []).append(i)

    def attempt(at: list[int]) -> pl.DataFrame:
        return fit(
            to_polars({name: [rows[i][name] for i in at] for name in columns}, "rows"), dict(columns), group
        )

    everything = sorted(i for at in alike.values() for i in at)
    if len(alike) > 1:
        # Of many mixtures of values and None all fit as a rule, and one frame is quicker than many.
        try:
            return [(everything, attempt(everything))]
        except (DataError, UsageError):
            pass
    pieces: Pieces = []
    for at in alike.values():
        try:
            fit(to_polars([dict(rows[at[0]])], "rows").select(list(columns)).clear(), dict(columns), group)
        except (DataError, UsageError) as error:
            refused.update(dict.fromkeys(at, error.what))
            continue
        pieces += _sift(at, attempt, refused)
    return pieces


def _other_fields(row: Mapping[Any, Any], columns: Mapping[str, DType], group: str) -> str:
    """Why a row has not the columns of the group."""
    missing = [name for name in columns if name not in row]
    if missing:
        return f"`{missing[0]}` is missing: a row has every column of `{group}`, null where there is no value"
    unknown = next(name for name in row if name not in columns)
    close = nearest(str(unknown), columns)
    return f"group `{group}` has no column `{unknown}`" + (f", did you mean `{close}`?" if close else "")


def _sift(at: list[int], attempt: Callable[[list[int]], pl.DataFrame], refused: dict[int, str]) -> Pieces:
    """What of the rows `at` an attempt takes, in as few pieces as that needs.

    Cost: one attempt, and some log2(n) more for each row that fails.
    """
    try:
        return [(at, attempt(at))] if at else []
    except (DataError, UsageError) as error:
        if len(at) == 1:
            refused[at[0]] = error.what
            return []
    middle = len(at) // 2
    return _sift(at[:middle], attempt, refused) + _sift(at[middle:], attempt, refused)


def _joined(pieces: Pieces, columns: Mapping[str, DType]) -> pl.DataFrame:
    """The rows of all pieces in their order, with their numbers."""
    frames = [frame.with_columns(pl.Series(ROW, at, dtype=pl.Int64)) for at, frame in pieces]
    if not frames:
        return pl.DataFrame(schema={**columns, ROW: pl.Int64})
    return frames[0] if len(frames) == 1 else pl.concat(frames).sort(ROW)


def _without(fitted: pl.DataFrame, reasons: pl.Series, refused: dict[int, str]) -> pl.DataFrame:
    """The rows without a reason against them."""
    if reasons.null_count() == len(reasons):
        return fitted
    against = fitted.select(ROW).with_columns(reasons).drop_nulls()
    refused.update(zip(against[ROW].to_list(), against[reasons.name].to_list(), strict=True))
    return fitted.filter(reasons.is_null())


def _incomplete(fitted: pl.DataFrame, layout: Layout) -> pl.Series:
    """Why a row cannot be told from others, String[n]: something that names it is null."""
    needed = [*layout.key_names, layout.timestamp, *([layout.event_id] if layout.event_id else [])]
    reasons = [
        pl.when(pl.col(name).is_null()).then(pl.lit(f"`{name}` is null, and names the row"))
        for name in needed
    ]
    return fitted.select(pl.coalesce(*reasons, pl.lit(None, pl.String)).alias("reason"))["reason"]


def _computed(
    fitted: pl.DataFrame, layout: Layout, refused: dict[int, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows from which every feature can be computed, and their normal form."""
    bad: dict[int, str] = {}
    rows = fitted.drop(ROW)
    pieces = _sift(list(range(len(rows))), lambda at: evaluated(rows[at], layout), bad)
    if not bad and pieces:
        return fitted, pieces[0][1]
    numbers = fitted[ROW].to_list()
    refused.update({numbers[i]: reason for i, reason in bad.items()})
    kept = fitted[[i for at, _ in pieces for i in at]]
    return kept, evaluated(kept.drop(ROW), layout)
