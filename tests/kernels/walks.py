"""Windows over a few keys' rows, told three ways: as plain lists of rows, as ranges, and as a tape."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from gnomon.kernels import active

NONE = np.empty(0, np.int64)
NO_OWN = np.empty(0, np.uint8)


@dataclass
class Walk:
    """Queries over the rows of a lane.

    `members[i]` are the compressed positions that query `i` sees, in order: what every test computes from.
    """

    code: np.ndarray
    key: np.ndarray
    rows: np.ndarray
    pos: np.ndarray
    time: np.ndarray
    t: np.ndarray
    members: list[list[int]]
    lo: np.ndarray
    hi: np.ndarray
    tape: np.ndarray
    tape_end: np.ndarray
    at: np.ndarray
    xcode: np.ndarray
    xok: np.ndarray
    contiguous: bool
    order: np.ndarray = field(init=False)
    rank: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.order = np.lexsort((np.arange(len(self.code)), self.code, self.key)).astype(np.int64)
        self.rank = active.ranks(self.order)

    @property
    def n_rows(self) -> int:
        return len(self.pos)

    @property
    def n_out(self) -> int:
        return len(self.at) + 2

    def out(self, dtype: type = np.int64) -> np.ndarray:
        return np.full(self.n_out, 77, dtype)

    def in_order(self, out: np.ndarray) -> list:
        """The outputs by sorted query; those that no query names must be untouched."""
        assert (np.delete(out, self.at) == 77).all()
        return out[self.at].tolist()

    def own(self, i: int) -> bool:
        return bool(self.xok.size and self.xok[i])

    def codes(self, i: int) -> list[int]:
        """The codes that query `i` sees, in order, with the request's own row as the last."""
        return self.code[self.members[i]].tolist() + ([int(self.xcode[i])] if self.own(i) else [])

    def picks(self, i: int) -> list[int]:
        """The row numbers beside `codes(i)`."""
        return self.rows[self.members[i]].tolist() + ([self.n_rows + i] if self.own(i) else [])

    def with_own_lane(self, i: int) -> tuple[np.ndarray, np.ndarray, int]:
        """`(code, idx, m)` as the online fold sees query `i`: the own row is one more position."""
        code = np.append(self.code, self.xcode[i] if self.own(i) else 0)
        idx = np.array(self.members[i] + ([len(self.code)] if self.own(i) else []), np.int64)
        return code, idx, len(idx)


def make(
    rows: list[tuple[int, int, int, int, bool]],
    queries: list[tuple[int, int]],
    length: int,
    codes: list[int],
    own: list[tuple[bool, int]] | None,
    seed: int = 0,
) -> Walk:
    """Rows are `(key, time, known, until, passes)`, queries `(key, t)` with windows `[t - length, t)`."""
    rows = sorted(rows)
    queries = sorted(queries)
    passing = [r for r, row in enumerate(rows) if row[4]]
    pos = np.full(len(rows), -1, np.int64)
    pos[passing] = np.arange(len(passing))
    seen, lo, hi = [], [], []
    for key, t in queries:
        inside = [r for r, row in enumerate(rows) if row[0] == key and t - length <= row[1] < t]
        seen.append([r for r in inside if rows[r][2] <= t < rows[r][3]])
        begin = sum((row[0], row[1]) < (key, t - length) for row in rows)
        lo.append(sum(r < begin for r in passing))
        hi.append(lo[-1] + sum(rows[r][4] for r in inside))
    tape, tape_end = tape_of(seen, [key for key, _ in queries], seed)
    members = [[int(pos[r]) for r in rs if pos[r] >= 0] for rs in seen]
    spread = np.random.default_rng(seed).permutation(len(queries) + 2)[: len(queries)]
    return Walk(
        code=np.array([codes[r] for r in passing], np.int64),
        key=np.array([rows[r][0] for r in passing], np.int64),
        rows=np.array(passing, np.int64),
        pos=pos,
        time=np.array([row[1] for row in rows], np.int64),
        t=np.array([t for _, t in queries], np.int64),
        members=members,
        lo=np.array(lo, np.int64),
        hi=np.array(hi, np.int64),
        tape=tape,
        tape_end=tape_end,
        at=spread.astype(np.int64),
        xcode=NONE if own is None else np.array([c for _, c in own], np.int64),
        xok=NO_OWN if own is None else np.array([o for o, _ in own], np.uint8),
        contiguous=members == [list(range(a, b)) for a, b in zip(lo, hi, strict=True)],
    )


