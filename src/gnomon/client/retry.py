"""Retry: what went wrong with a try → how long to wait before the next one, or that there is none.

Pure: it neither sends nor sleeps, so that the blocking client and the asynchronous one share it. Everything that the
client asks may be asked twice: questions change nothing, and a push of the same rows again changes nothing (SEMANTICS
§2).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gnomon.errors import Unavailable, UsageError
from gnomon.time import SECOND, Clock, instant, monotonic, system_clock

TRANSIENT = frozenset({408, 429, 502, 503, 504})
"""Statuses after which the same request may be answered."""

TIMEOUT, TRAINING_TIMEOUT, RETRIES = 10.0, 600.0, 4
"""Seconds for a call, for a training set, and tries after the first, of a client that is told nothing else."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client keeps trying. Raises: UsageError for what cannot be right."""

    timeout: float = TIMEOUT
    """Seconds for one call, all its tries and the waits between them."""
    retries: int = RETRIES
    """Tries after the first."""
    pause: float = 0.05
    """Seconds that the first wait takes at most; each further one at most twice as long."""
    longest: float = 2.0
    """Seconds that no wait is longer than, unless the server asks for it."""

    def __post_init__(self) -> None:
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, int | float) or self.timeout <= 0:
            raise UsageError(f"`timeout` cannot be {self.timeout!r}", hint="give seconds, such as 2.5")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise UsageError(
                f"`retries` cannot be {self.retries!r}", hint="give a whole number; 0 tries once"
            )


@dataclass(slots=True)
class Trial:
    """One call under way: how often it was tried, and how much time is left."""

    patience: Patience
    clock: Callable[[], float] = monotonic
    chance: Callable[[], float] = random.random
    """A number in [0, 1)."""
    tries: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def begin(self) -> float:
        """Count a try; the seconds that it has. Raises: Unavailable if there are none."""
        self.check()
        self.tries += 1
        return self.left()

    def check(self) -> None:
        """Raises: Unavailable if the call has taken all its time."""
        if self.left() <= 0:
            raise Unavailable(
                f"no answer within {self.patience.timeout:g} s", hint="ask with a longer `timeout`"
            )

    def left(self) -> float:
        """Seconds until the call has taken all its time."""
        return self.started + self.patience.timeout - self.clock()

    def pause(self, asked: float | None = None) -> float | None:
        """Seconds to wait before the next try; None if there is no further one, or no time for it.

        `asked`: the seconds after which the server wants to be asked again; we wait at least as long.

        The wait is drawn between nothing and its bound ("full jitter"): clients that failed together do not come back
        together. Source: M. Brooker, Exponential Backoff And Jitter, 2015.
        """
        if self.tries > self.patience.retries:
            return None
        bound = min(self.patience.longest, self.patience.pause * 2 ** (self.tries - 1))
        wait = (asked or 0.0) + bound * self.chance()
        return wait if wait < self.left() else None


def asked_wait(retry_after: str | None, clock: Clock = system_clock) -> float | None:
    """The seconds of a `Retry-After` header, which is a number of them or a date; None for none, or no such."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (instant(_aware(until)) - clock()) / SECOND)


def _aware(moment: datetime) -> datetime:
    """`-0000` in a date is UTC too, though the library leaves the zone out."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
