"""Access: who may ask for what. `Access` is what the server asks; `OFF` lets everybody do everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

Action = Literal["read", "write", "admin"]


class Principal(Protocol):
    """Who asks."""

    @property
    def name(self) -> str:
        """What the logs call it."""

    @property
    def open(self) -> bool:
        """Whether it may do everything, so that nothing needs to be looked at."""

    def require(self, action: Action, groups: Iterable[str]) -> None:
        """Raises: problems.Refused, 401 or 403, unless it may do `action` with every group (`name@version`)."""


class Access(Protocol):
    """Decides who may ask."""

    @property
    def on(self) -> bool:
        """Whether credentials are asked for."""

    def admit(self, headers: Mapping[bytes, bytes]) -> Principal:
        """Who asks, by the headers of a request (names in lower case). Raises: problems.Refused, 401."""


class _Anybody:
    name = "anybody"
    open = True

    def require(self, action: Action, groups: Iterable[str]) -> None:
        pass


class _Off:
    on = False

    def admit(self, headers: Mapping[bytes, bytes]) -> Principal:
        return ANYBODY


ANYBODY: Principal = _Anybody()
OFF: Access = _Off()

__all__ = ["ANYBODY", "OFF", "Access", "Action", "Principal"]
