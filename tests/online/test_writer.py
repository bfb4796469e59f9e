"""Writing hot keys: what is read and written, and what writers leave to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from gnomon.errors import CorruptValue, Unavailable
from gnomon.online.codec import Layout, pack, unpack
from gnomon.online.index import is_index, leaves_table, read_index, tail_of, with_tail
from gnomon.online.memory import MemoryStore
from gnomon.online.merge import IdConflict, Retention
from gnomon.online.program import make_program
from gnomon.online.tree import Place, answer
from gnomon.online.views import views_of
from gnomon.online.writer import Target, load, update
from gnomon.plan.layout import Output
from tests.online.hot import KEY, SMALL, TABLE, CountingStore, all_in_one, in_steps, leaves_of, named, written
from tests.online.made import Row, flat, make_layout

TYPES = [pl.Int64()]
LEAVES = leaves_table(TABLE)
COUNT = Output("n", "count", pl.Int64())
SUM = Output("s", "sum", pl.Int64(), input=0, window=50)
MEDIAN = Output("m", "median", pl.Float64(), input=0)
ASKED = [COUNT, SUM, MEDIAN]


@pytest.fixture
def layout() -> Layout:
    return make_layout(TYPES, id_kind="int")


def row(number: int, value: int = 1, **other: Any) -> Row:
    return replace(Row(0, number, number, number, (value,)), **other)


def asked(store: MemoryStore, layout: Layout, outputs: list[Output] = ASKED, t: int = 10_000) -> list[Any]:
    program = make_program(layout, TYPES, outputs)
    place = Place(store, TABLE, [KEY])
    return [
        column[0]
        for column in answer(program, store.read(TABLE, [KEY]), np.array([t]), place=place).columns()
    ]


def test_a_key_becomes_hot_when_it_has_many_rows_and_not_before(layout: Layout) -> None:
    few = [row(i) for i in range(SMALL.limit - 1)]
    store = written(layout, TYPES, in_steps(few, 1), ASKED)
    assert not is_index(store.read(TABLE, [KEY])[0])
    assert store.tables() == [TABLE]
    written(layout, TYPES, [few, [row(9)]], ASKED, store=store)
    assert is_index(store.read(TABLE, [KEY])[0])


def test_loading_and_adding_row_by_row_answer_alike(layout: Layout) -> None:
    rows = [row(i, i) for i in range(200)]
    one, many = (written(layout, TYPES, batches, ASKED) for batches in ([rows], in_steps(rows, 1)))
    assert asked(one, layout) == asked(many, layout) == [200, None, 99.5]
    assert asked(one, layout, t=150) == asked(many, layout, t=150)


def test_new_rows_touch_nothing_but_the_index_until_some_are_sealed(layout: Layout) -> None:
    store = CountingStore()
    written(layout, TYPES, [[row(i) for i in range(100)]], ASKED, store=store)
    target = Target(TABLE, layout, views_of(ASKED), SMALL)
    sealed = 0
    for number in range(100, 140):
        store.forget()
        update(store, target, [KEY], flat(layout, TYPES, [row(number)], 1))
        assert not store.reads[LEAVES]
        assert store.writes[LEAVES] in (0, 2)  # rows, and the fingerprints of their ids
        sealed += store.writes[LEAVES]
    assert sealed == 2 * 40 / SMALL.leaf
    assert asked(store, layout)[0] == 140


def test_a_late_row_reads_and_writes_the_leaf_of_its_time_alone(layout: Layout) -> None:
    store = CountingStore()
    rows = [row(2 * i) for i in range(100)]
    written(layout, TYPES, [rows], ASKED, store=store)
    store.forget()
    update(store, Target(TABLE, layout, views_of(ASKED), SMALL), [KEY], flat(layout, TYPES, [row(77)], 1))
    assert store.reads[LEAVES] == 1
    assert store.writes[LEAVES] == 4  # the one was full: two, and the fingerprints of their ids
    assert asked(store, layout)[0] == 101


@pytest.mark.parametrize("id_kind", ["int", "text"])
def test_a_correction_finds_its_row_at_another_time(id_kind: str) -> None:
    layout = make_layout(TYPES, id_kind=id_kind)
    rows = [Row(0, i, i, i if id_kind == "int" else f"order {i:05d}", (1,)) for i in range(100)]
    moved = replace(rows[20], event_time=60, known_at=200, values=(5,))
    gone = replace(rows[30], event_time=300, known_at=300, values=(), dead=True)
    batches = [rows, [moved], [gone]]
    store = written(layout, TYPES, batches, ASKED)
    assert asked(store, layout, t=199)[0] == 100
    assert asked(store, layout)[0] == 99
    assert asked(store, layout, [replace(SUM, window=9_941)]) == [5 + 41]
    program = make_program(layout, TYPES, [COUNT, SUM, MEDIAN])
    for t in range(0, 400, 7):
        whole = answer(program, [all_in_one(layout, TYPES, batches)], np.array([t])).columns()
        assert asked(store, layout, t=t) == [column[0] for column in whole]


def test_no_leaf_is_left_that_no_index_names(layout: Layout) -> None:
    rng = np.random.default_rng(5)
    store = MemoryStore()
    rows = [row(int(n), int(n) % 7) for n in rng.permutation(300)]
    written(layout, TYPES, in_steps(rows, 11), ASKED, store=store)
    assert leaves_of(store) == named(store, layout) != set()
    update(
        store, Target(TABLE, layout, views_of(ASKED), SMALL), [KEY], flat(layout, TYPES, [row(400)], 1),
        Retention(290, 400),
    )  # fmt: skip
    assert leaves_of(store) == named(store, layout)
    assert len(leaves_of(store)) < 12


def test_rows_behind_the_horizon_go_with_their_leaves_and_are_counted(layout: Layout) -> None:
    store = written(layout, TYPES, [[row(i) for i in range(100)]], ASKED)
    target = Target(TABLE, layout, views_of(ASKED), SMALL)
    counts = update(store, target, [KEY], flat(layout, TYPES, [row(200), row(3)], 1), Retention(80, 200))
    value = store.read(TABLE, [KEY])[0]
    assert value is not None
    index = read_index(layout, value, "here")
    assert index.fields[3].min() >= 76
    assert counts.duplicates == 1
    assert counts.retired + counts.late == 101 - asked(store, layout)[0]
    assert asked(store, layout, [replace(SUM, window=20)], t=100) == [20]
    assert (
        update(store, target, [KEY], flat(layout, TYPES, [row(5, 2, row_id=999)], 1), Retention(80, 200)).late
        == 1
    )


class Interrupted(MemoryStore):
    """Lets somebody else do something just before some writes of leaves are published."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Callable[[], None]] = []

    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        count = super().load(table, rows)
        if table == LEAVES and self.others:
            self.others.pop()()
        return count


