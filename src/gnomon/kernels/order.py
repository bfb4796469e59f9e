"""Rows as they came → rows in order: keys become codes, rows are sorted, versions are resolved.

The order of a key's rows is (event_time, declared known_at, row id). Sorting is by (code, time), which is
integers and nearly always enough; `tied_runs` finds the few rows that the rest must decide, so that row ids
are computed for those alone:

    n_keys, spine_code, row_code = index_ints(spine_keys, row_keys)
    perm = sort_rows(row_code, time)
    starts, ends = tied_runs(row_code[perm], time[perm], no_known)
    at = run_positions(starts, ends)
    sort_runs(perm, starts, ends, no_rank, id1[perm[at]], id2[perm[at]])

Scratch arrays come from NumPy and not from inside the kernels: NumPy asks the system for huge pages, which
halves the time of a pass over millions of rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnomon.kernels._jit import inline, njit
from gnomon.kernels.sorting import sort_by, sort_positions, sort_words

__all__ = [
    "activation",
    "index_ints",
    "run_positions",
    "sort_queries",
    "sort_rows",
    "sort_runs",
    "tied_runs",
    "versions",
]

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_MAX = np.int64(np.iinfo(np.int64).max)
_ONE = np.uint64(1)

_SPREAD = np.uint64(0x9E3779B97F4A7C15)


# --- keys → codes -------------------------------------------------------------------------------------------


def index_ints(spine: Ints, rows: Ints) -> tuple[int, Ints, Ints]:
    """Number the keys of the spine 0, 1, 2… as they first appear, and find them among the rows.

    Shape:  spine [q], rows [n] → (number of distinct spine keys, codes [q], codes [n]); −1 for a row whose
            key is not in the spine.
    Cost:   O(q + n); a plain table where the keys lie close together, else a table of 4 to 8 words a key.
    """
    spine_code = np.empty(len(spine), np.int64)
    row_code = np.empty(len(rows), np.int64)
    if len(spine) == 0:
        row_code.fill(-1)
        return 0, spine_code, row_code
    least, greatest = int(spine.min()), int(spine.max())
    if greatest - least < 4 * len(spine) + 1024:
        table = np.full(greatest - least + 1, -1, np.int64)
        n_keys = _index_close(spine, rows, np.int64(least), table, spine_code, row_code)
    else:
        n_keys = _index_any(spine, rows, spine_code, row_code)
    return n_keys, spine_code, row_code


@njit
def _index_close(spine, rows, least, table, spine_code, row_code):
    n_keys = 0
    for i in range(len(spine)):
        slot = np.uint64(spine[i]) - np.uint64(least)
        if table[slot] < 0:
            table[slot] = n_keys
            n_keys += 1
        spine_code[i] = table[slot]
    # Unsigned, so that keys below `least` are beyond the end too, and nothing overflows.
    size = np.uint64(len(table))
    for i in range(len(rows)):
        slot = np.uint64(rows[i]) - np.uint64(least)
        row_code[i] = table[slot] if slot < size else -1
    return n_keys


@inline
def _slot(key, shift):
    x = np.uint64(key)
    return ((x ^ (x >> np.uint64(32))) * _SPREAD) >> shift


@njit
def _index_any(spine, rows, spine_code, row_code):
    """Open addressing with linear probing; a slot is (key, code), code −1 where free; half of them stay free.

    It grows with the keys and not with the spine: a small table stays in the cache.
    """
    bits = 10
    table = np.full((1 << bits, 2), -1, np.int64)
    n_keys = 0
    for i in range(len(spine)):
        key = spine[i]
        shift = np.uint64(64 - bits)
        last = np.uint64(len(table) - 1)
        slot = _slot(key, shift)
        while table[slot, 1] >= 0 and table[slot, 0] != key:
            slot = (slot + _ONE) & last
        if table[slot, 1] < 0:
            table[slot, 0] = key
            table[slot, 1] = n_keys
            n_keys += 1
            spine_code[i] = n_keys - 1
            if 2 * n_keys > len(table):
                bits += 1
                table = _grown(table, bits)
        else:
            spine_code[i] = table[slot, 1]
    shift = np.uint64(64 - bits)
    last = np.uint64(len(table) - 1)
    for i in range(len(rows)):
        key = rows[i]
        slot = _slot(key, shift)
        while table[slot, 1] >= 0 and table[slot, 0] != key:
            slot = (slot + _ONE) & last
        row_code[i] = table[slot, 1]
    return n_keys


@njit
def _grown(table, bits):
    grown = np.full((1 << bits, 2), -1, np.int64)
    shift = np.uint64(64 - bits)
    last = np.uint64(len(grown) - 1)
    for old in range(len(table)):
        if table[old, 1] >= 0:
            slot = _slot(table[old, 0], shift)
            while grown[slot, 1] >= 0:
                slot = (slot + _ONE) & last
            grown[slot, 0] = table[old, 0]
            grown[slot, 1] = table[old, 1]
    return grown


# --- rows → order -------------------------------------------------------------------------------------------


def sort_rows(code: Ints, time: Ints) -> Ints:
    """Return the positions of the rows with code ≥ 0, sorted by (code, time); equal ones stay as they came.

    Shape:  code, time [n] → perm [m].
    Units:  any int64 times.
    Raises: ValueError when a row's number and the greatest code do not fit one 64-bit word together.
    Cost:   a radix sort over the digits that occur. Rows that come in order of time cost the digits of the
            codes alone.
    """
    m, top, in_order, in_time = _survey(code, time)
    row_bits = max(len(code) - 1, 1).bit_length()
    code_bits = int(top).bit_length()
    if row_bits + code_bits > 64:
        raise ValueError(f"{len(code)} rows under codes up to {top} are too many to sort at once")
    words = np.empty(m, np.uint64)
    spare = np.empty(0 if in_order and in_time else m, np.uint64)
    longest = _group_codes(code, np.uint64(row_bits), code_bits, in_order, words, spare)
    perm = words.view(np.int64)
    if in_time:
        _drop_codes(words, np.uint64(row_bits))
    else:
        key = np.empty(longest, np.uint64)
        segment = np.empty(longest, np.uint64)
        _sort_segments(time, np.uint64(row_bits), words, key, segment, spare)
    return perm


sort_queries = sort_rows
"""Queries are put into the order of rows: by (code, t)."""


@njit
def _survey(code, time):
    """(rows with a code, greatest code, whether codes never fall, whether times never fall)"""
    m = 0
    top = np.int64(0)
    in_order = True
    in_time = True
    last_code = np.int64(0)
    last_time = np.int64(0)
    for i in range(len(code)):
        if code[i] < 0:
            continue
        if m > 0:
            in_order &= code[i] >= last_code
            in_time &= time[i] >= last_time
        last_code = code[i]
        last_time = time[i]
        top = max(top, last_code)
        m += 1
    return m, top, in_order, in_time


@njit
def _group_codes(code, row_bits, code_bits, in_order, words, spare):
    """Fill `words` with code << row_bits | row, sorted; return the length of the longest run of one code."""
    m = 0
    for i in range(len(code)):
        if code[i] >= 0:
            words[m] = (np.uint64(code[i]) << row_bits) | np.uint64(i)
            m += 1
    if not in_order:
        sort_words(words, spare, m, row_bits, code_bits)
    longest = 0
    start = 0
    for i in range(m):
        if words[i] >> row_bits != words[start] >> row_bits:
            start = i
        longest = max(longest, i + 1 - start)
    return longest


@njit
def _drop_codes(words, row_bits):
    rows = (_ONE << row_bits) - _ONE
    for i in range(len(words)):
        words[i] &= rows


@njit
def _sort_segments(time, row_bits, words, key, segment, spare):
    """Turn words, grouped by code, into rows that are sorted by time within each code."""
    rows = (_ONE << row_bits) - _ONE
    end = 0
    while end < len(words):
        start = end
        code = words[start] >> row_bits
        sorted_already = True
        least = time[words[start] & rows]
        greatest = least
        while end < len(words) and words[end] >> row_bits == code:
            row = words[end] & rows
            t = time[row]
            sorted_already &= t >= greatest
            least = min(least, t)
            greatest = max(greatest, t)
            words[end] = row
            key[end - start] = np.uint64(t)
            end += 1
        if sorted_already:
            continue
        n = end - start
        for i in range(n):
            key[i] -= np.uint64(least)
        sort_positions(key, n, np.uint64(greatest) - np.uint64(least), segment, spare)
        for i in range(n):
            key[i] = words[start + np.int64(segment[i])]
        words[start:end] = key[:n]


# --- ties ---------------------------------------------------------------------------------------------------


@njit
def tied_runs(code: Ints, time: Ints, known: Ints) -> tuple[Ints, Ints]:
    """Return the bounds [starts[k], ends[k]) of each run of two or more rows that are equal in all three.

    Shape: code, time [n] sorted; known [n], sorted as the last of the three, or [0] where none is declared
           → [r], [r].
    """
    r = 0
    start, end = _next_run(code, time, known, 0)
    while start < end:
        r += 1
        start, end = _next_run(code, time, known, end)
    starts = np.empty(r, np.int64)
    ends = np.empty(r, np.int64)
    end = 0
    for k in range(r):
        start, end = _next_run(code, time, known, end)
        starts[k] = start
        ends[k] = end
    return starts, ends


@inline
def _next_run(code, time, known, at):
    """The first run at or after row `at`, which no run straddles; (n, n) when there is none."""
    n = len(code)
    start = at
    while start + 1 < n and not _tied(code, time, known, start, start + 1):
        start += 1
    if start + 1 >= n:
        return n, n
    end = start + 2
    while end < n and _tied(code, time, known, start, end):
        end += 1
    return start, end


@inline
def _tied(code, time, known, i, j):
    return time[i] == time[j] and code[i] == code[j] and (len(known) == 0 or known[i] == known[j])


@njit
def run_positions(starts: Ints, ends: Ints) -> Ints:
    """Return the positions that lie in any run, ascending: the rows for which `sort_runs` wants ranks."""
    total = 0
    for k in range(len(starts)):
        total += ends[k] - starts[k]
    positions = np.empty(total, np.int64)
    m = 0
    for k in range(len(starts)):
        for i in range(starts[k], ends[k]):
            positions[m] = i
            m += 1
    return positions


@njit
def sort_runs(
    perm: Ints,
    starts: Ints,
    ends: Ints,
    rank1: Ints,
    rank2: Words,
    rank3: Words,
) -> None:
    """Reorder each run of `perm`, in place and stably, by (rank1, rank2, rank3).

    Shape: ranks are those of the rows perm[run_positions(starts, ends)], in that order; [0] where absent.
    """
    none = np.empty(0, np.int64)
    total = 0
    for k in range(len(starts)):
        total += ends[k] - starts[k]
    order = np.arange(total)
    spare = np.empty(total, np.int64)
    base = 0
    for k in range(len(starts)):
        n = ends[k] - starts[k]
        sort_by(order, spare, base, base + n, rank1, none, rank2, rank3, none)
        for i in range(n):
            spare[base + i] = perm[starts[k] + order[base + i] - base]
        perm[starts[k] : ends[k]] = spare[base : base + n]
        base += n


# --- versions -----------------------------------------------------------------------------------------------


def versions(
    ident: Ints,
    known: Ints,
    v1: Ints,
    h1: Words,
    h2: Words,
    dead: NDArray[np.uint8],
    strict: bool,
) -> tuple[NDArray[np.uint8], Ints, Ints, int]:
    """Resolve row versions: (keep [n], until [n], conflict [c], ties).

    Rows of equal `ident` are versions of one row, in the order (known, v1, h1, h2).

    * A version whose (v1, h1, h2) equals an earlier one's changes nothing: it is not kept.
    * Of several at one `known` the greatest is kept. `ties` counts the others; where `strict`, `conflict`
      holds the positions of all of them, ascending, for the caller to refuse.
    * A kept version counts for known ≤ t < until; `until` is the `known` of what replaces it, INT64_MAX for
      nothing.
    * `dead` marks a delete. It replaces what is known up to and including its own instant and is never kept
      itself; it has no content, so two deletes are never equal and a row like one that was deleted stays
      deleted.

    Shape:  all [n]. ident ≥ 0, dense (a table over its range is made): (key, row id), or (key, event_time) of
            a state group. known = INT64_MAX: not known yet, a version like any other. v1: rank of the event
            id, or zeros.
    Raises: ValueError for a negative ident.
    Cost:   O(n) where all idents differ; else O(n + m log m) for the m rows that share theirs.
    """
    n = len(ident)
    keep = np.empty(n, np.uint8)
    np.equal(dead, 0, out=keep.view(np.bool_))
    until = np.full(n, _MAX)
    if n == 0:
        return keep, until, np.empty(0, np.int64), 0
    if ident.min() < 0:
        raise ValueError("a row without identity has no versions")
    bucket = np.zeros(int(ident.max()) + 1, np.int64)
    m = _place_shared(ident, bucket)
    if m == 0:
        return keep, until, np.empty(0, np.int64), 0
    items = np.empty(m, np.int64)
    _gather_shared(ident, bucket, items)
    ties, conflict = _resolve_shared(items, ident, known, v1, h1, h2, dead, strict, keep, until)
    return keep, until, np.flatnonzero(conflict), ties


@njit
def _place_shared(ident, bucket):
    """Count the rows that share their ident; `bucket` becomes the place of each ident's rows, or −1."""
    for i in range(len(ident)):
        bucket[ident[i]] += 1
    total = 0
    for k in range(len(bucket)):
        size = bucket[k]
        bucket[k] = -1
        if size > 1:
            bucket[k] = total
            total += size
    return total


