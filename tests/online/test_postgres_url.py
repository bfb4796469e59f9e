"""What a URL of a PostgreSQL says, and what is said about one that cannot be right."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from gnomon.errors import UsageError
from gnomon.online.postgres_url import Settings, parse


def test_ours_is_taken_out_and_the_rest_is_libpqs() -> None:
    found = parse("postgresql://me:p%40ss@h:7000/shop?schema=features&sslmode=require&timeout=2.5")
    assert (found.schema, found.timeout, found.shown) == ("features", 2.5, "PostgreSQL at h:7000/shop")
    assert conninfo_to_dict(found.conninfo) == {
        "user": "me",
        "password": "p@ss",
        "host": "h",
        "port": "7000",
        "dbname": "shop",
        "sslmode": "require",
    }


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "POSTGRESQL"])
def test_the_scheme_may_be_written_as_others_do(scheme: str) -> None:
    assert parse(f"{scheme}://h/d") == Settings("postgresql://h/d", "PostgreSQL at h:5432/d")


def test_several_hosts_are_libpqs_affair() -> None:
    found = parse("postgresql://a:1,b:2/d?target_session_attrs=read-write")
    assert conninfo_to_dict(found.conninfo)["host"] == "a,b"
    assert found.shown == "PostgreSQL at a,b:1,2/d"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://me:secret@h/d?shema=a", "shema"),
        ("postgresql://me:secret@h/d?schema=", "no name for a schema"),
        ("postgresql://me:secret@h/d?schema=pg_mine", "no name for a schema"),
        (f"postgresql://me:secret@h/d?schema={'x' * 64}", "no name for a schema"),
        ("postgresql://me:secret@h/d?timeout=0", "`timeout` is seconds"),
        ("postgresql://me:secret@h/d?timeout=long", "not `long`"),
        ("postgresql://me:secret@[h/d", "cannot be read"),
    ],
)
def test_what_cannot_be_right_is_said_without_the_password(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse(url)
    assert caught.value.at == "online.url"
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(parse("postgresql://me:secret@h/d"))
