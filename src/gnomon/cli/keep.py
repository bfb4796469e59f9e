"""Keep: copy, optimize, vacuum."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from gnomon.cli import completion
from gnomon.cli.options import JsonOption, ProjectOption, opened
from gnomon.cli.output import show_result, tell
from gnomon.errors import UsageError

GroupsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="GROUP",
        help="Default: all groups that keep rows of their own.",
        autocompletion=completion.groups,
    ),
]


def copy(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM", help="A group that keeps rows of its own.", autocompletion=completion.groups
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="Another, such as its next version.", autocompletion=completion.groups
        ),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column", metavar="NAME=SQL", help="A column of TO, from those of FROM. Can be given again."
        ),
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Insert the rows of one group into another.

    Columns of the same name are taken as they are, and others are null. Doing it again adds what is new.
    """
    columns = {}
    for text in column or []:
        name, equals, sql = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(
                f"`--column {text}` names no column", hint='such as --column "amount=price * 100"'
            )
        columns[name.strip()] = sql.strip()
    with opened(project, json) as store:
        commit = store.copy(source, target, columns)
    show_result(json, dataclasses.asdict(commit), str(commit))


def optimize(groups: GroupsArgument = None, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Rewrite the many files of inserts into few.

    They are sorted by key and time. The rows stay the same, and what is online stays so.
    """
    with opened(project, json) as store:
        report = store.optimize(groups or None)
    show_result(json, report.to_dict(), str(report))


def vacuum(
    groups: GroupsArgument = None,
    older_than: Annotated[
        str,
        typer.Option("--older-than", metavar="DURATION", help="How long replaced versions can be read."),
    ] = "7d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would go, and remove nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Remove also what saved datasets were made from, and name them.")
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Remove files that nothing needs any more.

    Those of versions that were replaced long ago, and what writers left that were killed.
    """
    with opened(project, json) as store:
        report = store.vacuum(groups or None, older_than=older_than, dry_run=dry_run, force=force)
    show_result(json, report.to_dict(), str(report))
    if report.broken:
        words = "would not be" if dry_run else "cannot be"
        tell(f"warning: datasets that {words} computed again from the same rows: {', '.join(report.broken)}")
