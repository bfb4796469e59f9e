"""Hot keys for tests: small leaves, and a store that tells what is read and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import polars as pl
import pytest

from gnomon.abc.online import Merge, OnlineStore
from gnomon.online import writer
from gnomon.online.codec import FlatRows, Layout, nothing, pack
from gnomon.online.index import ids_key, is_index, key_of_leaf, leaf_key, leaves_table, read_index
from gnomon.online.memory import MemoryStore
from gnomon.online.merge import KEEP_ALL, Retention, merge
from gnomon.online.sealing import Sizes, may_stray
from gnomon.online.views import views_of
from gnomon.online.writer import Target, load, update
from gnomon.plan.layout import Output
from tests.online.made import Row, flat

TABLE = "g@1#1"
KEY = b"hot"
SMALL = Sizes(leaf=4, tail=2)


def written(
    layout: Layout,
    types: Sequence[pl.DataType],
    batches: Iterable[Sequence[Row]],
    asked: Sequence[Output] = (),
    *,
    store: OnlineStore | None = None,
    retention: Retention = KEEP_ALL,
    sizes: Sizes = SMALL,
) -> OnlineStore:
    """A store in which batches of rows of one key were written one after the other."""
    store = store if store is not None else MemoryStore()
    target = Target(TABLE, layout, views_of(asked), sizes)
    for number, batch in enumerate(batches):
        (update if number else load)(store, target, [KEY], flat(layout, types, batch, 1), retention)
    return store


def all_in_one(
    layout: Layout,
    types: Sequence[pl.DataType],
    batches: Iterable[Sequence[Row]],
    retention: Retention = KEEP_ALL,
) -> bytes:
    """The value of a key that holds all its rows, however many they are."""
    held: FlatRows = nothing(layout, 1)
    for batch in batches:
        held = merge(layout, held, flat(layout, types, batch, 1), retention).rows
    return bytes(pack(layout, held)[0])


def named(store: OnlineStore, layout: Layout, table: str = TABLE) -> set[bytes]:
    """The keys of all leaves that indexes name, and of the fingerprints of their ids."""
    found = set()
    for key, value in store.scan(table):
        if is_index(value):
            index = read_index(layout, value, "a test")
            names = index.names(range(index.n_leaves))
            found |= {leaf_key(key, name) for name in names}
            if may_stray(layout):
                found |= {ids_key(key, name) for name in names}
    return found


def leaves_of(store: OnlineStore, table: str = TABLE) -> set[bytes]:
    """The keys of all leaves that there are."""
    found = {key for key, _ in store.scan(leaves_table(table))}
    assert all(key_of_leaf(key) == KEY for key in found)
    return found


@contextmanager
def few_rows_are_many(sizes: Sizes = SMALL) -> Iterator[None]:
    """Keys of some rows are hot within, in all that this process writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "SIZES", sizes)
        yield


class CountingStore(MemoryStore):
    """Counts the keys that are read and written, by table."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()

    def forget(self) -> None:
        self.reads.clear()
        self.writes.clear()

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        self.reads[table] += len(keys)
        return super().read(table, keys)

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        self.writes[table] += len(keys)
        super().update(table, keys, merge)

    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        count = super().load(table, rows)
        self.writes[table] += count
        return count


def in_steps(rows: Sequence[Row], step: int) -> list[Sequence[Row]]:
    """The rows in batches of `step`."""
    bounds = [*range(0, len(rows), step), len(rows)]
    return [rows[a:b] for a, b in pairwise(bounds)]
