"""Sources: where rows come from, and which of their columns tell time and identity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from gnomon.define.base import Definition, Problems, pairs, put, tags_of
from gnomon.time import duration

FILE_FORMATS = ("parquet", "csv", "jsonl", "delta", "iceberg")
_SUFFIXES = {
    "parquet": "parquet", "pq": "parquet", "csv": "csv", "tsv": "csv",
    "jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl",
}  # fmt: skip


_SECRET = re.compile(r"secret|password|token|credential|[_-]key$|^key$|sas|authorization", re.IGNORECASE)
_VARIABLES = re.compile(r"((Bearer|Basic|Token) )?(\$\{\w+\})+")


def options_of(value: Any, problems: Problems, what: str = "options") -> tuple[tuple[str, str], ...]:
    """Options of an object store or a catalog, or headers of a request, by name. What is secret must be a variable of
    the environment.
    """
    given = pairs(value, what, problems)
    for name, text in given:
        if not isinstance(name, str) or not isinstance(text, str):
            problems.add(
                f"the {what[:-1]} {name!r}: {text!r} is no text",
                at=what,
                hint='such as {"aws_region": "eu-1"}',
            )
            return ()
        if _SECRET.search(name) and not _VARIABLES.fullmatch(text):
            problems.add(
                f"the {what[:-1]} `{name}` would be kept in the registry as it is",
                at=what,
                hint=f'name a variable of the environment that holds it: {{"{name}": "${{{name.upper()}}}"}}',
            )
    return tuple(sorted(given))


@dataclass(frozen=True, repr=False, kw_only=True)
class Source(Definition):
    """What all sources declare.

    `timestamp`: the column of the event time. `known_at`: the column of the time at which the row could
    first be known. `event_id`: the column that identifies an event. `lag`: how long after its event time a
    row is known, where no `known_at` is declared; a date as timestamp needs one. A bare number is one of microseconds.
    """

    kind: ClassVar[str] = "source"

    timestamp: str
    known_at: str | None = None
    event_id: str | None = None
    lag: str | timedelta | int = 0
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] | tuple[tuple[str, str], ...] = ()

    def _check(self, problems: Problems) -> None:
        lag = problems.attempt(duration, self.lag, at="lag")
        if lag is not None and lag < 0:
            problems.add("a lag cannot be negative", at="lag")
        if self.known_at is not None and lag:
            problems.add(
                "`known_at` and `lag` exclude each other",
                at="lag",
                hint="with a known_at column the lag is in the data",
            )
        if not isinstance(self.timestamp, str) or not self.timestamp:
            problems.add("`timestamp` must name the column of the event time", at="timestamp")
        put(self, lag=lag or 0, tags=tags_of(self.tags, problems))


@dataclass(frozen=True, repr=False, init=False)
class FileSource(Source):
    """Rows in Parquet, CSV or JSON-lines files, or a Delta or Iceberg table.

    `path`: one file, a folder, or a glob, relative to the project's folder; or a URL of an object store (`s3://`,
    `gs://`, `abfs://`). `format` is told by the file's name, or by what lies in the folder, if not given. `options`
    open an object store or a catalog, beside those of `[storage]` in gnomon.toml; what is secret is written as
    `${VARIABLE}`. With the options of a catalog (`uri`, or `catalog` for one that is configured), `path` is the name
    of an Iceberg table in it.
    """

    kind: ClassVar[str] = "file"

    name: str
    path: str
    format: str | None = None
    options: Mapping[str, str] | tuple[tuple[str, str], ...] = ()

    def __init__(
        self,
        name: str,
        path: str,
        *,
        timestamp: str,
        known_at: str | None = None,
        event_id: str | None = None,
        lag: str | timedelta | int = 0,
        format: str | None = None,
        options: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
    ) -> None:
        put(
            self, name=name, path=str(path), timestamp=timestamp, known_at=known_at, event_id=event_id, lag=lag,
            format=format, description=description, owner=owner, tags=tags,
        )  # fmt: skip
        problems = Problems(f"source {name}")
        problems.name(name)
        self._check(problems)
        put(self, options=options_of(options, problems))
        if format is not None and format not in FILE_FORMATS:
            problems.add(
                f"`{format}` is not a file format", at="format", hint=f"known: {', '.join(FILE_FORMATS)}"
            )
        problems.done()

    @property
    def file_format(self) -> str | None:
        """The format given or told by the file name's ending; None for a folder without a format."""
        return self.format or _SUFFIXES.get(self.path.rsplit(".", 1)[-1].lower())


@dataclass(frozen=True, repr=False, init=False)
class SQLSource(Source):
    """Rows of a query. `url` names the database (`sqlite:///data/shop.db`), relative to the project's folder."""

    kind: ClassVar[str] = "sql"

    name: str
    url: str
    query: str

    def __init__(
        self,
        name: str,
        *,
        url: str,
        query: str,
        timestamp: str,
        known_at: str | None = None,
        event_id: str | None = None,
        lag: str | timedelta | int = 0,
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
    ) -> None:
        put(
            self, name=name, url=url, query=query, timestamp=timestamp, known_at=known_at, event_id=event_id, lag=lag,
            description=description, owner=owner, tags=tags,
        )  # fmt: skip
        problems = Problems(f"source {name}")
        problems.name(name)
        self._check(problems)
        if "://" not in url:
            problems.add(f"`{url}` is not a database URL", at="url", hint="such as sqlite:///data/shop.db")
        problems.done()
