"""Call: what is sent to a server, and what comes back. No connection is known here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    """Their names in lower case."""
    body: bytes

    @property
    def media(self) -> str:
        """The form of the body: `application/json`."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One thing to ask of a server. Asking it again is safe."""

    method: str
    path: str
    """Below the server's URL, from its slash on; names in it are quoted."""
    read: Callable[[Reply], T]
    """What a reply of status 200 says."""
    body: bytes | None = None
    media: str = JSON
    """The form of `body`."""
    accept: str = JSON
    params: tuple[tuple[str, str], ...] = ()
    long: bool = False
    """Whether it may take as long as computing a training set does. What took too long once is then not asked again."""
