"""Training: a training set that a server has computed."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from gnomon.client.answers import unreadable
from gnomon.client.call import Reply
from gnomon.errors import CorruptValue, counted
from gnomon.flows import files
from gnomon.flows.framed import Framed


class Training(Framed):
    """The spine with its features, in the spine's order."""

    def __init__(self, frame: pl.DataFrame, features: tuple[str, ...]) -> None:
        self._frame = frame
        self.features = features
        """The columns that were appended, in the order asked."""

    def __repr__(self) -> str:
        return f"Training({counted(len(self), 'row')} × {counted(len(self.features), 'feature')})"

    def __len__(self) -> int:
        return len(self._frame)

    def to_polars(self) -> pl.DataFrame:
        """The spine with the features appended, in the order asked."""
        return self._frame

    def write_parquet(self, path: str | Path) -> None:
        """Write the training set to a Parquet file: whole, or not at all. Raises: UsageError for the path."""
        files.write_table(self._frame, files.check_place(path), "parquet")


def read_training(reply: Reply, spine: pl.DataFrame) -> Training:
    """An answer to `get_historical_features`. The spine's own columns stay those that were given.

    Raises: CorruptValue for what is none, or is of another spine.
    """
    try:
        answer = pl.read_ipc_stream(io.BytesIO(reply.body))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(reply, error) from None
    if answer.columns[: spine.width] != spine.columns or len(answer) != len(spine):
        raise CorruptValue(
            f"the answer has {counted(len(answer), 'row')} and begins with other columns than the spine",
            hint="the server may be of another release",
        )
    features = answer.columns[spine.width :]
    return Training(spine.hstack(answer.select(features)), tuple(features))
