"""Keys of any length over LMDB, whose keys have 1 to 511 bytes.

A key of 1 to 510 bytes stands as it is. Any other is *folded*: its first bytes and a digest of it, 511 bytes
together, which no plain key has. Under a folded key stands a bucket of (full key, value), so that two keys
with one digest would still be two keys.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from hashlib import blake2b

PLAIN = 510
"""The longest key that stands as it is."""

_DIGEST = 32
_HEAD = PLAIN + 1 - _DIGEST
_ENTRY = struct.Struct("<II")  # bytes of the key, bytes of the value

Bucket = dict[bytes, bytes]


def is_plain(key: bytes) -> bool:
    return 0 < len(key) <= PLAIN


def all_plain(keys: Sequence[bytes]) -> bool:
    """Whether no key needs folding. A look at all keys at once is much faster than one at each."""
    if len(keys) == 1:
        return 0 < len(keys[0]) <= PLAIN
    return max(map(len, keys), default=0) <= PLAIN and all(keys)


def fold(key: bytes) -> bytes:
    """Return the 511 bytes that stand for a key that is not plain."""
    return key[:_HEAD].ljust(_HEAD, b"\0") + blake2b(key, digest_size=_DIGEST).digest()


def is_folded(stored: bytes) -> bool:
    return len(stored) > PLAIN


def pack(bucket: Mapping[bytes, bytes]) -> bytes:
    return b"".join(_ENTRY.pack(len(key), len(value)) + key + value for key, value in bucket.items())


def unpack(data: bytes) -> Bucket:
    """Return what `pack` was given; of no bytes, no entries."""
    bucket: Bucket = {}
    at = 0
    while at < len(data):
        key_bytes, value_bytes = _ENTRY.unpack_from(data, at)
        at += _ENTRY.size
        middle = at + key_bytes
        end = middle + value_bytes
        bucket[data[at:middle]] = data[middle:end]
        at = end
    return bucket
