"""Keep: optimize, vacuum."""

from __future__ import annotations

from typing import Annotated

import typer

from gnomon.cli import completion
from gnomon.cli.options import JsonOption, ProjectOption, opened
from gnomon.cli.output import show_result, tell

GroupsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="GROUP",
        help="Default: all groups that keep rows of their own.",
        autocompletion=completion.groups,
    ),
]


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
        words = "would not be" if dry_run else "can not be"
        tell(f"warning: datasets that {words} computed again from the same rows: {', '.join(report.broken)}")
