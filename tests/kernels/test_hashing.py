"""Content hashes: stable for ever, equal for equal rows only, whatever way the rows come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import hashing

MASK = (1 << 64) - 1
NULL, WORD, BYTES, ORDINAL = 1, 2, 3, 4


def rotated(x: int, r: int) -> int:
    return ((x << r) | (x >> (64 - r))) & MASK


def mixed(h1: int, h2: int, k1: int, k2: int) -> tuple[int, int]:
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
    h1 ^= rotated(k1 * c1 & MASK, 31) * c2 & MASK
    h1 = ((rotated(h1, 27) + h2) * 5 + 0x52DCE729) & MASK
    h2 ^= rotated(k2 * c2 & MASK, 33) * c1 & MASK
    h2 = ((rotated(h2, 31) + h1) * 5 + 0x38495AB5) & MASK
    return h1, h2


def avalanche(x: int) -> int:
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCD & MASK
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53 & MASK
    return x ^ (x >> 33)


def finished(h1: int, h2: int) -> tuple[int, int]:
    h1 = (h1 + h2) & MASK
    h2 = (h2 + h1) & MASK
    h1, h2 = avalanche(h1), avalanche(h2)
    h1 = (h1 + h2) & MASK
    return h1, (h2 + h1) & MASK


def plain(row: tuple[int | bytes | None, ...]) -> tuple[int, int]:
    """The hash of one row, as the module's description tells it."""
    h1, h2 = 0, 0
    for value in row:
        if value is None:
            h1, h2 = mixed(h1, h2, 0, NULL)
        elif isinstance(value, int):
            h1, h2 = mixed(h1, h2, value & MASK, WORD)
        else:
            h1, h2 = mixed(h1, h2, len(value), BYTES)
            for at in range(0, len(value), 16):
                block = value[at : at + 16].ljust(16, b"\0")
                h1, h2 = mixed(
                    h1, h2, int.from_bytes(block[:8], "little"), int.from_bytes(block[8:], "little")
                )
    return finished(h1, h2)


def hashes(rows: list[tuple[int | bytes | None, ...]]) -> list[tuple[int, int]]:
    """The same rows through the kernels, column by column."""
    h1, h2 = hashing.start(len(rows))
    for column in zip(*rows, strict=True):
        valid = np.array([v is not None for v in column], np.uint8)
        if any(isinstance(v, bytes) for v in column):
            values = [v if isinstance(v, bytes) else b"junk" for v in column]
            offsets = np.cumsum([0, *map(len, values)]).astype(np.int64)
            hashing.absorb_bytes(h1, h2, offsets, np.frombuffer(b"".join(values), np.uint8).copy(), valid)
        else:
            words = np.array([99 if v is None else v for v in column], np.int64)
            hashing.absorb_words(h1, h2, words, valid)
    hashing.finish(h1, h2)
    return list(zip(h1.tolist(), h2.tolist(), strict=True))


def with_ordinals(ids: list[tuple[int, int]]) -> list[tuple[int, int]]:
    h1 = np.array([a for a, _ in ids], np.uint64)
    h2 = np.array([b for _, b in ids], np.uint64)
    hashing.with_ordinals(h1, h2)
    return list(zip(h1.tolist(), h2.tolist(), strict=True))


def test_stored_ids_never_change():
    """Row ids are stored: when this fails, the function is wrong and not the digests."""
    rows = [(0, b""), (-1, b"abc"), (None, bytes(range(37)))]
    digests = [f"{a:016x}{b:016x}" for a, b in hashes(rows)]
    assert digests == [
        "1fea12179bf93d854414ffdd55ee947c",
        "f09a311b617d52fedc9ead6373b114ed",
        "89d5744162fa21bf69daffc8f10e575d",
    ]
    repeated = [f"{a:016x}{b:016x}" for a, b in with_ordinals([hashes(rows)[0]] * 3)]
    assert repeated == [
        "1fea12179bf93d854414ffdd55ee947c",
        "4afa0d59653f44d41cbeb1d6bbb51ad2",
        "fbdbb15291328476949687c5fb06bcf9",
    ]


