"""The model: will the flight arrive more than 30 minutes late? Trained on the year's first part, tested on
its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

SPLIT = datetime(2013, 10, 1, tzinfo=UTC)
_SCHEDULE = ("distance", "scheduled_minutes", "hour", "weekday", "carrier_code", "origin_code")


@dataclass(frozen=True)
class Scores:
    """Area under the ROC curve on flights from `SPLIT` on."""

    train: int
    test: int
    without: float
    """From the schedule alone."""
    with_features: float


def score(training: pl.DataFrame, features: list[str]) -> Scores:
    """Train twice, with and without the features, and score both on the later part."""
    known = training.with_columns(
        hour=pl.col("event_timestamp").dt.convert_time_zone("America/New_York").dt.hour(),
        weekday=pl.col("event_timestamp").dt.convert_time_zone("America/New_York").dt.weekday(),
        carrier_code=pl.col("carrier").rank("dense"),
        origin_code=pl.col("origin").rank("dense"),
        **{f: pl.col(f).to_physical() for f in features if training.schema[f] == pl.Duration("us")},
    )
    earlier, later = (
        known.filter(pl.col("event_timestamp") < SPLIT),
        known.filter(pl.col("event_timestamp") >= SPLIT),
    )
    return Scores(
        train=len(earlier),
        test=len(later),
        without=_auc(earlier, later, list(_SCHEDULE)),
        with_features=_auc(earlier, later, [*_SCHEDULE, *features]),
    )


def _auc(earlier: pl.DataFrame, later: pl.DataFrame, columns: list[str]) -> float:
    model = HistGradientBoostingClassifier(max_iter=60, random_state=7)
    model.fit(_matrix(earlier, columns), earlier["late"].to_numpy())
    guess = model.predict_proba(_matrix(later, columns))[:, 1]
    return float(roc_auc_score(later["late"].to_numpy(), guess))


def _matrix(frame: pl.DataFrame, columns: list[str]) -> np.ndarray:
    return frame.select(pl.col(c).cast(pl.Float64) for c in columns).to_numpy()
