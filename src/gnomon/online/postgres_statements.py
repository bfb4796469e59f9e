"""What the store says to PostgreSQL, word by word. Parameters are `%s`, rows are (key, value)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

LAYOUT = 1
"""The version of what lies in the schema."""

IDENTIFIER = 63
"""The longest name in PostgreSQL, in bytes; of a longer one it silently keeps the beginning."""

_DIGEST = 16


def quoted(name: str) -> str:
    """A name as it stands in a statement without parameters; with, a `%` in it is written twice."""
    return '"' + name.replace('"', '""') + '"'


def relation(table: str) -> str:
    """The name in the database of one of our tables: readable where that is possible, and another for each.

    Too long, or with a character that PostgreSQL cannot hold, a name is its beginning and a digest of it.
    """
    name = f"data:{table}"
    if len(name.encode()) <= IDENTIFIER and "\0" not in name:
        return name
    digest = blake2b(table.encode(), digest_size=_DIGEST).hexdigest()
    head = (
        table.replace("\0", "").encode()[: IDENTIFIER - len("long::") - 2 * _DIGEST].decode(errors="ignore")
    )
    return f"long:{head}:{digest}"


@dataclass(frozen=True, slots=True)
class TableStatements:
    """What is said about one table."""

    name: bytes
    """The table, as the directory knows it."""
    create: str
    enter: str
    drop: str
    leave: str
    is_empty: str
    copy: str
    read: str
    first_page: str
    page: str
    lock: str
    insert: str
    change: str
    remove: str
    delete: str
    overwrite: str


def table_statements(schema: str, table: str) -> TableStatements:
    """The statements of a table in a schema."""
    bare = f"{quoted(schema)}.{quoted(relation(table))}"
    place = bare.replace("%", "%%")
    directory = f"{quoted(schema)}.tables".replace("%", "%%")
    pairs = "unnest(%s::bytea[], %s::bytea[])"
    return TableStatements(
        name=table.encode(),
        # Values are packed already: compressing them again costs time and saves little.
        create=f"CREATE TABLE IF NOT EXISTS {bare} "
        "(key bytea PRIMARY KEY, value bytea STORAGE EXTERNAL NOT NULL)",
        enter=f"INSERT INTO {directory} VALUES (%s) ON CONFLICT DO NOTHING",
        drop=f"DROP TABLE IF EXISTS {bare}",
        leave=f"DELETE FROM {directory} WHERE name = %s",
        is_empty=f"SELECT NOT EXISTS (SELECT FROM {bare})",
        copy=f"COPY {bare} (key, value) FROM STDIN (FORMAT BINARY)",
        read=f"SELECT key, value FROM {place} WHERE key = ANY(%s)",
        first_page=f"SELECT key, value FROM {place} ORDER BY key LIMIT %s",
        page=f"SELECT key, value FROM {place} WHERE key > %s ORDER BY key LIMIT %s",
        # In the order of keys, as all who lock several: so nobody waits for each other in a circle.
        lock=f"SELECT key, value FROM {place} WHERE key = ANY(%s) ORDER BY key FOR UPDATE",
        insert=f"INSERT INTO {place} SELECT * FROM {pairs} ON CONFLICT DO NOTHING RETURNING key",
        change=f"UPDATE {place} AS held SET value = new.value "
        f"FROM {pairs} AS new (key, value) WHERE held.key = new.key",
        remove=f"DELETE FROM {place} WHERE key = ANY(%s)",
        delete=f"DELETE FROM {place} WHERE key IN "
        f"(SELECT key FROM {place} WHERE key = ANY(%s) ORDER BY key FOR UPDATE)",
        overwrite=f"INSERT INTO {place} SELECT * FROM {pairs} "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )


def renamed(schema: str, old: str, new: str) -> str:
    """Give a table the name of another, which has none of it."""
    return f"ALTER TABLE {quoted(schema)}.{quoted(relation(old))} RENAME TO {quoted(relation(new))}"


@dataclass(frozen=True, slots=True)
class SchemaStatements:
    """What is said about the schema as a whole."""

    version: str
    has_schema: str
    make_schema: str
    make: tuple[str, ...]
    alone: str
    tables: str
    which: str
    get_document: str
    add_document: str
    change_document: str
    remove_document: str


def schema_statements(schema: str) -> SchemaStatements:
    """The statements of a schema."""
    bare = quoted(schema)
    documents = f"{bare}.documents".replace("%", "%%")
    directory = f"{bare}.tables".replace("%", "%%")
    literal = "'" + schema.replace("'", "''") + "'"
    number = int.from_bytes(
        blake2b(b"gnomon\0" + schema.encode(), digest_size=8).digest(), "big", signed=True
    )
    return SchemaStatements(
        version=f"SELECT version FROM {bare}.layout",
        has_schema=f"SELECT true FROM pg_namespace WHERE nspname = {literal}",
        make_schema=f"CREATE SCHEMA {bare}",
        make=(
            f"CREATE TABLE IF NOT EXISTS {bare}.tables (name bytea PRIMARY KEY)",
            f"CREATE TABLE IF NOT EXISTS {bare}.documents (name bytea PRIMARY KEY, value bytea NOT NULL)",
            f"CREATE TABLE IF NOT EXISTS {bare}.layout AS SELECT {LAYOUT} AS version",
        ),
        # Who makes, drops or renames tables does so alone: `IF NOT EXISTS` is no promise between two at a time.
        alone=f"SELECT pg_advisory_xact_lock({number})",
        tables=f"SELECT name FROM {bare}.tables",
        which=f"SELECT name FROM {directory} WHERE name = ANY(%s)",
        get_document=f"SELECT value FROM {documents} WHERE name = %s",
        add_document=f"INSERT INTO {documents} VALUES (%s, %s) ON CONFLICT DO NOTHING",
        change_document=f"UPDATE {documents} SET value = %s WHERE name = %s AND value = %s",
        remove_document=f"DELETE FROM {documents} WHERE name = %s AND value = %s",
    )
