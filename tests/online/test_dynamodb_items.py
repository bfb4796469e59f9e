"""Values as items: whole, or a head and chunks."""

from __future__ import annotations

import pytest

from gnomon.errors import UsageError
from gnomon.online.dynamodb_items import ROOM, chunk_names, key_of, make, name_of, token_of, value_of

LIMIT = 400 * 1024
"""Bytes of an item that the service takes, names of attributes included."""


def size(item: object) -> int:
    assert isinstance(item, dict)
    return sum(len(name) + len(next(iter(typed.values()))) for name, typed in item.items())


@pytest.mark.parametrize("key", [b"", b"\0", b"k", b"k" * 1_024, b"k" * 1_025, b"k" * 5_000])
@pytest.mark.parametrize("length", [0, 1, ROOM - 5_000, ROOM - 1, ROOM, ROOM + 1, 3 * ROOM, 3 * ROOM + 1])
def test_a_value_comes_back_from_items_that_fit(key: bytes, length: int) -> None:
    value = bytes(range(256)) * (length // 256) + bytes(length % 256)
    head, chunks = make(key, memoryview(value))
    read = {chunk["k"]["B"]: chunk for chunk in chunks}
    assert value_of(head, read) == value
    assert list(read) == chunk_names(head)
    assert key_of(head) == key
    assert head["k"]["B"] == name_of(key)
    assert {key_of(chunk) for chunk in chunks} <= {None}
    assert max(map(size, [head, *chunks])) <= LIMIT
    assert all(0 < len(item["k"]["B"]) <= 2_048 for item in [head, *chunks])


def test_a_value_is_not_put_together_from_some_of_its_chunks_or_anothers() -> None:
    value = b"v" * (2 * ROOM)
    head, chunks = make(b"k", value)
    _, others = make(b"k", value)
    assert value_of(head, {}) is None
    assert value_of(head, {chunk["k"]["B"]: chunk for chunk in chunks[:1]}) is None
    assert value_of(head, {chunk["k"]["B"]: chunk for chunk in others}) is None


def test_each_write_has_a_token_of_its_own() -> None:
    assert len({token_of(make(b"k", b"v")[0]) for _ in range(1_000)}) == 1_000


def test_long_keys_have_names_of_their_own() -> None:
    keys = [b"", b"\0", b"\1", b"k" * 1_024, b"k" * 1_025, b"k" * 1_026, name_of(b"k" * 1_025)]
    assert len(set(map(name_of, keys))) == len(keys)


def test_a_key_without_room_is_refused() -> None:
    with pytest.raises(UsageError, match="does not fit into DynamoDB"):
        make(b"k" * (ROOM + 1), b"")
