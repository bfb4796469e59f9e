"""Hand-over: a training set in the form of the tool that it is for, whole or in parts."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from gnomon.define.split import Splitting, check_split
from gnomon.errors import LeakWarning, UsageError, counted
from gnomon.flows.contents import Contents
from gnomon.flows.framed import Framed
from gnomon.flows.matrix import Categories, Matrix, to_matrix
from gnomon.flows.split import assign


class Handover(Framed):
    """What every training set can be turned into: one that is computed, one that was saved, and a part of one."""

    @property
    @abstractmethod
    def contents(self) -> Contents:
        """What each column is."""

    def to_sklearn(
        self,
        label: str | None = None,
        *,
        features: Sequence[str] | None = None,
        categories: Categories | None = None,
    ) -> Matrix:
        """X and y as NumPy arrays, `X, y = training.to_sklearn("late")`; rows without a label are left out and
        counted.

        `label`: a label or a column of the spine; None: the one label that there is. `features`: columns; None: all
        features, and no column of the spine. `categories`: of features that are text, the texts that count as 0, 1, …;
        for a test set, those of the training set (`Matrix.categories`).

        Raises: UsageError for columns that are not there, that are labels, or that cannot be numbers.
        """
        return to_matrix(self.to_polars(), self.contents, label, features=features, categories=categories)

    def to_torch(
        self,
        label: str | None = None,
        *,
        features: Sequence[str] | None = None,
        categories: Categories | None = None,
    ) -> Any:
        """A torch.utils.data.TensorDataset of what `to_sklearn` gives. Raises: MissingDependency without PyTorch."""
        return self.to_sklearn(label, features=features, categories=categories).to_torch()

    def split(self, how: Splitting | str) -> Split:
        """The rows in parts, by name: `gn.TimeSplit`, `gn.WalkForward`, `gn.EntitySplit` or `gn.RandomSplit`.

        A LeakWarning tells what one part knows of another. Raises: UsageError for columns that are not there.
        """
        return self._split(how)

    def _split(self, how: Splitting | str) -> Split:
        """Called by a public method, so that warnings name the line of its caller."""
        made = Split.of(self.to_polars(), self.contents, check_split(how))
        for leak in made.leaks:
            warnings.warn(leak, LeakWarning, stacklevel=3)
        return made


class Portion(Handover):
    """A part of a training set: its rows, in their order."""

    def __init__(self, name: str, frame: pl.DataFrame, contents: Contents) -> None:
        self.name = name
        self._frame = frame
        self._contents = contents

    def __repr__(self) -> str:
        return f"Portion({self.name!r}, {counted(len(self), 'row')})"

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def contents(self) -> Contents:
        """What each column is."""
        return self._contents

    def to_polars(self) -> pl.DataFrame:
        """The rows."""
        return self._frame


@dataclass(frozen=True, eq=False)
class Split:
    """The parts of a training set, by name: `split["train"].to_polars()`."""

    how: Splitting
    parts: dict[str, Portion]
    left_out: int
    """Rows that are in no part: those in the gaps."""
    leaks: tuple[str, ...]
    """What one part knows of another: windows of labels that reach over. Empty is well."""

    @classmethod
    def of(cls, frame: pl.DataFrame, contents: Contents, how: Splitting) -> Split:
        """Split a training set."""
        assigned = assign(frame, contents, how)
        parts = {name: Portion(name, frame[rows], contents) for name, rows in assigned.rows.items()}
        return cls(how, parts, assigned.left_out, assigned.leaks)

    def __getitem__(self, name: str) -> Portion:
        if name not in self.parts:
            raise UsageError(f"there is no part `{name}`", hint=f"parts: {', '.join(self.parts)}")
        return self.parts[name]

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [f"{name}: {counted(len(part), 'row')}" for name, part in self.parts.items()]
        lines += [f"left out: {counted(self.left_out, 'row')}"] if self.left_out else []
        return "\n".join([*lines, *(f"leak: {leak}" for leak in self.leaks)])
