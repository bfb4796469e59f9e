"""Columns → lanes: the int64 codes that kernels compute with, and results back to columns.

A *code* keeps order and equality of the values (`kernels.words`); types that are no 64-bit number get dense
ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from gnomon import columns
from gnomon.columns import Flags, Halves, Words
from gnomon.kernels.hashing import byte_hashes, wide_hashes, word_hashes
from gnomon.kernels.limbs import INT_GRID, grid
from gnomon.kernels.words import float_codes

_NEGATIVE_ZERO = -1
"""The code of -0.0."""


@dataclass(frozen=True)
class Lane:
    """One input column: the rows in their order, then the request's own rows where there are some."""

    column: pl.Series

    @property
    def floats(self) -> bool:
        return self.column.dtype.is_float()

    @cached_property
    def valid(self) -> Flags:
        """Where there is a value; zero-length where there always is."""
        return columns.valid(self.column)

    @cached_property
    def code(self) -> Words:
        """Codes in the order of the values; whatever where there is none."""
        kind = columns.kind_of(self.column.dtype)
        if kind == "float":
            codes: Words = float_codes(columns.floats(self.column))
            return codes
        if kind == "word":
            return columns.words(self.column)
        if isinstance(self.column.dtype, pl.String):
            categories = self.column.drop_nulls().unique().sort()
            return columns.words(self.column.cast(pl.Enum(categories)))
        return columns.words(self.column.rank("dense"))

    @cached_property
    def distinct(self) -> tuple[Words, int]:
        """Codes for equality only, dense from 0, and their number; -0.0 and 0.0 are one value."""
        code = self.code
        if self.floats:
            code = np.where(code == _NEGATIVE_ZERO, 0, code)
        if len(code) == 0:
            return code, 0
        least, greatest = int(code.min()), int(code.max())
        if greatest - least < 4 * len(code) + 1024:
            return code - least, greatest - least + 1
        dense = columns.words(pl.Series(code).rank("dense")) - 1
        return dense, int(dense.max()) + 1

    @cached_property
    def sample(self) -> Words:
        """For each code of `distinct` a row that has it; 0 where none has."""
        codes, n_codes = self.distinct
        rows = np.arange(len(codes))
        if len(self.valid):
            rows = np.flatnonzero(self.valid)
            codes = codes[rows]
        found = np.zeros(n_codes, np.int64)
        found[codes] = rows
        return found

    @cached_property
    def folded(self) -> pl.Series:
        """The column with equal values alike: -0.0 as 0.0, NaN as the one canonical NaN."""
        if not self.floats:
            return self.column
        value = pl.col("v")
        alike = pl.when(value == 0).then(0.0).when(value.is_nan()).then(float("nan")).otherwise(value)
        return self.column.to_frame("v").select(alike.cast(self.column.dtype)).to_series()

    @cached_property
    def hashes(self) -> Words:
        """The hash of each value; equal values have one. Whatever where there is none."""
        kind = columns.kind_of(self.column.dtype)
        if kind == "wide":
            found: Words = wide_hashes(*self.halves)
        elif kind == "bytes":
            # Of each value once: there are usually few.
            each = byte_hashes(*columns.to_bytes(self.column.gather(self.sample)))
            found = each[self.distinct[0]]
        else:
            found = word_hashes(
                np.where(self.code == _NEGATIVE_ZERO, 0, self.code) if self.floats else self.code
            )
        return found

    @cached_property
    def grid(self) -> tuple[int, int]:
        """The exponent grid on which sums of the lane are exact (`kernels.limbs`)."""
        return grid(self.code) if self.floats else INT_GRID

    @cached_property
    def halves(self) -> Halves:
        """A Decimal column as int128 in two halves."""
        return columns.halves(self.column)


def series(name: str, values: np.ndarray, ok: Flags, dtype: pl.DataType) -> pl.Series:
    """A result column from physical numbers; null where `ok` is 0."""
    made = pl.Series(name, values)
    return masked(made if made.dtype == dtype else made.cast(dtype), ok)


def masked(column: pl.Series, ok: Flags) -> pl.Series:
    """The column, null where `ok` is 0."""
    if ok.all():
        return column
    return pl.select(pl.when(pl.Series(ok != 0)).then(column).alias(column.name)).to_series()


def gather(column: pl.Series, picked: Words) -> pl.Series:
    """Values at positions; null where the position is negative."""
    index = pl.Series(picked)
    if len(picked) and picked.min() < 0:
        index = pl.select(pl.when(index >= 0).then(index)).to_series()
    return column.gather(index)
