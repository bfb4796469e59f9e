"""Progress: events of long work → a bar on a terminal, plain lines in a log, nothing with --json."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from gnomon.cli.output import tell
from gnomon.events import Event, Progress, listening

_TENTHS = 10


@contextmanager
def following(as_json: bool) -> Iterator[None]:
    """Show how far the work inside the `with` block is, on standard error."""
    if as_json:
        yield
    elif sys.stderr.isatty():
        bars = Bars()
        with closing(bars), listening(bars):
            yield
    else:
        with listening(Lines()):
            yield


class Lines:
    """One line for each tenth of the work on a group. How it ended is told by the command's result."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str, str], int] = {}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Progress):
            return
        work = (event.flow, event.group, event.unit)
        tenth = event.done * _TENTHS // event.total if event.total > 0 else 0
        before = self._told.get(work, 0)
        if tenth > before and event.total > 1:
            tell(f"{event.flow} {event.group}: {event.done:,} of {event.total:,} {event.unit}")
        self._told[work] = 0 if event.done >= event.total else max(tenth, before)


class Bars:
    """One bar for each group that is worked on; nothing before the first."""

    def __init__(self) -> None:
        self._drawn: Any = None
        self._tasks: dict[tuple[str, str, str], Any] = {}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Progress):
            return
        self._drawn = self._drawn or _begin()
        work = (event.flow, event.group, event.unit)
        if work not in self._tasks:
            self._tasks[work] = self._drawn.add_task(f"{event.flow} {event.group}", unit=event.unit)
        self._drawn.update(self._tasks[work], completed=event.done, total=event.total or None)

    def close(self) -> None:
        """Take the bars away: what is left to say stands in the command's result."""
        if self._drawn is not None:
            self._drawn.stop()


def _begin() -> Any:
    # Imported where a terminal is, and nowhere else: it takes longer than most commands.
    from rich import progress
    from rich.console import Console

    bars = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[unit]}"),
        progress.TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bars.start()
    return bars
