"""Check: one thing that is looked at, what was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from gnomon.errors import GnomonError, counted

Level = Literal["ok", "warn", "error"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    found: str
    hint: str | None = None
    """What to do, if it is not ok."""
    fixable: bool = False
    """Whether `--fix` does it."""
    fixed: bool = False
    """Whether it has been done."""

    def to_dict(self) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self))


class Found(NamedTuple):
    """What a look found."""

    level: Level
    text: str
    hint: str | None = None
    fix: Callable[[], str] | None = None
    """Mends it, and tells what it did. Only for what cannot harm anybody: what is removed is nobody's."""


def attempt(name: str, look: Callable[[], Found], *, fix: bool = False) -> Check:
    """One check. Whatever goes wrong in it is what it finds. `fix`: mend what is safe to mend."""
    try:
        found = look()
        if fix and found.fix is not None:
            return Check(name, "ok", found.fix(), fixed=True)
    except GnomonError as error:
        return failed(name, error)
    except Exception as error:  # noqa: BLE001 — a broken installation fails in ways that nobody foresaw
        return Check(
            name,
            "error",
            f"{type(error).__name__}: {error}",
            "GNOMON_DEBUG=1 and the command itself tell more",
        )
    return Check(name, found.level, found.text, found.hint, fixable=found.fix is not None)


def failed(name: str, error: GnomonError) -> Check:
    """The check of something that raised."""
    # Its first line: below it may stand a piece of code.
    found = error.what.partition("\n")[0] + (f" - at `{error.at}`" if error.at else "")
    more = len(error.problems) - 1
    return Check(
        name, "error", found + (f" (and {counted(more, 'more problem')})" if more else ""), error.hint
    )


def some(names: list[str]) -> str:
    """The first names of a list, and how many more."""
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
