"""What a URL of a DynamoDB says, and what is said about one that cannot be right."""

from __future__ import annotations

import pytest

from gnomon.errors import NotFound, UsageError
from gnomon.online.dynamodb_url import Settings, parse


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("dynamodb://", Settings()),
        ("dynamodb://shop", Settings("shop")),
        ("dynamodb://Shop.v2_a?region=eu-central-1", Settings("Shop.v2_a", region="eu-central-1")),
        ("dynamodb://shop?profile=prod&timeout=0.5", Settings("shop", profile="prod", timeout=0.5)),
        ("dynamodb://shop?endpoint=https://d.example:1/", Settings("shop", endpoint="https://d.example:1/")),
        ("dynamodb://127.0.0.1:8000/shop", Settings("shop", endpoint="http://127.0.0.1:8000")),
        ("dynamodb://127.0.0.1:8000", Settings(endpoint="http://127.0.0.1:8000")),
        ("dynamodb://dynamo/shop", Settings("shop", endpoint="http://dynamo")),
        ("dynamodb://[::1]:8000/shop", Settings("shop", endpoint="http://[::1]:8000")),
    ],
)
def test_a_url_says_which_tables_and_where(url: str, want: Settings) -> None:
    assert parse(url) == want


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("dynamodb://a", "`a` cannot begin the names of tables"),
        ("dynamodb://host:1/a/b", "`a/b` cannot begin"),
        ("dynamodb://" + "a" * 101, "cannot begin"),
        ("dynamodb://me:secret@shop", "credentials are no part of the URL"),
        ("dynamodb://host:port/shop", "cannot be read"),
        ("dynamodb://h:1/shop?endpoint=http://h", "two endpoints"),
        ("dynamodb://shop?endpoint=h:1", "a URL of http or https, not `h:1`"),
        ("dynamodb://shop?region=EU%201", "a region's name"),
        ("dynamodb://shop?profile=", "a profile's name"),
        ("dynamodb://shop?timeout=0", "seconds, more than 0"),
        ("dynamodb://shop?timeout=soon", "seconds, more than 0"),
    ],
)
def test_what_cannot_be_right_is_said(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        parse(url)
    assert caught.value.at == "online.url"
    assert "secret" not in str(caught.value)


def test_an_unknown_option_is_told_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean `region`"):
        parse("dynamodb://shop?regoin=eu-central-1")


def test_errors_tell_where_it_is() -> None:
    assert parse("dynamodb://shop?region=eu-central-1").shown == (
        "DynamoDB at region eu-central-1, tables `shop…`"
    )
    assert "http://h:1" in parse("dynamodb://h:1/shop").shown
