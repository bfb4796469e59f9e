"""Codes of packed values: as they compare, whatever their type."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.kernels import lanes, rows
from gnomon.kernels.words import code_float, float_code
from gnomon.kernels.work import CODE, EQUAL, HASHES, PICKED, WORK
from gnomon.testing.reference_sketches import hash_of

NO_REQUEST = np.empty((0, 0, 3), np.int64)
NO_BYTES = np.empty(0, np.uint8)


def rank(kind: int, held: bytes, own: bytes, at: list[int], size: list[int], own_at: int = -1) -> list[int]:
    n = len(at)
    code, order, spare = (np.empty(n, np.int64) for _ in range(3))
    octets = np.frombuffer(held, np.uint8)
    request = np.frombuffer(own, np.uint8).copy()
    lanes._rank(kind, octets, request, np.array(at), np.array(size), own_at, n, order, spare, code)
    return code.tolist()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.binary(max_size=4) | st.sampled_from([b"ab", b"abc", b"ab\0"]), min_size=1, max_size=40),
    st.booleans(),
)
def test_bytes_are_ranked_as_they_compare(values: list[bytes], with_own: bool) -> None:
    """The request's own bytes lie elsewhere and rank among the others."""
    held = values[:-1] if with_own else values
    at = np.cumsum([0, *map(len, held)])[: len(held)].tolist()
    sizes = [len(value) for value in values]
    own_at = len(held) if with_own else -1
    ranks = rank(lanes.BYTES, b"".join(held), values[-1], [*at, 0] if with_own else at, sizes, own_at)
    dense = {value: i for i, value in enumerate(sorted(set(values)))}
    assert ranks == [dense[value] for value in values]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.integers(-(2**127), 2**127 - 1) | st.integers(-2, 2) | st.sampled_from([2**63, 2**64]),
        min_size=1,
        max_size=40,
    )
)
def test_wide_values_are_ranked_as_integers(values: list[int]) -> None:
    high = [value >> 64 for value in values]
    low = np.array([value & (2**64 - 1) for value in values], np.uint64).view(np.int64).tolist()
    dense = {value: i for i, value in enumerate(sorted(set(values)))}
    assert rank(lanes.WIDE, b"", b"", high, low) == [dense[value] for value in values]


@pytest.mark.parametrize("needs", [lanes.NEEDS_CODES, lanes.NEEDS_CODES | lanes.NEEDS_EQUAL])
def test_zeros_are_alike_only_where_that_is_asked(needs):
    values = [0.0, -0.0, np.nan, -1.5]
    words = np.array(values).view(np.int64)
    places = np.zeros(rows.LANES + 2, np.int64)
    places[rows.LANES + 1] = -1
    work = np.full((WORK, 4), 7)
    work[PICKED] = np.arange(4)
    lanes.codes(
        words, words.view(np.uint8), places, lanes.FLOAT, 0, 4, 4, 4, NO_REQUEST, NO_BYTES, 0, needs, work, EQUAL
    )  # fmt: skip
    code, equal = work[CODE], work[EQUAL]
    assert [float_code(v) for v in values] == code.tolist()
    assert equal.tolist() == ([0, 0, *code.tolist()[2:]] if needs & lanes.NEEDS_EQUAL else [7] * 4)


def test_hashes_are_those_of_the_values_alone_wherever_they_lie():
    """Bytes of the request lie elsewhere than those of the rows."""
    words = np.array([3 << 32, 0])  # one value of three bytes, from byte 8 on
    held = np.frombuffer(b"........abc", np.uint8)
    given = np.frombuffer(b"-abc", np.uint8).copy()
    places = np.zeros(rows.LANES + 2, np.int64)
    places[rows.LANES + 1] = -1
    own = np.array([[[1, 1, 3]]])
    work = np.zeros((WORK, 2), np.int64)
    lanes.codes(words, held, places, lanes.BYTES, 0, 1, 1, 2, own, given, 0, lanes.NEEDS_CODES, work, EQUAL)
    lanes.hash_values(held, lanes.BYTES, 1, 2, given, work)
    assert work[HASHES].view(np.uint64).tolist() == [hash_of("abc")] * 2


def test_a_value_that_stands_for_its_equals_is_the_same_whichever_row_it_is_taken_from():
    words = np.array([-0.0, 0.0]).view(np.int64)
    places = np.zeros(rows.LANES + 2, np.int64)
    equal = np.zeros(2, np.int64)
    for at in (0, 1):
        args = (words, places, lanes.FLOAT, 0, 2, np.arange(2), at, 2, NO_REQUEST, 0)
        assert lanes.value_alike(*args, equal) == (0, 0)
        assert lanes.value(*args)[0] == words[at]
    assert code_float(0) == 0.0
