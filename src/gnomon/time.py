"""Time: instants, durations, and the only clock.

An *instant* is an int64 count of microseconds since 1970-01-01 UTC; a *duration* an int64 count of
microseconds. Naive datetimes are UTC. Finer input is floored, once, here.
"""

from __future__ import annotations

import re
import time as _time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gnomon.errors import UsageError

MICROSECOND = 1
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

NEVER = 2**63 - 1
"""The instant after all others: a `known_at` that is not known yet, an `until` that has no end."""
ALWAYS = -(2**63)
"""The instant before all others."""

_UNITS = {"us": MICROSECOND, "ms": 1000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"(\d+)(us|ms|s|m|h|d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Clock = Callable[[], int]
"""Returns the present instant. Passed in wherever `now` matters, so that tests never sleep."""


def system_clock() -> int:
    """The machine's time as an instant."""
    return _time.time_ns() // 1000


def sleep(seconds: float) -> None:
    """Wait for something outside this process."""
    _time.sleep(seconds)


monotonic = _time.monotonic
"""Seconds since some moment; never goes back."""


def stopwatch() -> Callable[[], float]:
    """A function that tells the seconds since this call."""
    start = _time.perf_counter()
    return lambda: _time.perf_counter() - start


def instant(value: Any) -> int:
    """Read an instant from a datetime (naive is UTC), an ISO 8601 text or an int of microseconds (never of seconds).

    Raises: UsageError if the value is none of these.
    """
    if isinstance(value, bool):
        raise UsageError(f"a time cannot be {value!r}", hint="give a datetime or an ISO 8601 text")
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise UsageError(
                f"`{value}` is not a time",
                hint="write it as 2026-01-31 or 2026-01-31T12:00:00Z; an int counts microseconds since 1970",
            ) from None
    if isinstance(value, datetime):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
        return (aware - _EPOCH) // timedelta(microseconds=1)
    if isinstance(value, date):
        return instant(datetime(value.year, value.month, value.day, tzinfo=UTC))
    raise UsageError(
        f"a time cannot be of type {type(value).__name__}", hint="give a datetime or an ISO 8601 text"
    )


def argument(value: Any, name: str) -> int:
    """The instant that an argument gives. Raises: UsageError that names the argument."""
    try:
        return instant(value)
    except UsageError as error:
        raise UsageError(f"{name}: {error.what}", hint=error.hint) from None


def to_datetime(value: int) -> datetime:
    """The UTC datetime of an instant. Bounds: years 1 to 9999; outside them, the nearest bound."""
    try:
        return _EPOCH + timedelta(microseconds=value)
    except OverflowError:
        edge = datetime.max if value > 0 else datetime.min
        return edge.replace(tzinfo=UTC)


def show(value: int) -> str:
    """An instant as people read it: RFC 3339 with microseconds, `never` and `always` for the ends."""
    if value == NEVER:
        return "never"
    if value == ALWAYS:
        return "always"
    # Not strftime, which writes the year 1 as "1".
    return to_datetime(value).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def duration(value: str | timedelta | int) -> int:
    """Read a duration: text in `us ms s m h d` (`"90s"`, `"7d"`), a timedelta, or an int of microseconds (never of
    seconds).

    Bounds: int64, about 292,000 years. Raises: UsageError for months, calendar units and anything else.
    """
    if isinstance(value, timedelta):
        read = value // timedelta(microseconds=1)
    elif isinstance(value, int) and not isinstance(value, bool):
        read = value
    else:
        match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise UsageError(
                f"`{value}` is not a duration",
                hint="write a whole number and one of us, ms, s, m, h, d: `90s`, `15m`, `7d`; "
                "months and calendar days have no fixed length; an int counts microseconds",
            )
        read = int(match[1]) * _UNITS[match[2]]
    if not ALWAYS <= read <= NEVER:
        raise UsageError(
            f"`{value}` is longer than time: microseconds are counted in 64 bits",
            hint="leave out the window to look at all rows before t",
        )
    return read


def show_duration(value: int) -> str:
    """A duration in its largest whole unit: 5_400_000_000 → `90m`."""
    for unit in ("d", "h", "m", "s", "ms"):
        if value and value % _UNITS[unit] == 0:
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value}us"
