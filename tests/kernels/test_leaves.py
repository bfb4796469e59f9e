"""What an index tells of leaves, against the rows of these leaves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.kernels import leaves, rows
from gnomon.online.codec import MAX, MIN, FlatRows, Layout, nothing, pack
from gnomon.online.index import Index, View, pack_index
from gnomon.online.merge import merge
from gnomon.online.sealing import restate
from tests.online.made import Row, flat, make_layout

TYPES = [pl.Int64()]


def packed(layout: Layout, made: list[Row]) -> tuple[np.ndarray, np.ndarray, FlatRows]:
    """Words, offsets and rows of one leaf a key."""
    keys = max(row.key for row in made) + 1
    merged = merge(layout, nothing(layout, keys), flat(layout, TYPES, made, keys)).rows
    buffer, offsets = pack(layout, merged)
    return buffer.view(np.int64), offsets // 8, merged


def described(layout: Layout, made: list[Row]) -> tuple[np.ndarray, FlatRows]:
    words, offsets, merged = packed(layout, made)
    fields = np.zeros((leaves.FIELDS, offsets.size - 1), np.int64)
    leaves.describe(words, offsets, layout.form, layout.lag, layout.declared_known, fields)
    return fields, merged


def test_a_leaf_is_described_by_its_rows() -> None:
    layout = make_layout(TYPES, id_kind="int")
    fields, _ = described(
        layout,
        [
            Row(0, 5, 5, 7, (1,)),
            Row(0, 6, 9, -3, (2,)),
            Row(0, 8, 8, 2, (3,)),
            Row(0, 8, 20, 2, (4,)),  # takes the place of the one before
            Row(0, 9, MAX, 4, (5,)),  # is not known yet
            Row(1, 1, 1, 1, (6,)),
            Row(1, 1, 4, 1, (), True),  # deletes it
        ],
    )
    told = {name: fields[number].tolist() for name, number in FIELDS.items()}
    assert told == {
        "ROWS": [5, 2],
        "FIRST_TIME": [5, 1],
        "FIRST_KNOWN": [0, 0],
        "FIRST_ID": [7, 1],
        "LAST_TIME": [9, 1],
        "LAST_KNOWN": [0, 0],
        "LAST_ID": [4, 1],
        "BEGINS": [5, 1],
        "SETTLED": [20, 4],
        "FIRST_ACTIVE": [5, 1],
        "NEWEST": [8, MIN],
        "LATEST": [MAX, 4],
        "ID_MIN": [-3, 1],
        "ID_MAX": [7, 1],
    }


FIELDS = {
    name: getattr(leaves, name)
    for name in leaves.__all__
    if name.isupper() and name not in ("BLOCK", "FIELDS", "HEAD", "ID", "MAGIC", "NEEDS_SHIFT")
}


def test_a_declared_known_at_is_a_part_of_the_order() -> None:
    layout = make_layout(TYPES, id_kind="text", declared=True)
    fields, _ = described(layout, [Row(0, 5, 7, "b", (1,)), Row(0, 5, 6, "c", (1,))])
    assert fields[[leaves.FIRST_KNOWN, leaves.LAST_KNOWN], 0].tolist() == [6, 7]


@given(st.lists(st.binary(max_size=12).map(lambda b: b.hex()), min_size=2, max_size=20))
def test_heads_order_as_ids_do_as_far_as_they_tell(ids: list[str]) -> None:
    column = pl.Series(sorted(ids))
    data = np.frombuffer("".join(column).encode() or b"\0", np.uint8)
    offsets = np.array([0, *np.cumsum([len(i) for i in column])], np.int64)
    heads = leaves.heads_of(rows.ID_TEXT, np.empty(0, np.int64), offsets, data).tolist()
    assert heads == sorted(heads)
    assert all(
        a < b for (a, b), (x, y) in zip(pairwise(heads), pairwise(column), strict=True) if x[:8] < y[:8]
    )


def test_heads_of_numbers_and_hashes() -> None:
    nothing_ = np.empty(0, np.int64), np.empty(0, np.uint8)
    numbers = np.array([-5, 3, 2**62], np.int64)
    assert leaves.heads_of(rows.ID_INT, numbers, *nothing_).tolist() == numbers.tolist()
    hashes = np.array([[1, 9], [2**63, 0], [2**64 - 1, 1]], np.uint64).view(np.int64).reshape(-1)
    heads = leaves.heads_of(rows.ID_HASH, hashes, *nothing_).tolist()
    assert heads == sorted(heads)


small = st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 2))


@given(st.lists(small, min_size=1, max_size=8), st.lists(small, max_size=8))
def test_rows_belong_to_the_last_leaf_that_does_not_begin_behind_them(
    firsts: list[tuple[int, int, int]], asked: list[tuple[int, int, int]]
) -> None:
    firsts.sort()
    columns = [np.array(column, np.int64) for column in zip(*firsts, strict=True)]
    given_rows = [np.array([row[i] for row in asked], np.int64) for i in range(3)]
    low, high = leaves.find_leaves(*columns, *given_rows)
    for a, b, row in zip(low.tolist(), high.tolist(), asked, strict=True):
        assert b == sum(first <= row for first in firsts) - 1
        # Where a leaf begins with the same key, the row may also be the end of the leaf before.
        ties = [i for i, first in enumerate(firsts) if first == row]
        assert a == (max(min(ties) - 1, 0) if ties else b)


def test_every_changed_bit_of_an_index_is_noticed() -> None:
    layout = make_layout(TYPES, id_kind="int")
    words, offsets, merged = packed(layout, [Row(k, k, k, k, (k,)) for k in range(3)])
    fields = np.zeros((leaves.FIELDS, 3), np.int64)
    leaves.describe(words, offsets, layout.form, layout.lag, False, fields)
    values = [words[a:b].tobytes() for a, b in pairwise(offsets.tolist())]
    index = restate(layout, [View(0, -1, False, 15)], Index(fields), values, merged)
    value = np.frombuffer(pack_index(layout, index, values[0]), np.int64)
    tail = int(value[2])
    assert leaves.verify_index(value, 0, value.size, layout.digest) == 0
    assert leaves.verify_index(value, 0, value.size, layout.digest + 1) == rows.BAD_LAYOUT
    assert leaves.verify_rows(value, tail, value.size, layout.digest, layout.form) == 0
    rng = np.random.default_rng(1)
    for at in range(tail):
        broken = value.copy()
        broken[at] ^= np.int64(1) << np.int64(rng.integers(0, 64))
        assert leaves.verify_index(broken, 0, broken.size, layout.digest) != 0


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 80), st.integers(0, 2**32))
def test_a_block_has_the_record_of_its_leaves_together(n: int, seed: int) -> None:
    draws = np.random.default_rng(seed).integers(-99, 99, n).tolist()
    layout = make_layout(TYPES, id_kind="int")
    words, offsets, merged = packed(layout, [Row(k, k, k, k, (x,)) for k, x in enumerate(draws)])
    values = [words[a:b].tobytes() for a, b in pairwise(offsets.tolist())]
    view = View(0, -1, False, 1 | 4)
    fields = np.zeros((leaves.FIELDS, n), np.int64)
    held = restate(layout, [view], Index(fields), values, merged).states[0]
    blocks = -(-n // leaves.BLOCK)
    starts, out = np.empty(blocks, np.int64), np.empty(200 * blocks, np.int64)
    end = leaves.block_records(held.records, held.starts, 0, True, False, view.needs, 0, starts, out)
    for block, (a, b) in enumerate(pairwise([*starts.tolist(), end])):
        inside = draws[block * leaves.BLOCK : (block + 1) * leaves.BLOCK]
        count, low, high, least, greatest = out[a:b].tolist()
        assert (count, low + (high << 32), least, greatest) == (
            len(inside),
            sum(inside),
            min(inside),
            max(inside),
        )


FINGERPRINTS = [4023394144, 313167320, 367528008, 2810045090, 4023394144, 2191698264, 2375252405]


def test_fingerprints_are_stable_for_ever() -> None:
    no_bytes, no_ints = np.empty(0, np.uint8), np.empty(0, np.int64)
    numbers = leaves.fingerprints(rows.ID_INT, np.array([0, 1, -1, 2**62]), no_ints, no_bytes)
    data = np.frombuffer("abé".encode(), np.uint8)
    texts = leaves.fingerprints(rows.ID_TEXT, no_ints, np.array([0, 0, 1, 4]), data)
    assert [*numbers.tolist(), *texts.tolist()] == FINGERPRINTS


@given(st.lists(st.lists(st.integers(0, 40)), min_size=1), st.lists(st.integers(0, 40)))
def test_what_meets_is_found_whichever_side_is_longer(held: list[list[int]], wanted: list[int]) -> None:
    starts = np.array([0, *np.cumsum([len(one) for one in held])], np.int64)
    words = np.array([x for one in held for x in sorted(one)], np.uint32)
    found = leaves.meets(words, starts, np.array(sorted(wanted), np.uint32))
    assert found.tolist() == [bool(set(one) & set(wanted)) for one in held]
