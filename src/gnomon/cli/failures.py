"""Failures: an exception → what is told on standard error, and the exit status."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import typer

from gnomon.cli.output import show_result, tell
from gnomon.errors import BrokenContract, DefinitionError, GnomonError, Problem, UsageError

DONE, WRONG, MISUSED, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses: done; found something wrong; used wrongly; failed to run; stopped by Ctrl-C."""

_DEBUG = "GNOMON_DEBUG"


def report(error: Exception, as_json: bool) -> int:
    """Tell about an error, and return the exit status. The traceback is shown with GNOMON_DEBUG=1 only."""
    kind, problems, status = _read(error)
    if _debugging():
        tell("".join(traceback.format_exception(error)).rstrip())
    for problem in problems:
        tell(_text(problem))
    if as_json:
        shown = [{"what": p.what, "at": p.at, "hint": p.hint} for p in problems]
        show_result(True, {"error": {"kind": kind, "status": status, "problems": shown}})
    return status


def _read(error: Exception) -> tuple[str, tuple[Problem, ...], int]:
    """Name, problems and exit status of an error."""
    kind = type(error).__name__
    if isinstance(error, GnomonError):
        return kind, error.problems, _status(error)
    if isinstance(error, typer.TyperException):
        context: Any = getattr(error, "ctx", None)
        hint = f"{context.command_path if context is not None else 'gnomon'} --help"
        return "UsageError", (Problem(error.format_message(), None, hint),), MISUSED
    if isinstance(error, OSError):
        place = str(error.filename) if error.filename is not None else None
        return kind, (Problem(error.strerror or str(error), place, None),), FAILED
    return kind, (_unexpected(error),), FAILED


def _status(error: GnomonError) -> int:
    if isinstance(error, UsageError):
        return MISUSED
    return WRONG if isinstance(error, DefinitionError | BrokenContract) else FAILED


def _unexpected(error: Exception) -> Problem:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None
    again = "" if _debugging() else f", with what {_DEBUG}=1 shows"
    return Problem(
        f"unexpected {type(error).__name__}: {error}",
        place,
        f"this is a mistake in gnomon; please report it as an issue of the project{again}",
    )


def _text(problem: Problem) -> str:
    lines = [f"error: {problem.what}"]
    if problem.at:
        lines.append(f"  at {problem.at}")
    if problem.hint:
        lines.append(f"hint: {problem.hint}")
    return "\n".join(lines)


def _debugging() -> bool:
    return os.environ.get(_DEBUG, "") not in ("", "0")


def prepare_streams() -> None:
    """Make the standard streams usable, whatever the command was started with.

    A closed one is opened on the null device: the next file opened would take its number, and what somebody writes to
    it would land there. A terminal that cannot show a character gets an escape in its place, not an error.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
