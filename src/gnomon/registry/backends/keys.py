"""Keys: the table of API keys, one row a key, whatever becomes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from gnomon.abc.registry import StoredKey
from gnomon.errors import Conflict, NotFound

KEYS = sa.Table(
    "gnomon_keys",
    sa.MetaData(),
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("grants", sa.Text, nullable=False),  # as JSON
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=True),
    sa.Column("revoked", sa.BigInteger, nullable=True),
    sa.Column("revoked_by", sa.Text, nullable=True),
)


def read(connection: sa.Connection) -> tuple[StoredKey, ...]:
    """All keys, in the order of their creation."""
    # Sorted here: each database has an order of texts of its own.
    return tuple(
        sorted(map(_key, connection.execute(sa.select(KEYS))), key=lambda one: (one.created, one.id))
    )


def insert(connection: sa.Connection, key: StoredKey) -> None:
    """Write a key. Raises: Conflict if there is one of its id."""
    try:
        connection.execute(sa.insert(KEYS).values(_row(key)))
    except sa.exc.IntegrityError:
        raise Conflict(f"there is a key `{key.id}` already") from None


def revoke(connection: sa.Connection, id: str, time: int, author: str) -> StoredKey:
    """Revoke a key that is not yet revoked. Raises: NotFound."""
    # Written before it is read, as in `swap`: of two who revoke, the first one stands.
    connection.execute(
        sa.update(KEYS)
        .where(KEYS.c.id == id, KEYS.c.revoked.is_(None))
        .values(revoked=time, revoked_by=author)
    )
    row = connection.execute(sa.select(KEYS).where(KEYS.c.id == id)).one_or_none()
    if row is None:
        raise missing(id)
    return _key(row)


def replace(connection: sa.Connection, keys: Sequence[StoredKey]) -> None:
    """Hold these keys and no others: for the copy of a registry."""
    connection.execute(sa.delete(KEYS))
    if keys:
        connection.execute(sa.insert(KEYS), [_row(key) for key in keys])


def missing(id: str) -> NotFound:
    return NotFound(f"key `{id}` not found", hint="`gnomon key list` shows the ids")


def _row(key: StoredKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "digest": key.digest,
        "name": key.name,
        "grants": json.dumps(key.grants),
        "author": key.author,
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
        "revoked_by": key.revoked_by,
    }


def _key(row: Any) -> StoredKey:
    return StoredKey(
        row.id,
        row.digest,
        row.name,
        tuple(json.loads(row.grants)),
        row.author,
        row.created,
        row.expires,
        row.revoked,
        row.revoked_by,
    )
