"""What all definitions share: frozen values that print well, and the rules for names."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from gnomon.errors import DefinitionError, GnomonError, Problem

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
_LONGEST = 128
_HASH = "_hash"

Frozen = TypeVar("Frozen", bound=type)


class Definition:
    """Base of the frozen dataclasses that users declare. Equal when all their fields are."""

    def __repr__(self) -> str:
        shown = [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
            if f.repr and not _is_default(f, getattr(self, f.name))
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __getstate__(self) -> dict[str, Any]:
        # Another process hashes text otherwise.
        return {name: value for name, value in self.__dict__.items() if name != _HASH}

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(f.name)}</th><td>{_cell(getattr(self, f.name))}</td></tr>"
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
            if f.repr and not _is_default(f, getattr(self, f.name))
        )
        return f"<table><caption>{html.escape(type(self).__name__)}</caption>{rows}</table>"


def hashed_once(cls: Frozen) -> Frozen:
    """Let each object of a frozen class remember its hash: questions are told apart by it at every call."""
    plain: Callable[[Any], int] = cls.__hash__  # type: ignore[assignment]

    def remembered(self: Any) -> int:
        found: int | None = self.__dict__.get(_HASH)
        if found is None:
            found = plain(self)
            object.__setattr__(self, _HASH, found)
        return found

    cls.__hash__ = remembered  # type: ignore[method-assign, assignment]
    return cls


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    return (
        field.default is not dataclasses.MISSING
        and bool(value == field.default)
        and type(value) is type(field.default)
    )


def _cell(value: Any) -> str:
    if isinstance(value, tuple) and value and all(isinstance(v, Definition) for v in value):
        return "<br>".join(html.escape(repr(v)) for v in value)
    return html.escape(value if isinstance(value, str) else repr(value))


def put(definition: Any, **values: Any) -> None:
    """Set normalised fields of a frozen dataclass, in its `__post_init__` only."""
    for name, value in values.items():
        object.__setattr__(definition, name, value)


def pairs(value: Any, what: str, problems: Problems) -> tuple[tuple[str, Any], ...]:
    """A mapping as a hashable tuple of pairs, in its own order."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return tuple(value.items())
    if isinstance(value, tuple) and all(isinstance(v, tuple) and len(v) == 2 for v in value):
        return value
    problems.add(f"`{what}` must be a dict, found {type(value).__name__}")
    return ()


def tags_of(value: Any, problems: Problems) -> tuple[tuple[str, str], ...]:
    """Tags, which are text on both sides."""
    given = pairs(value, "tags", problems)
    for key, tag in given:
        if not isinstance(key, str) or not isinstance(tag, str):
            problems.add(
                f"the tag {key!r}: {tag!r} is no text", at="tags", hint='such as {"domain": "weather"}'
            )
            return ()
    return given


_waiting: ContextVar[list[Problem] | None] = ContextVar("waiting", default=None)


@contextmanager
def all_at_once() -> Iterator[list[Problem]]:
    """Within the block, what is wrong with definitions is put into the list and does not stop the next ones.

    Such definitions are not whole: they must not be used, but for finding what else is wrong.
    """
    found: list[Problem] = []
    token = _waiting.set(found)
    try:
        yield found
    finally:
        _waiting.reset(token)


def complain(error: GnomonError) -> None:
    """Raise the error, or keep its problems where all are told at once."""
    waiting = _waiting.get()
    if waiting is None:
        raise error
    waiting.extend(error.problems)


class Problems:
    """Collects everything that is wrong with one definition, to be raised at once."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.found: list[Problem] = []

    def add(self, what: str, *, at: str | None = None, hint: str | None = None) -> None:
        self.found.append(Problem(what, f"{self.where}.{at}" if at else self.where, hint))

    def name(self, value: Any, what: str = "name") -> None:
        """Check the name of an object."""
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            self.add(
                f"`{value}` is not a usable {what}",
                hint="letters, digits, `_` and `-`, not beginning with a digit",
            )
        elif len(value) > _LONGEST:
            self.add(
                f"`{value[:40]}…` has {len(value)} characters",
                hint=f"a {what} has at most {_LONGEST}: files and tables are called by it",
            )
        elif value.startswith("__"):
            self.add(f"`{value}` is reserved", hint="names beginning with `__` belong to the store")

    def attempt(self, make: Any, *args: Any, at: str | None = None) -> Any:
        """Call `make(*args)`; keep a gnomon error as a problem and return None."""
        try:
            return make(*args)
        except GnomonError as error:
            for problem in error.problems:
                self.add(problem.what, at=at, hint=problem.hint)
            return None

    def done(self) -> None:
        if self.found:
            complain(DefinitionError(self.found))


def version_of(value: Any, problems: Problems) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        problems.add(f"version {value!r} is not a positive whole number", at="version")
