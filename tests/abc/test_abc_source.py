"""What all source readers share: how many rows there are, and which columns can be used."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest

from gnomon.abc.source import Part, SourceReader, usable
from gnomon.errors import DataError
from gnomon.types import DType


class Parts(SourceReader):
    name = "s"

    def __init__(self, *rows: int) -> None:
        self.rows = rows

    def schema(self) -> dict[str, DType]:
        return {}

    def parts(self) -> tuple[Part, ...]:
        return tuple(Part(f"{i}", "x", n) for i, n in enumerate(self.rows))

    def scan(
        self, columns: Sequence[str], *, parts: Sequence[Part] | None = None, part_column: str | None = None
    ) -> pl.LazyFrame:
        return pl.LazyFrame()

    def describe(self) -> str:
        return "nowhere"


@pytest.mark.parametrize(("rows", "want"), [((), 0), ((2, 3), 5), ((2, -1), -1), ((0,), 0)])
def test_rows_are_those_of_all_parts_if_each_tells(rows, want):
    assert Parts(*rows).expected_rows() == want


def test_parts_sort_by_name():
    assert sorted([Part("b", "1"), Part("a", "2", 9)]) == [Part("a", "2", 9), Part("b", "1")]


def test_types_are_those_that_definitions_know():
    found = usable({"a": pl.Categorical(), "b": pl.List(pl.Time), "c": pl.Int8()}, "s", "a.parquet")
    assert found == {"a": pl.String(), "b": pl.List(pl.Time()), "c": pl.Int8()}


def test_a_column_that_cannot_be_used_is_named():
    with pytest.raises(DataError, match="source `s`: column `b` is Int128") as caught:
        usable({"a": pl.Int8(), "b": pl.Int128()}, "s", "a.parquet")
    assert (caught.value.at, bool(caught.value.hint)) == ("a.parquet", True)
