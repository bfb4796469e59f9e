"""Framed: rows that somebody computed, in the form of the tool that they are for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import polars as pl

from gnomon import plugins
from gnomon.errors import UsageError


class Framed(ABC):
    """A training set, wherever it was made, as a frame."""

    @abstractmethod
    def to_polars(self) -> pl.DataFrame:
        """The rows: the spine with the features appended, in the order asked."""

    def to_pandas(self) -> Any:
        """A pandas frame; integers with nulls stay integers. Raises: MissingDependency without pandas and
        pyarrow.
        """
        plugins.require("pandas", extra="pandas", purpose="to_pandas()")
        plugins.require("pyarrow", extra="pandas", purpose="to_pandas()")
        return self.to_polars().to_pandas(use_pyarrow_extension_array=True)

    def to_arrow(self) -> Any:
        """A pyarrow table. Raises: MissingDependency without pyarrow."""
        plugins.require("pyarrow", extra="arrow", purpose="to_arrow()")
        return self.to_polars().to_arrow()

    def to_batches(self, rows: int = 100_000) -> Iterator[pl.DataFrame]:
        """Frames of at most `rows` rows, in order. Raises: UsageError if `rows` is not at least 1."""
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise UsageError(
                f"`rows` must be a whole number of at least 1, found {rows!r}",
                hint="it is the size of a batch",
            )
        return self.to_polars().iter_slices(rows)
