"""Answers: training, get, explain."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gnomon.cli import completion
from gnomon.cli.failures import WRONG
from gnomon.cli.late import files, splits
from gnomon.cli.options import (
    AtOption,
    JsonOption,
    KeyOption,
    ProjectOption,
    UrlOption,
    asked,
    columns_of,
    features_of,
    opened,
    rows_of,
    time_of,
)
from gnomon.cli.output import Block, Table, cell, show_result
from gnomon.errors import LeakWarning, UsageError, counted
from gnomon.time import show

if TYPE_CHECKING:
    import polars as pl

    from gnomon.flows.handover import Split

AsOfOption = Annotated[
    str,
    typer.Option(
        "--as-of",
        metavar="known|served|latest|TIME",
        help="Which rows to see: those that could have been known then, those that were online then, all, or those "
        "known by a time.",
    ),
]
FullNamesOption = Annotated[bool, typer.Option("--full-names", help="Name features group__feature.")]

_ERROR = "ERROR"


def training(
    spine: Annotated[
        Path, typer.Argument(metavar="SPINE", help="Keys and times: Parquet, CSV or JSON lines.")
    ],
    features: Annotated[
        str,
        typer.Option(
            "--features",
            "-f",
            metavar="SERVICE|GROUP:FEATURE,…",
            help="A service, or a list.",
            autocompletion=completion.features,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to: .parquet, .csv or .jsonl.")
    ] = None,
    timestamp: Annotated[
        str, typer.Option("--timestamp", metavar="COLUMN", help="The spine's column of times.")
    ] = "event_timestamp",
    as_of: AsOfOption = "known",
    full_names: FullNamesOption = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell how it is computed, and compute nothing.")
    ] = False,
    save: Annotated[
        str | None, typer.Option("--save", metavar="NAME", help="Keep it as a dataset: the same bytes later.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="KIND:NAME=VALUE,…",
            help="In parts, one file each: time:test_from=2026-01-01,gap=7d, folds:folds=3, entity:keys=user, "
            "random:train=0.8,test=0.2,stratify=late. A saved dataset keeps it.",
        ),
    ] = None,
    complete_until: Annotated[
        str | None,
        typer.Option(
            "--complete-until",
            metavar="TIME",
            help="Until when the sources of labels are complete; by default each up to its greatest known_at.",
        ),
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Make a training set.

    The spine with what each feature was worth at each row's time, and with labels, which look forward from it.
    """
    if out is None and save is None and not explain:
        raise UsageError("nowhere to write to", hint="add --out FILE, --save NAME or --explain")
    kind = files.check_target(out) if out is not None else ""
    if out is not None and split is None:
        _check_not_spine(out, spine)
    wanted = features_of(features)
    how = None if split is None else splits.parse_split(split)
    until = time_of(complete_until, "--complete-until")
    with opened(project, json) as store, warnings.catch_warnings():
        # They are told below, as a part of the answer.
        warnings.simplefilter("ignore", LeakWarning)
        inputs = store.inputs(wanted)
        rows = files.read_table(spine, types={**inputs.request, **inputs.keys})
        found = store.get_historical_features(
            rows, wanted, timestamp=timestamp, as_of=as_of, full_names=full_names, complete_until=until
        )
        if explain:
            text = found.explain()
            show_result(json, {"explain": text}, text)
            return
        frame = found.to_polars()
        parts = None if how is None else found.split(how)
        if out is not None:
            for target, part in _targets(out, frame, parts, spine).items():
                files.write_table(part, target, kind)
        dataset = found.save(save, split=how) if save is not None else None
        ignored = {ref: counts for ref, counts in found.ignored.items() if counts}
    names = frame.columns[rows.width :]
    document = {
        "file": None if out is None else str(out),
        "dataset": None if dataset is None else dataset.name,
        "rows": len(frame),
        "features": names,
        "seconds": found.seconds,
        "ignored": {ref: dataclasses.asdict(counts) for ref, counts in ignored.items()},
        "parts": None if parts is None else {name: len(part) for name, part in parts.parts.items()},
        "left_out": 0 if parts is None else parts.left_out,
        "leaks": [*found.leaks, *(parts.leaks if parts is not None else ())],
    }
    where = ", ".join([*([str(out)] if out else []), *([f"dataset {save}"] if save else [])])
    text = (
        f"{where}: {counted(len(frame), 'row')} × {counted(len(names), 'feature')} in {found.seconds:.2f} s"
    )
    lines = [text, *(f"{ref}: ignored {counts}" for ref, counts in ignored.items())]
    lines += [f"leak: {leak}" for leak in found.leaks]
    show_result(json, document, "\n".join([*lines, *([str(parts)] if parts is not None else [])]))


