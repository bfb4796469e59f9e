"""Registry: export, import, replicate, history, show."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gnomon import config
from gnomon.cli import definitions
from gnomon.cli.late import diff, registries
from gnomon.cli.options import JsonOption, ProjectOption, opened, project_folder
from gnomon.cli.output import show_result, tell, write
from gnomon.errors import DataError, NotFound, UsageError, counted
from gnomon.time import show as show_time

STDIO = "-"


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A new file; `-` writes to standard output.")],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Write all revisions to a file.

    As lines of JSON: definitions, authors, times and messages, with nothing lost. `import` reads them.
    """
    if file == STDIO and json:
        raise UsageError("standard output cannot hold the export and --json", hint="leave one of them out")
    with opened(project, json) as store:
        lines = list(store.registry.export_lines())
    if file == STDIO:
        for line in lines:
            write(line)
        return
    path = Path(file)
    try:
        with path.open("x", encoding="utf-8") as out:
            out.writelines(f"{line}\n" for line in lines)
    except FileExistsError:
        raise UsageError(f"`{file}` is there already", hint="name a new file") from None
    revisions = len(lines) - 1
    show_result(json, {"file": file, "revisions": revisions}, f"{file}: {counted(revisions, 'revision')}")


def import_file(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="What `export` wrote; `-` reads standard input.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and write nothing.")] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Read the revisions of a file.

    Into an empty registry, or into one that holds the beginning of the same history. Anything else is refused.
    """
    lines = _lines(file)
    with opened(project, json) as store:
        done = store.registry.import_lines(lines, dry_run=dry_run)
    show_result(
        json, {"revisions": done.revisions, "present": done.present, "dry_run": done.dry_run}, str(done)
    )


def replicate(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Default: `replica` of gnomon.toml.")
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Bring a replica up to date.

    A local copy of the registry, that servers read while the registry is away.
    """
    place = None if to is None else str(to.absolute())
    done = registries.replicate(config.load(project_folder(project).resolve()), place)
    show_result(json, {"revision": done.revision, "compared": show_time(done.compared)}, str(done))


def show_revision(
    revision: Annotated[
        int | None, typer.Argument(metavar="N", help="A revision. Default: the newest.")
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show a revision and what it changed.

    Author, time, message, and each object that it added, changed or removed.
    """
    with opened(project, json) as store:
        snapshot = store.registry.snapshot() if revision is None else store.registry.at(revision)
        if not snapshot.revision:
            raise NotFound("there is no revision yet", hint="`gnomon apply` makes the first")
        changes = diff.between(store.registry.at(snapshot.revision - 1), snapshot)
        stale = registries.freshness(store.registry)
    if stale is not None and stale.away is not None:
        tell(f"warning: answered by the replica: {stale}")
    head = f"revision {snapshot.revision} by {snapshot.author}, {show_time(snapshot.time)}"
    document = {
        "revision": snapshot.revision,
        "author": snapshot.author,
        "time": show_time(snapshot.time),
        "message": snapshot.message,
        "changes": [change.to_dict() for change in changes],
    }
    show_result(json, document, "\n".join(filter(None, [head, snapshot.message, "", diff.render(changes)])))


def _lines(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == STDIO else Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no file `{file}`") from None
    except UnicodeDecodeError:
        raise DataError(f"`{file}` is no text", hint="`gnomon registry export FILE` writes one") from None
    return text.split("\n")


COMMANDS: dict[str, Callable[..., Any]] = {
    "export": export,
    "import": import_file,
    "replicate": replicate,
    "history": definitions.history,
    "show": show_revision,
}
