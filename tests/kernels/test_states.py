"""States of views: rows added one by one, or in parts that were recorded, give the same state, bit by bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.kernels import lanes, states

ALL = states.SUMS | states.SQUARES | states.EXTREMA | states.ENDS | states.DISTINCT
NEEDS = {
    lanes.WORD: ALL,
    lanes.FLOAT: ALL,
    lanes.WIDE: ALL & ~states.SQUARES,
    lanes.BYTES: states.EXTREMA | states.ENDS | states.DISTINCT,
}
NOTHING = np.empty(0, np.uint8)
BITS = 2

floats = st.floats() | st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7e308, 0.1])
values: dict[int, st.SearchStrategy[Any]] = {
    lanes.WORD: st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    lanes.FLOAT: floats,
    lanes.WIDE: st.integers(-(2**127), 2**127 - 1) | st.integers(-3, 3),
    lanes.BYTES: st.binary(max_size=12) | st.binary(min_size=128, max_size=128),
}


class Rows:
    """Values of one kind as words, and the state of any run of them."""

    def __init__(self, kind: int, given: list[Any]) -> None:
        self.kind = kind
        self.octets = np.frombuffer(b"".join(given) or b"\0", np.uint8) if kind == lanes.BYTES else NOTHING
        self.pairs: list[tuple[int, int]] = []
        at = 0
        for value in given:
            if kind == lanes.BYTES:
                self.pairs.append((at, len(value)))
                at += len(value)
            elif kind == lanes.WIDE:
                low = np.uint64(value & (2**64 - 1)).astype(np.int64)
                self.pairs.append((value >> 64, int(low)))
            else:
                word = np.float64(value).view(np.int64) if kind == lanes.FLOAT else value
                self.pairs.append((int(word), 0))

    def state(self, first: int, last: int) -> np.ndarray:
        state = np.zeros(states.SIZE, np.int64)
        a, b = (np.array([pair[i] for pair in self.pairs[first:last]], np.int64) for i in range(2))
        states.add_rows(state, NEEDS[self.kind], self.kind, a, b, last - first, self.octets, NOTHING)
        if first < last:
            states.put_end(state, states.FIRST, 10 + first, a[0], b[0], 1, 3, first)
            states.put_end(state, states.LAST, 9 + last, a[-1], b[-1], 1, 3, last)
        return state

    def record(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        bits = np.zeros(BITS, np.uint64)
        for i in range(first, last):
            bits[0] |= np.uint64(1 << i)
        out = np.empty(states.record_room(NEEDS[self.kind], BITS), np.int64)
        end = states.write_record(
            out, 0, self.state(first, last), NEEDS[self.kind], self.kind, True, False, bits, self.octets
        )
        return out[:end], bits


def shown(state: np.ndarray, kind: int, octets: np.ndarray) -> list[Any]:
    """All of a state that does not say where bytes lie, and the bytes themselves."""
    made = state.copy()
    blobs = []
    for at in (states.FIRST, states.LAST):
        made[at + states.PLACE : at + states.ROW + 1] = 0
    if kind == lanes.BYTES and state[0]:
        values_at = [states.LEAST, states.GREATEST, states.FIRST + states.VALUE, states.LAST + states.VALUE]
        for at in values_at:
            blobs.append(octets[made[at] : made[at] + made[at + 1]].tobytes())
            made[at] = 0
    if kind in (lanes.WORD, lanes.FLOAT):
        # Which of two equal values it was is nobody's business; the second word is of wide values.
        keep = states.LEAST + 1, states.GREATEST + 1
        made[list(keep)] = 0
    return [made.tolist(), blobs]


@pytest.mark.parametrize("kind", values)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_records_side_by_side_are_the_state_of_all_rows(kind: int, data: st.DataObject) -> None:
    given_values = data.draw(st.lists(values[kind], max_size=20))
    n = len(given_values)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=3)))
    rows = Rows(kind, given_values)
    records = [rows.record(a, b)[0] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    words = np.concatenate(records)
    state, bits = np.zeros(states.SIZE, np.int64), np.zeros(BITS, np.uint64)
    at = 0
    for record in records:
        assert states.combine_record(
            state, bits, words, at, at + record.size, NEEDS[kind], kind, True, False, 7, words.view(np.uint8),
            NOTHING,
        )  # fmt: skip
        at += record.size
    assert shown(state, kind, words.view(np.uint8)) == shown(rows.state(0, n), kind, rows.octets)
    assert bits.tolist() == [2**n - 1, 0]


@pytest.mark.parametrize("kind", values)
def test_a_state_can_be_added_before_or_behind_the_rows_of_another(kind: int) -> None:
    samples: dict[int, list[Any]] = {
        lanes.WORD: [3, -1, 2**62, 0],
        lanes.FLOAT: [0.1, math.nan, -0.0, 1e300],
        lanes.WIDE: [3, -1, 2**100, 0],
        lanes.BYTES: [b"b", b"", b"ab", b"a"],
    }
    rows = Rows(kind, samples[kind])
    whole = shown(rows.state(0, 4), kind, rows.octets)
    for first_held in (True, False):
        a, b = rows.state(0, 2), rows.state(2, 4)
        held, other = (a, b) if first_held else (b, a)
        states.add_state(held, other, NEEDS[kind], kind, not first_held, first_held, rows.octets, NOTHING)
        assert shown(held, kind, rows.octets) == whole


def test_records_are_no_longer_than_they_need_to_be() -> None:
    assert Rows(lanes.FLOAT, []).record(0, 0)[0].tolist() == [0]
    money = Rows(lanes.FLOAT, [0.25, 19.99, 1000.0]).record(0, 3)[0]
    # The count; NaN and infinities; 3 limbs and where they lie; 6 of the squares; extrema, ends; 1 word of bits.
    assert money.size <= 1 + 1 + 4 + 7 + 2 + 4 + 1
    assert states.record_room(ALL, BITS) >= Rows(lanes.FLOAT, [5e-324, 1.7e308]).record(0, 2)[0].size


def test_a_record_that_would_hold_a_long_text_says_that_it_does_not() -> None:
    record = Rows(lanes.BYTES, [b"a", b"b" * 129]).record(0, 2)[0]
    assert record.tolist() == [states.OPAQUE]
    state, bits = np.zeros(states.SIZE, np.int64), np.zeros(BITS, np.uint64)
    assert not states.combine_record(
        state,
        bits,
        record,
        0,
        1,
        NEEDS[lanes.BYTES],
        lanes.BYTES,
        True,
        False,
        0,
        record.view(np.uint8),
        NOTHING,
    )
    assert not state.any()
