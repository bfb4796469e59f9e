"""Definitions: plan, apply, list, show, history, revert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gnomon import config
from gnomon.cli import completion
from gnomon.cli.failures import WRONG
from gnomon.cli.late import describe, registry
from gnomon.cli.options import JsonOption, ProjectOption, opened
from gnomon.cli.output import Block, Table, show_result, tell
from gnomon.errors import REGISTERING, UsageError
from gnomon.flows.definitions import load_definitions
from gnomon.time import show as show_time

if TYPE_CHECKING:
    from gnomon.flows.apply import Plan
    from gnomon.flows.describe import Description

PruneOption = Annotated[bool, typer.Option("--prune", help="Remove what the definitions no longer hold.")]


def plan(prune: PruneOption = False, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show what `apply` would change.

    And what breaks, and which online rows must be filled again. Exit status 1 if it breaks something.
    """
    with opened(project, json) as store:
        settings = config.load(store.path)
        planned = store.plan(load_definitions(settings), prune=prune)
    show_result(json, planned.to_dict(), str(planned))
    _tell_if_nothing(planned, settings.definitions)
    if not planned.ok:
        raise typer.Exit(WRONG)


def apply(
    message: Annotated[str, typer.Option("--message", "-m", help="Why; kept with the revision.")] = "",
    prune: PruneOption = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Register the definitions.

    They become one new revision: all of it, or nothing.
    """
    with opened(project, json) as store:
        settings = config.load(store.path)
        applied = store.apply(load_definitions(settings), prune=prune, message=message)
    show_result(json, applied.to_dict(), str(applied))
    _tell_if_nothing(applied, settings.definitions)


def list_objects(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", help="entities, sources, groups, on_demands or services"),
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """List what is registered."""
    wanted = None if kind is None else registry.kind_named(kind)
    with opened(project, json) as store:
        found = describe.summaries(store.registry.snapshot(), wanted)
    headings = ("kind", "name", "what", "owner", "description")
    table = Table(headings, [(s.kind, s.name, s.what, s.owner, s.description) for s in found])
    what = "nothing" if wanted is None else f"no {wanted.replace('_', '-')}"
    show_result(json, [s.to_dict() for s in found], table if found else f"{what} is registered yet")
    if not found:
        tell(f"hint: {REGISTERING}")


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Any object: name, name@version or group:feature.",
            autocompletion=completion.objects,
        ),
    ],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show an object and its lineage.

    Properties, owner and versions, features, what it is made from and who uses it.
    """
    with opened(project, json) as store:
        found = describe.describe(store.registry.snapshot(), name)
    blocks: list[Block] = []
    for one in found:
        blocks += [*([""] if blocks else []), *_blocks(one)]
    show_result(json, [one.to_dict() for one in found], *blocks)


def history(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the revisions, the newest first."""
    with opened(project, json) as store:
        revisions = store.registry.history()
    rows = [
        (str(r.number), show_time(r.time), r.author, f"{len(r.put)} put, {len(r.removed)} removed", r.message)
        for r in revisions
    ]
    document = [
        {
            "revision": r.number,
            "time": show_time(r.time),
            "author": r.author,
            "message": r.message,
            "put": [{"kind": kind, "name": ref} for kind, ref in r.put],
            "removed": [{"kind": kind, "name": ref} for kind, ref in r.removed],
        }
        for r in revisions
    ]
    table = Table(("revision", "time", "author", "changes", "message"), rows)
    show_result(json, document, table if rows else "no revisions yet")


def revert(
    revision: Annotated[int, typer.Argument(metavar="N", help="The revision to go back to.")],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Go back to an old revision.

    Its definitions become a new revision; history stays.
    """
    with opened(project, json) as store:
        before = store.registry.snapshot().revision
        if revision < 0:
            raise UsageError(f"revision {revision} is negative")
        after = store.registry.revert(revision).revision
    done = f"revision {after}: the definitions of revision {revision}"
    text = done if after != before else f"nothing to change: revision {after} is as revision {revision}"
    show_result(json, {"revision": after, "definitions_of": revision, "changed": after != before}, text)


def _tell_if_nothing(plan: Plan, definitions: str) -> None:
    if not plan.changes:
        tell(
            f"hint: `{definitions}` defines nothing: write entities, sources, groups and services there; "
            "`gnomon init DIR` makes a small project to look at"
        )


def _blocks(one: Description) -> list[Block]:
    """A description as text and tables."""
    head = [f"{one.label} {one.name}" + (f" - {one.description}" if one.description else "")]
    tags = ", ".join(f"{key}={value}" for key, value in one.tags)
    lines = [*one.properties, ("owner", one.owner), ("tags", tags)]
    if len(one.versions) > 1:
        lines.append(("versions", ", ".join(one.versions)))
    lines.append(("changed", f"in revision {one.revision} by {one.author}"))
    width = max(len(label) for label, _ in lines)
    head += [f"  {label:<{width}}  {text}" for label, text in lines if text]
    blocks: list[Block] = ["\n".join(head)]
    if one.features:
        blocks += ["", Table(("feature", "type", "how", "description"), _cells(one))]
    for label, names in (("made from", one.reads), ("used by", one.used_by)):
        if names:
            blocks.append("\n".join(["", f"{label}:", *(f"  {name}" for name in names)]))
    return blocks


def _cells(one: Description) -> list[tuple[str, str, str, str]]:
    return [(line.name, line.type, line.how, line.description) for line in one.features]
