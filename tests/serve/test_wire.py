"""Requests are decoded strictly, and what is wrong is told with its place."""

from __future__ import annotations

import msgspec
import pytest

from gnomon.serve import wire
from gnomon.serve.problems import Refused

DECODER = msgspec.json.Decoder(wire.OnlineRequest)


@pytest.mark.parametrize(
    ("body", "status", "at"),
    [
        (b"", 400, None),
        (b'{"entities": [', 400, None),
        (b'\xff{"entities": []}', 400, None),
        (b'{"entities": [], "service": "\xff"}', 400, None),
        (b'{"service": "m"}', 422, "$"),
        (b'{"entities": [5]}', 422, "$.entities[0]"),
        (b'{"entities": [], "include": ["statuses", 5]}', 422, "$.include[1]"),
        (b'{"entities": [], "rows": 5}', 422, "$"),
        (b'{"entities": [{"a":' + b"[" * 100_000, 400, None),
    ],
)
def test_what_is_no_request_is_refused_with_its_place(body, status, at):
    with pytest.raises(Refused) as told:
        wire.decode(DECODER, body)
    assert (told.value.status, told.value.at) == (status, at)


def test_integers_keep_all_their_digits():
    asked = wire.decode(DECODER, b'{"entities": {"user": [9007199254740993]}}')
    assert asked.entities == {"user": [9007199254740993]}
