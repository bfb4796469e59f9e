"""Files: tables in and out of the formats that people have them in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import polars as pl

from gnomon.errors import DataError, NotFound, Unavailable, UsageError, nearest
from gnomon.sources.text import dates_as_text
from gnomon.sources.widths import check_widths, open_text
from gnomon.types import DType

FORMATS = ("parquet", "csv", "jsonl")
_ENDINGS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip


def format_of(path: Path, given: str | None = None) -> str:
    """The format of a file: what is given, else what its name ends with. Raises: UsageError."""
    if given is not None:
        if given not in FORMATS:
            raise UsageError(f"`{given}` is not a file format", hint=f"known: {', '.join(FORMATS)}")
        return given
    found = _ENDINGS.get(path.suffix.lower())
    if found is None:
        raise UsageError(
            f"cannot tell the format of `{path.name}`", hint=f"let its name end with {', '.join(_ENDINGS)}"
        )
    return found


def read_table(
    path: Path, format: str | None = None, types: Mapping[str, DType] | None = None
) -> pl.DataFrame:
    """Read a whole file. `types`: the types of those columns of a CSV file are not guessed.

    Raises: NotFound; UsageError if the format cannot be told; DataError if the file is not of it.
    """
    if not path.is_file():
        close = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else None
        raise NotFound(f"there is no file `{path}`", hint=f"did you mean `{close}`?" if close else None)
    return _read(path, str(path), format_of(path, format), types)


def read_bytes(content: bytes, format: str, types: Mapping[str, DType] | None = None) -> pl.DataFrame:
    """Read a file that came as a stream. Raises: DataError."""
    return _read(BytesIO(content), "standard input", format, types)


def check_target(path: Path) -> str:
    """The format that a file would have, told before anything is computed for it. Raises: UsageError."""
    return format_of(check_place(path))


def check_place(given: str | Path) -> Path:
    """The path of a file that can be written, told before anything is computed for it. Raises: UsageError."""
    if not isinstance(given, str | Path) or "\0" in str(given):
        raise UsageError(f"`{given!r}` is no path", hint="name a file: `train.parquet`")
    path = Path(given)
    if not path.parent.is_dir():
        raise UsageError(
            f"there is no folder `{path.parent}` to write `{path.name}` to", hint="make it first"
        )
    if path.is_dir():
        raise UsageError(f"`{path}` is a folder", hint="name a file in it")
    return path


def write_table(frame: pl.DataFrame, path: Path, format: str) -> None:
    """Write a whole file, or leave the one that is there.

    Raises: DataError for types that the format cannot hold; Unavailable if the file cannot be written.
    """
    bytes_in = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Binary)]
    if bytes_in and format == "jsonl":
        raise DataError(
            f"jsonl cannot hold the bytes of `{bytes_in[0]}`", at=str(path), hint="write Parquet instead"
        )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if format == "parquet":
            frame.write_parquet(draft)
        elif format == "csv":
            frame.write_csv(draft)
        else:
            frame.write_ndjson(draft)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Unavailable(
            f"`{path}` cannot be written: {error.strerror or _first(error)}",
            hint="is there room on the disk, and may this user write there?",
        ) from None
    except pl.exceptions.PolarsError as error:
        draft.unlink(missing_ok=True)
        raise DataError(
            f"{format} cannot hold this table: {_first(error)}", at=str(path), hint="write Parquet instead"
        ) from None


def _read(source: Path | BytesIO, name: str, format: str, types: Mapping[str, DType] | None) -> pl.DataFrame:
    # Times are read as they are written, and cast by whoever knows what naive ones mean.
    certain = {column: dtype for column, dtype in (types or {}).items() if not dtype.is_temporal()}
    try:
        if format == "parquet":
            return pl.read_parquet(source)
        if format == "csv":
            with BytesIO(source.getvalue()) if isinstance(source, BytesIO) else open_text(source) as content:
                check_widths(content, ",", name, name)
            if isinstance(source, BytesIO):
                source.seek(0)
            overrides = {**dates_as_text(source), **certain}
            if isinstance(source, BytesIO):
                source.seek(0)
            return pl.read_csv(
                source, schema_overrides=overrides, try_parse_dates=True, infer_schema_length=10_000
            )
        return pl.read_ndjson(source, infer_schema_length=10_000)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{name} cannot be read as {format}: {_first(error)}", at=name) from None


def _first(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]