def _targets(out: Path, frame: pl.DataFrame, parts: Split | None, spine: Path) -> dict[Path, pl.DataFrame]:
    """What is written where: the whole to `out`, or each part beside it, as `out.train.parquet`.

    Raises: UsageError if one of them is the spine.
    """
    if parts is None:
        return {out: frame}
    targets = {
        out.with_name(f"{out.stem}.{name}{out.suffix}"): part.to_polars()
        for name, part in parts.parts.items()
    }
    for target in targets:
        _check_not_spine(target, spine)
    return targets


def _check_not_spine(out: Path, spine: Path) -> None:
    if out.exists() and spine.exists() and out.samefile(spine):
        raise UsageError(
            f"`{out}` is the spine itself, which would be overwritten", at="--out", hint="name another file"
        )


def get(
    features: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE|GROUP:FEATURE,…",
            help="A service, or a list.",
            autocompletion=completion.features,
        ),
    ],
    key: KeyOption = None,
    request: Annotated[
        list[str] | None,
        typer.Option(
            "--request", "-r", metavar="NAME=VALUE", help="A value for on-demand functions; once for each."
        ),
    ] = None,
    at: AtOption = None,
    full_names: FullNamesOption = False,
    url: UrlOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Tell what features are worth now.

    Read from the online store, or by a server (--url). A key column given twice asks about two entities.
    """
    moment = time_of(at, "--at")
    wanted = features_of(features)
    with asked(url, project, json) as store:
        inputs = store.inputs(wanted, online=True)
        entities = rows_of(columns_of(key or [], inputs.keys, "--key"), "--key")
        values = columns_of(request or [], inputs.request, "--request")
        answer = store.get_online_features(
            wanted,
            entities,
            request=_for_each(values, len(entities)) if values else None,
            at=moment,
            full_names=full_names,
        )
    rows = [list(row) for row in zip(*answer.to_dict().values(), strict=True)]
    document = {
        "features": list(answer.names),
        "rows": rows,
        "statuses": answer.statuses,
        "event_times": answer.event_times,
        "errors": [{"row": i, "feature": name, "why": why} for (i, name), why in answer.errors.items()],
        "at": show(answer.at),
        "revision": answer.revision,
    }
    blocks: list[Block] = []
    for i, entity in enumerate(entities):
        named = ", ".join(f"{name}={cell(value)}" for name, value in entity.items()) or "everything"
        gap: list[Block] = [""] if blocks else []
        blocks += [*gap, f"{named} at {show(answer.at)}", _answers(answer, i, rows[i])]
    blocks += [f"{name}: {why}" for (_, name), why in answer.errors.items()]
    show_result(json, document, *blocks)
    if any(_ERROR in row for row in answer.statuses):
        raise typer.Exit(WRONG)


def explain(
    feature: Annotated[
        str,
        typer.Argument(
            metavar="GROUP:FEATURE", help="One feature of a group.", autocompletion=completion.features
        ),
    ],
    key: KeyOption = None,
    at: AtOption = None,
    as_of: AsOfOption = "known",
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Tell why a value is what it is.

    The rows in the window, its edges, each row's times and id.
    """
    moment = time_of(at, "--at")
    with opened(project, json) as store:
        entities = rows_of(columns_of(key or [], store.inputs([feature]).keys, "--key"), "--key")
        if len(entities) > 1:
            raise UsageError("one value is explained at a time", hint="give each key column once")
        explained = store.explain(feature, entities[0], at=moment, as_of=as_of)
    show_result(json, explained.to_dict(), str(explained))


def _for_each(columns: dict[str, list[Any]], n: int) -> dict[str, list[Any]]:
    """Request values, one for each entity. Raises: UsageError if there are neither one nor `n`."""
    for name, values in columns.items():
        if len(values) not in (1, n):
            raise UsageError(
                f"--request gives {counted(len(values), 'value')} of `{name}` for {counted(n, 'entity')}"
            )
    return {name: values * n if len(values) == 1 else values for name, values in columns.items()}


def _answers(answer: Any, i: int, values: list[Any]) -> Table:
    rows = [
        (name, cell(value), status, "" if time is None else cell(time))
        for name, value, status, time in zip(
            answer.names, values, answer.statuses[i], answer.event_times[i], strict=True
        )
    ]
    return Table(("feature", "value", "status", "event time"), rows)
