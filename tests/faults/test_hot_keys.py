"""Writers of one hot key are killed before each of their writes; two write at once; readers read all the while."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gnomon.online.codec import FlatRows
from gnomon.online.index import leaves_table
from gnomon.online.leftovers import unnamed_leaves
from gnomon.online.lmdb import LmdbStore
from gnomon.online.merge import KEEP_ALL, Retention
from gnomon.online.program import make_program
from gnomon.online.sealing import Sizes
from gnomon.online.tree import Changed, Place, answer
from gnomon.online.views import views_of
from gnomon.online.writer import Target, update
from gnomon.plan.layout import Output
from tests.faults.dying import DyingStore
from tests.online.hot import KEY, SMALL, TABLE, leaves_of, named
from tests.online.made import Row, flat, make_layout
from tests.online.processes import FORK, TIMEOUT, in_children, running

TYPES: list[pl.DataType] = [pl.Int64()]
LAYOUT = make_layout(TYPES, id_kind="int")
ASKED = [
    Output("n", "count", pl.Int64(), window=60),
    Output("s", "sum", pl.Int64(), input=0, window=40),
    Output("l", "last", pl.Int64(), input=0, window=50),
    Output("m", "median", pl.Float64(), input=0, window=60),
]
PROGRAM = make_program(LAYOUT, TYPES, ASKED)
HORIZON = 30
INSTANTS = [HORIZON + 60, 100, 105, 119, 150, 900]
"""From the first one on, all windows are behind the horizon."""


def row(number: int, value: int = 1, **other: Any) -> Row:
    return Row(0, **{"event_time": number, "known_at": number, "row_id": number, "values": (value,), **other})


def history() -> list[tuple[FlatRows, Retention]]:
    """Batches that seal leaves, rewrite some, cut some, move rows, delete rows, and let leaves go."""
    moved = row(9, 5, event_time=70, known_at=200)
    deleted = row(12, event_time=300, known_at=300, values=(), dead=True)
    batches: list[tuple[Sequence[Row], Retention]] = [
        ([row(i) for i in range(0, 40, 2)], KEEP_ALL),
        ([row(i) for i in range(40, 60)], KEEP_ALL),
        ([row(i) for i in range(1, 40, 2)], KEEP_ALL),
        ([moved, deleted, row(100)], KEEP_ALL),
        ([row(i) for i in range(101, 120)], Retention(HORIZON, 120)),
    ]
    return [(flat(LAYOUT, TYPES, rows, 1), retention) for rows, retention in batches]


def write(store: LmdbStore, batches: Sequence[tuple[FlatRows, Retention]]) -> None:
    for rows, retention in batches:
        update(store, Target(TABLE, LAYOUT, views_of(ASKED), SMALL), [KEY], rows, retention)


def answers(store: LmdbStore) -> list[Any]:
    found = []
    for t in INSTANTS:
        told = answer(PROGRAM, store.read(TABLE, [KEY]), np.array([t]), place=Place(store, TABLE, [KEY]))
        found.append(
            (told.columns(), told.statuses.tolist(), told.event_times.tolist(), told.errors.tolist())
        )
    return found


def count_writes(folder: Path) -> int:
    with DyingStore(folder) as store:
        write(store, history())
        return store.writes


def die_at(folder: Path, last: int, batches: Sequence[tuple[FlatRows, Retention]]) -> None:
    with DyingStore(folder) as store:
        store.last = last
        write(store, batches)


def killed(work: Callable[..., None], *args: Any) -> None:
    victim = FORK.Process(target=work, args=args)
    victim.start()
    victim.join(TIMEOUT)
    assert victim.exitcode == -signal.SIGKILL


def test_a_writer_killed_before_any_of_his_writes_is_as_if_never_killed(tmp_path: Path) -> None:
    writes = count_writes(tmp_path / "counted")
    with LmdbStore(tmp_path / "counted") as store:
        want = answers(store)
        assert leaves_of(store) == named(store, LAYOUT)
    batches = history()
    assert writes > 12
    left = 0
    for last in range(1, writes + 1):
        folder = tmp_path / str(last)
        killed(die_at, folder, last, batches)
        with LmdbStore(folder, sync=False) as store:
            # What is there is whole, whatever is missing.
            answers(store)
            assert named(store, LAYOUT) <= leaves_of(store)
            write(store, batches)
            assert answers(store) == want
            orphans = set(unnamed_leaves(store, LAYOUT, TABLE))
            assert orphans == leaves_of(store) - named(store, LAYOUT)
            left += len(orphans)
    assert left, "some must have been killed between a leaf and its index"


def test_two_writers_at_once_lose_no_row(tmp_path: Path) -> None:
    rows = [[row(2 * i + half) for i in range(150)] for half in range(2)]
    rng = np.random.default_rng(8)
    batches = []
    for half in rows:
        parts = [[half[i] for i in part] for part in np.array_split(rng.permutation(150), 40)]
        batches.append([(flat(LAYOUT, TYPES, part, 1), KEEP_ALL) for part in parts])

    def deliver(given: Sequence[tuple[FlatRows, Retention]]) -> None:
        with LmdbStore(tmp_path, sync=False) as store:
            write(store, given)

    in_children(*(partial(deliver, given) for given in batches))
    with LmdbStore(tmp_path, sync=False) as store:
        assert leaves_of(store) == named(store, LAYOUT)
        found = answers(store)
        program = make_program(LAYOUT, TYPES, [Output("n", "count", pl.Int64())])
        told = answer(program, store.read(TABLE, [KEY]), np.array([900]), place=Place(store, TABLE, [KEY]))
        assert told.columns() == [[300]]
        write(store, [batch for given in batches for batch in given])
        assert answers(store) == found


@pytest.mark.parametrize("across", ["threads", "processes"])
def test_readers_see_whole_answers_while_a_key_is_written(tmp_path: Path, across: str) -> None:
    """Rows come in pairs of 1 and −1: no sum over all of them is ever anything else than 0."""
    batches = []
    rng = np.random.default_rng(9)
    for number in rng.permutation(200).tolist():
        pair = [row(2 * number, 1), row(2 * number + 1, -1)]
        batches.append((flat(LAYOUT, TYPES, pair, 1), KEEP_ALL))
    asked = [
        Output("s", "sum", pl.Int64(), input=0),
        Output("n", "count", pl.Int64()),
        Output("w", "sum", pl.Int64(), input=0, window=10_000),
        Output("m", "histogram", pl.List(pl.Struct({"key": pl.Int64, "value": pl.Int64})), input=0),
    ]
    program = make_program(LAYOUT, TYPES, asked)

    def deliver() -> None:
        with LmdbStore(tmp_path, sync=False) as store:
            write(store, batches)

    def read(store: LmdbStore) -> int:
        """Ask as a lookup does; return how many rows there are."""
        for _ in range(100):
            try:
                told = answer(
                    program, store.read(TABLE, [KEY]), np.array([9_000]), place=Place(store, TABLE, [KEY])
                )
            except Changed:
                continue
            total, count, windowed, seen = (column[0] for column in told.columns())
            assert not told.errors.any()
            assert (total or 0, windowed or 0) == (0, 0)
            assert count % 2 == 0
            assert [entry["value"] for entry in seen] in ([], [count // 2, count // 2])
            return int(count)
        raise AssertionError("no answer in a hundred attempts")

    with LmdbStore(tmp_path, sync=False) as store:
        if across == "processes":
            with running(deliver) as writer:
                counts = [read(store)]
                while writer.is_alive():
                    counts.append(read(store))
        else:
            thread = threading.Thread(target=write, args=(store, batches))
            thread.start()
            counts = [read(store)]
            while thread.is_alive():
                counts.append(read(store))
            thread.join()
        assert counts == sorted(counts)
        assert read(store) == 400
        assert list(store.scan(leaves_table(TABLE)))


def test_sizes_are_those_of_the_product_where_nothing_is_said() -> None:
    assert Target(TABLE, LAYOUT).sizes == Sizes(leaf=1024, tail=512)
