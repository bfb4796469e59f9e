"""Opened: Delta tables that a thread has open, so that each look reads only the commits since the last one.

Opening a table reads its whole log: some ten milliseconds, and more with every commit. A small insert or push would
spend most of its time there.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

_MOST = 4
"""Tables of one thread; each holds the names and statistics of all its files."""


class Opened(threading.local):
    """The tables of the thread that looks: a table that one thread writes is never another's meanwhile."""

    def __init__(self) -> None:
        self._tables: OrderedDict[str, tuple[object, DeltaTable]] = OrderedDict()

    def find(self, name: str, stamp: object) -> DeltaTable | None:
        """The table as it is now, if it was kept and is still the same one.

        stamp: differs where another table took the name; None: nothing tells, and nothing is kept.
        """
        kept, table = self._tables.get(name, (None, None))
        if table is None or stamp is None or kept != stamp:
            self.forget(name)
            return None
        try:
            table.update_incremental()
        except (DeltaError, OSError):
            # Whoever opens it anew learns why.
            self.forget(name)
            return None
        self._tables.move_to_end(name)
        return table

    def keep(self, name: str, stamp: object, table: DeltaTable) -> None:
        """Keep a table that is at its newest version."""
        if stamp is None:
            return
        self._tables[name] = (stamp, table)
        if len(self._tables) > _MOST:
            self._tables.popitem(last=False)

    def forget(self, name: str) -> None:
        """Let go of a table, such as one that could not be written to."""
        self._tables.pop(name, None)