def tape_of(seen: list[list[int]], keys: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The plainest tape: before each query, in any order, what left and what came; a key leaves whole."""
    shuffled = random.Random(seed)
    tape: list[int] = []
    ends = []
    held: set[int] = set()
    for i, now in enumerate(map(set, seen)):
        if i and keys[i] != keys[i - 1]:
            tape += [2 * r + 1 for r in held]
            held = set()
        changes = [2 * r + 1 for r in held - now] + [2 * r for r in now - held]
        shuffled.shuffle(changes)
        tape += changes
        held = now
        ends.append(len(tape))
    return np.array(tape + [2 * r + 1 for r in held], np.int64), np.array(ends, np.int64)


FOREVER = 10**6


@st.composite
def walks(draw: st.DrawFn, codes: Sequence[int], late: bool) -> Walk:
    """Some rows of up to three keys; `late` ones become known later and are replaced.

    Sizes shrink; what stands in the rows comes from a seed: if each number were drawn by itself, most windows
    would be empty.
    """
    pick = random.Random(draw(st.integers(0, 2**32)))
    n_rows = draw(st.integers(0, 40))
    n_queries = draw(st.integers(1, 12))
    n_keys = draw(st.integers(1, 3))
    length = draw(st.sampled_from([2, 5, 100]))
    rows = []
    for _ in range(n_rows):
        time = pick.randrange(10)
        known, until = time, FOREVER
        if late:
            known += pick.randrange(8)
            until = known + pick.randrange(8) if pick.random() < 0.4 else FOREVER
        rows.append((pick.randrange(n_keys), time, known, until, pick.random() < 0.8))
    queries = [(pick.randrange(n_keys), pick.randrange(16)) for _ in range(n_queries)]
    own = None
    if draw(st.booleans()):
        own = [(pick.random() < 0.7, pick.choice(codes)) for _ in queries]
    return make(rows, queries, length, [pick.choice(codes) for _ in rows], own, pick.randrange(100))


def either(codes: Sequence[int]) -> st.SearchStrategy[Walk]:
    """Walks of ranges, which slide and replay must agree on, and of late rows, which are replayed alone."""
    return st.booleans().flatmap(lambda late: walks(codes, late))


def long_walk(code: np.ndarray, seed: int, own: bool = True) -> Walk:
    """A walk of two keys with so many rows that every set in it has three levels."""
    draws = np.random.default_rng(seed)
    n = len(code)
    key = np.sort(draws.choice(2, n, p=[0.1, 0.9])).astype(np.int64)
    hi = np.sort(draws.integers(0, n, 60))
    lo = np.maximum.accumulate(np.maximum(hi - draws.choice([0, 10, 900, 4500], 60), 0))
    begin = int(np.searchsorted(key, 1))
    # A window belongs to one key: cut those over the border at the side where most of their queries are.
    q_key = (hi > begin).astype(np.int64)
    lo = np.where(q_key == 1, np.maximum(lo, begin), lo)
    members = [list(range(a, b)) for a, b in zip(lo, hi, strict=True)]
    tape, tape_end = tape_of(members, q_key.tolist(), seed)
    return Walk(
        code=code,
        key=key,
        rows=np.arange(n),
        pos=np.arange(n),
        time=np.arange(n),
        t=hi,
        members=members,
        lo=lo,
        hi=hi,
        tape=tape,
        tape_end=tape_end,
        at=draws.permutation(62)[:60],
        xcode=draws.choice(code, 60) if own else NONE,
        xok=draws.integers(0, 2, 60).astype(np.uint8) if own else NO_OWN,
        contiguous=True,
    )
