"""Main: the commands in their order, and the one place where what goes wrong becomes message and status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import typer
from typer.main import get_command

import gnomon as gn
from gnomon.cli import access, answers, begin, contracts, definitions, keep, proof, registry, rows, serving
from gnomon.cli.failures import DONE, INTERRUPTED, prepare_streams, report
from gnomon.cli.output import BROKEN_PIPE, flush, silence, write

COMMANDS: dict[str, dict[str, Callable[..., Any]]] = {
    "Begin": {"init": begin.init, "demo": begin.demo, "doctor": begin.doctor},
    "Define": {
        "plan": definitions.plan,
        "apply": definitions.apply,
        "list": definitions.list_objects,
        "show": definitions.show,
        "history": definitions.history,
        "revert": definitions.revert,
    },
    "Fill": {
        "insert": rows.insert,
        "push": rows.push,
        "retract": rows.retract,
        "materialize": rows.materialize,
        "backfill": rows.backfill,
    },
    "Keep": {"copy": keep.copy, "optimize": keep.optimize, "vacuum": keep.vacuum},
    "Prove": {"verify": proof.verify, "regenerate": proof.regenerate},
    "Ask": {"training": answers.training, "get": answers.get, "explain": answers.explain},
    "Serve": {"serve": serving.serve, "audit": access.audit},
}
"""Panel of the help → name → command."""

GROUPS: dict[str, tuple[str, str, dict[str, Callable[..., Any]]]] = {
    "contract": ("Ask", "Freeze what a model relies on, and check it.", contracts.COMMANDS),
    "registry": ("Define", "Move and look at the registry.", registry.COMMANDS),
    "key": ("Serve", "Make, list and revoke API keys.", access.COMMANDS),
}
"""Name → panel of the help, what it is for, and its commands: `gnomon registry export`."""

_EPILOG = "Exit status: 0 done, 1 found something wrong, 2 used wrongly, 3 failed to run."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (the process's, if none is given) and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    prepare_streams()
    status = _ended(
        lambda: get_command(build())(given or ["--help"], prog_name="gnomon", standalone_mode=False), as_json
    )
    # What is still buffered must fail here, and not when Python ends.
    return _ended(flush, as_json=False) or status


def _ended(do: Callable[[], Any], as_json: bool) -> int:
    """Do something, and return the exit status that it ends with."""
    try:
        status = do()
    except typer.Exit as ended:
        return ended.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except SystemExit as ended:
        # Typer's own end where nobody reads the help, which is not written by us; or that of a completion.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        silence(sys.stdout)
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 — nobody above would tell the user
        # The document may be what cannot be written.
        return _ended(partial(report, error, True), as_json=False) if as_json else report(error, False)
    return status if isinstance(status, int) else DONE


def build() -> typer.Typer:
    """The application. Its help is drawn on a terminal, and plain elsewhere."""
    app = typer.Typer(
        help="Gnomon, a feature store: what every feature was worth at any moment.",
        epilog=_EPILOG,
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for panel, commands in COMMANDS.items():
        for name, command in commands.items():
            app.command(name, rich_help_panel=panel)(command)
    for name, (panel, text, commands) in GROUPS.items():
        group = typer.Typer(help=text)
        for word, command in commands.items():
            group.command(word)(command)
        app.add_typer(group, name=name, rich_help_panel=panel)
    return app


def _version(asked: bool) -> None:
    if asked:
        write(f"gnomon {gn.__version__}")
        raise typer.Exit(DONE)


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Tell the version."),
    ] = False,
) -> None:
    pass
