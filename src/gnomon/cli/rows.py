"""Rows: insert, push, retract, materialize, backfill."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnomon.cli import completion, late
from gnomon.cli.failures import WRONG
from gnomon.cli.late import files, table, texts
from gnomon.cli.options import JsonOption, ProjectOption, opened, time_of
from gnomon.cli.output import show_result, tell
from gnomon.errors import REGISTERING, UsageError

if TYPE_CHECKING:
    from gnomon.types import DType

STDIN = "-"
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="FORMAT", help="parquet, csv or jsonl. Default: told by the file's name."
    ),
]


def insert(
    group: Annotated[
        str,
        typer.Argument(metavar="GROUP", help="A group without a source.", autocompletion=completion.groups),
    ],
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Parquet, CSV or JSON lines; `-` reads standard input."),
    ] = None,
    deletes: Annotated[
        str | None,
        typer.Option(
            "--deletes", metavar="FILE", help="Rows to delete: their keys, and their ids (or times)."
        ),
    ] = None,
    format: FormatOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Commit rows to a cached group.

    All of them, or none. Inserting the same file again changes nothing. A row of an id that is there already, with
    other content, is an update from now on.
    """
    if file is None and deletes is None:
        raise UsageError("nothing to insert", hint="name a FILE, or --deletes FILE")
    if file == deletes == STDIN:
        raise UsageError("standard input can be read once", hint="give FILE or --deletes another name")
    with opened(project, json) as store:
        types = table.declared_columns(store.registry.get("group", group))
        commit = store.insert(
            group,
            _read(file, format, types),
            deletes=None if deletes is None else _read(deletes, format, types),
        )
    show_result(json, dataclasses.asdict(commit), str(commit))


def push(
    group: Annotated[
        str,
        typer.Argument(metavar="GROUP", help="A group without a source.", autocompletion=completion.groups),
    ],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Parquet, CSV or JSON lines; `-` reads standard input.")
    ],
    format: FormatOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Push rows into a cached group: online when it returns.

    Rows are known from now on, unless they say when. Those that do not fit are told by their numbers, the others
    count, and the status is 1. Pushing the same file again changes nothing.
    """
    with opened(project, json) as store:
        target = store.pushable(group)
        ack = store.push(target.group, _read(file, format, target.columns))
    show_result(json, dataclasses.asdict(ack), str(ack))
    if ack.rejected:
        raise typer.Exit(WRONG)


def _read(file: str | None, format: str | None, types: Mapping[str, DType]) -> Any:
    """The frame that a FILE names; None for none."""
    if file is None:
        return None
    if file != STDIN:
        return files.read_table(Path(file), format, types)
    if format is None:
        raise UsageError("standard input has no name that tells its format", hint="add --format csv")
    return files.read_bytes(sys.stdin.buffer.read(), files.format_of(Path(file), format), types)


def retract(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A source, or a group without one.",
            autocompletion=completion.sources,
        ),
    ],
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="Parquet, CSV or JSON lines with the ids; `-` is standard input."
        ),
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="An event id; once for each.")
    ] = None,
    format: FormatOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Take rows back by their event ids.

    From now on they have never been, in training sets and online, for every group that reads the source. Doing it
    again changes nothing. Ids that no row has are told, and end the command with status 1.
    """
    if (file is None) == (not ids):
        raise UsageError("name the ids once", hint="--id ID, once for each, or a FILE with them")
    with opened(project, json) as store:
        snapshot = store.registry.snapshot()
        named = late.retract.name_of_ids(snapshot, late.retract.readers_of(snapshot, source)[1])
        given: Any = ids
        if named is not None:
            name, dtype = named
            given = (
                [texts.read_value(text, dtype, name) for text in ids]
                if ids
                else _read(file, format, {name: dtype})
            )
        ack = store.retract(source, given)
    show_result(json, dataclasses.asdict(ack), str(ack))
    if ack.unknown:
        raise typer.Exit(WRONG)


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
