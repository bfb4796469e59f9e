"""Begin: init, demo, doctor."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gnomon.cli import starter
from gnomon.cli.failures import WRONG
from gnomon.cli.late import demo as demonstration
from gnomon.cli.late import doctor as examination
from gnomon.cli.options import JsonOption, ProjectOption, nearest_project, project_folder
from gnomon.cli.output import Table, show_result, write
from gnomon.errors import UsageError, counted


def init(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="A new or empty folder.")] = None,
    project: Annotated[Path | None, typer.Option("--project", metavar="DIR", help="The same as DIR.")] = None,
    json: JsonOption = False,
) -> None:
    """Write a small project that runs.

    Its data are made up: orders of a shop, with features of its customers.
    """
    folder = folder or project
    if folder is None:
        raise UsageError("`gnomon init` needs a folder", hint="gnomon init DIR")
    files = starter.write(folder)
    steps = [
        "gnomon apply -m 'first features'",
        "gnomon training spine.csv --features shop_model --out train.parquet",
        "gnomon materialize",
        f"gnomon get shop_model --key customer=c07 --request basket=60 --at {starter.ASK_AT}",
    ]
    where = [] if folder.resolve() == Path.cwd() else [f"cd {folder}"]
    text = "\n".join(
        [f"wrote {', '.join(files)} in {folder}", "", "next:", *(f"  {s}" for s in where + steps)]
    )
    show_result(json, {"project": str(folder.resolve()), "files": files, "next": where + steps}, text)


def demo(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            "--project",
            metavar="DIR",
            help="A new or empty folder to work in. Default: a temporary one.",
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary folder.")] = False,
    json: JsonOption = False,
) -> None:
    """Show it all on real flights.

    Features, a training set, a model, online answers, and the proof that both agree.
    """
    with _work_folder(folder, keep) as place:
        outcome = demonstration.run(place, (lambda _: None) if json else write)
    kept = folder is not None or keep
    text = f"\nkept in {place}: try `gnomon list --project {place}`" if kept else ""
    show_result(json, {**dataclasses.asdict(outcome), "agrees": outcome.agrees}, *([text] if text else []))
    if not outcome.agrees:
        raise typer.Exit(WRONG)


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what is safe to mend: remove what is left over and nobody's.")
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Tell what works, and what does not.

    Looks at the installation, the project, its sources and stores, and says what to do.
    """
    root = nearest_project(Path.cwd()) if project is None else project_folder(project)
    checks = list(examination.diagnose(root, fix=fix))
    errors = sum(check.level == "error" for check in checks)
    warnings = sum(check.level == "warn" for check in checks)
    fixed = sum(check.fixed for check in checks)
    table = Table(
        ("", "check", "found"), [("fixed" if c.fixed else c.level, c.name, c.found) for c in checks]
    )
    advice = [f"{c.level}: {c.name}: {c.hint}" for c in checks if c.hint]
    end = ", ".join(
        [
            counted(len(checks), "check"),
            counted(errors, "error"),
            counted(warnings, "warning"),
            *([f"{fixed} fixed"] if fixed else []),
        ]
    )
    document = {
        "errors": errors,
        "warnings": warnings,
        "fixed": fixed,
        "checks": [c.to_dict() for c in checks],
    }
    show_result(json, document, table, "\n".join(["", *advice, end]))
    if errors:
        raise typer.Exit(WRONG)


@contextmanager
def _work_folder(given: Path | None, keep: bool) -> Iterator[Path]:
    if given is not None:
        starter.refuse_in_use(given)
        yield given
    elif keep:
        yield Path(tempfile.mkdtemp(prefix="gnomon-demo-"))
    else:
        with tempfile.TemporaryDirectory(prefix="gnomon-demo-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
