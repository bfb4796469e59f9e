"""Output: results on standard output, as text and tables or one JSON document; messages on standard error."""

from __future__ import annotations

import base64
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TextIO

import typer

from gnomon.errors import Unavailable
from gnomon.time import instant, show, show_duration

BROKEN_PIPE = 141
"""What a shell reports of a program that SIGPIPE ended."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; cells are text already."""

    headings: tuple[str, ...]
    rows: Sequence[Sequence[str]]


Block = str | Table


def show_result(as_json: bool, document: Any, *blocks: Block) -> None:
    """Write the result of a command: `document` for `--json`, else the blocks, one below the other."""
    if as_json:
        write(json.dumps(plain(document), indent=2, allow_nan=False))
        return
    for block in blocks:
        if isinstance(block, str):
            write(block)
        elif sys.stdout.isatty():
            _draw(block)
        else:
            write(aligned(block))


def write(text: str) -> None:
    """Write a line to standard output.

    Ends the command quietly if nobody reads it any more. Raises: Unavailable if it cannot be written.
    """
    _delivered(lambda: sys.stdout.write(text + "\n"))


def flush() -> None:
    """Hand over what is still buffered, where a reader that has gone can be dealt with."""
    _delivered(sys.stdout.flush)


def tell(text: str) -> None:
    """Write a message to standard error. If nobody can read it, the command goes on all the same."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Let a stream that cannot be written swallow everything, also what Python flushes when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def aligned(table: Table) -> str:
    """A table as plain lines, columns padded and two spaces apart."""
    rows = [[_one_line(cell) for cell in row] for row in (table.headings, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def plain(value: Any) -> Any:
    """A value as JSON that keeps its bits: NaN, infinities, decimals and times as text, bytes as base64."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _scalar(value)


def cell(value: Any) -> str:
    """A value as people read it in a table."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | timedelta):
        return str(value)
    return (
        str(_scalar(value)) if isinstance(value, _SCALARS) else json.dumps(plain(value), ensure_ascii=False)
    )


_SCALARS = (datetime, date, time, Decimal)


def _scalar(value: Any) -> str:
    if isinstance(value, datetime):
        return show(instant(value))
    if isinstance(value, timedelta):
        return show_duration(value // timedelta(microseconds=1))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _draw(table: Table) -> None:
    # Imported where a terminal is, and nowhere else: it takes longer than most commands.
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in table.headings:
        drawn.add_column(heading, overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    Console().print(drawn)


def _delivered(do: Callable[[], Any]) -> None:
    try:
        do()
    except BrokenPipeError:
        silence(sys.stdout)
        raise typer.Exit(BROKEN_PIPE) from None
    except OSError as error:
        silence(sys.stdout)
        raise Unavailable(f"standard output cannot be written: {error.strerror}") from None
