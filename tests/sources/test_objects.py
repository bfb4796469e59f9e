"""Objects: told apart by etag, opened by options or the environment, and what is said when the store is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, DefinitionError, Unavailable
from gnomon.sources.kinds import open_source
from gnomon.time import instant
from tests.conformance.test_source_objects import put

AT = datetime(2026, 1, 4, tzinfo=UTC)


@pytest.fixture
def opened(seaweed, tmp_path):
    def opened(path, storage=None, **given):
        source = gn.FileSource("s", f"{seaweed.url}/{path}", timestamp="t", **given)
        return open_source(source, tmp_path, storage=seaweed.options if storage is None else storage)

    return opened


def test_an_object_of_the_same_size_written_in_the_same_second_is_another(seaweed, opened):
    put(seaweed, "a.csv", b"k\n1\n")
    (before,) = opened("a.csv").parts()
    put(seaweed, "a.csv", b"k\n2\n")
    (after,) = opened("a.csv").parts()
    assert (before.name, before.size) == (after.name, after.size) == (f"{seaweed.url}/a.csv", 4)
    assert before.etag != after.etag
    put(seaweed, "a.csv", b"k\n2\n")
    assert opened("a.csv").parts() == (after,)


def test_hidden_objects_are_no_data_and_globs_look_into_folders(seaweed, opened):
    for name in ("in/a.csv", "in/x/b.csv", "in/_tmp/c.csv", "in/.d.csv", "in/e.txt"):
        put(seaweed, name, b"k\n1\n")
    names = [part.name.removeprefix(f"{seaweed.url}/") for part in opened("in").parts()]
    assert names == ["in/a.csv", "in/x/b.csv"]
    assert [p.name.removeprefix(f"{seaweed.url}/") for p in opened("in/*/[a-c]?csv").parts()] == [
        "in/_tmp/c.csv",
        "in/x/b.csv",
    ]
    assert len(opened("in/**/?.csv").parts()) == 3


def test_a_copy_of_text_stays_as_long_as_its_rows_may_be_read(seaweed, opened):
    put(seaweed, "a.csv", b"k,x\n1,2\n")
    rows = opened("a.csv").scan(["x"], part_column="p")
    assert rows.collect().rows() == [(2, f"{seaweed.url}/a.csv")]


def test_the_environment_opens_the_store_too(seaweed, opened, monkeypatch):
    put(seaweed, "a.csv", b"k\n1\n")
    pl.DataFrame({"k": [1]}).write_parquet(f"{seaweed.url}/b.parquet", storage_options=dict(seaweed.options))
    for name, text in seaweed.options.items():
        if name != "aws_allow_http":  # an endpoint that says http:// means it
            monkeypatch.setenv(name.upper(), text)
    assert opened("a.csv", storage={}).schema() == {"k": pl.Int64()}
    assert opened("b.parquet", storage={}).scan(["k"]).collect()["k"].to_list() == [1]


def test_options_of_the_source_go_first_and_name_variables(seaweed, opened, monkeypatch):
    put(seaweed, "a.csv", b"k\n1\n")
    monkeypatch.setenv("SHOP_SECRET", seaweed.options["aws_secret_access_key"])
    given = {"aws_secret_access_key": "${SHOP_SECRET}"}
    storage = {**seaweed.options, "aws_secret_access_key": "wrong"}
    with pytest.raises(DataError, match="the object store refuses to open") as caught:
        opened("a.csv", storage=storage)
    assert "key and its secret" in caught.value.hint
    assert opened("a.csv", storage=storage, options=given).schema() == {"k": pl.Int64()}
    monkeypatch.delenv("SHOP_SECRET")
    with pytest.raises(DataError, match="SHOP_SECRET, which is not set"):
        opened("a.csv", storage=storage, options=given)


def test_what_is_not_there_is_told(seaweed, opened, tmp_path):
    for path in ("nope.csv", "nope"):
        with pytest.raises(DataError, match="nothing to read at"):
            opened(path)
    source = gn.FileSource("s", "s3://no-such-bucket/a.csv", timestamp="t")
    with pytest.raises(DataError, match="nothing to read at"):
        open_source(source, tmp_path, storage=seaweed.options)


def test_a_store_that_is_away_is_told_as_such_and_not_waited_for_long(seaweed, seaweed_server, opened):
    pl.DataFrame({"k": range(100_000)}).write_parquet(
        f"{seaweed.url}/a.parquet", storage_options=dict(seaweed.options)
    )
    reader = opened("a.parquet")
    rows = reader.scan(["k"])
    seaweed_server.kill()
    try:
        with pytest.raises(Unavailable, match="source `s`: the object store cannot be reached"):
            opened("a.parquet")
        with pytest.raises(OSError, match=r"Connection refused|error sending|connect") as caught:
            rows.collect()
        assert isinstance(reader.failure(caught.value), Unavailable)
    finally:
        seaweed_server.start()
    assert len(rows.collect()) == 100_000


def test_a_table_in_a_bucket_is_trained_on_and_materialized(seaweed):
    hours = pl.datetime_range(AT - timedelta(days=3), AT, "1h", eager=True)
    rows = pl.DataFrame(
        {"user_id": [i % 3 for i in range(len(hours))], "t": hours, "amount": range(len(hours))}
    )
    for third in (rows[:24], rows[24:48], rows[48:]):
        third.write_delta(f"{seaweed.url}/orders", mode="append", storage_options=dict(seaweed.options))
    user = gn.Entity("user", keys={"user_id": pl.Int64})
    options = {name: text for name, text in seaweed.options.items() if name != "aws_secret_access_key"} | {
        "aws_secret_access_key": "${SHOP_SECRET}"
    }
    orders = gn.FileSource("orders", f"{seaweed.url}/orders", timestamp="t", options=options)
    spend = gn.FeatureGroup("spend", entity=user, source=orders, features=[gn.sum("amount", windows=["12h"])])
    spine = pl.DataFrame({"user_id": [0, 1, 2], "event_timestamp": [AT] * 3})
    with pytest.MonkeyPatch.context() as patch, gn.Store(clock=lambda: instant(AT)) as store:
        with pytest.raises(DefinitionError, match="SHOP_SECRET, which is not set"):
            store.plan([user, orders, spend])
        patch.setenv("SHOP_SECRET", seaweed.options["aws_secret_access_key"])
        store.apply([user, orders, spend])
        training = store.get_historical_features(spine, ["spend:amount_sum_12h"])
        assert "1 file of 3" in training.explain()
        assert store.materialize().rows == len(rows)
        assert store.materialize().rows == 0
        online = store.get_online_features(["spend:amount_sum_12h"], {"user_id": [0, 1, 2]}, at=AT)
        wanted = [sum(i for i in range(60, 72) if i % 3 == k) for k in range(3)]
        assert training.to_polars()["amount_sum_12h"].to_list() == wanted
        assert online.to_polars()["amount_sum_12h"].to_list() == wanted
