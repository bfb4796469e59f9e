"""Options: what several commands take, and how texts of the command line are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import gnomon as gn
from gnomon.cli.late import texts
from gnomon.cli.progress import following
from gnomon.config import FILE_NAME
from gnomon.errors import UsageError, counted, nearest
from gnomon.time import argument

if TYPE_CHECKING:
    from gnomon.client.blocking import Client
    from gnomon.store import Store
    from gnomon.types import DType

ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="DIR",
        help=f"The project's folder. Default: the nearest upwards with a {FILE_NAME}.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
KeyOption = Annotated[
    list[str] | None, typer.Option("--key", "-k", metavar="COLUMN=VALUE", help="A key column; once for each.")
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Ask the server there, not a project. Credentials: the environment's GNOMON_TOKEN.",
    ),
]
AtOption = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Ask about this time instead of now.")
]


def project_folder(given: Path | None) -> Path:
    """The project to work on. Raises: UsageError if there is none."""
    if given is not None:
        if not (given / FILE_NAME).is_file():
            raise UsageError(
                f"`{given}` is no project: it has no {FILE_NAME}", hint="`gnomon init DIR` makes one"
            )
        return given
    found = nearest_project(Path.cwd())
    if found is None:
        raise UsageError(
            f"no {FILE_NAME} here or in a folder above",
            hint="`gnomon init DIR` makes a project; --project DIR names one",
        )
    return found


def nearest_project(folder: Path) -> Path | None:
    """The nearest folder from `folder` upwards that holds a project."""
    return next((one for one in (folder, *folder.parents) if (one / FILE_NAME).is_file()), None)


@contextmanager
def opened(project: Path | None, as_json: bool) -> Iterator[Store]:
    """The project's store, with its progress shown as it fits."""
    with gn.Store(project_folder(project)) as store, following(as_json):
        yield store


@contextmanager
def asked(url: str | None, project: Path | None, as_json: bool) -> Iterator[Store | Client]:
    """Whoever answers questions: the server at a URL, or the project's store.

    Raises: UsageError where both are named.
    """
    if url is None:
        with opened(project, as_json) as store:
            yield store
        return
    if project is not None:
        raise UsageError("both a server and a project are named", at="--url", hint="give one of the two")
    with gn.Client(url) as client:
        yield client


def features_of(text: str) -> str | list[str]:
    """`SERVICE`, or a list of `group:feature`."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UsageError("no features asked for", hint="name a service, or group:feature,group:feature")
    return names if len(names) > 1 or ":" in names[0] else names[0]


def time_of(text: str | None, option: str) -> int | None:
    """The instant that an option gives. Raises: UsageError naming the option."""
    return None if text is None else argument(text, option)


def columns_of(given: Sequence[str], types: Mapping[str, DType], option: str) -> dict[str, list[Any]]:
    """`name=value` texts as typed columns: the n-th text of a name is its value in row n.

    Raises: UsageError for what is not of this form, unknown, missing, or not of its column's type.
    """
    columns: dict[str, list[Any]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{option} `{text}` is not of the form column=value")
        if name not in types:
            close = nearest(name, types)
            known = f"needed: {', '.join(types) or 'none'}"
            raise UsageError(
                f"{option}: unknown `{name}`", hint=f"did you mean `{close}`?" if close else known
            )
        columns.setdefault(name, []).append(texts.read_value(value, types[name], name))
    missing = [name for name in types if name not in columns]
    if missing:
        hint = " ".join(f"{option} {name}=…" for name in missing)
        raise UsageError(
            f"{option} is missing for {', '.join(f'`{name}`' for name in missing)}", hint=f"add {hint}"
        )
    return columns


def rows_of(columns: Mapping[str, list[Any]], option: str) -> list[dict[str, Any]]:
    """Columns as rows; a column with one value has it in each row. Raises: UsageError for other lengths."""
    n = max(map(len, columns.values()), default=1)
    for name, values in columns.items():
        if len(values) not in (1, n):
            raise UsageError(
                f"{option} gives {counted(len(values), 'value')} of `{name}`, and {n} of another column"
            )
    return [{name: values[i if len(values) > 1 else 0] for name, values in columns.items()} for i in range(n)]