def test_mixing_is_that_of_murmurhash3():
    """The plain version's block and final mixing give the published digest of a 43-byte text."""
    text = b"The quick brown fox jumps over the lazy dog"
    h1, h2 = 0, 0
    for at in (0, 16):
        h1, h2 = mixed(
            h1,
            h2,
            int.from_bytes(text[at : at + 8], "little"),
            int.from_bytes(text[at + 8 : at + 16], "little"),
        )
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
    h2 ^= rotated(int.from_bytes(text[40:], "little") * c2 & MASK, 33) * c1 & MASK
    h1 ^= rotated(int.from_bytes(text[32:40], "little") * c1 & MASK, 31) * c2 & MASK
    h1, h2 = finished(h1 ^ len(text), h2 ^ len(text))
    assert f"{h1:016x}{h2:016x}" == "e34bbc7bbc071b6c7a433ca9c49a9347"


ints = st.none() | st.integers(-(2**63), 2**63 - 1)
texts = st.none() | st.binary(max_size=50)


@given(st.lists(st.tuples(ints, texts, ints), min_size=1, max_size=8))
def test_every_row_hashes_as_the_plain_version_says(rows):
    assert hashes(rows) == [plain(row) for row in rows]


@pytest.mark.parametrize("length", range(40))
def test_every_byte_and_the_length_count(length):
    text = bytes(range(1, length + 1))
    others = [text[:i] + bytes([255]) + text[i + 1 :] for i in range(length)]
    others += [text + b"\0", text[:-1]] if length else [b"\0"]
    ids = hashes([(t,) for t in [text, *others]])
    assert len(set(ids)) == len(ids)


def test_columns_do_not_run_into_each_other():
    assert len(set(hashes([(b"a", b"bc"), (b"ab", b"c"), (b"abc", b""), (b"", b"abc")]))) == 4
    assert len(set(hashes([(1, 11), (11, 1)]))) == 2


def test_null_is_no_value():
    assert len(set(hashes([(None,), (0,), (99,)]))) == 3
    assert len(set(hashes([(None,), (b"",), (b"junk",)]))) == 3


def test_bytes_below_a_null_do_not_matter():
    def only_null(below: bytes) -> list[int]:
        h1, h2 = hashing.start(1)
        hashing.absorb_bytes(
            h1, h2, np.array([0, len(below)]), np.frombuffer(below, np.uint8).copy(), np.zeros(1, np.uint8)
        )
        return [*h1.tolist(), *h2.tolist()]

    assert only_null(b"abc") == only_null(b"")


@given(st.lists(st.integers(0, 3), max_size=40), st.randoms())
def test_ids_tell_how_often_a_row_occurs_and_no_more(rows, shuffled):
    ids = with_ordinals([plain((r,)) for r in rows])
    assert len(set(ids)) == len(ids)
    mixed_up = list(rows)
    shuffled.shuffle(mixed_up)
    assert sorted(with_ordinals([plain((r,)) for r in mixed_up])) == sorted(ids)
    for row in set(rows):
        assert plain((row,)) == ids[rows.index(row)]


def test_one_repetition_more_adds_one_id():
    once = set(with_ordinals([plain((1,))] * 5))
    assert once < set(with_ordinals([plain((1,))] * 6))


def test_ordinals_tell_apart_hashes_that_share_a_half():
    ids = [(1, 2), (1, 3), (2, 2), (1, 2), (0, 0), (0, 0), (1, 2 + (1 << 63))]
    got = with_ordinals(ids)
    assert [got[i] == ids[i] for i in range(7)] == [True, True, True, False, True, False, True]
    assert len(set(got)) == 7


def test_ordinals_of_many_rows_find_every_repetition():
    values = np.random.default_rng(3).integers(0, 20_000, 60_000)
    ids = with_ordinals([(v * 64, v % 7) for v in values.tolist()])
    assert len(set(ids)) == len(ids)
    kept = [(v * 64, v % 7) == i for v, i in zip(values.tolist(), ids, strict=True)]
    assert sum(kept) == len(set(values.tolist()))