def test_a_writer_who_was_overtaken_begins_anew_and_takes_his_leaves_along(layout: Layout) -> None:
    store = Interrupted()
    written(layout, TYPES, [[row(i) for i in range(50)]], ASKED, store=store)
    target = Target(TABLE, layout, views_of(ASKED), SMALL)
    for at in (70, 71, 72):
        # Late rows, of which each rewrites a leaf.
        store.others.append(
            lambda at=at: update(store, target, [KEY], flat(layout, TYPES, [row(at - 40, row_id=at)], 1))
        )
    counts = update(store, target, [KEY], flat(layout, TYPES, [row(20, row_id=90), row(5)], 1))
    assert counts.duplicates == 1
    assert not store.others
    assert asked(store, layout)[0] == 50 + 3 + 1
    assert leaves_of(store) == named(store, layout)


def test_a_key_that_changes_all_the_time_is_given_up(layout: Layout) -> None:
    store = Interrupted()
    written(layout, TYPES, [[row(i) for i in range(50)]], ASKED, store=store)
    target = Target(TABLE, layout, views_of(ASKED), SMALL)

    def touch() -> None:
        """Count one more update."""
        value = store.read(TABLE, [KEY])[0]
        assert value is not None
        tail = unpack(layout, [tail_of(value)])
        buffer, _ = pack(layout, replace(tail, counter=tail.counter + 1))
        store.update(TABLE, [KEY], lambda positions, old: [with_tail(value, buffer)])
        store.others.append(touch)

    store.others = [touch]
    with pytest.raises(Unavailable, match="change all the time"):
        update(store, target, [KEY], flat(layout, TYPES, [row(20, row_id=5000)], 1))
    store.others = []
    assert leaves_of(store) == named(store, layout)


def test_a_leaf_that_is_gone_is_a_broken_value(layout: Layout) -> None:
    store = written(layout, TYPES, [[row(i) for i in range(50)]], ASKED)
    store.delete(LEAVES, sorted(leaves_of(store)))
    target = Target(TABLE, layout, views_of(ASKED), SMALL)
    with pytest.raises(CorruptValue, match="rows are missing") as caught:
        update(store, target, [KEY], flat(layout, TYPES, [row(20, row_id=5000)], 1))
    assert caught.value.at == f"{TABLE}, key {KEY!r}"


