"""Names in the database: readable, of a length that PostgreSQL keeps, and never the same for two tables."""

from __future__ import annotations

import psycopg
import pytest

from gnomon.online.postgres_statements import (
    IDENTIFIER,
    quoted,
    relation,
    schema_statements,
    table_statements,
)

NAMES = [
    "a",
    "A",
    "a@1#2",
    'with "quotes"',
    "100 %",
    "x\0y",
    "xy",
    "é" * 29,
    "é" * 30,
    "x" * 58,
    "x" * 59,
    "x" * 255,
]


def test_names_that_fit_are_readable_and_the_rest_keep_their_beginning() -> None:
    assert relation("visits@1#3") == "data:visits@1#3"
    assert relation("x" * 59).startswith("long:xxxx")
    assert all(len(relation(name).encode()) <= IDENTIFIER for name in NAMES)


def test_no_two_tables_have_one_name() -> None:
    beginnings = [f"{'x' * 60}{i}" for i in range(100)]
    taken = [relation(name) for name in (*NAMES, *beginnings)]
    assert len(set(taken)) == len(taken)


@pytest.mark.parametrize("schema", ["plain", 'it"s', "100%", "Übergröße", "a'b"])
@pytest.mark.parametrize("name", NAMES)
def test_every_statement_says_what_it_means_whatever_the_names(
    postgres_url: str, schema: str, name: str
) -> None:
    """With the name in it as it is: PostgreSQL folds, cuts and replaces nothing."""
    about, table = schema_statements(schema), table_statements(schema, name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        assert connection.execute(about.has_schema).fetchone() is None
        for statement in (about.make_schema, *about.make, table.create, about.alone):
            connection.execute(statement)
        assert connection.execute(about.has_schema).fetchone() == (True,)
        connection.execute(table.enter, [table.name])
        connection.execute(table.overwrite, [[b"k"], [b"1"]])
        assert connection.execute(table.insert, [[b"k", b"l"], [b"2", b"2"]]).fetchall() == [(b"l",)]
        connection.execute(table.change, [[b"l"], [b"3"]])
        assert connection.execute(table.lock, [[b"l", b"k"]]).fetchall() == [(b"k", b"1"), (b"l", b"3")]
        assert connection.execute(table.first_page, [1]).fetchall() == [(b"k", b"1")]
        assert connection.execute(table.page, [b"k", 9]).fetchall() == [(b"l", b"3")]
        assert connection.execute(about.tables).fetchall() == [(table.name,)]
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
        assert (relation(name),) in connection.execute(tables, [schema]).fetchall()


def test_quotes_in_names_stay_part_of_the_name() -> None:
    assert quoted('a"; DROP TABLE b; --') == '"a""; DROP TABLE b; --"'
