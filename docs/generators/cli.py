"""The command line: every command with its arguments and options, from the application itself."""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.main import get_command

from docs.generators.markdown import code, table
from gnomon.cli import failures
from gnomon.cli.main import COMMANDS, GROUPS, build

_STATUSES = [
    (failures.DONE, "done"),
    (failures.WRONG, "found something wrong: a definition, a breaking plan, a mismatch, a failed check"),
    (failures.MISUSED, "used wrongly: unknown names, commands and options, values that cannot be"),
    (failures.FAILED, "failed to run"),
    (failures.INTERRUPTED, "stopped by Ctrl-C"),
]


def page() -> str:
    # `build` asks whether it writes to a terminal; the texts are the same, their frames are not shown here.
    group: Any = get_command(build())
    context = typer.Context(group, info_name="gnomon")
    statuses = table(["Status", "Meaning"], [[f"`{status}`", meaning] for status, meaning in _STATUSES])
    overview = [
        [panel, f"[`{name}`](#gnomon-{name})", _first_line(group.get_command(context, name))]
        for panel, commands in COMMANDS.items()
        for name in commands
    ]
    inner: dict[str, tuple[Any, Any]] = {}
    for name, (panel, _, commands) in GROUPS.items():
        inner[name] = of, within = _group(group.get_command(context, name), name, context)
        overview += [
            [panel, f"[`{name} {word}`](#gnomon-{name}-{word})", _first_line(of.get_command(within, word))]
            for word in commands
        ]
    parts = [
        "# Command line",
        "`gnomon COMMAND --help` tells the same. A command works on the project of the nearest folder "
        "upwards that "
        "has a `gnomon.toml`, or on `--project DIR`.",
        table(["", "Command", ""], overview),
        "With `--json` there is one JSON document on standard output and nothing else; messages and progress "
        "go to standard error. Progress is a bar on a terminal and plain lines in a log. "
        "`gnomon --install-completion` "
        "sets up completion for the shell.",
        "## Exit status",
        statuses,
        "An error is told as `error:`, `at` and `hint:` on standard error, without a traceback; "
        "`GNOMON_DEBUG=1` shows it. See the [index of errors](errors.md).",
    ]
    for _, name, _ in overview:
        bare = name.split("`")[1]
        outer, _, word = bare.rpartition(" ")
        of, within = inner[outer] if outer else (group, context)
        parts += _command(of.get_command(within, word), word, within)
    return "\n\n".join(parts)


def _group(command: Any, name: str, parent: Any) -> tuple[Any, Any]:
    return command, typer.Context(command, info_name=name, parent=parent)


def _first_line(command: Any) -> str:
    return inspect.cleandoc(command.help or "").split("\n\n")[0].replace("\n", " ")


def _command(command: Any, name: str, parent: Any) -> list[str]:
    context = typer.Context(command, info_name=name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    rows = []
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        record = parameter.get_help_record(context)
        shown, text = record if record is not None else (parameter.make_metavar(context), "")
        rows.append([f"`{shown}`", text or getattr(parameter, "help", "") or ""])
    return [
        f"## {context.command_path}",
        code(usage),
        inspect.cleandoc(command.help or ""),
        table(["Argument or option", "Meaning"], rows),
    ]
