"""The conformance class finds what it is there for: one wrong reader for each promise."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

import polars as pl
import pytest

import gnomon as gn
from gnomon.abc.source import EVERY_ROW, Part, Wanted
from gnomon.errors import DataError
from gnomon.sources.file import FileReader
from gnomon.sources.kinds import place_of
from gnomon.testing.source import SourceReaderTests
from gnomon.types import DType


class Conformance(SourceReaderTests):
    VALUES = {pl.Float64(): [0.1, -0.0, None], pl.UInt8(): [1, 255]}  # noqa: RUF012


class SortsColumns(FileReader):
    def schema(self) -> dict[str, DType]:
        return dict(sorted(super().schema().items()))


class GivesEveryColumn(FileReader):
    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        return super().scan(sorted(columns), parts=parts, part_column=part_column, wanted=wanted)


class LosesNegativeZero(FileReader):
    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        floats = pl.col(pl.Float64)
        plain = pl.when(floats == 0).then(0.0).otherwise(floats).name.keep()
        return super().scan(columns, parts=parts, part_column=part_column, wanted=wanted).with_columns(plain)


class Widens(FileReader):
    def schema(self) -> dict[str, DType]:
        return {n: pl.Int64() if d.is_integer() else d for n, d in super().schema().items()}


class IgnoresParts(FileReader):
    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        return super().scan(columns, part_column=part_column, wanted=wanted)


class NamesPartsByNumber(FileReader):
    def parts(self) -> tuple[Part, ...]:
        return tuple(replace(part, name=str(i)) for i, part in enumerate(super().parts()))

    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        chosen = (
            None if parts is None else [super(NamesPartsByNumber, self).parts()[int(p.name)] for p in parts]
        )
        return super().scan(columns, parts=chosen, part_column=part_column, wanted=wanted)


class IgnoresTypes(FileReader):
    def with_types(self, types: Mapping[str, DType]) -> Self:
        return self


class CutsFractions(FileReader):
    def with_types(self, types: Mapping[str, DType]) -> Self:
        self.given = types
        return self

    def scan(
        self,
        columns: Sequence[str],
        *,
        parts: Sequence[Part] | None = None,
        part_column: str | None = None,
        wanted: Wanted = EVERY_ROW,
    ) -> pl.LazyFrame:
        return (
            super()
            .scan(columns, parts=parts, part_column=part_column, wanted=wanted)
            .cast(dict(self.given), strict=False)
        )


class TagsByTime(FileReader):
    ticks = itertools.count()

    def parts(self) -> tuple[Part, ...]:
        return tuple(replace(part, etag=f"{next(self.ticks)}") for part in super().parts())


class TagsByName(FileReader):
    def parts(self) -> tuple[Part, ...]:
        return tuple(replace(part, etag="same") for part in super().parts())


class ReversesParts(FileReader):
    def parts(self) -> tuple[Part, ...]:
        return super().parts()[::-1]


class GuessesRows(FileReader):
    def expected_rows(self) -> int:
        return 1_000_000


class SaysNothing(FileReader):
    def describe(self) -> str:
        return ""


@pytest.fixture
def run(tmp_path):
    """Run one test of the class with a kind of reader."""

    def run(kind: type[FileReader], test: str) -> None:
        folder = tmp_path / kind.__name__

        def write(frame: pl.DataFrame) -> FileReader:
            (folder / "rows").mkdir(parents=True, exist_ok=True)
            for i in range(2):
                frame[i::2].write_parquet(folder / "rows" / f"{i}.parquet")
            source = gn.FileSource("s", "rows", timestamp="t")
            return kind(source, place_of(source, folder, {}))

        getattr(Conformance(), test)(write)

    return run


@pytest.mark.parametrize(
    ("wrong", "found_by"),
    [
        (SortsColumns, "test_columns_are_told_in_their_order_with_their_types"),
        (GivesEveryColumn, "test_only_the_columns_asked_for_come_and_in_that_order"),
        (LosesNegativeZero, "test_values_of_its_types_come_back_to_the_bit"),
        (Widens, "test_values_of_its_types_come_back_to_the_bit"),
        (IgnoresParts, "test_parts_together_are_the_whole"),
        (NamesPartsByNumber, "test_each_row_tells_its_part"),
        (IgnoresTypes, "test_columns_come_in_the_types_that_they_are_given"),
        (CutsFractions, "test_a_value_that_does_not_fit_its_type_is_no_other_value"),
        (TagsByTime, "test_a_part_that_stays_is_told_as_the_same"),
        (TagsByName, "test_other_content_is_another_part_where_the_source_can_tell"),
        (ReversesParts, "test_parts_have_names_of_their_own_in_order"),
        (GuessesRows, "test_the_number_of_rows_is_about_right_where_the_source_can_tell"),
        (SaysNothing, "test_it_says_in_one_line_where_rows_come_from"),
    ],
)
def test_a_wrong_reader_is_found(run, wrong, found_by):
    run(FileReader, found_by)
    with pytest.raises(AssertionError):
        run(wrong, found_by)


@pytest.mark.parametrize(
    "error",
    [DataError("nothing there"), DataError("`s`: nothing", at="x"), DataError("`s`: nothing", hint="x")],
)
def test_an_error_without_name_place_or_hint_is_found(error):
    def opens() -> FileReader:
        raise error

    with pytest.raises(AssertionError):
        Conformance().test_nothing_to_read_is_told_with_name_place_and_hint(opens)
