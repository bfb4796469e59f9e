"""Feast's own client, run by the interpreter of its own environment: questions as lines of JSON → answers as lines.

    python client.py http://127.0.0.1:6566 < questions

A question is `{"call": "get_online_features" | "online_read" | …, …}`; an answer `{"answer": …}`, or `{"error": class,
"message": text}`. It imports nothing of Gnomon.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.infra.online_stores.remote import RemoteOnlineStore
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import from_value_type


def main(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder, url)
        say({"answer": "ready"})
        for line in sys.stdin:
            try:
                told: dict[str, Any] = {"answer": answer(store, **json.loads(line))}
            except Exception as error:  # noqa: BLE001 - whatever Feast raises is what is asked for
                told = {"error": type(error).__name__, "message": str(error)}
            say(told)


def say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def open_store(folder: str, url: str) -> FeatureStore:
    config = RepoConfig(
        project="shop",
        provider="local",
        registry=str(Path(folder, "registry.db")),
        online_store={"type": "remote", "path": url, "connection_retries": 0},
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )
    return FeatureStore(config=config)


def answer(store: FeatureStore, call: str, **given: Any) -> Any:
    if call == "get_online_features":
        return online_features(store, **given)
    if call == "online_read":
        return online_read(store, **given)
    if call == "online_write":
        return online_write(store, **given)
    raise ValueError(call)


def online_features(
    store: FeatureStore,
    entity_rows: Any,
    features: Any = None,
    service: str | None = None,
    full: bool = False,
) -> Any:
    """By the public method: values by name as the client gives them, and the statuses that came with them."""
    if service is not None:
        features = FeatureService(name=service, features=[])
    found = store.get_online_features(features=features, entity_rows=entity_rows, full_feature_names=full)
    names = list(found.proto.metadata.feature_names.val)
    statuses = [[FieldStatus.Name(s) for s in result.statuses] for result in found.proto.results]
    return {"values": found.to_dict(), "names": names, "statuses": dict(zip(names, statuses, strict=True))}


def online_read(store: FeatureStore, view: str, keys: Any, types: dict[str, str], features: list[str]) -> Any:
    """By the method below it, which takes keys as protocol buffers and declared types: what other parts of Feast call.

    keys: rows of column → `{"int64_val": 1}`.
    """
    columns = list(keys[0])
    table = view_of(view, columns, types)
    rows = [
        EntityKey(join_keys=columns, entity_values=[Value(**row[name]) for name in columns]) for row in keys
    ]
    found = RemoteOnlineStore().online_read(store.config, table, rows, features)
    return [
        [str(time) if time else None, read and {n: kind(v) for n, v in read.items()}] for time, read in found
    ]


def online_write(
    store: FeatureStore, view: str, rows: list[dict[str, Any]], entity: str, types: dict[str, str]
) -> None:
    """By the method that all writes of Feast end in: `push`, `write_to_online_store`, `materialize`.

    rows: `[{"key": Value, "values": {feature: Value}, "at": seconds}]`.
    """
    table = view_of(view, [entity], types)
    data = [
        (
            EntityKey(join_keys=[entity], entity_values=[Value(**row["key"])]),
            {name: Value(**value) for name, value in row["values"].items()},
            datetime.fromtimestamp(row["at"], tz=UTC),
            None,
        )
        for row in rows
    ]
    RemoteOnlineStore().online_write_batch(store.config, table, data, None)


def view_of(name: str, keys: list[str], types: dict[str, str]) -> FeatureView:
    return FeatureView(
        name=name,
        entities=[Entity(name=key, join_keys=[key], value_type=ValueType.INT64) for key in keys],
        source=FileSource(name="nothing", path="nothing.parquet", timestamp_field="at"),
        schema=[Field(name=n, dtype=from_value_type(ValueType[t])) for n, t in types.items()],
    )


def kind(value: Value) -> Any:
    """A protocol buffer's value with its kind: `["int64_val", 1]`; None if it is empty."""
    which = value.WhichOneof("val")
    if which is None:
        return None
    held = getattr(value, which)
    return [which, list(held.val) if hasattr(held, "val") else held]


if __name__ == "__main__":
    main(sys.argv[1])
