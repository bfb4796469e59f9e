"""Access: key create, key list, key revoke; audit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnomon.cli import completion
from gnomon.cli.late import audit_log, grants, keys
from gnomon.cli.options import JsonOption, ProjectOption, opened, project_folder, time_of
from gnomon.cli.output import Table, show_result, tell, write
from gnomon.config import load
from gnomon.errors import counted
from gnomon.time import ALWAYS, NEVER, duration
from gnomon.time import show as show_time

if TYPE_CHECKING:
    from gnomon.abc.registry import StoredKey
    from gnomon.store import Store


def create(
    role: Annotated[
        list[str] | None, typer.Option("--role", "-r", help="reader, writer or admin. Can be given again.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group",
            "-g",
            help="Only this group. Can be given again. Default: the whole project.",
            autocompletion=completion.groups,
        ),
    ] = None,
    pii: Annotated[bool, typer.Option("--pii", help="Also what is tagged `pii`.")] = False,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="DURATION", help="Such as 90d. Default: it stays until revoked."),
    ] = None,
    name: Annotated[str, typer.Option("--name", "-n", help="What it is for.")] = "",
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Make an API key, and show it once.

    The key is on standard output, what it allows on standard error. Only a digest of it is kept.
    """
    wanted = grants.grants_of(role or ["reader"], group or [], pii=pii)
    lifetime = None if expires is None else duration(expires)
    with opened(project, json) as store:
        made = keys.create_key(store.registry, wanted, name=name, lifetime=lifetime)
        _note(store, "key create", f"{made}")
    if json:
        show_result(True, {"key": made.key, **_document(made.stored, "valid")})
        return
    write(made.key)
    tell(f"{made}\nit is shown this once; `gnomon key revoke {made.stored.id}` ends it")


def list_all(
    all: Annotated[bool, typer.Option("--all", help="Also those that were revoked or expired.")] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """List API keys: ids, names, and what they allow.

    The keys themselves are kept nowhere.
    """
    with opened(project, json) as store:
        now = store.registry.clock()
        found = [_document(key, keys.state_of(key, now)) for key in keys.list_keys(store.registry, all=all)]
    headings = ("id", "name", "grants", "by", "created", "expires", "state")
    cells = [
        (k["id"], k["name"], ", ".join(k["grants"]), k["by"], k["created"], k["expires"] or "-", k["state"])
        for k in found
    ]
    show_result(json, {"keys": found}, Table(headings, cells) if found else "no keys")


def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `gnomon key list` shows it.")],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Revoke an API key for good.

    Servers refuse it within a second. Revoking it again changes nothing.
    """
    with opened(project, json) as store:
        key = keys.revoke_key(store.registry, id)
        _note(store, "key revoke", f"key {key.id} `{key.name}`")
    when = show_time(key.revoked or 0)
    show_result(
        json, _document(key, "revoked"), f"key {key.id} `{key.name}` revoked {when} by {key.revoked_by}"
    )


def audit(
    who: Annotated[str, typer.Option("--who", help="A part of who it was: a key's id, a name.")] = "",
    outcome: Annotated[str, typer.Option("--outcome", help="denied, done or failed.")] = "",
    action: Annotated[str, typer.Option("--action", help="read, write, admin, key create, key revoke.")] = "",
    group: Annotated[
        str, typer.Option("--group", "-g", help="A group.", autocompletion=completion.groups)
    ] = "",
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From this time on.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="At most so many, the newest.")] = 50,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show what was denied and what was changed over HTTP, and what became of keys.

    Who, what, when, from where, and why it was denied; the newest last.
    """
    start, end = time_of(since, "--since"), time_of(until, "--until")
    wanted = audit_log.wanted(
        who=who,
        outcome=outcome,
        action=action,
        object=group,
        since=ALWAYS if start is None else start,
        until=NEVER if end is None else end,
    )
    found = audit_log.read_log(_folder(project_folder(project).resolve()), wanted, limit)
    if found.unreadable:
        tell(f"warning: {counted(found.unreadable, 'line')} of the log cannot be read")
    if found.more:
        tell(f"{counted(found.more, 'older entry')} left out: --limit shows more")
    document = {
        "entries": [audit_log.to_dict(entry) for entry in found.entries],
        "more": found.more,
        "unreadable": found.unreadable,
    }
    headings = ("time", "outcome", "who", "action", "what", "groups", "from", "why")
    cells = [
        (e.time, e.outcome, e.who, e.action, e.what, " ".join(e.objects), e.address, e.why)
        for e in found.entries
    ]
    show_result(json, document, Table(headings, cells) if cells else "no entries")


def _note(store: Store, action: str, what: str) -> None:
    """Write into the audit log what was done. It is done, so that a log that cannot be written is only told of."""
    log = audit_log.AuditLog(_folder(store.path))
    log.record("done", store.registry.author, action, what)
    log.close()
    if log.lost:
        tell(f"warning: the audit log at {log.folder} could not be written")


def _folder(root: Path) -> Path:
    folder: Path = audit_log.folder_of(root, load(root).serve)
    return folder


def _document(key: StoredKey, state: str) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "grants": list(key.grants),
        "by": key.author,
        "created": show_time(key.created),
        "expires": None if key.expires is None else show_time(key.expires),
        "revoked": None if key.revoked is None else show_time(key.revoked),
        "revoked_by": key.revoked_by,
        "state": state,
    }


COMMANDS: dict[str, Callable[..., Any]] = {"create": create, "list": list_all, "revoke": revoke}
