"""The way to a PostgreSQL: an end to waiting, formats that it reads, and errors that say whether to try again."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from gnomon.errors import GnomonError, Unavailable, UsageError
from gnomon.online.postgres_url import parse
from gnomon.online.postgres_wire import ByteaArray, Database, copy_pieces, translated
from tests.servers import Server

ITEMS = [b"", b"a", b"\0\xff\n", bytes(range(256)) * 10]


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(parse(postgres_url))
    yield database
    database.close()


@pytest.mark.parametrize("items", [[], [b""], ITEMS, [memoryview(item) for item in ITEMS]])
def test_an_array_arrives_as_it_was_sent(database: Database, items: list[bytes]) -> None:
    with database.connection() as connection:
        found = connection.execute("SELECT %s::bytea[]", [ByteaArray(items)], binary=True).fetchone()
    assert found == ([bytes(item) for item in items],)


@pytest.mark.parametrize("count", [1, 250, 600])
def test_rows_are_copied_as_they_are(database: Database, count: int) -> None:
    """Less than a piece, a whole piece, and some."""
    rows = [(item, item[::-1]) for item in ITEMS] * count
    with database.connection() as connection:
        connection.execute("CREATE TEMP TABLE t (key bytea, value bytea)")
        for some in (rows, []):
            with connection.cursor().copy("COPY t FROM STDIN (FORMAT BINARY)") as copy:
                for piece in copy_pieces(some):
                    copy.write(piece)
        assert connection.execute("SELECT * FROM t").fetchall() == rows


def test_a_connection_is_used_again_and_not_one_that_is_in_the_middle_of_something(
    database: Database,
) -> None:
    with database.connection() as first:
        pass
    with database.connection() as second:
        assert second is first
        second.execute("BEGIN")
    assert second.closed
    with database.connection() as third:
        assert third is not second


def test_a_server_that_hangs_is_given_up_in_time(postgres_url: str) -> None:
    database = Database(parse(f"{postgres_url}?timeout=0.3"))
    start = time.monotonic()
    with (
        pytest.raises(Unavailable, match=r"does not answer in time: no answer in 0\.3 s"),
        database.connection() as it,
    ):
        it.execute("SELECT pg_sleep(60)")
    assert time.monotonic() - start < 5
    # Not the late answer to the question that was given up.
    with database.connection() as other:
        assert other is not it
        assert other.execute("SELECT 1").fetchone() == (1,)
    database.close()


def test_a_server_that_is_not_there_is_told_of_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        database = Database(parse(f"postgresql://{place}/shop"))
        with (
            pytest.raises(Unavailable, match=f"PostgreSQL at {place}/shop cannot be reached"),
            database.connection(),
        ):
            pass


@pytest.mark.parametrize(("user", "name"), [("postgres", "no_such"), ("no_such", "postgres")])
def test_a_wrong_database_or_user_is_no_matter_of_trying_again(
    postgres_server: Server, user: str, name: str
) -> None:
    database = Database(parse(f"postgresql://{user}@127.0.0.1:{postgres_server.port}/{name}"))
    with pytest.raises(UsageError, match="no_such"), database.connection():
        pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.AdminShutdown("terminating connection"), Unavailable),
        (errors.CannotConnectNow("the database system is starting up"), Unavailable),
        (errors.TooManyConnections("sorry, too many clients already"), Unavailable),
        (errors.DiskFull("no space left on device"), Unavailable),
        (errors.ReadOnlySqlTransaction("cannot execute INSERT"), Unavailable),
        (errors.QueryCanceled("canceling statement due to statement timeout"), Unavailable),
        (psycopg.OperationalError("server closed the connection unexpectedly"), Unavailable),
        (psycopg.InterfaceError("the connection is closed"), Unavailable),
        (errors.InsufficientPrivilege("permission denied for schema gnomon"), UsageError),
        (errors.InvalidPassword("password authentication failed"), UsageError),
        (psycopg.OperationalError('FATAL:  password authentication failed for user "me"'), UsageError),
        (psycopg.ProgrammingError(""), UsageError),
    ],
)
def test_what_passes_is_told_from_what_does_not(error: psycopg.Error, kind: type[GnomonError]) -> None:
    told = translated(error, "PostgreSQL at h:1/d")
    assert type(told) is kind
    assert "PostgreSQL at h:1/d" in str(told)
    assert (told.at, bool(told.hint or kind is UsageError)) == ("online.url", True)
