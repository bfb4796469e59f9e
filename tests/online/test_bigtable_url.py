"""What a URL of a Bigtable says, and what is said about one that cannot be right."""

from __future__ import annotations

import pytest

from gnomon.errors import NotFound, UsageError
from gnomon.online.bigtable_url import Settings, parse


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("bigtable://my-project/instance", Settings("my-project", "instance")),
        ("bigtable://my-project/instance/", Settings("my-project", "instance")),
        (
            "bigtable://example.com:shop/instance/Shop_1.a",
            Settings("example.com:shop", "instance", "Shop_1.a"),
        ),
        (
            "bigtable://my-project/instance/t?app_profile=one-cluster&timeout=2.5",
            Settings("my-project", "instance", "t", app_profile="one-cluster", timeout=2.5),
        ),
    ],
)
def test_a_url_says_which_table(url: str, want: Settings) -> None:
    assert parse(url) == want


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("bigtable://", "`` is no name of a project"),
        ("bigtable://my-project", "`` is no name of an instance"),
        ("bigtable://my-project/i", "`i` is no name of an instance"),
        ("bigtable://my-project/instance/a/b", "`a/b` is no name of a table"),
        ("bigtable://my-project/instance?timeout=0", "seconds, more than 0"),
        ("bigtable://my-project/instance?timeout=soon", "seconds, more than 0"),
        ("bigtable://my-project/instance?app_profile=", "the name of a profile"),
    ],
)
def test_what_cannot_be_right_is_said(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        parse(url)
    assert caught.value.at == "online.url"


def test_an_unknown_option_is_told_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean `timeout`"):
        parse("bigtable://my-project/instance?timeuot=5")


def test_errors_tell_where_it_is() -> None:
    assert parse("bigtable://my-project/instance").shown == "Bigtable at my-project/instance/gnomon"
