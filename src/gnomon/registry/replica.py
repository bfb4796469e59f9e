"""Replica: a registry with a copy in a local file, which answers when the registry itself cannot be reached.

    head, load, changes, history   the copy, once it has what the registry has; as it is, while the registry is away
    api_keys                       the registry; the copy of the last time, while the registry is away
    swap, add_key, revoke_key      the registry alone

So a server goes on, and starts, while the database that holds its definitions is away. How old the copy is, is told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from gnomon.abc.registry import Loaded, NewRevision, RegistryBackend, Revision, StoredKey
from gnomon.errors import GnomonError, Unavailable
from gnomon.registry.backends.copy import Origin, SqliteCopy
from gnomon.time import SECOND, Clock, monotonic, show, show_duration, system_clock

PATIENCE = 0.5
"""Seconds that a reader waits for the registry before the copy answers. Asking goes on in the background."""
_PAUSE = 5.0
"""Seconds until a registry that was away is asked again."""
_NOTE_EVERY = 30 * SECOND
"""How often the file notes that nothing is new: so much older than it is may a copy look to another process."""

_log = logging.getLogger("gnomon")


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a copy is to be trusted."""

    revision: int
    """The newest that it holds."""
    compared: int
    """Instant at which it last had all that the registry had."""
    away: str | None
    """Why the registry cannot be reached now; None: it was reached when last asked."""

    def __str__(self) -> str:
        text = f"revision {self.revision}, compared {show(self.compared)}"
        return text if self.away is None else f"{text}; {self.away}"


class Replica(RegistryBackend):
    """`primary` opens the registry, when it is first needed: it may be away by then."""

    def __init__(
        self,
        primary: Callable[[], RegistryBackend],
        name: str,
        copy: SqliteCopy,
        *,
        clock: Clock = system_clock,
    ) -> None:
        """`name`: the registry's URL as it may be shown."""
        self._open = primary
        self._name = name
        self._copy = copy
        self._clock = clock
        self._primary: RegistryBackend | None = None
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._away: GnomonError | None = None
        self._ask_again = -1.0
        self._sure = False
        self._compared = origin.compared if (origin := copy.origin()) else None

    def __repr__(self) -> str:
        return f"Replica({self._name!r}, {self._copy!r})"

    def head(self) -> int:
        self._follow()
        return self._copy.head()

    def load(self, revision: int | None = None) -> Loaded:
        self._follow()
        if revision is not None and revision > self._copy.head():
            # Somebody has seen it, so it is there: only the registry can tell.
            return self._reached().load(revision)
        return self._copy.load(revision)

    def changes(self, since: int = 0) -> tuple[NewRevision, ...]:
        self._follow()
        return self._copy.changes(since)

    def history(self) -> tuple[Revision, ...]:
        self._follow()
        return self._copy.history()

    def swap(self, base: int, new: NewRevision) -> None:
        self._reached().swap(base, new)
        if not self._sure:
            return  # the copy may be of another history: the next reader finds out
        # It is done, whatever happens to the copy now, and whether the registry answers once more.
        try:
            self._copy.add(base, [new], Origin(self._name, self._clock()))
        except Unavailable as error:
            _log.warning("the copy of the registry at %s stays behind: %s", self._name, error.what)

    def api_keys(self) -> tuple[StoredKey, ...]:
        """Asked of the registry each time, in the caller's thread: a revoked key must not live on in a copy."""
        try:
            found = self._reached().api_keys()
        except Unavailable:
            return self._copy.api_keys()
        try:
            if found != self._copy.api_keys():
                self._copy.keep_keys(found)
        except Unavailable as error:
            _log.warning("the copy of the keys of %s stays behind: %s", self._name, error.what)
        return found

    def add_key(self, key: StoredKey) -> None:
        self._reached().add_key(key)

    def revoke_key(self, id: str, time: int, author: str) -> StoredKey:
        return self._reached().revoke_key(id, time, author)

    def server_time(self) -> int | None:
        return self._reached().server_time()

    def close(self) -> None:
        asking = self._asking
        if asking is not None:
            asking.join(PATIENCE)
        if self._primary is not None:
            self._primary.close()
        self._copy.close()

    def replicate(self) -> Freshness:
        """Bring the copy up to date now. Raises: Unavailable if the registry cannot be reached."""
        self._sure = False
        self._bring()
        return self.freshness()

    def freshness(self) -> Freshness:
        """How old the copy is, without asking the registry."""
        away = None if self._away is None else self._away.what
        return Freshness(self._copy.head(), self._compared or 0, away)

    def _reached(self) -> RegistryBackend:
        if self._primary is None:
            self._primary = self._open()
        return self._primary

    def _follow(self) -> None:
        """Ask the registry what is new, and wait for a short while until the copy has it.

        Raises: what keeps the registry from being reached, if there is no copy yet.
        """
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                if self._compared is not None and monotonic() < self._ask_again:
                    return
                self._asking = threading.Thread(target=self._ask, name="gnomon-replica", daemon=True)
                self._asking.start()
            asking = self._asking
        asking.join(PATIENCE if self._compared is not None else None)
        if self._compared is None:
            raise self._away or Unavailable(f"the registry at {self._name} does not answer", at=self._name)

    def _ask(self) -> None:
        try:
            self._bring()
        except GnomonError as error:
            if self._away is None:
                age = "there is no copy of it yet"
                if self._compared is not None:
                    since = (self._clock() - self._compared) // SECOND * SECOND
                    age = (
                        f"answers are as of revision {self._copy.head()}, compared {show_duration(since)} ago"
                    )
                _log.warning("%s; %s", error.what, age)
            self._away, self._sure = error, False
            self._ask_again = monotonic() + _PAUSE
            return
        if self._away is not None:
            _log.warning("the registry at %s answers again", self._name)
        self._away = None

    def _bring(self) -> None:
        """Write to the copy what the registry has and the copy has not."""
        primary, now = self._reached(), self._clock()
        newest, held = primary.head(), self._copy.head()
        origin = Origin(self._name, now)
        if held and (newest < held or (not self._sure and not self._agrees(primary, held))):
            _log.warning(
                "the registry at %s has another history than its copy, which is made anew", self._name
            )
            self._copy.replace(primary.changes(), origin)
        elif newest > held:
            self._copy.add(held, primary.changes(held), origin)
        elif self._compared is None or now - self._compared >= _NOTE_EVERY or not self._sure:
            self._copy.add(held, (), origin)
        # A registry that is put back from a backup is away meanwhile, or another process' copy has seen it.
        self._sure = True
        self._compared = now

    def _agrees(self, primary: RegistryBackend, held: int) -> bool:
        """Whether the newest revision of the copy is one of the registry's."""
        [mine] = self._copy.changes(held - 1)
        theirs = primary.changes(held - 1)
        return bool(theirs) and theirs[0] == mine
