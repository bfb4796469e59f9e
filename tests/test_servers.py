"""The servers of the tests: they answer, are fresh each time, and come back with their data."""

from __future__ import annotations

import polars as pl
import psycopg
import pytest
import redis


@pytest.mark.parametrize("name", ["valkey", "redis"])
def test_a_keyspace_is_fresh_and_a_killed_server_comes_back_with_it(name, request):
    server = request.getfixturevalue(f"{name}_server")
    url = request.getfixturevalue(f"{name}_url")
    with redis.Redis.from_url(url) as client:
        assert client.dbsize() == 0
        client.set("a", "1")
        client.execute_command("WAITAOF", 1, 0, 10_000)  # a busy disk may keep the log waiting
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("a")
        server.start()
        assert client.get("a") == b"1"


@pytest.mark.parametrize("turn", [1, 2])
def test_a_database_is_fresh(postgres_url, turn):
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone() == (0,)
        connection.execute("CREATE TABLE a (x int)")


def test_a_killed_database_comes_back_with_what_was_committed(postgres_url, postgres_server):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE a AS SELECT 1 AS x")
    postgres_server.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_url)
    postgres_server.start()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT x FROM a").fetchone() == (1,)


@pytest.mark.slow
def test_a_bucket_is_fresh_and_a_killed_object_store_comes_back_with_it(seaweed, seaweed_server):
    rows = pl.DataFrame({"k": [1, 2]})
    rows.write_parquet(f"{seaweed.url}/rows.parquet", storage_options=dict(seaweed.options))
    seaweed_server.kill()
    seaweed_server.start()
    back = pl.scan_parquet(f"{seaweed.url}/*", storage_options=dict(seaweed.options), include_file_paths="p")
    assert back.collect().equals(rows.with_columns(p=pl.lit(f"{seaweed.url}/rows.parquet")))
