"""Progress: events of long work → a bar on a terminal, plain lines in a log, nothing with --json."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gnomon.cli.output import tell
from gnomon.events import Event, Materialized, Progress, listening

_TENTHS = 10


@contextmanager
def following(as_json: bool) -> Iterator[None]:
    """Show how far the work inside the `with` block is, on standard error."""
    if as_json:
        yield
    elif sys.stderr.isatty():
        with _bars():
            yield
    else:
        with listening(Lines()):
            yield


class Lines:
    """One line for each tenth of the work on a group, and one for its end."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str, str], int] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Materialized):
            tell(f"{event.group}: {event.rows:,} rows, {event.keys:,} keys in {event.seconds:.2f} s")

    def _progress(self, event: Progress) -> None:
        work = (event.flow, event.group, event.unit)
        tenth = event.done * _TENTHS // event.total if event.total > 0 else 0
        before = self._told.get(work, 0)
        if tenth > before and event.total > 1:
            tell(f"{event.flow} {event.group}: {event.done:,} of {event.total:,} {event.unit}")
        self._told[work] = 0 if event.done >= event.total else max(tenth, before)


@contextmanager
def _bars() -> Iterator[None]:
    # Imported where a terminal is, and nowhere else: it takes longer than most commands.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    work_column, unit_column = TextColumn("{task.description}"), TextColumn("{task.fields[unit]}")
    columns = (work_column, BarColumn(), MofNCompleteColumn(), unit_column, TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def follow(event: Event) -> None:
            if isinstance(event, Progress):
                work = (event.flow, event.group, event.unit)
                if work not in tasks:
                    tasks[work] = bars.add_task(f"{event.flow} {event.group}", total=None, unit=event.unit)
                bars.update(tasks[work], completed=event.done, total=event.total or None)

        with listening(follow):
            yield
