"""What a URL of a Redis says, and what is said about one that cannot be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.errors import NotFound, UsageError
from gnomon.online.redis_url import CLUSTER_SHARDS, Settings, parse

ROOT = Path("/project")


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("redis://localhost", Settings((("localhost", 6379),))),
        ("valkey://h:7000/3", Settings((("h", 7000),), database=3)),
        ("REDIS://[::1]:7000/", Settings((("::1", 7000),))),
        ("redis://:p%40ss@h", Settings((("h", 6379),), password="p@ss")),
        ("redis://me:a%2Fb%3Ac@h/0", Settings((("h", 6379),), username="me", password="a/b:c")),
        ("redis://h?prefix=shop&timeout=0.5", Settings((("h", 6379),), prefix="shop", timeout=0.5)),
        (
            "rediss://h?ca=tls/ca.pem&certificate=/tls/me.pem",
            Settings((("h", 6379),), tls=True, ca="/project/tls/ca.pem", certificate="/tls/me.pem"),
        ),
        ("valkeys://h", Settings((("h", 6379),), tls=True)),
        (
            "redis+cluster://a,b:7001?timeout=2",
            Settings((("a", 6379), ("b", 7001)), cluster=True, shards=CLUSTER_SHARDS, timeout=2),
        ),
        ("rediss+cluster://a?shards=64", Settings((("a", 6379),), cluster=True, tls=True, shards=64)),
    ],
)
def test_a_url_says_where_who_and_how(url: str, want: Settings) -> None:
    assert parse(url, ROOT) == want


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://", "names no host"),
        ("redis://:secret@", "names no host"),
        ("redis://secret:@h:port", "no host and port"),
        ("redis://h/first", "`first` is no number"),
        ("redis://a,b", "only a cluster has several hosts"),
        ("redis+sentinel://h", "no kind of Redis"),
        ("redis+cluster://h/2", "database 0 only"),
        ("redis://h?prefix=a{b}", "`prefix` is text without spaces and braces"),
        ("redis://h?prefix=", "`prefix` is text"),
        ("redis://h?timeout=0", "`timeout` is seconds"),
        ("redis://h?timeout=soon", "not `soon`"),
        ("redis://h?shards=0", "`shards` is a whole number"),
        ("redis://h?ca=x.pem", "are for TLS"),
    ],
)
def test_what_cannot_be_right_is_said_without_the_password(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse(url, ROOT)
    assert caught.value.at == "online.url"
    assert "secret" not in str(caught.value)


def test_a_misspelt_option_names_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        parse("redis://h?prefx=a", ROOT)
    assert caught.value.hint == "did you mean `prefix`?"


def test_errors_name_the_server_and_nothing_secret() -> None:
    assert parse("redis://me:secret@h:7000/2", ROOT).shown == "Redis at h:7000/2"
    assert parse("redis+cluster://me:secret@[::1]:7000,b", ROOT).shown == "Redis cluster at [::1]:7000,b:6379"
    assert "secret" not in repr(parse("redis://me:secret@h", ROOT))
