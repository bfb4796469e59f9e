"""Markup: what notebooks show of results. Everything is escaped: names and values come from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

SHOWN = 20
"""How many rows of a result are shown."""


def preformatted(text: str) -> str:
    """Text as it is printed."""
    return f"<pre>{escape(text)}</pre>"


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of plain cells under a caption."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{body}</table>"
