"""Contracts: export, check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gnomon.cli import completion
from gnomon.cli.failures import WRONG
from gnomon.cli.options import JsonOption, ProjectOption, opened
from gnomon.cli.output import show_result, write
from gnomon.errors import UsageError


def export(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="A feature service.", autocompletion=completion.features)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: standard output.")
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Freeze what a service promises.

    Names, versions, types, defaults, and hashes of what everything means, as JSON: to be kept with a model.
    """
    with opened(project, json) as store:
        contract = store.contract(service)
    text = contract.to_json()
    if out is None:
        write(text.rstrip("\n"))
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"`{out}` cannot be written: {error.strerror}", at="--out") from None
    document = {"file": str(out), "service": contract.service, "hash": contract.hash}
    show_result(json, document, f"{out}: contract {contract.hash} of {contract.service}")


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="What `export` wrote.")],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Check that contracts hold.

    Exit status 1 if something is missing, of another type, defined otherwise, or older than promised; with the
    revision that broke it, and its author.
    """
    with opened(project, json) as store:
        reports = [store.check_contract(file) for file in files]
    document = [{"file": str(file), **report.to_dict()} for file, report in zip(files, reports, strict=True)]
    show_result(json, document[0] if len(document) == 1 else document, *map(str, reports))
    if not all(report.holds for report in reports):
        raise typer.Exit(WRONG)


COMMANDS: dict[str, Callable[..., Any]] = {"export": export, "check": check}
