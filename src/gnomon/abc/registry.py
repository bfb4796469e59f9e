"""The seam of the registry's storage: revisions of documents, one after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

Address = tuple[str, str]
"""Kind and name of an object: `("group", "airport_weather@1")`."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What is told about a revision without reading its documents."""

    number: int
    """Counts up by one from 1; 0 is the empty registry before all revisions."""
    author: str
    time: int
    """Instant."""
    message: str
    put: tuple[Address, ...] = ()
    """The objects that it added or changed, sorted."""
    removed: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as of some revision."""

    kind: str
    ref: str
    document: str | None
    """None: removed."""
    revision: int
    """The revision that put or removed it."""
    author: str
    """Who made that revision."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A revision and all objects as of it, removed ones too."""

    revision: Revision
    objects: tuple[Stored, ...]


@dataclass(frozen=True, slots=True)
class NewRevision:
    """What is written in a revision."""

    author: str
    time: int
    message: str
    documents: Mapping[Address, str | None]
    """Only what changes; None removes."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An API key as it is kept: whoever reads this cannot use the key."""

    id: str
    """The part of the key that may be shown. Never used twice."""
    digest: str
    """Of the whole key."""
    name: str
    """What its maker calls it; need not be unique."""
    grants: tuple[str, ...]
    """What it allows, as `reader:airport_weather`. This seam does not read them."""
    author: str
    """Who made it."""
    created: int
    """Instant."""
    expires: int | None = None
    """Instant from which on it is worth nothing; None: it does not expire."""
    revoked: int | None = None
    """Instant at which it was revoked; None: it was not."""
    revoked_by: str | None = None


class RegistryBackend(ABC):
    """Keeps revisions, and the API keys of the project, which belong to none. Knows nothing of what documents mean.
    Safe with threads, processes and forks.

    All methods raise Unavailable if the storage cannot be reached just now.
    """

    @abstractmethod
    def head(self) -> int:
        """The newest revision's number, 0 if there is none."""

    @abstractmethod
    def load(self, revision: int | None = None) -> Loaded:
        """A revision, the newest if not given, read at one moment.

        Raises: NotFound if there is no such revision.
        """

    @abstractmethod
    def changes(self, since: int = 0) -> tuple[NewRevision, ...]:
        """What was written in each revision after `since`, oldest first: the first of them is `since + 1`."""

    @abstractmethod
    def swap(self, base: int, new: NewRevision) -> None:
        """Write revision `base + 1`, whole or not at all; it is durable when this returns.

        Raises: Conflict if `base` is not the newest revision (any more); UsageError if author, message or a
                document holds a zero character or half a surrogate pair, which not every storage can hold.
        """

    @abstractmethod
    def history(self) -> tuple[Revision, ...]:
        """All revisions, the newest first."""

    @abstractmethod
    def api_keys(self) -> tuple[StoredKey, ...]:
        """All API keys, revoked and expired ones too, in the order of their creation."""

    @abstractmethod
    def add_key(self, key: StoredKey) -> None:
        """Keep a new key; it is durable when this returns.

        Raises: Conflict if there is one of this id; UsageError for texts that `swap` refuses, too.
        """

    @abstractmethod
    def revoke_key(self, id: str, time: int, author: str) -> StoredKey:
        """The key, revoked for good; one that was revoked before keeps the time and the author of then.

        Raises: NotFound if there is no key of this id.
        """

    def server_time(self) -> int | None:
        """The instant that the server's clock tells; None where there is no server."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of connections. May be called twice."""
