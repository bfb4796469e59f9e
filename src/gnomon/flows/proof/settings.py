"""Settings of the answer log: `[log]` of gnomon.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from gnomon.errors import DataError, UsageError, nearest
from gnomon.time import DAY, SECOND, duration

SERVER_SAMPLE = 0.01
"""What a server logs where gnomon.toml says nothing: the answers about one entity of a hundred."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where answers are logged, and which."""

    url: str = ".gnomon/answers"
    """An offline store of its own: a folder, or a bucket that servers share."""
    sample: float | None = None
    """The share of entities whose answers are logged, 0 to 1; None: servers do it, others not."""
    every: int = 10 * SECOND
    """Microseconds between writes."""
    buffer: int = 100_000
    """Answers that wait for being written; more are dropped, and counted."""
    keep: int = 30 * DAY
    """How long answers are kept by `vacuum`, in microseconds."""


def read_log_settings(section: Mapping[str, Any], at: str) -> LogSettings:
    """The settings of `[log]`. at: the file. Raises: DataError naming the key, what was found, and a hint."""
    known = [one.name for one in fields(LogSettings)]
    values: dict[str, Any] = {}
    for name, value in section.items():
        if name not in known:
            close = nearest(name, known)
            raise DataError(
                f"unknown key `{name}` in `[log]`",
                at=at,
                hint=f"did you mean `{close}`?" if close else f"known: {', '.join(known)}",
            )
        try:
            values[name] = _READ[name](value)
        except UsageError as error:
            raise DataError(f"`log.{name}`: {error.what}", at=at, hint=error.hint) from None
    return replace(LogSettings(), **values)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"it must be text, found {value!r}")
    return value


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UsageError(
            f"it must be a number from 0 to 1, found {value!r}", hint="1 logs every answer, 0 none"
        )
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"it must be a whole number from 1 on, found {value!r}")
    return value


def _span(value: Any) -> int:
    span = duration(value) if isinstance(value, str) else 0
    if span <= 0:
        raise UsageError(f"it must be a duration, found {value!r}", hint='such as "10s" or "30d"')
    return span


_READ = {"url": _text, "sample": _share, "every": _span, "buffer": _count, "keep": _span}
