"""Conformance of source readers: inherit the class, give it `write`, `nothing` and `broken`, and tell in `VALUES`
which types the source can hold.

```python
class TestMine(SourceReaderTests):
    VALUES = {pl.Int64(): [1, None], pl.String(): ["a", None]}

    @pytest.fixture
    def write(self, tmp_path):
        def write(frame):
            put(frame, tmp_path)
            return MyReader(MySource("mine", tmp_path, timestamp="t"))

        return write
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import polars as pl
import pytest

from gnomon.abc.source import SourceReader
from gnomon.errors import DataError
from gnomon.types import DType

Write = Callable[[pl.DataFrame], SourceReader]
Open = Callable[[], SourceReader]

ROWS = pl.DataFrame(
    {"k": [1, 2, 3, 4, 5], "x": [0.5, 0.25, -1.0, 0.1, 1e300], "s": ["a", "b", "é", "d", "e"]}
)


class SourceReaderTests:
    """Fixture `write`: makes a frame the whole content of the source, and opens a reader of it; written again, it is
    other content in the same place.
    """

    VALUES: ClassVar[dict[DType, list[Any]]]
    """Type → values that come back with this type and to the bit. At least numbers and text."""

    @pytest.fixture
    def write(self) -> Write:
        raise NotImplementedError(
            "override the fixture `write` with a function that fills and opens the source"
        )

    @pytest.fixture
    def nothing(self) -> Open:
        """Opens a reader named `s` of a place where there is nothing."""
        raise NotImplementedError("override the fixture `nothing`")

    @pytest.fixture
    def broken(self) -> Open:
        """Opens a reader named `s` of something that cannot be read."""
        raise NotImplementedError("override the fixture `broken`")

    # ---- what is read

    def test_columns_are_told_in_their_order_with_their_types(self, write: Write) -> None:
        assert list(write(ROWS).schema().items()) == [
            ("k", pl.Int64()),
            ("x", pl.Float64()),
            ("s", pl.String()),
        ]

    def test_what_was_written_is_read(self, write: Write) -> None:
        assert write(ROWS).scan(["k", "x", "s"]).collect().sort("k").equals(ROWS)

    def test_only_the_columns_asked_for_come_and_in_that_order(self, write: Write) -> None:
        reader = write(ROWS)
        assert reader.scan(["s", "k"]).collect().columns == ["s", "k"]
        assert reader.scan(["k", "s", "k"]).collect().columns == ["k", "s"]

    def test_scans_are_lazy_and_can_be_filtered(self, write: Write) -> None:
        rows = write(ROWS).scan(["k", "x"])
        assert isinstance(rows, pl.LazyFrame)
        assert sorted(rows.filter(pl.col("x") < 0.5).collect()["k"]) == [2, 3, 4]

    def test_reading_again_gives_the_same_rows(self, write: Write) -> None:
        reader = write(ROWS)
        first = reader.scan(["k", "s"]).collect()
        assert reader.scan(["k", "s"]).collect().equals(first)

    def test_values_of_its_types_come_back_to_the_bit(self, write: Write) -> None:
        for dtype, values in self.VALUES.items():
            given = pl.DataFrame({"k": range(len(values)), "v": pl.Series(values, dtype=dtype, strict=True)})
            reader = write(given)
            assert reader.schema()["v"] == dtype
            back = reader.scan(["k", "v"]).collect().sort("k")
            assert back.equals(given.with_columns(pl.col("k").cast(pl.Int64))), (dtype, back["v"].to_list())
            if dtype.is_float():  # whose -0.0 equals 0.0
                bits, wanted = (f["v"].drop_nulls().to_numpy().tobytes() for f in (back, given))
                assert bits == wanted, dtype

    def test_a_source_may_have_no_rows(self, write: Write) -> None:
        reader = write(ROWS.clear())
        assert list(reader.schema()) == ROWS.columns
        empty = reader.scan(["s", "k"]).collect()
        assert (len(empty), empty.columns) == (0, ["s", "k"])

    # ---- types that are given

    def test_columns_come_in_the_types_that_they_are_given(self, write: Write) -> None:
        reader = write(ROWS).with_types({"k": pl.Float64()})
        assert reader.schema()["k"] == pl.Float64()
        read = reader.scan(["k", "s"]).collect()
        assert read.schema == {"k": pl.Float64, "s": pl.String}
        assert sorted(read["k"]) == [1.0, 2.0, 3.0, 4.0, 5.0]

    def test_a_value_that_does_not_fit_its_type_is_no_other_value(self, write: Write) -> None:
        reader = write(ROWS).with_types({"x": pl.Int64()})
        try:
            read = reader.scan(["x"]).collect()
        except (DataError, pl.exceptions.PolarsError):
            return
        raise AssertionError(f"0.5 came as {read['x'].to_list()}")

    # ---- parts

    def test_parts_have_names_of_their_own_in_order(self, write: Write) -> None:
        parts = write(ROWS).parts()
        names = [part.name for part in parts]
        assert names
        assert names == sorted(set(names))

    def test_parts_together_are_the_whole(self, write: Write) -> None:
        reader = write(ROWS)
        pieces = [reader.scan(["k", "s"], parts=[part]).collect() for part in reader.parts()]
        assert pl.concat(pieces).sort("k").equals(ROWS.select("k", "s"))

    def test_each_row_tells_its_part(self, write: Write) -> None:
        reader = write(ROWS)
        told = reader.scan(["k"], part_column="__part").collect()
        assert told.schema["__part"] == pl.String()
        for part in reader.parts():
            here = reader.scan(["k"], parts=[part]).collect()["k"]
            assert sorted(told.filter(pl.col("__part") == part.name)["k"]) == sorted(here)

    def test_a_part_that_stays_is_told_as_the_same(self, write: Write) -> None:
        reader = write(ROWS)
        assert reader.parts() == reader.parts()

    def test_other_content_is_another_part_where_the_source_can_tell(self, write: Write) -> None:
        before = {(part.name, part.etag) for part in write(ROWS).parts() if part.etag and not part.grows}
        other = ROWS.with_columns(pl.col("s") + "longer")
        after = {(part.name, part.etag) for part in write(other).parts()}
        assert not before & after

    def test_the_number_of_rows_is_about_right_where_the_source_can_tell(self, write: Write) -> None:
        reader = write(ROWS)
        rows = reader.expected_rows()
        assert rows == -1 or 0 <= rows <= 10 * len(ROWS)
        known = [part.rows for part in reader.parts()]
        assert -1 in known or sum(known) == len(ROWS)

    # ---- people

    def test_it_says_in_one_line_where_rows_come_from(self, write: Write) -> None:
        said = write(ROWS).describe()
        assert said.strip()
        assert "\n" not in said

    def test_nothing_to_read_is_told_with_name_place_and_hint(self, nothing: Open) -> None:
        with pytest.raises(DataError) as caught:
            nothing().schema()
        self._check(caught.value)

    def test_what_cannot_be_read_is_told_with_name_place_and_hint(self, broken: Open) -> None:
        with pytest.raises(DataError) as caught:
            broken().schema()
        self._check(caught.value)

    def _check(self, error: DataError) -> None:
        assert "`s`" in error.what
        assert error.at
        assert error.hint