@njit
def _gather_shared(ident, bucket, items):
    for i in range(len(ident)):
        place = bucket[ident[i]]
        if place >= 0:
            items[place] = i
            bucket[ident[i]] = place + 1


@njit
def _resolve_shared(items, ident, known, v1, h1, h2, dead, strict, keep, until):
    none = np.empty(0, np.int64)
    spare = np.empty(len(items), np.int64)
    conflict = np.zeros(len(ident) if strict else 0, np.uint8)
    ties = 0
    end = 0
    while end < len(items):
        start = end
        while end < len(items) and ident[items[end]] == ident[items[start]]:
            end += 1
        m = _first_of_content(items, spare, start, end, known, v1, h1, h2, dead, keep)
        sort_by(items, spare, start, start + m, known, v1, h1, h2, none)
        previous = -1
        i = start
        while i < start + m:
            # Of one instant the last version wins, or none where a delete is among them.
            since = known[items[i]]
            winner = -1
            rows = 0
            deleted = False
            first = i
            while i < start + m and known[items[i]] == since:
                if dead[items[i]]:
                    deleted = True
                else:
                    if winner >= 0:
                        keep[winner] = 0
                    winner = items[i]
                    rows += 1
                i += 1
            if rows > 1:
                ties += rows - 1
                for j in range(first, i if strict else first):
                    conflict[items[j]] = not dead[items[j]]
            if deleted and winner >= 0:
                keep[winner] = 0
                winner = -1
            if previous >= 0:
                until[previous] = since
            previous = winner
    return ties, conflict


