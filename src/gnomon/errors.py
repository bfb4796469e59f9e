"""Every error a user can meet: what happened, where, and now what.

GnomonError
├─ DefinitionError      a definition is wrong; lists all problems of it (or of all definitions) at once
│  └─ BreakingChange    a change that needs a new version
├─ UsageError           a call with wrong arguments
│  └─ NotFound          a name that does not exist; carries the nearest one
├─ DataError            data that cannot be used: schema, spine, keys, ids
├─ Denied               a server wants other credentials, or does not let these do this
├─ HorizonError         a question about a time that the online store no longer covers
├─ ComputeError         a value that cannot be computed (overflow, a failing function)
├─ Conflict             somebody else changed the same thing in between
│  └─ BrokenContract    what a contract promises is not so any more; tells since when, and by whom
├─ CorruptValue         stored bytes do not match their checksum or format
├─ Unavailable          a server or file cannot be reached just now; trying again may work
├─ MissingDependency    an optional package is not installed
├─ Gone                 data that a saved dataset needs no longer exists
└─ Stopped              a flow ended half-way; says what is done and how to go on
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    what: str
    """What was found, naming the object."""
    at: str | None = None
    """Where: a path such as `airport_weather.features[2]`."""
    hint: str | None = None
    """What to do now."""

    def __str__(self) -> str:
        text = self.what if self.at is None else f"{self.what} - at `{self.at}`"
        return text if self.hint is None else f"{text}\n\nhint: {self.hint}"


class GnomonError(Exception):
    """Base of all errors that gnomon raises on purpose.

    Attributes: `what`, `at`, `hint` of the first problem; `problems`, all of them.
    """

    problems: tuple[Problem, ...]

    def __init__(self, what: str, *, at: str | None = None, hint: str | None = None) -> None:
        self.problems = (Problem(what, at, hint),)
        super().__init__(str(self.problems[0]))

    @property
    def what(self) -> str:
        return self.problems[0].what

    @property
    def at(self) -> str | None:
        return self.problems[0].at

    @property
    def hint(self) -> str | None:
        return self.problems[0].hint


class DefinitionError(GnomonError):
    """One or more definitions are wrong. All problems are in `problems`."""

    def __init__(
        self,
        what: str | Iterable[Problem],
        *,
        at: str | None = None,
        hint: str | None = None,
    ) -> None:
        if isinstance(what, str):
            super().__init__(what, at=at, hint=hint)
            return
        self.problems = tuple(what)
        if len(self.problems) == 1:
            text = str(self.problems[0])
        else:
            items = [f"{i}. {p}".replace("\n\nhint:", "\n   hint:") for i, p in enumerate(self.problems, 1)]
            text = f"{len(items)} problems in the definitions\n\n" + "\n\n".join(items)
        Exception.__init__(self, text)


class BreakingChange(DefinitionError):
    """The change would give an existing name another meaning; it needs a new version."""


class UsageError(GnomonError):
    """A call with arguments that cannot be right."""


class NotFound(UsageError):
    """A name that does not exist."""


class DataError(GnomonError):
    """Data that cannot be used as it is."""


class Denied(GnomonError):
    """Credentials that are missing, wrong, or that do not allow this."""


class HorizonError(GnomonError):
    """A question about a time before what the online store still covers."""


class ComputeError(GnomonError):
    """A value that cannot be computed."""


class Conflict(GnomonError):
    """Somebody else changed the same thing between reading and writing."""


class BrokenContract(Conflict):
    """What a contract promises is not so any more. Each broken promise is one of `problems`."""

    def __init__(
        self, what: str | Iterable[Problem], *, at: str | None = None, hint: str | None = None
    ) -> None:
        if isinstance(what, str):
            super().__init__(what, at=at, hint=hint)
            return
        self.problems = tuple(what)
        Exception.__init__(self, "\n\n".join(map(str, self.problems)))


class CorruptValue(GnomonError):
    """Stored bytes that do not match their checksum, format or layout."""


class Unavailable(GnomonError):
    """A transient failure: a server, file or lock could not be reached. Trying again may work."""


class MissingDependency(GnomonError):
    """An optional package is needed and not installed."""


class Gone(GnomonError):
    """Something that was promised to stay no longer exists."""


class Stopped(GnomonError):
    """A flow stopped half-way. The message says what is complete and how to continue."""


class LeakWarning(UserWarning):
    """No error: a training set, or a part of one, may know what it shall foretell."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None if nothing is close."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return close[0]
    lowered = {n.lower(): n for n in names}
    return lowered.get(name.lower())


REGISTERING = "`gnomon apply`, or store.apply(definitions), registers what is defined"
"""What to do where nothing is registered yet."""


def not_found(
    kind: str, name: str, known: Iterable[str], *, at: str | None = None, first: str = ""
) -> NotFound:
    """A `NotFound` that offers the nearest known name, or lists a few; `first` tells how to make the first one."""
    names = sorted(known)
    close = nearest(name, names)
    if close is not None:
        hint = f"did you mean `{close}`?"
    elif names:
        shown = ", ".join(f"`{n}`" for n in names[:8])
        hint = f"known: {shown}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    else:
        hint = f"there is no {kind.lower()} yet" + (f": {first}" if first else "")
    return NotFound(f"{kind} `{name}` not found", at=at, hint=hint)


def counted(n: int, noun: str) -> str:
    """`1 row`, `2,000 rows`, `2 entities`."""
    if n != 1:
        noun = f"{noun[:-1]}ie" if noun.endswith("y") and noun[-2] not in "aeiou" else noun
        noun = f"{noun}s"
    return f"{n:,} {noun}"


def megabytes(size: int) -> str:
    """Bytes as people read them: 1.2 MB."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def type_of(value: object) -> str:
    """What a value is, for messages: `an int`, `a str`."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"
