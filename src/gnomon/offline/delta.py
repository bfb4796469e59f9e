"""Delta tables through delta-rs: ACID appends and time travel; every other tool can read them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import polars as pl
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from gnomon.abc.offline import Committed, OfflineStore
from gnomon.abc.source import Part
from gnomon.errors import Gone, NotFound, Unavailable, UsageError, counted
from gnomon.locks import locked
from gnomon.offline.storable import restore, storable, store
from gnomon.types import DType, as_dtype

_NOTE = "gnomon."
"""Before the names of notes, which stand in the log among others' entries."""
_SAFE = re.compile(r"[A-Za-z0-9_@\-]+")
# LZ4 costs some more bytes than Zstandard and is read at twice the speed.
_WRITER = WriterProperties(compression="LZ4_RAW", max_row_group_size=1 << 18)


class DeltaStore(OfflineStore):
    """Tables as folders of a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        path = url.removeprefix("delta://").removeprefix("file://")
        return cls(root / path)

    def __repr__(self) -> str:
        return f"DeltaStore({str(self.folder)!r})"

    def _path(self, table: str) -> Path:
        if not _SAFE.fullmatch(table):
            raise UsageError(f"`{table}` cannot be a table's name")
        return self.folder / table

    def _open(self, table: str, version: int | None = None) -> DeltaTable | None:
        try:
            opened = DeltaTable(str(self._path(table)))
            if version is not None:
                newest = int(opened.version())
                if not 0 <= version <= newest:
                    raise NotFound(
                        f"the table `{table}` has no version {version}", hint=f"its newest is {newest}"
                    )
                opened.load_as_version(version)
            return opened
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            if not self._path(table).is_dir():
                return None  # another process has just given it another name
            raise Unavailable(
                f"the table `{table}` cannot be read: {error}",
                at=str(self._path(table)),
                hint="if it stays so, its log is damaged: bring the folder back from a copy",
            ) from None

    def append(self, table: str, frame: pl.DataFrame, *, note: Mapping[str, str] | None = None) -> int:
        path = self._path(table)
        plain = frame.select(store(pl.col(n), d).alias(n) for n, d in frame.schema.items())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_deltalake(
                str(path),
                plain,
                mode="append",
                schema_mode="merge",
                writer_properties=_WRITER,
                commit_properties=CommitProperties(
                    custom_metadata={_NOTE + k: v for k, v in (note or {}).items()}
                ),
            )
        except (DeltaError, OSError) as error:
            raise Unavailable(
                f"writing to the table `{table}` failed: {error}",
                at=str(path),
                hint="is there room on the disk, and may this user write there?",
            ) from None
        written = self._open(table)
        assert written is not None
        return int(written.version())

    def writing(self, table: str) -> AbstractContextManager[None]:
        return locked(self.folder / f"{self._path(table).name}.lock")

    def version(self, table: str) -> int | None:
        opened = self._open(table)
        return None if opened is None else int(opened.version())

    def history(self, table: str) -> tuple[Committed, ...]:
        opened = self._open(table)
        if opened is None:
            return ()
        commits = []
        for entry in reversed(opened.history()):
            metrics: dict[str, Any] = entry.get("operationMetrics", {})
            notes = {k.removeprefix(_NOTE): str(v) for k, v in entry.items() if k.startswith(_NOTE)}
            commits.append(
                Committed(
                    version=int(entry["version"]),
                    rows=int(metrics.get("num_added_rows", 0)),
                    time=int(entry["timestamp"]) * 1000,
                    note=notes,
                )
            )
        return tuple(commits)

    def schema(self, table: str) -> dict[str, DType]:
        opened = self._open(table)
        if opened is None:
            return {}
        empty = pl.DataFrame(opened.schema().to_arrow().empty_table())
        return {name: as_dtype(dtype) for name, dtype in empty.schema.items()}

    def parts(self, table: str, version: int | None = None) -> tuple[Part, ...]:
        opened = self._open(table, version)
        if opened is None:
            return ()
        actions = pl.DataFrame(opened.get_add_actions(flatten=True))
        base = str(self._path(table))
        return tuple(
            sorted(
                Part(f"{base}/{row['path']}", row["path"], row.get("num_records") or -1, row["size_bytes"])
                for row in actions.to_dicts()
            )
        )

    def scan(
        self,
        table: str,
        columns: Mapping[str, DType],
        *,
        parts: Sequence[Part] | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        files = [p.name for p in (self.parts(table, version) if parts is None else parts)]
        if not files:
            return pl.LazyFrame(schema=dict(columns))
        self._check_present(table, files)
        stored = {name: storable(dtype) for name, dtype in columns.items()}
        frame = pl.scan_parquet(
            files, schema=stored, missing_columns="insert", extra_columns="ignore", glob=False
        )
        return frame.select(restore(pl.col(n), d).alias(n) for n, d in columns.items())

    def _check_present(self, table: str, files: Sequence[str]) -> None:
        """Polars would tell of a missing file only while it reads, and of no table."""
        missing = [file for file in files if not Path(file).is_file()]
        if missing:
            raise Gone(
                f"the table `{table}` lacks {counted(len(missing), 'file')}",
                at=missing[0],
                hint="perhaps a vacuum removed them: bring them back from a copy, or insert the rows again",
            )

    def tables(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if (p / "_delta_log").is_dir())

    def rename(self, table: str, name: str) -> bool:
        old, new = self._path(table), self._path(name)
        if not old.is_dir() or new.exists():
            return False
        old.rename(new)
        return True

    def drop(self, table: str) -> None:
        shutil.rmtree(self._path(table), ignore_errors=True)
