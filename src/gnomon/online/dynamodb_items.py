"""Keys and values as items of DynamoDB: whole while they fit into one, else a head and chunks.

    head    k: name of the key · n: token · v: value           · x: the key, where its name is a digest
            k: name of the key · n: token · c: count of chunks · x
    chunk   k: name made of the head's token and a number · v: bytes

A token is drawn anew by every write, so that a write can be made conditional on the value that was read, whatever its
length; and a head is written after its chunks, so that a value is replaced as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, TypeAlias

from gnomon.errors import UsageError

Item: TypeAlias = Mapping[str, Mapping[str, Any]]
"""An item as the service spells it: attribute → {type: value}."""

ROOM = 400_000
"""Bytes of key and value in one item, which may have 409,600 with all that stands around them."""

# The name of an item has at most 2,048 bytes.
_NAME = 1_024

_WHOLE, _DIGEST, _CHUNK = b"\0", b"\1", b"\2"
"""What the names of items begin with: the key itself, a digest of it, or what a chunk is of."""


def name_of(key: bytes) -> bytes:
    """The name of the item that holds a key. A name cannot be empty, nor as long as a key may be."""
    return _WHOLE + key if len(key) <= _NAME else _DIGEST + sha256(key).digest()


def key_of(item: Item) -> bytes | None:
    """The key that an item is of; None if it is a chunk."""
    name: bytes = item["k"]["B"]
    if name.startswith(_WHOLE):
        return name[1:]
    if name.startswith(_DIGEST):
        key: bytes = item["x"]["B"]
        return key
    return None


def token_of(item: Item) -> bytes:
    token: bytes = item["n"]["B"]
    return token


def chunk_names(item: Item) -> list[bytes]:
    """Where the rest of a value lies; empty where it is whole."""
    if "c" not in item:
        return []
    start = _CHUNK + token_of(item)
    return [start + i.to_bytes(4, "big") for i in range(int(item["c"]["N"]))]


def value_of(item: Item, chunks: Mapping[bytes, Item]) -> bytes | None:
    """The value of a head; None if a chunk is not among those that were read."""
    if "c" not in item:
        whole: bytes = item["v"]["B"]
        return whole
    names = chunk_names(item)
    if not all(name in chunks for name in names):
        return None
    return b"".join(chunks[name]["v"]["B"] for name in names)


def make(key: bytes, value: bytes | memoryview) -> tuple[Item, Sequence[Item]]:
    """The head of a value, and its chunks. Raises: UsageError for a key that no item has room for."""
    name, token = name_of(key), os.urandom(12)
    head: dict[str, Mapping[str, Any]] = {"k": {"B": name}, "n": {"B": token}}
    room = ROOM
    if name[:1] == _DIGEST:
        if len(key) > ROOM:
            raise UsageError(f"a key of {len(key):,} bytes does not fit into DynamoDB", at=repr(key[:40]))
        head["x"] = {"B": key}
        room -= len(key)
    value = bytes(value)
    if len(value) <= room:
        head["v"] = {"B": value}
        return head, ()
    parts = [value[start : start + ROOM] for start in range(0, len(value), ROOM)]
    head["c"] = {"N": str(len(parts))}
    named = zip(chunk_names(head), parts, strict=True)
    return head, [{"k": {"B": name}, "v": {"B": part}} for name, part in named]
