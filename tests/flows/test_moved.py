"""Progress stays where it was, whatever becomes of the files that rows were inserted in."""

from __future__ import annotations

import random

import polars as pl
import pytest

from gnomon.abc.source import Part, SourceReader
from gnomon.flows.moved import follow, in_origins
from gnomon.flows.online import Loaded, Shape, Table, read_document
from gnomon.time import NEVER
from tests.flows.small import DAY, HOUR, MINUTE, VISITS, T, ask, train, visit

A, B, C, P, Q = (Part(name, f"{name}.etag") for name in "abcpq")


class Reader(SourceReader):
    """`p` and `q` hold the rows that came in `a` and `b`; `c` lies as it came."""

    def __init__(self, *gone: Part) -> None:
        self.gone = gone

    schema = parts = scan = describe = None

    def origins(self, part):
        return (A, B) if part in (P, Q) else ()

    def present(self, parts):
        return tuple(part for part in parts if part not in self.gone)


Reader.__abstractmethods__ = frozenset()


def table(**ends: int) -> Table:
    shape = Shape("event", "hash", False, 0, ())
    return Table("g@1#1", shape, parts={name: Loaded(f"{name}.etag", end) for name, end in ends.items()})


def ends(given: Table) -> dict[str, int]:
    return {name: loaded.end for name, loaded in given.parts.items()}


def test_where_nothing_moved_all_stays():
    given = table(c=5)
    assert follow(given, Reader(), [C], 9) == (given, (C,))
    assert in_origins(given, Reader(), [C]) is given


def test_what_was_loaded_of_the_origins_is_loaded():
    given = table(a=NEVER, b=NEVER, c=5)
    assert follow(given, Reader(A, B), [C, P, Q], NEVER) == (given, (C, A, B))


def test_an_origin_that_is_not_loaded_is_read_itself_while_it_is_there():
    assert follow(table(a=NEVER), Reader(A), [P, Q], NEVER) == (table(a=NEVER), (A, B))


def test_else_the_parts_that_hold_its_rows_are():
    assert follow(table(a=NEVER), Reader(B), [P, Q], NEVER) == (table(), (P, Q))


def test_they_are_read_from_where_all_origins_end():
    given, chosen = follow(table(a=7, b=5), Reader(A), [P, Q], 9)
    assert (ends(given), chosen) == ({"p": 5, "q": 5}, (P, Q))


def test_a_new_table_reads_the_rows_where_they_are_now():
    assert follow(table(), Reader(), [C, P, Q], NEVER) == (table(), (C, P, Q))


def test_what_was_begun_so_goes_on_so():
    assert follow(table(p=NEVER), Reader(), [P, Q], NEVER) == (table(p=NEVER), (P, Q))


def test_when_all_parts_are_loaded_the_origins_are():
    assert ends(in_origins(table(p=5, q=7, c=1), Reader(), [C, P, Q])) == {"c": 1, "a": 5, "b": 5}
    assert ends(in_origins(table(p=5, q=7, a=9), Reader(), [P, Q])) == {"a": 9, "b": 5}
    assert ends(in_origins(table(p=5), Reader(), [P, Q])) == {"p": 5}
    assert follow(table(p=NEVER, q=NEVER), Reader(A, B), [P, Q], NEVER)[1] == (A, B)


# ---- the whole way


def insert(store, number):
    store.insert(VISITS, [visit(u, T - u * MINUTE - number * HOUR, number) for u in range(1, 5)])


def answers(store):
    return ask(store, ["visits:count_1d", "visits:ms_sum_1d"], [1, 2, 3, 4, 5])


def test_only_what_is_new_is_loaded_after_an_optimization(store):
    for number in range(3):
        insert(store, number)
    store.materialize("visits")
    insert(store, 3)
    assert [g.files_after for g in store.optimize("visits").groups] == [1]
    insert(store, 4)
    (group,) = store.materialize("visits").groups
    assert (group.parts, group.rows, group.duplicates, group.rebuilt) == (2, 8, 0, False)
    assert answers(store) == {"count_1d": [5, 5, 5, 5, 0], "ms_sum_1d": [10, 10, 10, 10, None]}
    store.optimize("visits")
    assert str(store.materialize("visits").groups[0]) == "visits@1: nothing new"


def test_what_a_vacuum_took_unloaded_is_loaded_from_where_it_is_now(store):
    insert(store, 0)
    store.materialize("visits")
    insert(store, 1)
    store.optimize("visits")
    assert store.vacuum("visits", older_than="0s").files == 2
    (group,) = store.materialize("visits").groups
    assert (group.parts, group.rows, group.duplicates, group.rebuilt) == (1, 8, 4, False)
    assert answers(store)["count_1d"] == [2, 2, 2, 2, 0]
    insert(store, 2)
    store.optimize("visits")
    assert store.materialize("visits").groups[0].rows == 4


def test_rows_that_were_left_for_later_are_loaded_later(store):
    insert(store, 0)
    insert(store, 5)
    store.materialize("visits", end=T - 2 * HOUR)
    store.optimize("visits")
    store.vacuum("visits", older_than="0s")
    (group,) = store.materialize("visits").groups
    assert (group.rows, group.rebuilt) == (4, False)
    assert answers(store)["count_1d"] == [2, 2, 2, 2, 0]


def test_a_backfill_reads_what_was_rewritten_and_optimizing_after_it_costs_nothing(store):
    insert(store, 0)
    insert(store, 1)
    store.materialize("visits")
    store.optimize("visits")
    store.backfill("visits")
    insert(store, 2)
    store.optimize("visits")
    (group,) = store.materialize("visits").groups
    assert (group.rows, group.rebuilt) == (4, False)
    assert answers(store)["count_1d"] == [3, 3, 3, 3, 0]


@pytest.mark.parametrize("seed", range(6))
def test_any_story_ends_as_if_nothing_had_been_rewritten(store, seed):
    """Inserts, optimizations, vacuums and materializations in any order: the answers are those of the rows."""
    chance = random.Random(seed)
    given, generation = [], None
    for _ in range(14):
        work = chance.choice(["insert", "insert", "optimize", "vacuum", "materialize", "until"])
        if work == "insert":
            rows = [visit(chance.randrange(4), T - chance.randrange(2000) * MINUTE) for _ in range(5)]
            given += rows
            store.insert(VISITS, rows)
        elif work == "optimize":
            store.optimize()
        elif work == "vacuum":
            store.vacuum(older_than="0s")
        else:
            end = T - HOUR * chance.randrange(20) if work == "until" else None
            store.materialize("visits", end=end)
            generation = generation or read_document(store._project.online, "visits@1").generation
    store.materialize("visits")
    # Nothing was ever built anew.
    assert read_document(store._project.online, "visits@1").generation in (generation, 1)
    distinct = (
        pl.DataFrame(given).unique() if given else pl.DataFrame(schema={"user": pl.Int64, "at": pl.Datetime})
    )
    counts = [
        distinct.filter(pl.col("user") == u, pl.col("at") >= T - DAY, pl.col("at") < T).height
        for u in range(4)
    ]
    assert ask(store, ["visits:count_1d"], range(4)) == {"count_1d": counts}
    assert train(store, ["visits:count_1d"], [(u, T) for u in range(4)]) == {"count_1d": counts}
