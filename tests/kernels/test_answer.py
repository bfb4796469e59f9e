"""Parts of the answer kernel that the plain fold in tests/online/test_program.py sees only from far."""

from __future__ import annotations

import numpy as np

from gnomon.kernels import answer
from gnomon.kernels.rows import MAX, MIN


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
