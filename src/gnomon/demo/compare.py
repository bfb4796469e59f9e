"""Online = offline? Values are compared by their bits; a difference is shown, not rounded away."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

_UNREADABLE = ("ERROR", "NOT_READY")


@dataclass(frozen=True)
class Comparison:
    """What comparing two tables of the same questions gave."""

    values: int
    differ: int
    first: str | None
    """The first difference, in words."""

    def __str__(self) -> str:
        return f"{self.values:,} values compared online = offline, {self.differ:,} differ"


def compare(online: pl.DataFrame, offline: pl.DataFrame) -> Comparison:
    """Compare the columns of `offline` with those of `online`, row by row.

    Equal are equal bits (all NaN are one), both null, or lists of such. An online value whose status tells
    that it could not be answered differs from everything.
    """
    differ, first = 0, None
    for name in offline.columns:
        a, b = online[name], offline[name]
        wrong = ~_same(a, b)
        status = f"{name}:status"
        if status in online.columns:
            wrong = wrong | online[status].is_in(_UNREADABLE)
        count = int(wrong.sum())
        if count and first is None:
            row = int(wrong.arg_true()[0])
            shown = online[status][row] if status in online.columns else ""
            first = f"{name}, question {row}: online {a[row]!r} {shown}, offline {b[row]!r}"
        differ += count
    return Comparison(offline.height * offline.width, differ, first)


def _same(a: pl.Series, b: pl.Series) -> pl.Series:
    if a.dtype == pl.Float64 and b.dtype == pl.Float64:
        both_nan = (a.is_nan() & b.is_nan()).fill_null(False)
        return _bits(a).eq_missing(_bits(b)) | both_nan
    return a.eq_missing(b)


def _bits(column: pl.Series) -> pl.Series:
    return column.reinterpret(dtype=pl.Int64)
