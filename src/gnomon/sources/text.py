"""Text files: what a CSV or JSON-lines file looks like, by its first rows."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl

from gnomon.sources.widths import open_text

LOOKED_AT = 10_000
"""Rows of each text file by which types are told."""
_ISO = r"^\d{4}-\d{2}-\d{2}"
_BLANK_HEAD = 1 << 16


def is_blank(file: Path) -> bool:
    """Whether there is nothing in a text file, not even a header."""
    with open_text(file) as content:
        return not content.read(_BLANK_HEAD).strip()


def separator_of(file: Path) -> str:
    return "\t" if ".tsv" in file.name else ","


def header_of(file: Path) -> list[str]:
    """The columns of a CSV file that is not blank."""
    return pl.read_csv(file, separator=separator_of(file), n_rows=0, infer_schema=False).columns


def csv_types(file: Path) -> dict[str, pl.DataType]:
    """The columns of a CSV file with the types that its first rows tell; Null where none of them has a value."""
    separator = separator_of(file)
    looked = _first_rows(file, separator)
    types = {c.name: pl.Null() if c.null_count() == len(c) else c.dtype for c in looked.iter_columns()}
    return {**types, **_other_dates(file, separator, looked.schema)}


def jsonl_types(file: Path) -> dict[str, pl.DataType]:
    """The fields of a JSON-lines file that is not blank."""
    return dict(pl.scan_ndjson(file, infer_schema_length=LOOKED_AT).collect_schema())


def dates_as_text(file: Path | BytesIO, separator: str = ",") -> dict[str, pl.DataType]:
    """The columns of a CSV file that Polars takes for dates though they are not ISO 8601: they stay text.

    Whether 05/06 is in May or in June is nothing to guess.
    """
    schema = _first_rows(file, separator).schema
    if isinstance(file, BytesIO):
        file.seek(0)
    return _other_dates(file, separator, schema)


def _first_rows(file: Path | BytesIO, separator: str) -> pl.DataFrame:
    return pl.read_csv(
        file, separator=separator, try_parse_dates=True, n_rows=LOOKED_AT, infer_schema_length=LOOKED_AT
    )


def _other_dates(file: Path | BytesIO, separator: str, schema: pl.Schema) -> dict[str, pl.DataType]:
    found = [name for name, dtype in schema.items() if isinstance(dtype, pl.Date | pl.Datetime)]
    if not found:
        return {}
    written = pl.read_csv(file, separator=separator, columns=found, infer_schema=False, n_rows=LOOKED_AT)
    return {
        name: pl.String() for name in found if not written[name].str.strip_chars().str.contains(_ISO).all()
    }
