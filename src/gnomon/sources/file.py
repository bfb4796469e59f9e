"""Files: a file, a folder or a glob of Parquet, CSV or JSON lines → rows."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from gnomon.abc.source import Part, SourceReader
from gnomon.define.source import FileSource
from gnomon.errors import DataError, nearest
from gnomon.types import DType, as_dtype

_ENDINGS = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv", ".tsv", ".csv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}


_TEXT_ROW = 40
"""Bytes that a row of a text file has at least, roughly."""


class FileReader(SourceReader):
    """Reads a `FileSource`. Paths are relative to `root`, the project's folder."""

    def __init__(self, source: FileSource, root: Path) -> None:
        self.source = source
        self.name = source.name
        self.location = str(root / source.path)
        self.files = self._find()
        self.format = source.file_format or self._format_of(self.files[0])

    def _find(self) -> list[Path]:
        path = Path(self.location)
        if path.is_dir():
            endings = _ENDINGS[self.source.format] if self.source.format else sum(_ENDINGS.values(), ())
            found = [p for p in path.rglob("*") if p.is_file() and p.name.endswith(endings)]
        elif path.is_file():
            found = [path]
        else:
            # Not Path.glob, which takes no absolute pattern.
            found = [Path(p) for p in glob.glob(self.location, recursive=True) if Path(p).is_file()]  # noqa: PTH207
        if not found:
            raise DataError(
                f"source `{self.name}`: nothing to read at `{self.source.path}`",
                at=self.location,
                hint=_missing_hint(path),
            )
        return sorted(found)

    def _format_of(self, file: Path) -> str:
        for name, endings in _ENDINGS.items():
            if file.name.endswith(endings):
                return name
        raise DataError(
            f"source `{self.name}`: cannot tell the format of `{file.name}`",
            at=self.location,
            hint='give it: format="parquet", "csv" or "jsonl"',
        )

    def _lazy(self, files: Sequence[Path], part_column: str | None) -> pl.LazyFrame:
        paths = [str(f) for f in files]
        if self.format == "parquet":
            return pl.scan_parquet(paths, include_file_paths=part_column, glob=False)
        if self.format == "csv":
            separator = "\t" if ".tsv" in files[0].name else ","
            return pl.scan_csv(
                paths,
                include_file_paths=part_column,
                glob=False,
                separator=separator,
                try_parse_dates=True,
                infer_schema_length=10_000,
            )
        return pl.scan_ndjson(paths, include_file_paths=part_column, infer_schema_length=10_000)

    def schema(self) -> dict[str, DType]:
        try:
            found = self._lazy(self.files, None).collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"source `{self.name}`: cannot read it: {error}", at=self.location) from None
        return {name: as_dtype(dtype) for name, dtype in found.items()}

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


def _missing_hint(path: Path) -> str:
    if path.parent.is_dir():
        close = nearest(path.name, [p.name for p in path.parent.iterdir()])
        if close is not None:
            return f"did you mean `{close}`?"
        return "the folder is there, the file is not"
    return f"the folder `{path.parent}` does not exist; paths are relative to the project's folder"
