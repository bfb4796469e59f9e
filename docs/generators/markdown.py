"""Small pieces of Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_SECTION = re.compile(r"^(Shape|Units|Bounds|Raises|Cost|Source|Attributes|Returns):", re.MULTILINE)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. A bar inside a cell is escaped, a line break becomes a space."""
    lines = [_row(head), "|" + "---|" * len(head)]
    lines += [_row(row) for row in rows]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"


def docstring(thing: object) -> str:
    """A docstring as Markdown: its paragraphs, and its sections (`Raises:` …) each as one of their own.

    Raises: LookupError for what has none, since the reference must not have gaps.
    """
    found = inspect.getdoc(thing)
    if not found:
        raise LookupError(f"{thing!r} has no docstring")
    return _SECTION.sub(r"\n**\1:**", found).replace("\n\n\n", "\n\n").strip()


def code(text: str, language: str = "") -> str:
    return f"```{language}\n{text.rstrip()}\n```"
