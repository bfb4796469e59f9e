"""Answer: values by column → dicts, frames, arrays, and what is told of each value.

Nothing here is computed or read: a store fills it from its tables, a client from what a server said. So it imports
nothing that computes, and a process that only asks stays light.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from gnomon.errors import UsageError, counted
from gnomon.flows.markup import SHOWN, table
from gnomon.online.statuses import STATUSES
from gnomon.time import ALWAYS, show, to_datetime
from gnomon.types import dtype_text


@dataclass
class Answered:
    """What a job or an on-demand function gave: for each output the values by row, and on demand what they
    mean.
    """

    columns: list[list[Any]]
    codes: Callable[[], list[list[int]]]
    """Positions in STATUSES, by output and row."""
    times: Callable[[], list[int]]
    """Event times by row; ALWAYS for none."""
    reasons: Callable[[], list[Mapping[int, str]]]
    """By output: row → why it could not be answered."""
    states: Callable[[], np.ndarray[Any, Any]] | None = None
    """The codes as an array [outputs, rows], where that costs less."""


@dataclass
class OnlineFeatures:
    """Answers, one a question, in the order asked."""

    names: tuple[str, ...]
    revision: int
    at: int
    """The instant asked about (the latest, where each question has its own)."""
    _columns: list[list[Any]]
    _dtypes: tuple[pl.DataType, ...]
    _answered: list[Answered] = field(repr=False)
    """By output column: where it came from."""
    _places: list[int] = field(repr=False)
    """By output column: which output of that."""

    def __len__(self) -> int:
        return len(self._columns[0]) if self._columns else 0

    def __repr__(self) -> str:
        return f"OnlineFeatures({counted(len(self), 'row')} × {counted(len(self.names), 'feature')} at {show(self.at)})"

    def _repr_html_(self) -> str:
        """The first rows, with the status of what is not PRESENT."""
        given = zip(*(column[:SHOWN] for column in self._columns), self.statuses[:SHOWN], strict=True)
        rows = [
            [
                value if status == "PRESENT" else f"{value} ({status})"
                for value, status in zip(row, of_row, strict=True)
            ]
            for *row, of_row in given
        ]
        return table(repr(self), self.names, rows)

    def to_dict(self) -> dict[str, list[Any]]:
        """Name → values, in the order asked."""
        return dict(zip(self.names, self._columns, strict=True))

    def to_polars(self) -> pl.DataFrame:
        """One row a question, in the features' types."""
        columns = zip(self.names, self._columns, self._dtypes, strict=True)
        return pl.DataFrame([pl.Series(n, c, dtype=d, strict=False) for n, c, d in columns])

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """Rows × features as float64, NaN for null. Raises: UsageError for a feature that is no number."""
        frame = self.to_polars()
        for name, dtype in frame.schema.items():
            if not (dtype.is_numeric() or isinstance(dtype, pl.Boolean)):
                raise UsageError(
                    f"feature `{name}` is {dtype_text(dtype)}, no number",
                    hint="to_dict() and to_polars() give every type",
                )
        return frame.select(pl.all().cast(pl.Float64).fill_null(float("nan"))).to_numpy()

    @property
    def columns(self) -> list[list[Any]]:
        """By feature the values of all rows. Nobody's to change."""
        return self._columns

    @property
    def dtypes(self) -> tuple[pl.DataType, ...]:
        """The features' types, in their order."""
        return self._dtypes

    @cached_property
    def statuses(self) -> list[list[str]]:
        """By row, in feature order: NOT_FOUND, EXPIRED, NULL, PRESENT, NOT_READY or ERROR."""
        columns = [[STATUSES[code] for code in codes] for codes in self._by_column(lambda a: a.codes())]
        return [list(row) for row in zip(*columns, strict=True)]

    @cached_property
    def event_times(self) -> list[list[Any]]:
        """By row, in feature order: the event time of the key's newest visible row (UTC), None if there is
        none.
        """
        known = {id(a): [None if t == ALWAYS else to_datetime(t) for t in a.times()] for a in self._answered}
        return [list(row) for row in zip(*(known[id(a)] for a in self._answered), strict=True)]

    @cached_property
    def errors(self) -> dict[tuple[int, str], str]:
        """(row, feature) → why it could not be answered."""
        return {
            (row, name): why
            for name, given, i in zip(self.names, self._answered, self._places, strict=True)
            for row, why in given.reasons()[i].items()
        }

    def _by_column(self, of: Callable[[Answered], list[list[int]]]) -> list[list[int]]:
        known = {id(a): of(a) for a in self._answered}
        return [known[id(a)][i] for a, i in zip(self._answered, self._places, strict=True)]


def states_of(batch: Sequence[OnlineFeatures]) -> np.ndarray[Any, Any]:
    """[features, rows of all]: positions in STATUSES, of answers to one compiled request, one behind the other."""
    sources = batch[0]._answered
    places = batch[0]._places
    # The first column of each source stands for it: in all answers of the batch they come in the same order.
    first = {id(source): i for i, source in reversed(list(enumerate(sources)))}
    known = {i: np.concatenate([_states(one._answered[i]) for one in batch], axis=1) for i in first.values()}
    return np.stack([known[first[id(source)]][place] for source, place in zip(sources, places, strict=True)])


def _states(answered: Answered) -> np.ndarray[Any, Any]:
    return np.array(answered.codes(), np.int64) if answered.states is None else answered.states()
