"""Feast's own feature server over some rows, run by the interpreter of its own environment.

    python server.py FOLDER PORT < rows.json

It imports nothing of Gnomon.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Bool, Float64, Int64, String


def main(folder: str, port: str) -> None:
    frame = pd.DataFrame(json.load(sys.stdin))
    frame["event_timestamp"] = pd.to_datetime(frame.pop("at"), format="ISO8601").dt.tz_convert(UTC)
    path = str(Path(folder, "plan.parquet"))
    frame.to_parquet(path)
    user = Entity(name="user", join_keys=["user"], value_type=ValueType.INT64)
    plan = FeatureView(
        name="plan",
        entities=[user],
        ttl=timedelta(days=2),
        source=FileSource(name="rows", path=path, timestamp_field="event_timestamp"),
        schema=[
            Field(name="user", dtype=Int64),
            Field(name="name", dtype=String),
            Field(name="age", dtype=Int64),
            Field(name="score", dtype=Float64),
            Field(name="active", dtype=Bool),
        ],
    )
    config = RepoConfig(
        project="shop",
        provider="local",
        registry=str(Path(folder, "registry.db")),
        online_store={"type": "sqlite", "path": str(Path(folder, "online.db"))},
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    store.apply([user, plan, FeatureService(name="model", features=[plan])])
    store.write_to_online_store("plan", frame)
    store.serve("127.0.0.1", int(port), workers=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
