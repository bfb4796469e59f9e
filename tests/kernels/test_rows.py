"""The packed value, word by word: its checksum, its sections, its bits and bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.kernels import rows

WORDS = st.integers(rows.MIN, rows.MAX)
MAGIC = int.from_bytes(b"GN\x01", "little")


def sealed(body: list[int], layout: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """A value with a sound checksum and any body: (words, offsets)."""
    words = np.array([MAGIC, 0, 1, rows.MAX, rows.MIN, layout, *body], np.int64)
    offsets = np.array([0, len(words)])
    rows.seal(words, offsets, 0, 1)
    return words, offsets


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, max_size=20), st.data())
def test_one_changed_bit_is_always_noticed(body: list[int], data: st.DataObject) -> None:
    words, _ = sealed(body)
    assert rows.verify(words, 0, len(words), 7) == 0
    bit = data.draw(st.integers(0, 64 * len(words) - 1))
    words.view(np.uint8)[bit >> 3] ^= 1 << (bit & 7)
    assert rows.verify(words, 0, len(words), 7) in (rows.BAD_CHECKSUM, rows.BAD_FORMAT)


@settings(max_examples=50, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=20, unique=True), st.data())
def test_words_that_change_places_are_noticed(body: list[int], data: st.DataObject) -> None:
    i, j = data.draw(st.lists(st.integers(6, 5 + len(body)), min_size=2, max_size=2, unique=True))
    words, _ = sealed(body)
    words[[i, j]] = words[[j, i]]
    assert rows.verify(words, 0, len(words), 7) == rows.BAD_CHECKSUM


@given(st.integers(0, 9))
def test_words_cut_off_or_added_are_noticed(n: int) -> None:
    words, _ = sealed([0] * n)
    longer = np.append(words, 0)
    assert rows.verify(longer, 0, len(longer), 7) == rows.BAD_CHECKSUM
    assert rows.verify(words, 0, len(words) - 1, 7) in (rows.BAD_CHECKSUM, rows.BAD_FORMAT)


def test_what_is_refused_tells_why() -> None:
    words, _ = sealed([1, 2, 3])
    assert rows.verify(words, 0, len(words), 8) == rows.BAD_LAYOUT
    assert rows.verify(words, 0, 5, 7) == rows.BAD_FORMAT
    words[0] ^= 1 << 16
    assert rows.verify(words, 0, len(words), 7) == rows.BAD_FORMAT


def test_the_checksum_is_stable_for_ever() -> None:
    words, _ = sealed([1, -2, 3, rows.MAX, rows.MIN])
    assert words[1] == 1084250649312251855


@pytest.mark.parametrize(
    ("a", "b", "sum_"),
    [(1, 2, 3), (rows.MAX, 1, rows.MAX), (rows.MAX - 1, 1, rows.MAX), (rows.MIN, 5, rows.MIN + 5)],
)
def test_what_lies_beyond_the_clock_never_comes(a: int, b: int, sum_: int) -> None:
    event_time, out = np.array([a]), np.zeros(1, np.int64)
    rows.add_lag(event_time, b, 0, 1, out)
    assert out[0] == sum_


@given(st.lists(st.lists(st.booleans(), max_size=130), min_size=1, max_size=4), st.data())
@settings(max_examples=50, deadline=None)
def test_bits_come_back(keys: list[list[bool]], data: st.DataObject) -> None:
    mask = np.array([bit for key in keys for bit in key], np.uint8)
    key_start = np.cumsum([0, *map(len, keys)])
    chosen = np.array([data.draw(st.booleans()) for _ in keys], np.uint8)
    sizes = np.full(len(keys), 7)
    rows.add_bit_words(key_start, chosen, sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    words = np.zeros(starts[-1], np.int64)
    cursor = starts[:-1] + 7
    rows.put_bits(words, cursor, key_start, 0, len(keys), mask, chosen, starts, 2)
    assert cursor.tolist() == starts[1:].tolist()
    assert [words[s + rows.HEADER] for s in starts[:-1]] == [4 * c for c in chosen]
    out = np.full(len(mask), 9, np.uint8)
    rows.take_bits(words, np.where(chosen, starts[:-1] + 7, -1), key_start, 0, len(keys), out)
    assert out.tolist() == [b if chosen[k] else 9 for k, key in enumerate(keys) for b in key]


@given(st.lists(st.lists(st.binary(max_size=20), max_size=5), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_bytes_come_back_and_are_padded_with_zeros(keys: list[list[bytes]]) -> None:
    values = [value for key in keys for value in key]
    offsets = np.cumsum([0, *map(len, values)])
    data = np.frombuffer(b"".join(values), np.uint8).copy()
    key_start = np.cumsum([0, *map(len, keys)])
    sizes = np.zeros(len(keys), np.int64)
    longest = rows.add_var_words(key_start, offsets, sizes)
    assert longest == max(sum(map(len, key)) for key in keys)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    words = np.full(starts[-1], -1)
    rows.put_var(words, words.view(np.uint8), starts[:-1].copy(), key_start, 0, len(keys), offsets, data)
    for k, key in enumerate(keys):
        section = words[starts[k] : starts[k + 1]].tobytes()
        heads = np.cumsum([0, *map(len, key)]).astype("<u4").tobytes()
        heads += b"\0" * (-len(heads) % 8)
        body = b"".join(key)
        assert section == heads + body + b"\0" * (-len(body) % 8)
    again, out = np.zeros_like(offsets), np.empty_like(data)
    rows.take_var(words, words.view(np.uint8), starts[:-1].copy(), key_start, 0, len(keys), again, out)
    assert again.tolist() == offsets.tolist()
    assert out.tobytes() == data.tobytes()


def test_bytes_are_gathered_in_the_order_asked() -> None:
    offsets, data = rows.gather_bytes(
        np.array([0, 1, 1, 4]), np.frombuffer(b"abcd", np.uint8).copy(), np.array([2, 0, 2, 1])
    )
    assert offsets.tolist() == [0, 3, 4, 7, 7]
    assert data.tobytes() == b"bcdabcd"


def test_flags_tell_which_columns_say_something() -> None:
    key_start = np.array([0, 1, 2, 3, 4, 4])
    event_time = np.array([10, 10, 10, rows.MAX])
    known_at = np.array([15, 16, 15, rows.MAX])
    until = np.array([rows.MAX, rows.MAX, 20, rows.MAX])
    dead = np.array([0, 0, 1, 0], np.uint8)
    flags = rows.value_flags(key_start, event_time, known_at, until, dead, 5)
    assert flags.tolist() == [0, rows.KNOWN, rows.UNTIL | rows.DEAD, 0, 0]


def test_sections_that_do_not_fill_the_value_are_refused() -> None:
    form = np.array([rows.ID_INT, rows.FIXED])
    # One row: lane flags, event_time, id, two words of content, the lane.
    words, offsets = sealed([0, 1, 2, 3, 4, 5])
    words[0] |= 1 << 32
    rows.seal(words, offsets, 0, 1)
    count, error, _, nulls = rows.inspect(words, offsets, 7, form)
    assert (count.tolist(), error.tolist(), nulls.tolist()) == ([1], [0], [0, 0])
    assert rows.locate(words, offsets, 0, 1, form)[:, 0].tolist() == [7, -1, -1, -1, 8, 9, 11, -1]
    _, error, _, _ = rows.inspect(words, offsets, 7, np.array([rows.ID_HASH, rows.FIXED]))
    assert error.tolist() == [rows.BAD_LAYOUT]
