"""The scene of the faults: a project with every kind of table, what is done to it, and all that can be seen of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import gnomon as gn
from gnomon.flows.online import Document, read_document
from gnomon.online import codec
from gnomon.time import instant

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
USERS = range(12)
TIMES = [NOON - timedelta(hours=3), NOON, NOON + timedelta(minutes=30), NOON + timedelta(days=1)]

user = gn.Entity("user", keys={"user": pl.Int64})
profiles = gn.FileSource("profiles", "data/profiles", format="parquet", timestamp="t", lag="1m")

spend = gn.FeatureGroup(
    "spend",
    entity=user,
    timestamp="t",
    schema={"amount": pl.Float64},
    features=[gn.count(windows=["1h", "1d"]), gn.sum("amount", windows=["1d"])],
)
more_spend = gn.FeatureGroup(
    "spend",
    entity=user,
    timestamp="t",
    schema={"amount": pl.Float64, "shop": pl.String},
    features=[
        gn.count(windows=["1h", "1d"]),
        gn.sum("amount", windows=["1d"]),
        gn.last_k("shop", 2, windows=["1d"]),
    ],
)
orders = gn.FeatureGroup(
    "orders",
    entity=user,
    timestamp="t",
    known_at="seen",
    event_id="order",
    schema={"price": pl.Int64},
    features=[gn.sum("price", windows=["1d"]), gn.last("price")],
)
profile = gn.FeatureGroup(
    "profile", entity=user, source=profiles, max_age="2d", features=[gn.Feature("city", pl.String)]
)

GROUPS = [spend, orders, profile]
LATER_GROUPS = [more_spend, profile]


def batch(group: gn.FeatureGroup, number: int) -> pl.DataFrame:
    """Rows to insert. Each batch repeats some rows of the one before, corrects some, and holds some rows twice."""
    rng = np.random.default_rng([number, len(group.name)])
    n = 30
    seconds = rng.integers(-20_000, 1_000, n)
    at = pl.Series([NOON + timedelta(seconds=int(s)) for s in seconds], dtype=pl.Datetime("us", "UTC"))
    rows = pl.DataFrame({"user": rng.integers(0, len(USERS), n), "t": at})
    if group.name == "orders":
        ids = pl.Series([f"{number}-{i}" for i in range(n)])
        rows = rows.with_columns(
            order=ids, seen=at + timedelta(seconds=10), price=pl.Series(rng.integers(1, 9, n))
        )
        if number:
            # Correct what an earlier batch told, one second later.
            earlier = batch(group, number - 1).head(5)
            rows = pl.concat(
                [
                    rows,
                    earlier.with_columns(pl.col("seen") + timedelta(seconds=1), price=pl.lit(100, pl.Int64)),
                ]
            )
        return rows
    rows = rows.with_columns(amount=pl.Series(rng.normal(size=n)))
    if "shop" in dict(group.schema):
        rows = rows.with_columns(shop=pl.lit(f"shop {number}"))
    return pl.concat([rows, rows.head(4), *([batch(group, number - 1).tail(6)] if number else [])])


def write_profiles(folder: Path, number: int, version: int = 0) -> None:
    """Write file `number` of the source; versions differ in their values alone."""
    rng = np.random.default_rng(number)
    at = [NOON + timedelta(seconds=int(s)) for s in rng.integers(-250_000, 1_000, 20)]
    rows = {
        "user": rng.integers(0, len(USERS), 20),
        "t": at,
        "city": [f"{number}.{version}.{i}" for i in range(20)],
    }
    data = folder / "data" / "profiles"
    data.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).write_parquet(data / f"{number}.parquet")


def create(folder: Path) -> None:
    """A project with one file and no definitions."""
    (folder / "gnomon.toml").write_text('[project]\nname = "scene"\n')
    write_profiles(folder, 0)
    write_profiles(folder, 1)


def open_store(folder: Path, online: str | None = None) -> gn.Store:
    return gn.Store(folder, online=online, author="ana", clock=lambda: instant(NOON))


Operation = Callable[[gn.Store], object]

OPERATIONS: dict[str, Operation] = {
    "apply": lambda store: store.apply(GROUPS, message="first"),
    "apply more": lambda store: store.apply(LATER_GROUPS, prune=True, message="second"),
    "apply anew": lambda store: store.apply([*LATER_GROUPS, orders], message="third"),
    "materialize": lambda store: store.materialize(),
    "optimize": lambda store: store.optimize(),
    "vacuum": lambda store: store.vacuum(older_than="0s"),
    "retract": lambda store: store.retract("orders", [*batch(orders, 0)["order"].head(9), "none"]),
    "delete": lambda store: store.insert("orders", deletes=batch(orders, 0).select("user", "order").tail(9)),
    "backfill spend": lambda store: store.backfill("spend", NOON - timedelta(hours=4), None, chunk="2h", workers=1),
    "backfill profile": lambda store: store.backfill("profile", chunk="1d", workers=2),
    **{
        f"insert {name} {i}": lambda store, group=group, i=i: store.insert(group.name, batch(group, i))
        for name, group in {"spend": spend, "more spend": more_spend, "orders": orders}.items()
        for i in range(10)
    },
    **{
        f"push {name} {i}": lambda store, group=group, i=i: store.push(group.name, batch(group, i))
        for name, group in {"spend": spend, "orders": orders}.items()
        for i in range(10)
    },
    **{
        f"write {i} {v}": lambda store, i=i, v=v: write_profiles(store.path, i, v)
        for i in range(4)
        for v in range(4)
    },
}  # fmt: skip
"""By name: what children do. Done again from the start, each gives the state of once."""


def run(folder: Path, *names: str) -> None:
    """Do operations one after another."""
    with open_store(folder) as store:
        for name in names:
            OPERATIONS[name](store)


def restore(folder: Path, kept: Path) -> None:
    """Make `folder` what it was when it was kept, at the same path: tables remember where their rows are from."""
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)


def state(folder: Path) -> dict[str, Any]:
    """All that can be seen of a project, in values that compare."""
    with open_store(folder) as store:
        project = store._project
        groups = store.registry.snapshot().groups()
        return {
            "revisions": store.registry.history(),
            "definitions": store.registry.snapshot().documents,
            "tables": {name: _rows(store, name) for name in project.offline.tables()},
            "online tables": len(project.online.tables()),
            "online": {group.ref: held_online(store, group) for group in groups},
            "answers": {(group.ref, at): answers(store, group, at) for group in groups for at in TIMES},
        }


def _rows(store: gn.Store, table: str) -> tuple[list[int], list[Any]]:
    offline = store._project.offline
    raw = offline.scan(table, offline.schema(table)).collect()
    return [c.rows for c in offline.history(table)], sorted(raw.sort(raw.columns).rows(), key=repr)


def held_online(store: gn.Store, group: gn.FeatureGroup) -> tuple[Any, bytes]:
    """All that is held of a group online, but how often it was written and under which name."""
    online = store._project.online
    document = read_document(online, group.ref)
    assert document.live is not None
    held = sorted(online.scan(document.live.name))
    layout = document.live.shape.layout()
    rows = codec.unpack(layout, [value for _, value in held])
    # How many merges it took is no part of what a value says.
    buffer, offsets = codec.pack(layout, replace(rows, counter=np.zeros_like(rows.counter)))
    return (_told(document), [key for key, _ in held], offsets.tolist()), bytes(buffer)


def _told(document: Document) -> Any:
    live = document.live
    assert live is not None
    ends = sorted(loaded.end for loaded in live.parts.values())
    return (
        document.building, document.refill, live.shape, live.keys, live.source, ends, live.start,
        live.watermark, live.horizon, live.span, live.complete, live.retracted,
    )  # fmt: skip


def answers(store: gn.Store, group: gn.FeatureGroup, at: datetime) -> Any:
    """Values, statuses and event times of all users."""
    found = store.get_online_features([group], [{"user": u} for u in USERS], at=at)
    return found.to_dict(), found.statuses, found.event_times
