"""Proof: verify, regenerate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnomon.cli import completion
from gnomon.cli.failures import WRONG
from gnomon.cli.late import files
from gnomon.cli.options import JsonOption, ProjectOption, features_of, opened, time_of
from gnomon.cli.output import show_result
from gnomon.errors import counted

ServiceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SERVICE", help="A service whose answers were logged.", autocompletion=completion.features
    ),
]
StartOption = Annotated[
    str | None, typer.Option("--start", metavar="TIME", help="Answers that were given from then on.")
]
EndOption = Annotated[
    str | None, typer.Option("--end", metavar="TIME", help="Answers that were given before then.")
]


def verify(
    service: ServiceArgument,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", help="At most so many rows, spread evenly.")
    ] = None,
    start: StartOption = None,
    end: EndOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> int | None:
    """Compare what was served with what is computed again, bit by bit.

    Exit status 1 if a value differs; the first of each kind is explained. Beside it: how training as of known differs.
    """
    since, until = time_of(start, "--start"), time_of(end, "--end")
    with opened(project, json) as store:
        report = store.verify(service, sample=sample, start=since, end=until)
    show_result(json, report.to_dict(), str(report))
    return None if report.ok else WRONG


def regenerate(
    service: ServiceArgument,
    features: Annotated[
        str,
        typer.Option(
            "--features",
            "-f",
            metavar="SERVICE|GROUP:FEATURE,…",
            help="What to compute for the logged requests.",
            autocompletion=completion.features,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where to: .parquet, .csv or .jsonl.")
    ],
    start: StartOption = None,
    end: EndOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Compute new or changed features for the requests that were logged: training data without waiting."""
    kind = files.check_target(out)
    since, until = time_of(start, "--start"), time_of(end, "--end")
    with opened(project, json) as store:
        found = store.regenerate(service, features_of(features), start=since, end=until)
        frame = found.to_polars()
        files.write_table(frame, out, kind)
    names = list(found.contents.features)
    text = (
        f"{out}: {counted(len(frame), 'request')} × {counted(len(names), 'feature')} in {found.seconds:.2f} s"
    )
    show_result(
        json, {"file": str(out), "rows": len(frame), "features": names, "seconds": found.seconds}, text
    )
