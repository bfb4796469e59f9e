"""Definitions: the registry behind a server, read through the seam that every registry is read through.

A client's registry is a `Registry` as a store's is, and gives the same objects; only that nothing can be written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import msgspec

from gnomon.abc.registry import Address, Loaded, NewRevision, RegistryBackend, Revision, Stored, StoredKey
from gnomon.client.answers import unreadable
from gnomon.client.call import Call, Reply
from gnomon.errors import UsageError
from gnomon.time import instant

T = TypeVar("T")


class _Head(msgspec.Struct):
    revision: int


class _Object(msgspec.Struct):
    kind: str
    ref: str
    document: str | None
    revision: int
    author: str


class _Documents(msgspec.Struct):
    revision: int
    author: str
    time: int
    message: str
    objects: list[_Object]


class _Revision(msgspec.Struct):
    revision: int
    author: str
    time: str
    message: str
    put: list[str]
    removed: list[str]


class _History(msgspec.Struct):
    revisions: list[_Revision]
    next: int | None


Page = tuple[list[Revision], int | None]
"""Revisions, newest first, and before which one the others are; None if there are none."""

_head = msgspec.json.Decoder(_Head).decode
_documents = msgspec.json.Decoder(_Documents).decode
_history = msgspec.json.Decoder(_History).decode


def head() -> Call[int]:
    """The newest revision's number."""
    return Call("GET", "/v1/registry", _read_head)


def documents(revision: int | None = None) -> Call[Loaded]:
    """A revision with all its objects; the newest, if not given."""
    params = () if revision is None else (("revision", str(revision)),)
    return Call("GET", "/v1/registry/documents", _read_documents, params=params)


def history(before: int | None = None) -> Call[Page]:
    """Revisions before one, or from the newest on: as many as the server tells at once."""
    params = () if before is None else (("before", str(before)),)
    return Call("GET", "/v1/registry/history", _read_history, params=params)


def _read_head(reply: Reply) -> int:
    return _decoded(_head, reply).revision


def _read_documents(reply: Reply) -> Loaded:
    given = _decoded(_documents, reply)
    return Loaded(
        Revision(given.revision, given.author, given.time, given.message),
        tuple(Stored(one.kind, one.ref, one.document, one.revision, one.author) for one in given.objects),
    )


def _read_history(reply: Reply) -> Page:
    given = _decoded(_history, reply)
    return [
        Revision(
            one.revision,
            one.author,
            instant(one.time),
            one.message,
            tuple(map(_address, one.put)),
            tuple(map(_address, one.removed)),
        )
        for one in given.revisions
    ], given.next


def _address(text: str) -> Address:
    """`group:visits@1` → ("group", "visits@1")."""
    kind, _, ref = text.partition(":")
    return kind, ref


def _decoded(decode: Callable[[bytes], T], reply: Reply) -> T:
    try:
        return decode(reply.body)
    except msgspec.MsgspecError as error:
        raise unreadable(reply, error) from None


class ServedRegistry(RegistryBackend):
    """The registry of a server, to be read. `ask`: how a call is asked of it."""

    def __init__(self, url: str, ask: Callable[[Call[Any]], Any]) -> None:
        self._url = url
        self._ask = ask

    def __repr__(self) -> str:
        return f"ServedRegistry({self._url!r})"

    def head(self) -> int:
        number: int = self._ask(head())
        return number

    def load(self, revision: int | None = None) -> Loaded:
        loaded: Loaded = self._ask(documents(revision))
        return loaded

    def history(self) -> tuple[Revision, ...]:
        """All revisions, the newest first."""
        found: list[Revision] = []
        before: int | None = None
        while True:
            page, before = self._ask(history(before))
            found += page
            if before is None:
                return tuple(found)

    def changes(self, since: int = 0) -> tuple[NewRevision, ...]:
        self._refuse("exported")

    def swap(self, base: int, new: NewRevision) -> None:
        self._refuse("changed")

    def api_keys(self) -> tuple[StoredKey, ...]:
        self._refuse("asked for keys")

    def add_key(self, key: StoredKey) -> None:
        self._refuse("given keys")

    def revoke_key(self, id: str, time: int, author: str) -> StoredKey:
        self._refuse("asked to revoke keys")

    def close(self) -> None:
        """The connections are the client's."""

    def _refuse(self, done: str) -> NoReturn:
        raise UsageError(
            f"the registry cannot be {done} through a server",
            at=self._url,
            hint="open the project itself: gn.Store(folder), or `gnomon apply`",
        )
