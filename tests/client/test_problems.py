"""Each error of the tree survives the way through a server: class, words, place and hint."""

from __future__ import annotations

import msgspec
import pytest

from gnomon import errors
from gnomon.client.call import Reply
from gnomon.client.problems import MEDIA, raise_problem

KINDS = sorted(
    (
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.GnomonError)
    ),
    key=lambda kind: kind.__name__,
)


def named(kind: type) -> str:
    """`NotFound` → `not-found`."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in kind.__name__)[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_error_of_a_server_is_the_error_of_a_store(kind):
    body = {"type": f"urn:gnomon:{named(kind)}", "detail": "what", "at": "where", "hint": "now what"}
    with pytest.raises(errors.GnomonError) as told:
        raise_problem(Reply(418, {"content-type": MEDIA}, msgspec.json.encode(body)), "http://h")
    assert type(told.value) is kind
    assert str(told.value) == str(kind("what", at="where", hint="now what"))


def test_there_are_many():
    assert errors.Unavailable in KINDS
    assert len(KINDS) > 10
