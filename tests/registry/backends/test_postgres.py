"""PostgresRegistry: URLs, schemas, rights, and a server that goes away. Its contract is in tests/conformance."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from gnomon import plugins
from gnomon.errors import CorruptValue, Unavailable, UsageError
from gnomon.registry.backends import sql
from gnomon.registry.backends.postgres import PostgresRegistry
from gnomon.testing.registry import contents, new


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://host/db",
        "postgresql://host:port/db",
        "postgresql://host/db?schema=a&schema=b",
    ],
)
def test_url_that_cannot_be_used_is_refused_with_an_example(url):
    with pytest.raises(UsageError) as caught:
        PostgresRegistry(url)
    assert caught.value.at == "registry.url"
    assert "postgresql://user@host" in (caught.value.hint or "")


def test_line_of_gnomon_toml_opens_it(postgres_url, tmp_path):
    opened = plugins.resolve("registry", postgres_url)(postgres_url, root=tmp_path)
    assert isinstance(opened, PostgresRegistry)


def test_password_is_never_shown(postgres_url):
    registry = PostgresRegistry(postgres_url.replace("postgres@", "postgres:s3cret@"))
    assert "s3cret" not in repr(registry)
    assert "***" in registry.shown


def test_schema_of_the_url_holds_the_tables(postgres_url):
    registry = PostgresRegistry(f"{postgres_url}?schema=team%20one")
    registry.swap(0, new(a="1"))
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute('SELECT count(*) FROM "team one".gnomon_revisions').fetchone() == (1,)
    assert PostgresRegistry(postgres_url).head() == 0


def test_many_that_open_an_empty_database_at_once_all_succeed(postgres_url):
    many = 8
    start = threading.Barrier(many)

    def open_one(_: int) -> int:
        start.wait()
        return PostgresRegistry(f"{postgres_url}?schema=new").head()

    with ThreadPoolExecutor(many) as pool:
        assert list(pool.map(open_one, range(many))) == [0] * many


@pytest.fixture
def reader_url(postgres_url):
    """The URL of a user who may read what the owner wrote, and nothing else."""
    PostgresRegistry(f"{postgres_url}?schema=s").swap(0, new(a="1"))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA s TO reader")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA s TO reader")
        yield f"{postgres_url.replace('postgres@', 'reader@')}?schema=s"
        connection.execute("DROP OWNED BY reader")
        connection.execute("DROP ROLE reader")


def test_user_who_may_only_read_reads(reader_url):
    registry = PostgresRegistry(reader_url)
    assert contents(registry) == {"a": "1"}
    with pytest.raises(UsageError, match="has not the right") as caught:
        registry.swap(1, new(a="2"))
    assert "INSERT" in (caught.value.hint or "")


def test_table_that_is_gone_is_told(postgres_url):
    registry = PostgresRegistry(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("DROP TABLE gnomon_revisions")
    with pytest.raises(CorruptValue, match="gnomon_revisions"):
        registry.head()


def test_lock_that_is_not_let_go_is_unavailable_and_reading_goes_on(postgres_url, monkeypatch):
    monkeypatch.setattr(sql, "WAIT_SECONDS", 0.05)
    registry = PostgresRegistry(postgres_url)
    registry.swap(0, new(a="1"))
    with psycopg.connect(postgres_url) as other:
        other.execute("INSERT INTO gnomon_revisions VALUES (2, 'bo', 0, '', '[]')")
        with pytest.raises(Unavailable, match="lock timeout"):
            registry.swap(1, new(a="2"))
        assert contents(registry) == {"a": "1"}
        other.rollback()
    registry.swap(1, new(a="2"))


def test_server_that_is_killed_is_unavailable_and_found_again(postgres_url, postgres_server):
    registry = PostgresRegistry(postgres_url)
    registry.swap(0, new(a="1"))
    postgres_server.kill()
    try:
        for use in (registry.head, registry.load, lambda: registry.swap(1, new(a="2"))):
            with pytest.raises(Unavailable, match="cannot be reached") as caught:
                use()
            assert "postgres" in (caught.value.at or "")
    finally:
        postgres_server.start()
    assert contents(registry) == {"a": "1"}
    registry.swap(1, new(a="2"))


def test_server_that_hangs_is_given_up(postgres_url, postgres_server):
    registry = PostgresRegistry(f"{postgres_url}?connect_timeout=2")
    postgres_server.pause()
    try:
        with pytest.raises(Unavailable, match="timeout"):
            registry.head()
    finally:
        postgres_server.resume()
    assert registry.head() == 0


def test_registry_works_in_a_forked_child(postgres_url):
    registry = PostgresRegistry(postgres_url)
    registry.swap(0, new(a="1"))
    child = os.fork()
    if child == 0:
        registry.swap(1, new(a="2"))
        os._exit(0 if contents(registry) == {"a": "2"} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert contents(registry) == {"a": "2"}
