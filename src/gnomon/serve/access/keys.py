"""Keys: the API keys of the registry, as they were a second ago at most.

They are read in a thread while requests go on by the last ones; a request waits only where those are too old. While
the registry cannot be reached, the last ones hold on, for a while: a server outlives its registry, a revoked key too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from gnomon.abc.registry import StoredKey
from gnomon.errors import GnomonError, Unavailable
from gnomon.flows.access.keys import fits, id_of, state_of
from gnomon.time import Clock, monotonic, system_clock

OLDEST = 1.0
"""Seconds: a key that was revoked longer ago is refused, while the registry can be reached."""
_EARLY = OLDEST / 2
"""Seconds after which keys are read again beside the requests."""
_PATIENCE = 0.5
"""Seconds that a request waits for keys to be read, before it is decided by the last ones."""
HOLD = 3600.0
"""Seconds for which keys hold on while the registry cannot be reached."""

_log = logging.getLogger(__name__)


class KeyRing:
    """Decides whether a key holds. Used on one event loop."""

    def __init__(
        self,
        load: Callable[[], tuple[StoredKey, ...]],
        *,
        clock: Clock = system_clock,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        """`load`: reads all keys, in a thread. `seconds`: tells how old they are."""
        self._load = load
        self._clock = clock
        self._seconds = seconds
        self._keys: Mapping[str, StoredKey] | None = None
        self._as_of = 0.0
        """When reading them began."""
        self._tried = float("-inf")
        self._away: GnomonError | None = None
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key: str) -> StoredKey | str:
        """The stored key, if this one holds now; else why it does not.

        Raises: Unavailable if keys could not be read for too long.
        """
        keys = await self._fresh()
        id = id_of(key)
        stored = None if id is None else keys.get(id)
        if stored is None or not fits(key, stored):
            return "the key is not known"
        state = state_of(stored, self._clock())
        return stored if state == "valid" else f"the key {stored.id} is {state}"

    async def _fresh(self) -> Mapping[str, StoredKey]:
        age = self._seconds() - self._as_of
        if self._keys is None or age >= _EARLY:
            reading = self._read_beside()
            if reading is not None and (self._keys is None or age >= OLDEST):
                # Of keys that were never read, reading ends by itself: with them, or with what went wrong.
                await asyncio.wait({reading}, timeout=None if self._keys is None else _PATIENCE)
        if self._keys is None or self._seconds() - self._as_of > HOLD:
            raise Unavailable(
                "the API keys cannot be read, so that none can be let in",
                hint="try again: the registry may be away for a moment",
            )
        return self._keys

    def _read_beside(self) -> asyncio.Task[None] | None:
        """The task that reads keys; None if the registry was found away a moment ago."""
        if self._reading is None or self._reading.done():
            if self._away is not None and self._seconds() - self._tried < OLDEST:
                return None
            self._reading = asyncio.get_running_loop().create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        self._tried = began = self._seconds()
        try:
            read = await asyncio.to_thread(self._load)
        except GnomonError as error:
            if self._away is None:
                _log.warning("the API keys cannot be read, the last ones hold on: %s", error)
            self._away = error
            return
        if self._away is not None:
            _log.warning("the API keys can be read again")
        self._away, self._as_of = None, began
        self._keys = {key.id: key for key in read}
