"""Rows that are pushed through a client, and training sets that come through it, are those of a store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon import config
from gnomon.errors import GnomonError, UsageError
from tests.serve.server import serving

T = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
USER = gn.Entity("user", keys={"user": pl.Int64})
VISITS = gn.FeatureGroup(
    "visits", entity=USER, timestamp="at", known_at="seen", event_id="id",
    schema={"seen": pl.Datetime("us", "UTC"), "id": pl.String, "cost": pl.Decimal(12, 2), "raw": pl.Binary},
    features=[gn.count(windows=["1h", "1d"]), gn.sum("cost", windows=["1d"]), gn.last("raw")],
)  # fmt: skip
PLAN = gn.FeatureGroup("plan", entity=USER, timestamp="at", features=[gn.Feature("name", pl.String)])
FILE = gn.FileSource("file", path="file.parquet", timestamp="at")
READ = gn.FeatureGroup("read", entity=USER, source=FILE, features=[gn.Feature("x", pl.Float64)])
SERVICE = gn.FeatureService("model", features=[VISITS, PLAN])


def visit(user: Any, k: int, **changes: Any) -> dict[str, Any]:
    return {
        "user": user, "at": T - k * HOUR, "seen": T - k * HOUR, "id": f"{user}-{k}", "cost": Decimal(k),
        "raw": bytes([k]), **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("writing")
    (made / "gnomon.toml").write_text(config.DEFAULT_TEXT.format(name="writing"))
    pl.DataFrame({"user": [1], "at": [T], "x": [0.5]}).write_parquet(made / "file.parquet")
    with gn.Store(made) as store:
        store.apply([VISITS, PLAN, READ, SERVICE])
        store.insert(VISITS, [visit(u, k) for u in (1, 2) for k in (1, 2, 30)])
        store.insert(PLAN, [{"user": 1, "at": T - HOUR, "name": "free"}])
        store.materialize()
    return made


@pytest.fixture(scope="module")
def store(folder) -> Iterator[gn.Store]:
    with gn.Store(folder) as store:
        yield store


@pytest.fixture(scope="module")
def client(folder) -> Iterator[gn.Client]:
    with serving(folder) as url, gn.Client(url) as client:
        yield client


# --- push -----------------------------------------------------------------------------------------------------


def test_an_answer_after_a_push_includes_it(client):
    rows = [visit(10, 1), visit(10, 2), visit("x", 1), visit(10, 3, cost="much")]
    ack = client.push(VISITS, rows)
    assert (ack.source, ack.rows, ack.accepted, ack.duplicates, ack.online) == ("visits@1", 4, 2, 0, True)
    assert [one.row for one in ack.rejected] == [2, 3]
    found = client.get_online_features("model", [{"user": 10}], at=T).to_dict()
    assert found["count_1d"] == [2]
    assert found["cost_sum_1d"] == [Decimal("3.00")]
    assert found["raw_last"] == [b"\1"]


def test_a_push_again_changes_nothing(client):
    rows = pl.DataFrame([visit(11, 1), visit(11, 2)], schema_overrides={"cost": pl.Decimal(12, 2)})
    first, again = client.push("visits", rows), client.push("visits", rows)
    assert (first.accepted, again.accepted, again.duplicates) == (2, 0, 2)


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ("vists", [visit(1, 1)]),
        (FILE, [visit(1, 1)]),
        ("read", [visit(1, 1)]),
        ("visits", pl.DataFrame({"a": [1]})),
    ],
)
def test_what_cannot_be_pushed_is_told_as_by_the_store(store, client, source, rows):
    with pytest.raises(GnomonError) as want:
        store.push(source, rows)
    with pytest.raises(GnomonError) as got:
        client.push(source, rows)
    assert (got.type, str(got.value)) == (want.type, str(want.value))


def test_acks_are_those_of_the_store(store, client):
    rows = [visit(12, 1), visit(12, 1), visit(None, 2), visit(12, 3, cost=Decimal("1e30"))]
    mine = client.push(VISITS, rows)
    other = [{**row, "user": row["user"] and 13} for row in rows]
    theirs = store.push(VISITS, other)
    assert replace(theirs, id=mine.id) == mine


def test_what_is_no_group_or_row_is_refused_here(client):
    with pytest.raises(UsageError, match="no source and no group"):
        client.push(5, [])
    with pytest.raises(GnomonError, match="row 0 is an int"):
        client.push("visits", [5])


# --- training sets --------------------------------------------------------------------------------------------

SPINE = pl.DataFrame(
    {
        "label": pl.Series(["a", "b", "a", None], dtype=pl.Categorical),
        "user": [1, 2, 99, 1],
        "event_timestamp": [T, T - HOUR, T, T + HOUR],
        "note": [1.5, None, float("nan"), -0.0],
    }
)


@pytest.mark.parametrize("features", ["model", ["visits:count_1d", "plan:name"], VISITS, SERVICE])
@pytest.mark.parametrize("options", [{}, {"as_of": "latest"}, {"as_of": T - HOUR}, {"full_names": True}])
def test_training_sets_are_those_of_the_store(store, client, features, options):
    want = store.get_historical_features(SPINE, features, **options).to_polars()
    got = client.get_historical_features(SPINE, features, **options)
    assert got.to_polars().schema == want.schema
    assert got.to_polars().equals(want, null_equal=True)
    assert repr(got.to_polars().rows()) == repr(want.rows())
    assert list(got.features) == want.columns[SPINE.width :]


def test_a_training_set_takes_the_forms_of_a_stores(store, client, tmp_path):
    got = client.get_historical_features(SPINE, "model")
    assert len(got) == 4
    assert repr(got) == f"Training(4 rows × {len(got.features)} features)"
    assert [len(part) for part in got.to_batches(3)] == [3, 1]
    got.write_parquet(tmp_path / "t.parquet")
    assert pl.read_parquet(tmp_path / "t.parquet").columns == got.to_polars().columns


def test_a_spine_without_rows_keeps_columns_and_types(store, client):
    want = store.get_historical_features(SPINE.clear(), "model").to_polars()
    assert client.get_historical_features(SPINE.clear(), "model").to_polars().schema == want.schema


def test_a_large_spine_comes_whole(store, client):
    spine = pl.DataFrame({"user": [1, 2] * 40_000, "event_timestamp": [T] * 80_000})
    got = client.get_historical_features(spine, ["visits:count_1d"]).to_polars()
    assert got["count_1d"].to_list() == [2] * 80_000


@pytest.mark.parametrize(
    ("spine", "features", "options"),
    [
        ({"usr": [1], "event_timestamp": [T]}, "model", {}),
        ({"user": [1]}, "model", {}),
        ({"user": [1], "event_timestamp": [None]}, "model", {}),
        ({"user": ["1"], "event_timestamp": [T]}, "model", {}),
        (SPINE, "modle", {}),
        (SPINE, ["visits:count_2d"], {}),
        (SPINE, "model", {"as_of": "then"}),
        (SPINE, "model", {"timestamp": "when"}),
        (SPINE.rename({"note": "name"}), "model", {}),
    ],
)
def test_errors_of_training_sets_are_those_of_the_store(store, client, spine, features, options):
    with pytest.raises(GnomonError) as want:
        store.get_historical_features(spine, features, **options).to_polars()
    with pytest.raises(GnomonError) as got:
        client.get_historical_features(spine, features, **options)
    assert (got.type, str(got.value)) == (want.type, str(want.value))


def test_the_asynchronous_client_pushes_and_trains(client):
    async def work():
        async with gn.AsyncClient(client.url) as other:
            ack = await other.push(VISITS, [visit(20, 1)])
            return ack, await other.get_historical_features(SPINE, "model")

    ack, training = asyncio.run(work())
    assert ack.accepted == 1
    assert training.to_polars().equals(
        client.get_historical_features(SPINE, "model").to_polars(), null_equal=True
    )


def test_history_of_a_real_registry_is_that_of_the_store(store, client):
    assert client.registry.history() == store.registry.history()


@pytest.mark.parametrize("features", ["model", ["visits:count_1d", "plan:name"], PLAN])
@pytest.mark.parametrize("online", [True, False])
def test_inputs_are_those_of_the_store(store, client, features, online):
    assert client.inputs(features, online=online) == store.inputs(features, online=online)


def test_inputs_of_what_is_not_there_are_told_as_by_the_store(store, client):
    with pytest.raises(GnomonError) as want:
        store.inputs("modle")
    with pytest.raises(GnomonError) as got:
        client.inputs("modle")
    assert (got.type, str(got.value)) == (want.type, str(want.value))


@pytest.mark.parametrize("service", ["model", "model@1", SERVICE])
def test_contracts_are_those_of_the_store_and_can_be_pinned(store, client, service):
    want, got = store.contract(service), client.contract(service)
    assert (got.to_json(), got.hash, got.service) == (want.to_json(), want.hash, want.service)
    for given in (got.hash, "0" * 32):
        with gn.Client(client.url, headers={"gnomon-contract": given}) as pinning:
            try:
                pinning.get_online_features("model", [{"user": 1}], at=T)
            except GnomonError:
                assert given != got.hash
            else:
                assert given == got.hash


def test_a_contract_is_one_of_a_service(client):
    with pytest.raises(UsageError, match="one of a service"):
        client.contract(["visits:count_1d"])
