"""Matrix: a training set → X and y, as scikit-learn and PyTorch take them: float64, with NaN for null.

Rows without a label are left out and counted: they are no answers to learn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon import plugins
from gnomon.define.label import MATURE
from gnomon.errors import UsageError, nearest
from gnomon.flows.contents import Contents
from gnomon.types import DType, dtype_text

Reals = NDArray[np.float64]
Categories = Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False)
class Matrix:
    """X and y of a training set: `X, y = training.to_sklearn("late")`."""

    X: Reals
    """Rows × features; NaN for null."""
    y: NDArray[Any]
    names: tuple[str, ...]
    """The features, in the order of X's columns."""
    label: str
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of features that are text: the text of each code, in X from 0.0 on."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows that are not in it, by reason: the label is not mature, or null."""
    unseen: dict[str, int] = field(default_factory=dict)
    """By feature, how many texts are not among the given categories: NaN, as null is."""

    def __iter__(self) -> Iterator[Any]:
        return iter((self.X, self.y))

    def to_pandas(self) -> Any:
        """X as a pandas frame with the features' names. Raises: MissingDependency without pandas."""
        pandas = plugins.require("pandas", extra="pandas", purpose="to_pandas()")
        return pandas.DataFrame(self.X, columns=list(self.names))

    def to_torch(self) -> Any:
        """A torch.utils.data.TensorDataset of X as float32 and y as float32 or int64, for a DataLoader.

        Raises: MissingDependency without PyTorch; UsageError for a label that is text.
        """
        torch = plugins.require("torch", extra="torch", purpose="to_torch()")
        if self.y.dtype == object:
            raise UsageError(
                f"the label `{self.label}` is text, and a tensor holds numbers",
                hint="write it as numbers in the label's or the spine's column",
            )
        y = self.y.astype(np.float32 if self.y.dtype.kind == "f" else np.int64)
        tensors = torch.from_numpy(self.X.astype(np.float32)), torch.from_numpy(y)
        return torch.utils.data.TensorDataset(*tensors)


def to_matrix(
    frame: pl.DataFrame,
    contents: Contents,
    label: str | None = None,
    *,
    features: Sequence[str] | None = None,
    categories: Categories | None = None,
) -> Matrix:
    """X and y. `label`: its column; None: the one label that there is. `features`: columns; None: all features.

    Booleans become 0 and 1, times and lengths of time seconds, text the number of its category: of `categories`, or
    of the texts that occur, in their order.

    Raises: UsageError for columns that are not there, that are labels, or that cannot be numbers.
    """
    label = label if label is not None else _only_label(contents)
    kept, left_out = _labelled(frame, contents, label)
    names = tuple(contents.features if features is None else features)
    _check_features(names, frame, contents, label)
    found: dict[str, tuple[str, ...]] = {}
    unseen: dict[str, int] = {}
    X = np.empty((len(kept), len(names)))
    for i, name in enumerate(names):
        column = kept[name]
        if _is_text(column.dtype):
            chosen = (categories or {}).get(name)
            found[name] = tuple(chosen) if chosen is not None else _texts(column)
            X[:, i], missing = _codes(column, found[name])
            if missing:
                unseen[name] = missing
        else:
            X[:, i] = _numbers(column)
    return Matrix(X, _answers(kept[label]), names, label, found, left_out, unseen)


def _only_label(contents: Contents) -> str:
    if len(contents.labels) != 1:
        known = ", ".join(f"`{label.name}`" for label in contents.labels) or "none was asked for"
        raise UsageError(
            "the label must be named", hint=f"labels: {known}; a column of the spine can be one too"
        )
    return contents.labels[0].name


def _labelled(frame: pl.DataFrame, contents: Contents, label: str) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows that have a label, and how many have none, by reason."""
    immature = int((~frame[label + MATURE]).sum()) if contents.label(label) is not None else 0
    has = frame[label].is_not_null()
    counts = {"not mature": immature, "null": int((~has).sum()) - immature}
    return frame.filter(has), {why: n for why, n in counts.items() if n}


def _check_features(names: Sequence[str], frame: pl.DataFrame, contents: Contents, label: str) -> None:
    """Refuse columns that are not there, and those that know the label."""
    forward = {end for one in contents.labels for end in (one.name, one.name + MATURE)} | {label}
    for name in names:
        if name in forward:
            raise UsageError(
                f"`{name}` is a label, or tells of one: it cannot be a feature",
                hint="leave it out of `features`",
            )
        if name not in frame.columns:
            known = [*contents.features, *contents.spine]
            close = nearest(name, known)
            raise UsageError(
                f"the training set has no column `{name}`",
                hint=f"did you mean `{close}`?" if close else f"columns: {', '.join(known[:20])}",
            )


# --------------------------------------------------------------------------------------------------- columns


def _is_text(dtype: DType) -> bool:
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def _texts(column: pl.Series) -> tuple[str, ...]:
    return tuple(column.cast(pl.String).drop_nulls().unique().sort().to_list())


def _codes(column: pl.Series, texts: Sequence[str]) -> tuple[Reals, int]:
    """The number of each text, NaN for null and for texts that are not there; and how many of these there are."""
    codes = column.cast(pl.String).replace_strict(
        list(texts), [float(i) for i in range(len(texts))], default=None, return_dtype=pl.Float64
    )
    return codes.fill_null(float("nan")).to_numpy(), codes.null_count() - column.null_count()


_TICKS = {"ns": 1e9, "us": 1e6, "ms": 1e3}
"""In a second."""


def _in_seconds(dtype: DType) -> tuple[float, float]:
    """What the numbers of a type of times are multiplied with, and divided by, to be seconds; else ones."""
    if isinstance(dtype, pl.Datetime | pl.Duration):
        return 1.0, _TICKS[dtype.time_unit]
    if isinstance(dtype, pl.Time):
        return 1.0, _TICKS["ns"]
    return (86_400.0 if isinstance(dtype, pl.Date) else 1.0), 1.0


def _numbers(column: pl.Series) -> Reals:
    """A column as float64, NaN for null. Raises: UsageError for types that are no numbers."""
    dtype = column.dtype
    if not (dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, pl.Boolean)):
        raise UsageError(
            f"`{column.name}` is {dtype_text(dtype)}, which is no number",
            hint="choose the columns with features=[…], or make numbers of it with an on-demand function",
        )
    times, by = _in_seconds(dtype)
    plain = column.to_physical() if dtype.is_temporal() else column
    values: Reals = plain.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    # By NumPy: Polars multiplies with the reciprocal, which is not always the nearest float.
    return values * times / by


def _answers(column: pl.Series) -> NDArray[Any]:
    """A label's column without nulls: integers and truths stay what they are, text is objects, all else float64."""
    if _is_text(column.dtype):
        return np.array(column.cast(pl.String).to_list(), object)
    if column.dtype.is_integer() or isinstance(column.dtype, pl.Boolean):
        return column.to_numpy()
    return _numbers(column)
