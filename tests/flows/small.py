"""Small definitions and a clock that tests set."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

import gnomon as gn
from gnomon.time import instant

T = datetime(2026, 1, 10, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)
US = timedelta(microseconds=1)

USER = gn.Entity("user", keys={"user": pl.Int64})
VISITS = gn.FeatureGroup(
    "visits",
    entity=USER,
    timestamp="at",
    schema={"ms": pl.Int64},
    features=[gn.count(windows=["1h", "1d"]), gn.sum("ms", windows=["1d"])],
)
PLAN = gn.FeatureGroup(
    "plan", entity=USER, timestamp="at", max_age="2d", features=[gn.Feature("name", pl.String)]
)


def visits(*features: Any) -> gn.FeatureGroup:
    """`visits` with further features."""
    return gn.FeatureGroup(
        "visits", entity=USER, timestamp="at", schema={"ms": pl.Int64}, features=[*VISITS.features, *features]
    )


class Clock:
    """Tells the time that it is set to."""

    def __init__(self, now: datetime = T) -> None:
        self.now = now

    def __call__(self) -> int:
        return instant(self.now)


def visit(user: int | None, at: datetime | None, ms: int | None = 1) -> dict[str, Any]:
    return {"user": user, "at": at, "ms": ms}


def plan(user: int, at: datetime, name: str | None) -> dict[str, Any]:
    return {"user": user, "at": at, "name": name}


def ask(store: gn.Store, features: Any, users: Iterable[int], **options: Any) -> dict[str, list[Any]]:
    """Values of some users, by feature."""
    return store.get_online_features(features, [{"user": u} for u in users], **options).to_dict()


def statuses(store: gn.Store, features: Any, users: Iterable[int], **options: Any) -> list[list[str]]:
    return store.get_online_features(features, [{"user": u} for u in users], **options).statuses


def train(store: gn.Store, features: Any, questions: Iterable[tuple[int, datetime]], **options: Any) -> Any:
    """The training set's feature columns for (user, time) questions, by feature."""
    spine = [{"user": user, "event_timestamp": at} for user, at in questions]
    frame = store.get_historical_features(spine, features, **options).to_polars()
    return frame.drop("user", "event_timestamp").to_dict(as_series=False)


def write(folder: Path, name: str, rows: list[dict[str, Any]], schema: Any = None) -> Path:
    """Write rows to a Parquet file below a store's folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=schema).write_parquet(path)
    return path
