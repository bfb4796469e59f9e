"""Kinds of sources: which reader reads what a definition names. Drivers are imported when they are asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from gnomon.abc.source import SourceReader
from gnomon.config import expand
from gnomon.define.source import FileSource, Source, SQLSource
from gnomon.errors import DataError, UsageError, type_of
from gnomon.plugins import require
from gnomon.sources.file import FileReader
from gnomon.sources.places import LocalPlace, Place
from gnomon.sources.sql import SQLReader
from gnomon.types import DType

_URL = re.compile(r"([a-z][a-z0-9+.\-]*)://", re.IGNORECASE)
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss")
"""Schemes of URLs that Arrow, Polars and delta-rs all read."""


def open_source(
    source: Source,
    root: Path,
    types: Mapping[str, DType] | None = None,
    *,
    may_be_empty: bool = False,
    storage: Mapping[str, str] | None = None,
) -> SourceReader:
    """A reader of a source. `root`: the project's folder; `storage`: options of object stores, those of the source
    go before them; types, and whether it may be empty: see `SourceReader`.

    Raises: DataError if there is nothing to read; MissingDependency naming the extra that reads it; Unavailable.
    """
    if isinstance(source, SQLSource):
        return SQLReader(source, root, types, may_be_empty=may_be_empty)
    if isinstance(source, FileSource):
        return _files(source, root, dict(types or {}), may_be_empty, storage or {})
    raise UsageError(
        f"{type_of(source)} is no source that can be read", hint="use a gn.FileSource or gn.SQLSource"
    )


def _files(
    source: FileSource, root: Path, types: dict[str, DType], may_be_empty: bool, storage: Mapping[str, str]
) -> SourceReader:
    own = {
        name: expand(text, f"source {source.name}: {name}", source.path)
        for name, text in dict(source.options).items()
    }
    purpose = f"source `{source.name}`"
    if source.format == "iceberg" and (own.keys() & {"uri", "catalog"}):
        found = require("gnomon.sources.iceberg", extra="iceberg", purpose=purpose)
        return cast(SourceReader, found.of_catalog(source, root, {**storage, **own}, types))
    place = place_of(source, root, {**storage, **own})
    form = source.file_format
    if place.options is None or form is None:
        table = table_format(place)
        if table is not None and source.format not in (None, table):
            raise DataError(
                f"source `{source.name}`: `{source.path}` is a table of {table.title()}, whose folder holds removed "
                "rows too",
                at=place.location,
                hint=f'leave out format= to read the table, or name single files, not format="{source.format}"',
            )
        form = table or form
    if form == "delta":
        found = require("gnomon.sources.delta", extra="arrow", purpose=purpose)
        return cast(SourceReader, found.DeltaReader(source, place, types))
    if form == "iceberg":
        found = require("gnomon.sources.iceberg", extra="iceberg", purpose=purpose)
        return cast(SourceReader, found.of_folder(source, place, types))
    return FileReader(source, place, types, may_be_empty=may_be_empty)


def place_of(source: FileSource, root: Path, options: Mapping[str, str]) -> Place:
    """Where a source's files lie. Raises: UsageError for a URL of nothing that is known."""
    url = _URL.match(source.path)
    if url is None or url[1].lower() == "file":
        return LocalPlace(source.name, root / source.path.removeprefix("file://"))
    if url[1].lower() not in OBJECT_STORES:
        raise UsageError(
            f"source `{source.name}`: `{url[1]}://` is no object store that can be read",
            at=source.path,
            hint=f"known: {', '.join(f'{scheme}://' for scheme in OBJECT_STORES)}",
        )
    found = require("gnomon.sources.objects", extra="arrow", purpose=f"source `{source.name}`")
    return cast(Place, found.ObjectPlace(source.name, source.path, options))


def table_format(place: Place) -> str | None:
    """`delta` or `iceberg`, if the place is a folder that holds such a table."""
    if place.names_in("_delta_log"):
        return "delta"
    if any(name.endswith(".metadata.json") for name in place.names_in("metadata")):
        return "iceberg"
    return None