@njit
def _first_of_content(items, spare, start, end, known, v1, h1, h2, dead, keep):
    """Move the first of each content and all deletes to the front of items[start:end]; count them."""
    none = np.empty(0, np.int64)
    live = start
    for i in range(start, end):
        if not dead[items[i]]:
            spare[live] = items[i]
            live += 1
    m = live
    for i in range(start, end):
        if dead[items[i]]:
            spare[m] = items[i]
            m += 1
    items[start:end] = spare[start:end]
    sort_by(items, spare, start, live, v1, none, h1, h2, known)
    m = start
    last = -1
    for i in range(start, live):
        row = items[i]
        if last >= 0 and v1[row] == v1[last] and h1[row] == h1[last] and h2[row] == h2[last]:
            keep[row] = 0
        else:
            items[m] = row
            m += 1
            last = row
    for i in range(live, end):
        items[m] = items[i]
        m += 1
    return m - start


# --- visibility ---------------------------------------------------------------------------------------------


@njit
def activation(event_time: Ints, known: Ints, strict: bool) -> Ints:
    """Return for each row the first instant at which it counts.

    Units: microseconds. A row of a state group counts at its own event_time already; one of an event group,
           whose windows end before t, only after it (`strict`). INT64_MAX: never.
    """
    start = np.empty(len(event_time), np.int64)
    for i in range(len(event_time)):
        first = event_time[i]
        if strict and first < _MAX:
            first += 1
        start[i] = max(first, known[i])
    return start
