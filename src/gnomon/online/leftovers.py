"""Leftovers: leaves that no index names, of writers who were killed between the two."""

from __future__ import annotations

from collections.abc import Iterator

from gnomon.abc.online import OnlineStore
from gnomon.online.codec import Layout
from gnomon.online.index import ids_key, is_index, key_of_leaf, leaf_key, leaves_table, read_index

__all__ = ["unnamed_leaves"]

_KEYS_AT_ONCE = 256


def unnamed_leaves(store: OnlineStore, layout: Layout, table: str) -> Iterator[bytes]:
    """The keys in the table of leaves that no index of the table names.

    A leaf that somebody is about to name is among them: nobody else may write to the table meanwhile.
    Raises: CorruptValue for an index that cannot be read.
    """
    waiting: dict[bytes, list[bytes]] = {}
    for leaf, _ in store.scan(leaves_table(table)):
        waiting.setdefault(key_of_leaf(leaf), []).append(leaf)
        if len(waiting) == _KEYS_AT_ONCE:
            yield from _unnamed(store, layout, table, waiting)
            waiting = {}
    yield from _unnamed(store, layout, table, waiting)


def _unnamed(
    store: OnlineStore, layout: Layout, table: str, leaves: dict[bytes, list[bytes]]
) -> Iterator[bytes]:
    for key, value in zip(leaves, store.read(table, list(leaves)), strict=True):
        named: set[bytes] = set()
        if value is not None and is_index(value):
            index = read_index(layout, value, f"{table}, key {key!r}")
            names = index.names(range(index.n_leaves))
            named = {leaf_key(key, name) for name in names} | {ids_key(key, name) for name in names}
        yield from (leaf for leaf in leaves[key] if leaf not in named)
