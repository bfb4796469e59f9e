"""The line of gnomon.toml that names a PostgreSQL: what is ours in it, and what is libpq's."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from gnomon.errors import UsageError

_AT = "online.url"

_SCHEMA_BYTES = 63
"""The longest identifier that PostgreSQL keeps whole."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a URL says."""

    conninfo: str = field(repr=False)
    """What libpq connects with. It may hold a password."""
    shown: str
    """The server as errors name it, without user and password."""
    schema: str = "gnomon"
    """Where our tables lie."""
    timeout: float = 10.0
    """Seconds to wait for a connection, and for each answer."""


def parse(url: str) -> Settings:
    """Read `postgresql://user:password@host:port/database?schema=…&timeout=…`.

    Every other option is libpq's: `sslmode=verify-full`, `sslrootcert=…`, `target_session_attrs=read-write`.
    Raises: UsageError for what cannot be read; the URL is not shown, for it may hold a password.
    """
    _, _, rest = url.partition("://")
    try:
        parts = urlsplit(f"postgresql://{rest}")
    except ValueError:
        raise UsageError("the URL cannot be read", at=_AT, hint=_EXAMPLE) from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    schema = _schema(options.pop("schema", "gnomon"))
    timeout = _seconds(options.pop("timeout", "10"))
    conninfo = urlunsplit(parts._replace(query=urlencode(options)))
    try:
        known = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        # What libpq quotes is an option or a part of the host; never the password, which it takes as it is.
        raise UsageError(
            f"the URL cannot be read: {str(error).strip()}",
            at=_AT,
            hint="`schema` and `timeout` are ours, every other option is one of libpq's",
        ) from None
    host, port, database = (known.get(name) for name in ("host", "port", "dbname"))
    return Settings(
        conninfo, f"PostgreSQL at {host or 'localhost'}:{port or 5432}/{database or ''}", schema, timeout
    )


_EXAMPLE = "such as `postgresql://user:password@host:5432/database?schema=gnomon`"


def _schema(text: str) -> str:
    if not text or len(text.encode()) > _SCHEMA_BYTES or "\0" in text or text.startswith("pg_"):
        raise UsageError(
            f"`{text}` is no name for a schema of ours",
            at=_AT,
            hint=f"1 to {_SCHEMA_BYTES} bytes, not `pg_…`",
        )
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 3600:
        raise UsageError(
            f"the option `timeout` is seconds, more than 0 and less than 3600, not `{text}`", at=_AT
        )
    return seconds