def test_an_id_with_two_contents_changes_nothing(layout: Layout) -> None:
    store = written(layout, TYPES, [[row(i) for i in range(50)]], ASKED)
    before = dict(store.scan(TABLE)), dict(store.scan(LEAVES))
    target = Target(TABLE, layout, views_of(ASKED), SMALL)
    with pytest.raises(IdConflict):
        update(store, target, [KEY], flat(layout, TYPES, [row(20, 2)], 1))
    assert (dict(store.scan(TABLE)), dict(store.scan(LEAVES))) == before


def test_a_new_feature_is_answered_from_leaves_until_the_key_is_written(layout: Layout) -> None:
    store = CountingStore()
    written(layout, TYPES, [[row(i, i) for i in range(100)]], [COUNT], store=store)
    store.forget()
    assert asked(store, layout, [replace(SUM, window=9_990)]) == [sum(range(10, 100))]
    assert store.reads[LEAVES] > 20
    update(store, Target(TABLE, layout, views_of([SUM]), SMALL), [KEY], flat(layout, TYPES, [row(100, 0)], 1))
    store.forget()
    assert asked(store, layout, [replace(SUM, window=9_990)]) == [sum(range(10, 100))]
    assert store.reads[LEAVES] == 1


def test_hot_and_other_keys_are_written_together(layout: Layout) -> None:
    store = MemoryStore()
    target = Target(TABLE, layout, views_of(ASKED), SMALL)
    keys = [b"a", b"b", b"c"]

    def rows_of(step: int) -> list[Row]:
        return [row(i, key=k) for k in range(3) for i in range(step, step + (40 if k == 1 else 1))]

    load(store, target, keys, flat(layout, TYPES, rows_of(0), 3))
    update(store, target, keys, flat(layout, TYPES, rows_of(20), 3))
    program = make_program(layout, TYPES, ASKED)
    values = store.read(TABLE, keys)
    assert [is_index(value) for value in values] == [False, True, False]
    answers = answer(program, values, np.full(3, 1000), place=Place(store, TABLE, keys))
    assert answers.columns()[0] == [2, 60, 2]
    assert answers.event_times.tolist() == [20, 59, 20]


def test_rows_with_ids_in_no_order_read_fingerprints_and_no_leaf_but_that_of_a_correction() -> None:
    layout = make_layout(TYPES, id_kind="text")
    rng = np.random.default_rng(6)
    ids = [bytes(rng.integers(97, 123, 12).tolist()).decode() for _ in range(120)]
    rows = [Row(0, i, i, ids[i], (i,)) for i in range(110)]
    store = CountingStore()
    written(layout, TYPES, [rows], ASKED, store=store)
    value = store.read(TABLE, [KEY])[0]
    assert value is not None
    n = read_index(layout, value, "here").n_leaves
    target = Target(TABLE, layout, views_of(ASKED), SMALL)

    def arrive(*given: Row) -> tuple[int, list[Any]]:
        """How much was read of leaves, and what is answered then."""
        store.forget()
        update(store, target, [KEY], flat(layout, TYPES, list(given), 1))
        reads = store.reads[LEAVES]
        return reads, asked(store, layout, [COUNT, replace(SUM, window=9_999)])

    total = sum(range(110))
    reads, answers = arrive(Row(0, 110, 110, ids[110], (1,)))
    assert answers == [111, total + 1]
    assert n // 2 < reads <= n, "the fingerprints of leaves whose ids reach around the new one"
    # At its own time it is found at once; at another one, in the one leaf that has it.
    assert arrive(Row(0, 50, 200, ids[50], (0,)))[0] == 1
    reads, answers = arrive(Row(0, 90, 201, ids[10], (0,)))
    assert answers == [111, total + 1 - 50 - 10]
    assert reads <= n + 2
    # Who finds no fingerprints looks into the leaf.
    fingerprints = [key for key in leaves_of(store) if key[-1] & 1]
    assert len(fingerprints) >= n
    store.delete(LEAVES, fingerprints)
    reads, answers = arrive(Row(0, 91, 202, ids[20], (0,)))
    assert answers == [111, total + 1 - 50 - 10 - 20]
    assert reads > n + 2
