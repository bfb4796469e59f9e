"""Files: a file, a folder or a glob of Parquet, CSV or JSON lines → rows."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import polars as pl

from gnomon.abc.source import EVERY_ROW, Part, SourceReader, Wanted, usable
from gnomon.define.source import FileSource
from gnomon.errors import DataError, Unavailable, nearest
from gnomon.plan.normal import as_type, days_are_times
from gnomon.sources.agree import check_fits, common_columns, common_texts
from gnomon.sources.text import csv_types, header_of, is_blank, jsonl_types, separator_of
from gnomon.sources.widths import check_widths, open_text
from gnomon.types import DType

_ENDINGS = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv", ".tsv", ".csv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}
_TEXT_ROW = 40
"""Bytes that a row of a text file has at least, roughly."""

Types = Mapping[str, DType]


class FileReader(SourceReader):
    """Reads a `FileSource`. Paths are relative to `root`, the project's folder.

    Of a folder all files in it and below count, but those that begin with `_` or `.`, by which other tools mark
    what is no data. Parquet files may differ in their columns and in the widths of their types: where a file lacks
    a column, it is null.

    Raises: DataError where there is nothing to read, or files of several formats.
    """

    def __init__(
        self, source: FileSource, root: Path, types: Types | None = None, *, may_be_empty: bool = False
    ) -> None:
        self.types = dict(types or {})
        self.may_be_empty = may_be_empty
        self.source = source
        self.name = source.name
        self.location = str(root / source.path)
        self.files = self._find()
        self.format = source.file_format or self._format_of_all()
        self.numbered = self.format == "parquet"
        self._found: dict[Path, dict[str, DType]] = {}
        self._even: set[Path] = set()
        """CSV files whose rows all have as many fields as their header."""

    # ---- which files

    def _find(self) -> list[Path]:
        path = Path(self.location)
        if "://" in self.source.path:
            raise DataError(
                f"source `{self.name}`: this release reads files of this machine, not `{self.source.path}`",
                at=self.source.path,
                hint="object stores come with the next release; until then copy or mount what lies there",
            )
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
        if not found and not (self.may_be_empty and _is_there(path)):
            raise DataError(
                f"source `{self.name}`: nothing to read at `{self.source.path}`",
                at=self.location,
                hint=_missing_hint(path),
            )
        return sorted(found)

    def _format_of_all(self) -> str:
        first, *others = dict.fromkeys(self._format_of(file) for file in self.files) or [""]
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

    # ---- columns

    def schema(self) -> dict[str, DType]:
        found = self._columns
        if not found:
            return {}
        missing = [name for name in self.types if name not in found]
        if missing and self.format != "jsonl":
            raise self._lacks(missing[0], found)
        for name, dtype in self.types.items():
            if self.format == "parquet" or not isinstance(
                dtype, pl.String
            ):  # all that stands in a text is text
                for file, own in self._own.items():
                    self._check(name, own.get(name, dtype), dtype, file)
        return {**found, **self.types}

    @cached_property
    def _own(self) -> dict[Path, dict[str, DType]]:
        """The columns of each file that has something in it."""
        return {
            file: self._look(file) for file in self.files if self.format == "parquet" or not self._blank(file)
        }

    @cached_property
    def _columns(self) -> dict[str, DType]:
        """The columns of all files, those of the first in front; none if there is nothing in any of them."""
        files = self._own
        if self.format == "csv" and files:
            self._check_headers(list(files))
            found = common_texts(files.values())
            # Text is what a file of text holds, where nothing else is told of it.
            if not all(isinstance(dtype, pl.Null) for dtype in found.values()):
                found = {n: pl.String() if isinstance(d, pl.Null) else d for n, d in found.items()}
        else:
            told = {self._short(file): columns for file, columns in files.items()}
            found = common_columns(told, self.name, self.location, given=self.types)
        return usable(found, self.name, self.location)

    def _look(self, file: Path) -> dict[str, DType]:
        """A file's own columns. Raises: DataError that names the file."""
        if file not in self._found:
            looks: dict[str, Callable[[Path], Mapping[str, DType]]] = {
                "parquet": pl.read_parquet_schema, "csv": csv_types, "jsonl": jsonl_types,
            }  # fmt: skip
            try:
                self._found[file] = dict(looks[self.format](file))
            except (pl.exceptions.PolarsError, OSError, EOFError) as error:
                raise self._unreadable(file, error) from None
        return self._found[file]

    def _blank(self, file: Path) -> bool:
        try:
            return is_blank(file)
        except (OSError, EOFError) as error:
            raise self._unreadable(file, error) from None

    def _unreadable(self, file: Path, error: Exception) -> DataError:
        reason = str(error).split("\n", maxsplit=1)[0]
        if isinstance(error, OSError) and error.strerror:
            reason, hint = error.strerror, "it must be there, and whoever runs gnomon allowed to read it"
        else:
            hint = (
                f"is it a {self.format} file, and whole? write files under another name first, and rename them when "
                "they are complete; another format is told by format="
            )
        return DataError(
            f"source `{self.name}`: cannot read `{self._short(file)}`: {reason}", at=str(file), hint=hint
        )

    def _check_headers(self, files: Sequence[Path]) -> None:
        """Raises: DataError naming two CSV files whose columns differ."""
        first, *others = files
        head = header_of(first)
        for file in others:
            if header_of(file) != head:
                raise DataError(
                    f"source `{self.name}`: columns differ: `{self._short(first)}` has {', '.join(head)}; "
                    f"`{self._short(file)}` has {', '.join(header_of(file))}",
                    at=self.location,
                    hint="all csv files of a source need the same columns, in one order",
                )

    def _lacks(self, name: str, found: Types) -> DataError:
        close = nearest(name, found)
        return DataError(
            f"source `{self.name}` has no column `{name}`, which its group has a type for",
            at=self.location,
            hint=f"did you mean `{close}`?" if close else f"columns: {', '.join(list(found)[:20])}",
        )

    def _check(self, name: str, found: DType, dtype: DType, file: Path) -> None:
        check_fits(name, found, dtype, self.name, str(file))

    def _short(self, file: Path) -> str:
        """A file's path as people know it: from the source's folder on."""
        folder = Path(self.location)
        return str(file.relative_to(folder)) if file != folder and file.is_relative_to(folder) else file.name

    # ---- parts and rows

    def parts(self) -> tuple[Part, ...]:
        return tuple(self._part(file) for file in self.files)

    def _part(self, file: Path) -> Part:
        try:
            found = file.stat()
        except OSError as error:
            raise Unavailable(
                f"source `{self.name}`: `{self._short(file)}` has gone while it was being read: {error.strerror}",
                at=str(file),
                hint="run it again when the files stay",
            ) from None
        return Part(str(file), f"{found.st_size}-{found.st_mtime_ns}", size=found.st_size)

    def expected_rows(self) -> int:
        if self.format == "parquet" and self.files:
            # From the files' footers.
            rows = pl.scan_parquet(self.files, schema={}, extra_columns="ignore", glob=False).select(pl.len())
            return int(rows.collect().item())
        return sum(part.size for part in self.parts()) // _TEXT_ROW

    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        files = self.files if parts is None else [Path(p.name) for p in parts]
        if self.format != "parquet":
            files = [file for file in files if not self._blank(file)]
        types = {name: self._type(name) for name in dict.fromkeys(columns)}
        if not files:
            return pl.LazyFrame(schema=types | ({part_column: pl.String()} if part_column else {}))
        read = {"parquet": self._parquet, "csv": self._csv, "jsonl": self._jsonl}[self.format]
        return read(files, types, part_column)

    def _type(self, name: str) -> DType:
        if name in self.types:
            return self.types[name]
        if name not in self._columns:
            raise self._lacks(name, self._columns)
        return self._columns[name]

    def _parquet(self, files: Sequence[Path], types: Types, part_column: str | None) -> pl.LazyFrame:
        """Files that hold the columns in the same types are read together."""
        for name in types:
            if not any(name in self._look(file) for file in self.files):
                raise self._lacks(name, self._columns)
        alike: dict[tuple[DType | None, ...], list[Path]] = {}
        for file in files:
            found = self._look(file)
            for name, dtype in types.items():
                self._check(name, found.get(name, dtype), dtype, file)
            alike.setdefault(tuple(found.get(name) for name in types), []).append(file)
        frames = [
            self._convert(
                pl.scan_parquet(
                    same,
                    schema={
                        name: dtype for name, dtype in zip(types, found, strict=True) if dtype is not None
                    },
                    extra_columns="ignore",
                    include_file_paths=part_column,
                    glob=False,
                ),
                dict(zip(types, found, strict=True)),
                types,
                part_column,
            )
            for found, same in alike.items()
        ]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def _csv(self, files: Sequence[Path], types: Types, part_column: str | None) -> pl.LazyFrame:
        self._check_headers(files)
        header = header_of(files[0])
        for name in types:
            if name not in header:
                raise self._lacks(name, dict.fromkeys(header, pl.Null()))
        for file in files:
            self._check_widths(file)
        # What is not asked for stays text: nobody needs to know how it looks.
        found = {name: _written(types.get(name, pl.String())) for name in header}
        rows = pl.scan_csv(
            list(files),
            include_file_paths=part_column,
            glob=False,
            separator=separator_of(files[0]),
            schema=pl.Schema(found),
        )
        return self._convert(rows, found, types, part_column)

    def _check_widths(self, file: Path) -> None:
        if file in self._even:
            return
        try:
            with open_text(file) as content:
                check_widths(
                    content, separator_of(file), f"source `{self.name}`: `{self._short(file)}`", str(file)
                )
        except (OSError, EOFError) as error:
            raise self._unreadable(file, error) from None
        self._even.add(file)

    def _jsonl(self, files: Sequence[Path], types: Types, part_column: str | None) -> pl.LazyFrame:
        found = {name: _written(dtype) for name, dtype in types.items()}
        rows = pl.scan_ndjson(list(files), include_file_paths=part_column, schema=found)
        return self._convert(rows, found, types, part_column)

    def _convert(
        self, rows: pl.LazyFrame, found: Mapping[str, DType | None], types: Types, part_column: str | None
    ) -> pl.LazyFrame:
        """The columns in their types. `found`: those in which the files hold them, None where they do not."""
        columns = [
            pl.lit(None, dtype).alias(name) if (had := found[name]) is None else self._cast(name, had, dtype)
            for name, dtype in types.items()
        ]
        return rows.select(*columns, *([part_column] if part_column else []))

    def _cast(self, name: str, found: DType, dtype: DType) -> pl.Expr:
        times = (self.source.lag, self.source.known_at)
        days = name != self.source.timestamp or days_are_times(*times)  # type: ignore[arg-type]
        return as_type(pl.col(name), found, dtype, days=days)

    def describe(self) -> str:
        many = f" ({len(self.files)} files)" if len(self.files) > 1 else ""
        return f"{self.format or 'no files'} at {self.source.path}{many}"


def _written(dtype: DType) -> DType:
    """The type in which a text file is read. Times are read as they are written: Polars' own way takes a date in a
    column of times for its midnight, without a word, and is slower.
    """
    return pl.String() if isinstance(dtype, pl.Datetime | pl.Null) else dtype


def _is_data(file: Path, folder: Path) -> bool:
    return file.is_file() and not any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts)


def _is_there(path: Path) -> bool:
    """Whether a place without files is there: a folder, or the one that a glob looks into."""
    if glob.has_magic(str(path)):
        path = next(folder for folder in path.parents if not glob.has_magic(str(folder)))
    return path.is_dir()


def _missing_hint(path: Path) -> str:
    if path.is_dir():
        return "the folder is empty; the columns and their types are told by the first files in it"
    if path.parent.is_dir():
        close = nearest(path.name, [p.name for p in path.parent.iterdir()])
        if close is not None:
            return f"did you mean `{close}`?"
        return "the folder is there, the file is not"
    return f"the folder `{path.parent}` does not exist; paths are relative to the project's folder"
