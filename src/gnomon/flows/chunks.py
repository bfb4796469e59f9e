"""Chunks: the stretches of time that a backfill reads one after another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gnomon.abc.source import Part
from gnomon.errors import UsageError, counted
from gnomon.flows.estimate import Survey
from gnomon.flows.load import Piece
from gnomon.time import DAY, HOUR, show_duration

ROWS_AT_ONCE = 1_000_000
"""About how many rows a chunk has, where its length is not given: what bounds the memory of a run."""
_MOST = 100_000
_FEW_DAYS = 4 * DAY


def at_once(parts: Sequence[Part]) -> bool:
    """Whether all must be read in one chunk: nothing tells whether a second reading would find the same rows."""
    return any(not part.etag for part in parts)


def bin_length(given: int | None, surveyed: Survey, parts: Sequence[Part]) -> int | None:
    """The length of the stretches that chunks are made of: the length given, else a day or an hour; None: all at once.

    Units: microseconds.
    """
    if at_once(parts):
        return None
    if given is not None:
        return given
    if surveyed.rows <= ROWS_AT_ONCE or any(part.grows for part in parts):
        return None  # a query is run whole for each chunk
    return DAY if surveyed.last - surveyed.first > _FEW_DAYS else HOUR


def chunk_ends(bins: Sequence[tuple[int, int]], length: int, end: int, *, given: bool) -> tuple[int, ...]:
    """The ends of chunks, rising; the last is `end`. Stretches without rows, before a row dated 2099, are in none.

    `bins`: (number, rows) of the stretches with rows, rising: number n is [n * length, (n + 1) * length). `given`: each
    is a chunk; else as many are joined as have about `ROWS_AT_ONCE` rows.
    Raises: UsageError if there are too many.
    """
    ends: list[int] = []
    waiting = 0
    for number, rows in bins:
        if ends and not given and waiting + rows <= ROWS_AT_ONCE:
            waiting += rows
            ends[-1] = (number + 1) * length
        else:
            waiting = rows
            ends.append((number + 1) * length)
    if len(ends) > _MOST:
        raise UsageError(
            f"{counted(len(ends), 'chunk')} of {show_duration(length)} are too many",
            hint=f"at most {_MOST:,}: give longer ones, or none and they are chosen by the number of rows",
        )
    return (*ends[:-1], end)


def cut(piece: Piece, edges: Sequence[int]) -> list[Piece]:
    """A piece as one for each chunk."""
    inner = [edge for edge in edges if piece.since < edge < piece.end]
    return [Piece(piece.part, a, b) for a, b in pairwise([piece.since, *inner, piece.end])]
