"""The seam of engines: whoever brings the rows of the same keys together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

Pick = Callable[[pl.DataFrame, pl.DataFrame], "NDArray[np.int64] | None"]
"""(rows, questions) → the number of the row that answers each question, int64, -1 for none; None: it cannot tell from
these columns. Pure.
"""

PartFunction = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""(rows, questions) of the same keys → one row of features for each question, in their order. Pure."""


class Engine(ABC):
    """Runs a part function where the rows are."""

    @classmethod
    @abstractmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """Open what a line of gnomon.toml names."""

    @abstractmethod
    def run(
        self,
        rows: pl.LazyFrame,
        questions: pl.DataFrame,
        keys: Sequence[str],
        work: PartFunction,
        *,
        expected_rows: int = -1,
    ) -> pl.DataFrame:
        """Call `work` for parts that hold all rows and all questions of their keys; the features in the
        questions' order.

        `keys`: columns of both frames. No keys: everything is one part. `expected_rows`: about how many rows
        there are, -1 if nobody knows.
        """

    def newest(
        self,
        narrow: pl.LazyFrame,
        wide: pl.LazyFrame,
        columns: Sequence[pl.Expr],
        questions: pl.DataFrame,
        pick: Pick,
        *,
        expected_rows: int = -1,
    ) -> pl.DataFrame | None:
        """Answer questions by one row each: `pick` chooses by the few columns of `narrow`, and `columns` are evaluated
        over the chosen rows of `wide` alone, so that no other row can fail. In the questions' order.

        None: the engine does not do this, or `pick` cannot tell; then `run` answers.
        """
        return None
