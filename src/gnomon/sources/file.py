"""Files: a file, a folder or a glob of Parquet, CSV or JSON lines → rows."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path

import polars as pl

from gnomon.abc.source import Part, SourceReader, usable
from gnomon.define.source import FileSource
from gnomon.errors import DataError, nearest
from gnomon.types import DType

_ENDINGS = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv", ".tsv", ".csv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}


_LOOKED_AT = 1_000
"""Rows of a text file by which the form of its dates is told."""
_TEXT_ROW = 40
"""Bytes that a row of a text file has at least, roughly."""


_ISO = r"^\d{4}-\d{2}-\d{2}"


def dates_as_text(file: Path | BytesIO, separator: str = ",") -> dict[str, pl.DataType]:
    """The columns of a CSV file that Polars takes for dates though they are not ISO 8601: they stay text.

    Whether 05/06 is in May or in June is nothing to guess.
    """
    parsed = pl.read_csv(file, separator=separator, try_parse_dates=True, n_rows=_LOOKED_AT)
    found = [name for name, dtype in parsed.schema.items() if isinstance(dtype, pl.Date | pl.Datetime)]
    if not found:
        return {}
    if isinstance(file, BytesIO):
        file.seek(0)
    written = pl.read_csv(file, separator=separator, columns=found, infer_schema=False, n_rows=_LOOKED_AT)
    return {
        name: pl.String() for name in found if not written[name].str.strip_chars().str.contains(_ISO).all()
    }


class FileReader(SourceReader):
    """Reads a `FileSource`. Paths are relative to `root`, the project's folder.

    Of a folder all files in it and below count, but those that begin with `_` or `.`, by which other tools mark
    what is no data. Parquet files may have more columns than others: where they lack one, it is null.

    Raises: DataError where there is nothing to read, or files of several formats.
    """

    def __init__(self, source: FileSource, root: Path) -> None:
        self.source = source
        self.name = source.name
        self.location = str(root / source.path)
        self.files = self._find()
        self.format = source.file_format or self._format_of_all()
        self.numbered = self.format == "parquet"

    def _find(self) -> list[Path]:
        path = Path(self.location)
        if path.is_dir():
            known = self.source.file_format
            endings = _ENDINGS[known] if known else sum(_ENDINGS.values(), ())
            if (path / "_delta_log").is_dir():
                raise DataError(
                    f"source `{self.name}`: `{self.source.path}` is a Delta table, whose folder holds removed rows too",
                    at=self.location,
                    hint="write its rows to Parquet files, or insert them into a group without a source",
                )
            found = [p for p in path.rglob("*") if p.name.endswith(endings) and _is_data(p, path)]
        elif path.is_file():
            found = [path]
        else:
            names = glob.glob(self.location, recursive=True)  # noqa: PTH207 — Path.glob takes no absolute pattern
            found = [Path(name) for name in names if Path(name).is_file()]
        if not found:
            raise DataError(
                f"source `{self.name}`: nothing to read at `{self.source.path}`",
                at=self.location,
                hint=_missing_hint(path),
            )
        return sorted(found)

    def _format_of_all(self) -> str:
        first, *others = dict.fromkeys(self._format_of(file) for file in self.files)
        if others:
            raise DataError(
                f"source `{self.name}`: files of several formats: {', '.join([first, *others])}",
                at=self.location,
                hint=f'tell which of them to read: format="{first}"',
            )
        return first

    def _format_of(self, file: Path) -> str:
        for name, endings in _ENDINGS.items():
            if file.name.endswith(endings):
                return name
        raise DataError(
            f"source `{self.name}`: cannot tell the format of `{file.name}`",
            at=self.location,
            hint='give it: format="parquet", "csv" or "jsonl"',
        )

    @cached_property
    def _columns(self) -> pl.Schema:
        """The columns of all files, those of the first in front. Read from them, once."""
        try:
            if self.format != "parquet":
                return self._text(self.files, None, None).collect_schema()
            columns = pl.Schema()
            for file in self.files:
                for name, dtype in pl.read_parquet_schema(file).items():
                    columns.setdefault(name, dtype)
            return columns
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                f"source `{self.name}`: cannot read it: {error}", at=self.location, hint=self._unreadable()
            ) from None

    def _unreadable(self) -> str:
        if len(self.files) > 1 and self.format != "parquet":
            return f"all {self.format} files of a source need the same columns, in one order and of one type"
        return f"is it a {self.format} file, and whole? another format is told by format="

    def _lazy(self, files: Sequence[Path], part_column: str | None) -> pl.LazyFrame:
        paths = [str(f) for f in files]
        if self.format == "parquet":
            return pl.scan_parquet(
                paths,
                schema=self._columns,
                missing_columns="insert",
                extra_columns="ignore",
                include_file_paths=part_column,
                glob=False,
            )
        # A part is read with the types of all files, or the same row would be another one by itself.
        return self._text(files, part_column, self._columns)

    def _text(self, files: Sequence[Path], part_column: str | None, types: pl.Schema | None) -> pl.LazyFrame:
        """CSV or JSON lines; without types, what their first rows look like."""
        paths = [str(f) for f in files]
        if self.format == "csv":
            separator = "\t" if ".tsv" in files[0].name else ","
            return pl.scan_csv(
                paths,
                include_file_paths=part_column,
                glob=False,
                separator=separator,
                try_parse_dates=True,
                schema_overrides=dates_as_text(files[0], separator) if types is None else dict(types),
                infer_schema_length=10_000,
            )
        return pl.scan_ndjson(paths, include_file_paths=part_column, schema=types, infer_schema_length=10_000)

    def schema(self) -> dict[str, DType]:
        return usable(self._columns, self.name, self.location)

    def parts(self) -> tuple[Part, ...]:
        stats = [(file, file.stat()) for file in self.files]
        return tuple(Part(str(f), f"{s.st_size}-{s.st_mtime_ns}", size=s.st_size) for f, s in stats)

    def expected_rows(self) -> int:
        if self.format == "parquet":
            # From the files' footers.
            return int(self._lazy(self.files, None).select(pl.len()).collect().item())
        return sum(part.size for part in self.parts()) // _TEXT_ROW

    def scan(
        self, columns: Sequence[str], *, parts: Sequence[Part] | None = None, part_column: str | None = None
    ) -> pl.LazyFrame:
        files = self.files if parts is None else [Path(p.name) for p in parts]
        wanted = [*dict.fromkeys(columns), *([part_column] if part_column else [])]
        return self._lazy(files, part_column).select(wanted)

    def describe(self) -> str:
        many = f" ({len(self.files)} files)" if len(self.files) > 1 else ""
        return f"{self.format} at {self.source.path}{many}"


def _is_data(file: Path, folder: Path) -> bool:
    return file.is_file() and not any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts)


def _missing_hint(path: Path) -> str:
    if path.parent.is_dir():
        close = nearest(path.name, [p.name for p in path.parent.iterdir()])
        if close is not None:
            return f"did you mean `{close}`?"
        return "the folder is there, the file is not"
    return f"the folder `{path.parent}` does not exist; paths are relative to the project's folder"
