"""Parts of the answer kernel that the plain fold in tests/online/test_program.py sees only from far."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.kernels import answer
from gnomon.kernels.rows import MAX, MIN


def rank(kind: int, held: bytes, own: bytes, at: list[int], size: list[int], own_at: int = -1) -> list[int]:
    n = len(at)
    code, order, spare = (np.empty(n, np.int64) for _ in range(3))
    octets = np.frombuffer(held, np.uint8)
    request = np.frombuffer(own, np.uint8).copy()
    answer._rank(kind, octets, request, np.array(at), np.array(size), own_at, n, order, spare, code)
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
    ranks = rank(answer.BYTES, b"".join(held), values[-1], [*at, 0] if with_own else at, sizes, own_at)
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
    assert rank(answer.WIDE, b"", b"", high, low) == [dense[value] for value in values]


def test_room_for_lists_is_enough_and_no_more_than_the_rows() -> None:
    words = np.zeros(26, np.int64)
    words[0] = 3 << 32
    words[10] = 99 << 32  # more rows than it has words: a broken value must not ask for much room
    offsets = np.array([0, 10, 26, 26])
    assert answer.list_room(words, offsets, np.array([2, 1000])) == (2 + 4) + (2 + 17) + (1 + 1)


def test_differences_stay_on_the_clock() -> None:
    assert answer._minus(5, 3) == 2
    assert answer._minus(MIN + 2, 3) == MIN
    assert answer._minus(MAX, MAX) == 0
    assert answer._minus(MIN, 0) == MIN
