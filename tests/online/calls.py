"""Every call of an online store that asks its server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gnomon.abc.online import OnlineStore
from gnomon.testing.online import TABLE, add_one


def every_call(store: OnlineStore) -> tuple[Callable[[], Any], ...]:
    return (
        lambda: store.read(TABLE, [b"a"]),
        lambda: store.read_many([(TABLE, [b"a"])], "document"),
        lambda: store.update(TABLE, [b"a"], add_one),
        lambda: store.load(TABLE, [(b"b", b"2")]),
        lambda: store.delete(TABLE, [b"a"]),
        lambda: store.drop(TABLE),
        lambda: store.swap(TABLE, "other"),
        lambda: list(store.scan(TABLE)),
        store.tables,
        lambda: store.get_meta("document"),
        lambda: store.set_meta("document", None, b"1"),
    )
