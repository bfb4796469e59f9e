"""Cases of two processes that write one key (CASES 55): the greatest row wins, no row and no update is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gnomon.online import codec
from gnomon.online.lmdb import LmdbStore
from gnomon.online.merge import merge
from tests.online.made import Row, columns_of, flat, listed, make_layout
from tests.online.processes import FORK, TIMEOUT, Reports, in_children, running

ROWS, UPDATES = 500, 10_000
TABLE, KEY = "group@1", b"hot"
TYPES = [pl.Int64()]
LAYOUTS = {
    "state": make_layout(TYPES, kind="state", declared=True),
    "event": make_layout(TYPES, kind="event", id_kind="int", declared=True),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "online"


def rows_of(kind: str) -> list[Row]:
    """Rows in the order of their greatness, two of each event time; of events, some replace the one before."""
    return [Row(0, n // 2, n, None if kind == "state" else n - n % 3, (n,)) for n in range(ROWS)]


def arriving(kind: str) -> list[codec.FlatRows]:
    """Each row alone. Made before a process forks: Polars' threads do not come along."""
    return [flat(LAYOUTS[kind], TYPES, [row], 1) for row in rows_of(kind)]


def deliveries(seed: int, times: int) -> list[int]:
    """Every row so many times, each time in another order."""
    draws = np.random.default_rng(seed)
    return [int(n) for _ in range(times) for n in draws.permutation(ROWS)]


def deliver(store: LmdbStore, kind: str, rows: Sequence[codec.FlatRows], order: Iterable[int]) -> None:
    """Merge rows into the key one by one, as materialize does."""
    layout = LAYOUTS[kind]
    for n in order:

        def combine(positions: Sequence[int], old: list[bytes | None], n: int = n) -> list[memoryview]:
            merged = merge(layout, codec.unpack(layout, old), rows[n])
            buffer, offsets = codec.pack(layout, merged.rows)
            return [buffer.data[a:b] for a, b in pairwise(offsets.tolist())]

        store.update(TABLE, [KEY], combine)


def held(path: Path, kind: str) -> codec.FlatRows:
    with LmdbStore(path) as store:
        return codec.unpack(LAYOUTS[kind], store.read(TABLE, [KEY]))


def undisturbed(kind: str) -> list[Any]:
    """What one merge of all rows leaves."""
    layout = LAYOUTS[kind]
    return settled(merge(layout, codec.unpack(layout, [None]), flat(layout, TYPES, rows_of(kind), 1)).rows)


def settled(rows: codec.FlatRows) -> list[Any]:
    """All of the rows but how many updates they took."""
    return columns_of(replace(rows, counter=np.zeros_like(rows.counter)))


@pytest.mark.parametrize("kind", LAYOUTS)
def test_55_of_ten_thousand_updates_by_two_processes_none_is_lost(path: Path, kind: str) -> None:
    rows, times = arriving(kind), UPDATES // ROWS // 2
    want = undisturbed(kind)

    def write(seed: int) -> None:
        with LmdbStore(path, sync=False) as store:
            deliver(store, kind, rows, deliveries(seed, times))

    in_children(partial(write, 1), partial(write, 2))
    found = held(path, kind)
    assert found.counter.tolist() == [UPDATES]
    assert settled(found) == want
    assert listed(LAYOUTS[kind], TYPES, found)[-1].values == (ROWS - 1,), "the greatest row wins"


@pytest.mark.parametrize("kind", LAYOUTS)
def test_55_a_writer_killed_beside_another_and_replayed_is_as_if_never_killed(path: Path, kind: str) -> None:
    rows, want = arriving(kind), undisturbed(kind)
    halves = deliveries(3, 1)[: ROWS // 2], deliveries(3, 1)[ROWS // 2 :]
    draws = np.random.default_rng(4)

    def survive() -> None:
        with LmdbStore(path, sync=False) as store:
            deliver(store, kind, rows, halves[0] * 4)

    def fall(reports: Reports) -> None:
        with LmdbStore(path, sync=False) as store:
            for n in halves[1]:
                deliver(store, kind, rows, [n])
                reports.tell(n)
            signal.pause()

    with running(survive):
        for _ in range(5):
            reports = Reports()
            victim = FORK.Process(target=fall, args=(reports,))
            victim.start()
            for _ in range(draws.integers(1, ROWS // 2)):
                reports.wait()
            # Wherever it is now: most of its time it is in an update.
            victim.kill()
            victim.join(TIMEOUT)
            assert victim.exitcode == -signal.SIGKILL
            reports.last(0)
    with LmdbStore(path) as store:
        deliver(store, kind, rows, halves[1])
    assert settled(held(path, kind)) == want
