"""Keys that LMDB cannot hold are folded, and stay apart even if their digests do not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gnomon.online import lmdb_keys
from gnomon.online.lmdb import LmdbStore
from gnomon.testing.online import put


@pytest.mark.parametrize("length", [0, 511, 512, 5_000])
def test_folded_keys_have_a_length_of_their_own(length: int) -> None:
    key = b"k" * length
    folded = lmdb_keys.fold(key)
    assert len(folded) == 511
    assert lmdb_keys.is_folded(folded)
    assert not lmdb_keys.is_plain(folded)
    assert lmdb_keys.fold(folded) != folded


@pytest.mark.parametrize("length", [1, 510])
def test_keys_that_lmdb_can_hold_are_left_alone(length: int) -> None:
    assert lmdb_keys.is_plain(b"k" * length)
    assert not lmdb_keys.is_folded(b"k" * length)


@pytest.mark.parametrize("odd", [b"", b"k" * 511])
def test_one_odd_key_among_many_is_noticed(odd: bytes) -> None:
    plain = [b"a", b"k" * 510]
    assert lmdb_keys.all_plain([])
    assert lmdb_keys.all_plain(plain)
    assert not lmdb_keys.all_plain([odd])
    assert not lmdb_keys.all_plain([*plain, odd])
    assert not lmdb_keys.all_plain([odd, *plain])


def test_a_bucket_comes_back_as_it_was() -> None:
    chance = random.Random(3)
    bucket = {chance.randbytes(n * 300): chance.randbytes(n % 3 * 1_000) for n in range(6)}
    assert lmdb_keys.unpack(lmdb_keys.pack(bucket)) == bucket
    assert lmdb_keys.unpack(lmdb_keys.pack({})) == {}


def test_keys_of_one_digest_are_still_two_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_keys, "fold", lambda key: b"d" * 511)
    monkeypatch.setattr("gnomon.online.lmdb.fold", lambda key: b"d" * 511)
    one, two, three = b"1" * 600, b"2" * 700, b""
    with LmdbStore(tmp_path, sync=False) as store:
        put(store, "t", {one: b"first", two: b"second"})
        assert store.read("t", [two, three, one]) == [b"second", None, b"first"]
        store.load("t", [(two, b"changed"), (three, b"third")])
        assert dict(store.scan("t")) == {one: b"first", two: b"changed", three: b"third"}
        store.delete("t", [one])
        assert store.read("t", [one, two, three]) == [None, b"changed", b"third"]
        store.delete("t", [two, three])
        assert list(store.scan("t")) == []
