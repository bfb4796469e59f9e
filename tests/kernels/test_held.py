"""Rows of a packed value one at a time, against the flat rows that it was made of."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import held, rows
from gnomon.online.codec import MAX, MIN, nothing, pack
from gnomon.online.merge import merge
from tests.online.made import Row, flat, make_layout

TYPES = [pl.Boolean(), pl.String()]


def test_what_a_value_tells_of_each_row_is_what_was_packed() -> None:
    layout = make_layout(TYPES, id_kind="int", lag=5)
    given_rows = [
        Row(0, 1, 6, 1, (True, "a")),
        Row(0, 1, 9, 1, (None, "b")),
        Row(0, 2, 2, 2, (False, None)),
        Row(0, 3, MAX, 3, (True, None)),
        Row(0, 4, 11, 2, (), True),
    ]
    packed = merge(layout, nothing(layout, 1), flat(layout, TYPES, given_rows, 1)).rows
    words = pack(layout, packed)[0].view(np.int64)
    places = np.empty(rows.LANES + 2 * len(TYPES), np.int64)
    rows.sections(words, 0, layout.form, places)
    for i in range(packed.n_rows):
        assert held.time_at(words, places, i) == packed.event_time[i]
        assert held.known_at(words, places, i, layout.lag) == packed.known_at[i]
        assert held.replaced_at(words, places, i) == packed.until[i]
        assert held.is_dead(words, places, i) == bool(packed.dead[i])
        for t in range(15):
            shown = packed.known_at[i] <= t < packed.until[i] and not packed.dead[i]
            assert held.visible(words, places, i, t, layout.lag) == shown
    alive = packed.dead == 0
    value = packed.lanes[1].valid != 0
    condition = (packed.lanes[0].valid != 0) & (packed.lanes[0].words != 0)  # type: ignore[union-attr]
    for i in np.flatnonzero(alive).tolist():
        assert held.passes(words, places, -1, -1, 0, i)
        assert held.passes(words, places, 1, -1, 0, i) == value[i]
        assert held.passes(words, places, 1, 0, 1, i) == condition[i]
        assert held.passes(words, places, 1, 0, 0, i) == (condition[i] and value[i])


def order(a: object, b: object) -> int:
    return (a > b) - (a < b)  # type: ignore[operator]


@given(st.binary(max_size=4), st.binary(max_size=4), st.booleans(), st.booleans())
def test_bytes_compare_wherever_they_lie(a: bytes, b: bytes, a_given: bool, b_given: bool) -> None:
    octets, request = np.frombuffer(b"xx" + a + b, np.uint8), np.frombuffer(a + b, np.uint8)
    at_a = -1 if a_given else 2
    at_b = -1 - len(a) if b_given else 2 + len(a)
    assert held.compare_bytes(octets, request, at_a, len(a), at_b, len(b)) == order(a, b)


@given(st.integers(-(2**127), 2**127 - 1), st.integers(-3, 3) | st.integers(-(2**64), 2**64))
def test_wide_values_compare_as_integers(a: int, step: int) -> None:
    b = max(min(a + step, 2**127 - 1), -(2**127))
    low = np.array([a & (2**64 - 1), b & (2**64 - 1)], np.uint64).view(np.int64)
    assert held.compare_wide(a >> 64, low[0], b >> 64, low[1]) == order(a, b)


def test_differences_stay_on_the_clock() -> None:
    assert held.minus(5, 3) == 2
    assert held.minus(MIN + 2, 3) == MIN
    assert held.minus(MIN, 0) == MIN
