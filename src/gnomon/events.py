"""Events: flows say what happened; who is interested listens. No flow knows its listeners."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_log = logging.getLogger("gnomon")


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class Applied(Event):
    """Definitions became a revision."""

    revision: int
    changes: int


@dataclass(frozen=True, slots=True)
class Inserted(Event):
    """Rows were committed to a cached group."""

    group: str
    commit: int
    rows: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Pushed(Event):
    """Rows of one push or several were committed to a cached group, and are online."""

    group: str
    pushes: int
    accepted: int
    duplicates: int
    rejected: int
    late: int
    """Of the accepted, rows older than the horizon."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Retracted(Event):
    """Ids of a source were retracted."""

    source: str
    accepted: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Retrieved(Event):
    """A training set was computed."""

    rows: int
    features: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """A long flow got further."""

    flow: str
    group: str
    done: int
    total: int
    unit: str = "rows"


@dataclass(frozen=True, slots=True)
class Step(Event):
    """A flow has completed a step, and what it wrote stays."""

    flow: str
    group: str
    step: str


@dataclass(frozen=True, slots=True)
class Materialized(Event):
    """A group's rows were brought online."""

    group: str
    rows: int
    keys: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Backfilled(Event):
    """A group's online table was made anew from its source."""

    group: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Asked(Event):
    """An external source was asked, or not, for it kept failing."""

    source: str
    keys: int
    seconds: float
    failure: str = ""
    """Why there is no answer."""


@dataclass(frozen=True, slots=True)
class AnswersKept(Event):
    """Answers of an external source became rows of a group, or could not."""

    group: str
    rows: int
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class OnlineCalled(Event):
    """A call of the online store ended, where calls are metered."""

    method: str
    """Of the seam: `read_many`, `update`, …"""
    keys: int
    seconds: float
    failure: str = ""
    """The name of the error that it raised."""


Listener = Callable[[Event], None]
_listeners: dict[object, Listener] = {}
"""By what `listen` made for each: one listener may listen twice, and end each of it by itself."""


def listen(listener: Listener) -> Callable[[], None]:
    """Call `listener` with every event from now on; returns a function that ends it, also when called twice."""
    token = object()
    _listeners[token] = listener

    def stop() -> None:
        _listeners.pop(token, None)

    return stop


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Listen within a `with` block."""
    stop = listen(listener)
    try:
        yield
    finally:
        stop()


def emit(event: Event) -> None:
    """Tell every listener. A listener that fails is logged and harms nobody."""
    for listener in tuple(_listeners.values()):
        try:
            listener(event)
        except Exception:  # noqa: BLE001 - whatever it is, it is the listener's
            _log.exception("a listener failed on %r", event)
