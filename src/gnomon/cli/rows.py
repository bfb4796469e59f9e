"""Rows: insert, materialize, backfill."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from gnomon.cli import completion
from gnomon.cli.late import files, table
from gnomon.cli.options import JsonOption, ProjectOption, opened, time_of
from gnomon.cli.output import show_result, tell
from gnomon.errors import REGISTERING, UsageError

STDIN = "-"


def insert(
    group: Annotated[
        str,
        typer.Argument(metavar="GROUP", help="A group without a source.", autocompletion=completion.groups),
    ],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Parquet, CSV or JSON lines; `-` reads standard input.")
    ],
    format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="parquet, csv or jsonl. Default: told by the file's name."
        ),
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Commit rows to a cached group.

    All of them, or none. Inserting the same file again changes nothing.
    """
    if file == STDIN and format is None:
        raise UsageError("standard input has no name that tells its format", hint="add --format csv")
    with opened(project, json) as store:
        types = table.declared_columns(store.registry.get("group", group))
        if file == STDIN:
            frame = files.read_bytes(sys.stdin.buffer.read(), files.format_of(Path(file), format), types)
        else:
            frame = files.read_table(Path(file), format, types)
        commit = store.insert(group, frame)
    show_result(json, dataclasses.asdict(commit), str(commit))


def materialize(
    groups: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="GROUP",
            help="Default: all groups that are kept online.",
            autocompletion=completion.groups,
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Leave out rows that became known before.")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--end", metavar="TIME", help="Leave out rows that became known then or later."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on where a stopped run left off. Every run does: nothing is done twice."
        ),
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Bring rows online.

    Those that are not there yet: running it again does nothing, or goes on where it was stopped.
    """
    since, until = time_of(start, "--start"), time_of(end, "--end")
    with opened(project, json) as store:
        report = store.materialize(groups or None, start=since, end=until)
        registered = bool(report.groups or store.registry.list("group"))
    if not report.durable:
        tell("warning: the online store ends with this process; set [online] url in gnomon.toml")
    show_result(json, report.to_dict(), str(report))
    if not registered:
        tell(f"hint: no group is registered yet: {REGISTERING}")
    elif not report.groups:
        tell("hint: no group is kept online: leave out `online=False` in one, or name a group here")


def backfill(
    group: Annotated[
        str,
        typer.Argument(
            metavar="GROUP", help="A group that is kept online.", autocompletion=completion.groups
        ),
    ],
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="Begin with rows that became known then, or earlier."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="Leave out rows that became known later.")
    ] = None,
    chunk: Annotated[
        str | None,
        typer.Option(
            "--chunk", metavar="DURATION", help="What is read at once: 30d. Default: by the number of rows."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="How many chunks at once. Default: a few.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell rows, room and time, and change nothing.")
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Make a group's online table anew.

    From its source, beside the table that answers, which it takes the place of at the end. A run that was stopped goes
    on when it is run again.
    """
    since, until = time_of(start, "--start"), time_of(end, "--end")
    with opened(project, json) as store:
        report = store.backfill(group, since, until, chunk=chunk, workers=workers, dry_run=dry_run)
    if not report.durable and not dry_run:
        tell("warning: the online store ends with this process; set [online] url in gnomon.toml")
    show_result(json, report.to_dict(), str(report))
