"""The local engine: this machine's threads, and its disk where the rows do not fit into memory.

Small data is one part. Larger data is cut by a hash of the key: the rows stream once through memory into one
file a part, and the parts are computed one after another, so that memory is bounded by the largest part.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from gnomon.abc.engine import Engine, PartFunction, Pick
from gnomon.errors import UsageError

_WORKING = 48
"""Bytes that sorting and walking need for each row, beside three copies of the row itself."""
_BATCH = 1 << 20
_SIZE = re.compile(r"([1-9]\d*)\s*(KB|MB|GB)", re.IGNORECASE)
_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9}


class LocalEngine(Engine):
    """`memory`: bytes that the rows of one part may take; None: a sixth of what the machine has free."""

    def __init__(self, memory: int | None = None) -> None:
        self.memory = memory

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """`local`, or `local://?memory=2GB`."""
        _, _, query = url.partition("?")
        if not query:
            return cls()
        name, _, value = query.partition("=")
        match = _SIZE.fullmatch(value)
        if name != "memory" or match is None:
            raise UsageError(
                f"`{query}` is no setting of the local engine", hint="such as local://?memory=2GB"
            )
        return cls(int(match[1]) * _UNITS[match[2].lower()])

    def __repr__(self) -> str:
        return f"LocalEngine(memory={self.memory})"

    def parts(self, schema: pl.Schema, expected_rows: int) -> int:
        """In how many parts rows of a schema are computed."""
        if expected_rows < 0:
            return 1
        needed = expected_rows * (_WORKING + 3 * sum(_width(dtype) for dtype in schema.dtypes()))
        return max(1, -(-needed // (self.memory or _free() // 6)))

    def newest(
        self,
        narrow: pl.LazyFrame,
        wide: pl.LazyFrame,
        columns: Sequence[pl.Expr],
        questions: pl.DataFrame,
        pick: Pick,
        *,
        expected_rows: int = -1,
    ) -> pl.DataFrame | None:
        if self.parts(narrow.collect_schema(), expected_rows) > 1:
            return None
        picked = pick(narrow.collect().rechunk(), questions)
        return None if picked is None else _fetch(wide, columns, picked)

    def run(
        self,
        rows: pl.LazyFrame,
        questions: pl.DataFrame,
        keys: Sequence[str],
        work: PartFunction,
        *,
        expected_rows: int = -1,
    ) -> pl.DataFrame:
        parts = self.parts(rows.collect_schema(), expected_rows) if keys else 1
        if parts == 1:
            # One chunk a column: gathering from many costs twice the time.
            return work(rows.collect().rechunk(), questions)
        part_of = _part(keys, parts)
        owner = questions.select(part_of).to_series().fill_null(0).to_numpy()
        done: list[pl.DataFrame] = []
        order: list[np.ndarray] = []
        with tempfile.TemporaryDirectory(prefix="gnomon-parts-") as folder:
            files = _spill(rows, part_of, parts, Path(folder))
            for part in range(parts):
                at = np.flatnonzero(owner == part)
                order.append(at)
                held = _read(files[part], rows)
                done.append(work(held, questions[at]))
                for file in files[part]:
                    file.unlink()
        return _in_order(done, np.concatenate(order))


def _fetch(wide: pl.LazyFrame, columns: Sequence[pl.Expr], picked: np.ndarray) -> pl.DataFrame | None:
    """The columns of the rows with the numbers `picked`, null for -1; None if there are fewer rows than there were.

    Stretch by stretch: of what is read, only the rows that are wanted stay.
    """
    wanted = np.zeros(int(picked.max(initial=-1)) + 1, bool)
    wanted[picked[picked >= 0]] = True
    names = [column.meta.output_name() for column in columns]
    pieces = [wide.head(0).with_columns(columns).select(names).collect()]
    for first in range(0, len(wanted), _BATCH):
        here = wanted[first : first + _BATCH]
        if here.any():
            read = wide.slice(first, len(here)).collect()
            if len(read) < len(here):
                return None
            # Not by `select` alone, in which constants have no height.
            pieces.append(read.filter(pl.Series(here)).with_columns(columns).select(names))
    place = np.cumsum(wanted) - 1
    index = pl.Series(np.where(picked < 0, -1, place[picked]) if len(place) else picked)
    if len(picked) and int(picked.min()) < 0:
        index = pl.select(pl.when(index >= 0).then(index)).to_series()
    return pl.concat(pieces).rechunk().select(pl.all().gather(index))


def _width(dtype: pl.DataType) -> int:
    return 8 if dtype.is_numeric() or dtype.is_temporal() or dtype == pl.Boolean else 24


def _free() -> int:
    """Bytes of memory that are free for use."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _part(keys: Sequence[str], parts: int) -> pl.Expr:
    """The part of a row: a hash of its key, the same for rows and questions within this process."""
    mixed = pl.col(keys[0]).hash(0)
    for i, name in enumerate(keys[1:], 1):
        mixed = mixed ^ pl.col(name).hash(i)
    return (mixed % parts).cast(pl.Int64).alias("__part_of")


def _spill(rows: pl.LazyFrame, part_of: pl.Expr, parts: int, folder: Path) -> list[list[Path]]:
    """Stream the rows into files, by part."""
    files: list[list[Path]] = [[] for _ in range(parts)]
    for number, batch in enumerate(_batches(rows)):
        for (part,), piece in (
            batch.with_columns(part_of).partition_by("__part_of", as_dict=True, include_key=False).items()
        ):
            file = folder / f"{part}-{number}.arrow"
            piece.write_ipc(file)
            files[int(part)].append(file)
    return files


def _batches(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    yield from rows.collect_batches(chunk_size=_BATCH, engine="streaming")


def _read(files: list[Path], rows: pl.LazyFrame) -> pl.DataFrame:
    """A part's rows, one chunk a column."""
    if not files:
        return pl.DataFrame(schema=rows.collect_schema())
    return pl.scan_ipc(files).collect().rechunk()


def _in_order(done: list[pl.DataFrame], order: np.ndarray) -> pl.DataFrame:
    """Parts' results in the order of the questions, column by column so that only one is there twice."""
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    index = pl.Series(back)
    columns = []
    for name in done[0].columns:
        whole = pl.concat([frame.get_column(name) for frame in done], rechunk=True)
        for i, frame in enumerate(done):
            done[i] = frame.drop(name)
        columns.append(whole.gather(index))
    return pl.DataFrame(columns)
