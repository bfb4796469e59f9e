"""A digest does not depend on the order of rows, and changes with any value, also one in the wrong row."""

from __future__ import annotations

import polars as pl
import pytest

from bench.harness import differences
from bench.tables import digest
from bench.workload import START_US

FRAME = pl.DataFrame(
    {
        "user_id": [1, 2, 3, 1],
        "event_timestamp": pl.Series([START_US + i * 977 for i in range(4)]).cast(pl.Datetime("us", "UTC")),
        "x": [1.5, None, 2.5, 4.0],
        "word": ["a", "b", None, "a"],
        "flag": [True, False, True, None],
    }
)
COLUMNS = ["x", "word", "flag"]


def of(frame: pl.DataFrame) -> dict[str, tuple[float, ...]]:
    return digest(frame.to_arrow(), COLUMNS)


def test_the_order_of_rows_and_another_name_of_utc_do_not_matter() -> None:
    other = FRAME.reverse().with_columns(pl.col("event_timestamp").dt.convert_time_zone("Etc/UTC"))
    assert differences(dict(of(FRAME)), dict(of(other))) == []


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("x", [1.5, None, 4.0, 2.5]),  # two values in each other's row
        ("x", [1.5, 0.0, 2.5, 4.0]),  # a null that became zero
        ("x", [1.5, None, 2.5, 4.000001]),
        ("word", ["b", "a", None, "a"]),
        ("word", ["a", "b", None, "c"]),
        ("flag", [True, True, False, None]),
    ],
)
def test_any_other_value_shows(column: str, values: list[object]) -> None:
    other = FRAME.with_columns(pl.Series(column, values))
    assert differences(dict(of(FRAME)), dict(of(other))) == [column]


def test_a_row_too_many_shows_in_every_column() -> None:
    assert differences(dict(of(FRAME)), dict(of(pl.concat([FRAME, FRAME[:1]])))) == sorted(COLUMNS)
