"""Connections to a server, kept to be used again. Thread- and fork-safe.

The pools of the drivers neither survive a fork nor look whether an idle connection is still one before it is
used; both matter here. A connection whose server went away in the meantime must not fail the next caller.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

from gnomon.abc.online import closed

C = TypeVar("C")


class Pool(Generic[C]):
    """As many connections as there are callers at a time, of which `keep` stay when they are done.

    `connect` opens one, `is_alive` tells without asking the server whether an idle one can be used, `close`
    ends one. `what` names the server in errors.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        is_alive: Callable[[C], bool],
        close: Callable[[C], None],
        *,
        what: str,
        keep: int = 64,
    ) -> None:
        self._connect = connect
        self._is_alive = is_alive
        self._close = close
        self._what = what
        self._keep = keep
        # Appending to a list and popping from it are one step each: there is no lock that a fork could copy held.
        self._idle: list[C] = []
        self._abandoned: list[list[C]] = []
        self._process = os.getpid()
        self._open = True

    def take(self) -> C:
        """Return a connection that no one else has until it is given back.

        Raises: UsageError after `close`; whatever `connect` raises.
        """
        if self._process != os.getpid():
            self._forget_parent()
        if not self._open:
            raise closed(self._what)
        while (connection := self._pop()) is not None:
            if self._is_alive(connection):
                return connection
            self._close(connection)
        return self._connect()

    def give(self, connection: C) -> None:
        """Take back a connection that nothing is under way on. One that broke is closed by its taker instead."""
        if len(self._idle) < self._keep:
            self._idle.append(connection)
        else:
            self._close(connection)
        if not self._open:
            self.clear()

    def clear(self) -> None:
        """Close what is idle: the next caller connects anew, and looks the server's name up again."""
        while (connection := self._pop()) is not None:
            self._close(connection)

    def _pop(self) -> C | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def close(self) -> None:
        """Close what is idle now, and the rest when it is given back."""
        self._open = False
        if self._process == os.getpid():
            self.clear()

    def _forget_parent(self) -> None:
        """Leave the parent's connections alone. They stay referenced: to end one would end the parent's, too."""
        self._abandoned.append(self._idle)
        self._idle = []
        self._process = os.getpid()
