"""Files: a file, a folder or a glob of Parquet, CSV or JSON lines, here or in an object store → rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial

import polars as pl

from gnomon.abc.source import EVERY_ROW, Part, SourceReader, Wanted, usable
from gnomon.define.source import FileSource
from gnomon.errors import DataError, GnomonError, counted, nearest
from gnomon.plan.normal import as_type, days_are_times
from gnomon.sources.agree import check_fits, common_columns, common_texts
from gnomon.sources.places import Place
from gnomon.sources.text import csv_types, header_of, is_blank, jsonl_types, separator_of
from gnomon.sources.widths import check_widths, open_text
from gnomon.types import DType

_ENDINGS = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv", ".tsv", ".csv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}
_AT_ONCE = 16
"""Files of an object store that are looked at together."""
_TEXT_ROW = 40
"""Bytes that a row of a text file has at least, roughly."""

Types = Mapping[str, DType]


class FileReader(SourceReader):
    """Reads the files of a `FileSource` that are no table's.

    Of a folder all files in it and below count, but those that begin with `_` or `.`, by which other tools mark
    what is no data. Parquet files may differ in their columns and in the widths of their types: where a file lacks
    a column, it is null.

    Raises: DataError where there is nothing to read, or files of several formats.
    """

    def __init__(
        self,
        source: FileSource,
        place: Place,
        types: Types | None = None,
        *,
        may_be_empty: bool = False,
    ) -> None:
        self.types = dict(types or {})
        self.may_be_empty = may_be_empty
        self.source = source
        self.name = source.name
        self.place = place
        self.location = place.location
        self.files = self._find()
        self.format = source.file_format or self._format_of_all()
        self.numbered = self.format == "parquet"
        self._found: dict[str, dict[str, DType]] = {}
        self._even: set[str] = set()
        """CSV files whose rows all have as many fields as their header."""

    # ---- which files

    def _find(self) -> list[str]:
        known = self.source.file_format
        found = self.place.find(_ENDINGS[known] if known else sum(_ENDINGS.values(), ()))
        if not found and not (self.may_be_empty and self.place.is_there()):
            raise DataError(
                f"source `{self.name}`: nothing to read at `{self.source.path}`",
                at=self.location,
                hint=self.place.hint(),
            )
        return found

    def _format_of_all(self) -> str:
        first, *others = dict.fromkeys(self._format_of(file) for file in self.files) or [""]
        if others:
            raise DataError(
                f"source `{self.name}`: files of several formats: {', '.join([first, *others])}",
                at=self.location,
                hint=f'tell which of them to read: format="{first}"',
            )
        return first

    def _format_of(self, file: str) -> str:
        for name, endings in _ENDINGS.items():
            if file.endswith(endings):
                return name
        raise DataError(
            f"source `{self.name}`: cannot tell the format of `{self.place.short(file)}`",
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
    def _own(self) -> dict[str, dict[str, DType]]:
        """The columns of each file that has something in it."""
        if self.format == "parquet":
            return self._looks(self.files)
        return {file: self._look(file) for file in self.files if not self._blank(file)}

    def _looks(self, files: Sequence[str]) -> dict[str, dict[str, DType]]:
        """Each file's own columns. What is far away is asked at once."""
        if self.place.options is not None:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self._look, files))
        return {file: self._look(file) for file in files}

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
            told = {self.place.short(file): columns for file, columns in files.items()}
            found = common_columns(told, self.name, self.location, given=self.types)
        return usable(found, self.name, self.location)

    def _look(self, file: str) -> dict[str, DType]:
        """A file's own columns. Raises: DataError that names the file; Unavailable."""
        if file not in self._found:
            try:
                self._found[file] = self._look_into(file)
            except (pl.exceptions.PolarsError, OSError, EOFError) as error:
                raise self._unreadable(file, error) from None
        return self._found[file]

    def _look_into(self, file: str) -> dict[str, DType]:
        if self.format == "csv":
            return dict(csv_types(self.place.local(file)))
        if self.format == "jsonl":
            return dict(jsonl_types(self.place.local(file)))
        if self.place.options is None:
            return dict(pl.read_parquet_schema(file))
        return dict(self._open([file]).collect_schema())

    def _blank(self, file: str) -> bool:
        try:
            return is_blank(self.place.local(file))
        except (OSError, EOFError) as error:
            raise self._unreadable(file, error) from None

    def _unreadable(self, file: str, error: Exception) -> GnomonError:
        known = self.place.failure(error)
        if known is not None:
            return known
        reason = str(error).split("\n", maxsplit=1)[0]
        if isinstance(error, OSError) and error.strerror:
            reason, hint = error.strerror, "it must be there, and whoever runs gnomon allowed to read it"
        else:
            hint = (
                f"is it a {self.format} file, and whole? write files under another name first, and rename them when "
                "they are complete; another format is told by format="
            )
        return DataError(
            f"source `{self.name}`: cannot read `{self.place.short(file)}`: {reason}", at=file, hint=hint
        )

    def _check_headers(self, files: Sequence[str]) -> None:
        """Raises: DataError naming two CSV files whose columns differ."""
        first, *others = files
        head = self._header(first)
        for file in others:
            if self._header(file) != head:
                raise DataError(
                    f"source `{self.name}`: columns differ: `{self.place.short(first)}` has {', '.join(head)}; "
                    f"`{self.place.short(file)}` has {', '.join(self._header(file))}",
                    at=self.location,
                    hint="all csv files of a source need the same columns, in one order",
                )

    def _header(self, file: str) -> list[str]:
        return header_of(self.place.local(file))

    def _lacks(self, name: str, found: Types) -> DataError:
        close = nearest(name, found)
        return DataError(
            f"source `{self.name}` has no column `{name}`, which its group has a type for",
            at=self.location,
            hint=f"did you mean `{close}`?" if close else f"columns: {', '.join(list(found)[:20])}",
        )

    def _check(self, name: str, found: DType, dtype: DType, file: str) -> None:
        check_fits(name, found, dtype, self.name, file)

    # ---- parts and rows

    def parts(self) -> tuple[Part, ...]:
        return self.place.parts(self.files)

    def expected_rows(self) -> int:
        if self.format == "parquet" and self.files:
            # From the files' footers.
            return int(self._open(self.files, {}).select(pl.len()).collect().item())
        return sum(part.size for part in self.parts()) // _TEXT_ROW

    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        files = self.files if parts is None else [p.name for p in parts]
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

    def _open(
        self, files: Sequence[str], schema: Types | None = None, part_column: str | None = None
    ) -> pl.LazyFrame:
        """Parquet files; with a `schema` only its columns."""
        return pl.scan_parquet(
            list(files),
            schema=None if schema is None else dict(schema),
            extra_columns="raise" if schema is None else "ignore",
            include_file_paths=part_column,
            glob=False,
            storage_options=self.place.polars_options(),
        )

    def _parquet(self, files: Sequence[str], types: Types, part_column: str | None) -> pl.LazyFrame:
        """Files that hold the columns in the same types are read together."""
        for name in types:
            if not any(name in self._look(file) for file in self.files):
                raise self._lacks(name, self._columns)
        alike: dict[tuple[DType | None, ...], list[str]] = {}
        for file, found in self._looks(files).items():
            for name, dtype in types.items():
                self._check(name, found.get(name, dtype), dtype, file)
            alike.setdefault(tuple(found.get(name) for name in types), []).append(file)
        frames = [
            self._convert(
                self._open(
                    same,
                    {n: dtype for n, dtype in zip(types, found, strict=True) if dtype is not None},
                    part_column,
                ),
                dict(zip(types, found, strict=True)),
                types,
                part_column,
            )
            for found, same in alike.items()
        ]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def _csv(self, files: Sequence[str], types: Types, part_column: str | None) -> pl.LazyFrame:
        self._check_headers(files)
        header = self._header(files[0])
        for name in types:
            if name not in header:
                raise self._lacks(name, dict.fromkeys(header, pl.Null()))
        for file in files:
            self._check_widths(file)
        # What is not asked for stays text: nobody needs to know how it looks.
        found = {name: _written(types.get(name, pl.String())) for name in header}
        rows = pl.scan_csv(
            [self.place.local(file) for file in files],
            include_file_paths=part_column,
            glob=False,
            separator=separator_of(self.place.local(files[0])),
            schema=pl.Schema(found),
        )
        return self._convert(self._as_named(rows, files, part_column), found, types, part_column)

    def _check_widths(self, file: str) -> None:
        if file in self._even:
            return
        try:
            local = self.place.local(file)
            with open_text(local) as content:
                check_widths(
                    content, separator_of(local), f"source `{self.name}`: `{self.place.short(file)}`", file
                )
        except (OSError, EOFError) as error:
            raise self._unreadable(file, error) from None
        self._even.add(file)

    def _jsonl(self, files: Sequence[str], types: Types, part_column: str | None) -> pl.LazyFrame:
        found = {name: _written(dtype) for name, dtype in types.items()}
        local = [self.place.local(file) for file in files]
        rows = pl.scan_ndjson(local, include_file_paths=part_column, schema=found)
        return self._convert(self._as_named(rows, files, part_column), found, types, part_column)

    def _as_named(self, rows: pl.LazyFrame, files: Sequence[str], part_column: str | None) -> pl.LazyFrame:
        """Rows of copies, told to be of the files that these are copies of."""
        if self.place.options is None:
            return rows
        if part_column is not None:
            names = {str(self.place.local(file)): file for file in files}
            rows = rows.with_columns(pl.col(part_column).replace(names))
        # The copies go with the place, and so must not before the rows are read.
        return rows.map_batches(partial(_held, self.place), streamable=True)

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

    def reads(self, columns: Sequence[str], wanted: Wanted = EVERY_ROW) -> tuple[str, ...]:
        asked = f"{counted(len(set(columns)), 'column')} of {counted(len(self.files), 'file')}"
        if self.format == "parquet":
            return (f"{asked}; row groups outside the stretch of time are skipped by their statistics",)
        return (f"{asked}; text is read to its end, and filtered as it is read",)

    def failure(self, error: Exception) -> GnomonError | None:
        return self.place.failure(error)

    def describe(self) -> str:
        many = f" ({len(self.files)} files)" if len(self.files) > 1 else ""
        return f"{self.format or 'no files'} at {self.source.path}{many}"


def _held(place: Place, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows as they are. `place` is kept as long as the plan that calls this."""
    return rows


def _written(dtype: DType) -> DType:
    """The type in which a text file is read. Times are read as they are written: Polars' own way takes a date in a
    column of times for its midnight, without a word, and is slower.
    """
    return pl.String() if isinstance(dtype, pl.Datetime | pl.Null) else dtype
