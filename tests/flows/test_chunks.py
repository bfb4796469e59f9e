"""How a backfill's time is cut."""

from __future__ import annotations

import pytest

from gnomon.abc.source import Part
from gnomon.errors import UsageError
from gnomon.flows import chunks
from gnomon.flows.chunks import bin_length, chunk_ends, cut
from gnomon.flows.estimate import Survey
from gnomon.flows.load import Piece
from gnomon.time import ALWAYS, DAY, HOUR, NEVER

FILE, QUERY, GROWING = Part("f", "1"), Part("q", ""), Part("g", "known_at", grows=True)
YEAR, MORNING = Survey(10**8, 10**8, 0, 365 * DAY, 365 * DAY), Survey(10**8, 10**8, 0, 5 * HOUR, 5 * HOUR)
SMALL = Survey(1000, 1000, 0, 365 * DAY, 365 * DAY)


@pytest.mark.parametrize(
    ("given", "surveyed", "parts", "want"),
    [
        (7, SMALL, [FILE], 7),
        (7, SMALL, [GROWING], 7),
        (7, YEAR, [FILE, QUERY], None),
        (None, SMALL, [FILE], None),
        (None, YEAR, [FILE], DAY),
        (None, MORNING, [FILE], HOUR),
        (None, YEAR, [GROWING], None),
    ],
)
def test_stretches_are_as_long_as_asked_for_else_whole_days_or_hours(given, surveyed, parts, want):
    assert bin_length(given, surveyed, parts) == want


def test_each_stretch_with_rows_is_a_chunk_where_its_length_is_given():
    assert chunk_ends([(-1, 5), (0, 1), (7, 9), (900, 1)], 10, NEVER, given=True) == (0, 10, 80, NEVER)
    assert chunk_ends([], 10, 50, given=True) == chunk_ends([(3, 1)], 10, 50, given=True) == (50,)


def test_stretches_are_joined_up_to_the_rows_of_a_chunk(monkeypatch):
    monkeypatch.setattr(chunks, "ROWS_AT_ONCE", 10)
    bins = [(0, 4), (1, 6), (2, 1), (5, 30), (6, 1), (9, 9), (10, 1)]
    assert chunk_ends(bins, 10, NEVER, given=False) == (20, 30, 60, 100, NEVER)


def test_more_chunks_than_anybody_wants_are_refused(monkeypatch):
    monkeypatch.setattr(chunks, "_MOST", 3)
    with pytest.raises(UsageError, match="4 chunks of 1h are too many"):
        chunk_ends([(n, 1) for n in range(4)], HOUR, NEVER, given=True)


def test_piece_is_cut_at_the_ends_of_chunks_within_it():
    assert cut(Piece(FILE, 5, 30), [5, 10, 20, 30, 40]) == [
        Piece(FILE, 5, 10),
        Piece(FILE, 10, 20),
        Piece(FILE, 20, 30),
    ]
    assert cut(Piece(FILE, ALWAYS, NEVER), [NEVER]) == [Piece(FILE, ALWAYS, NEVER)]
