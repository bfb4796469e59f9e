"""Numbers in row expressions: whatever width a file keeps, integers are Int64 and floats Float64."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.define.arithmetic import tree_of, widened
from gnomon.define.expressions import parse

LEAST, MOST = -(2**63), 2**63 - 1
NARROW = [pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64]
SCHEMA = {
    "i": pl.Int64, "small": pl.Int8, "x": pl.Float32, "b": pl.Boolean, "s": pl.String, "at": pl.Datetime("us"),
    "l": pl.List(pl.Int8), "r": pl.Struct({"a": pl.UInt8}), "price": pl.Decimal(10, 2),
}  # fmt: skip


def evaluated(text: str, **values: Any) -> pl.Series:
    """The expression over one row, as a file with these types would have it."""
    schema = {name: SCHEMA[name] for name in values}
    row = pl.DataFrame([values], schema=schema)
    return row.lazy().select(widened(parse(text), row.schema).alias("found")).collect()["found"]


@pytest.mark.parametrize("dtype", NARROW, ids=str)
@pytest.mark.parametrize(
    ("text", "want"),
    [("n + n", 200), ("-n", -100), ("n * n * n * n", 10**8), ("n - 101", -1), ("n * 1000000", 10**8), ("n", 100)],
)  # fmt: skip
def test_integers_of_every_width_are_int64(dtype, text, want):
    row = pl.DataFrame({"n": pl.Series([100], dtype=dtype)})
    found = row.select(widened(parse(text), row.schema).alias("found"))["found"]
    assert (found.dtype, found.to_list()) == (pl.Int64, [want])


def test_float32_is_float64_before_anything_is_computed():
    kept = pl.Series([0.1], dtype=pl.Float32)[0]
    assert evaluated("x * 0.1", x=0.1).to_list() == [kept * 0.1]
    assert evaluated("SQRT(x)", x=2.0).to_list() == [2.0**0.5]
    assert evaluated("CAST(i AS REAL) / 3.0", i=1).to_list() == [1 / 3]


@pytest.mark.parametrize(
    ("text", "values", "want"),
    [
        ("LENGTH(s) - 10", {"s": "abc"}, -7),
        ("STRPOS(s, 'z') - 1", {"s": "abc"}, -1),
        ("EXTRACT(MONTH FROM at) * 100", {"at": 0}, 100),
        ("ARRAY_LENGTH(l) - 3", {"l": [1]}, -2),
        ("ARRAY_GET(l, 1) * 2", {"l": [100]}, 200),
        ("r.a - 3", {"r": {"a": 1}}, -2),
        ("CAST(i AS SMALLINT) * 1000", {"i": 1000}, 10**6),
        ("ABS(small) * 2", {"small": -128}, 256),
        ("ABS(small)", {"small": -128}, 128),
        ("b + b", {"b": True}, 2),
        ("small + small AS twice", {"small": 100}, 200),
        ("CASE WHEN small > 1 THEN small + small ELSE 0 END", {"small": 100}, 200),
        ("COALESCE(small, 300)", {"small": None}, 300),
        ("POW(small, 2)", {"small": 100}, 10**4),
        ("2000000000 + 2000000000", {"i": 0}, 4 * 10**9),
        ("CAST(small AS HUGEINT) + 1", {"small": 1}, 2),
    ],
)
def test_parts_of_an_expression_are_int64_too(text, values, want):
    found = evaluated(text, **values)
    assert (found.dtype, found.to_list()) == (pl.Int64, [want])


@pytest.mark.parametrize(
    ("text", "values"),
    [("s || '!'", {"s": "a"}), ("at - at", {"at": 0}), ("price * 2", {"price": "1.5"}), ("NOT b", {"b": True}),
     ("i IN (1, 300)", {"i": 300}), ("ARRAY_TO_STRING(l, ',', '-')", {"l": [1, None]}), ("i % 3", {"i": -7}),
     ("i / 2", {"i": 7}), ("i // 2", {"i": -7}), ("TRY_CAST(s AS INT)", {"s": "x"})],
)  # fmt: skip
def test_what_is_no_narrow_number_is_left_as_polars_has_it(text, values):
    row = pl.DataFrame([values], schema={name: SCHEMA[name] for name in values})
    plain = row.select(parse(text).alias("found"))["found"]
    wide = pl.Int64() if plain.dtype.is_integer() else plain.dtype
    assert evaluated(text, **values).equals(plain.cast(wide))


@pytest.mark.parametrize(
    ("text", "i"),
    [("i + 1", MOST), ("i - 1", LEAST), ("-i", LEAST), ("i * 2", MOST // 2 + 1), ("i * i", 2**32), ("ABS(i)", LEAST),
     ("POW(i, 63)", 2), ("POW(3, i)", 40), ("i * i - i * i", 2**40), ("CAST(i AS HUGEINT) * 4", MOST),
     ("DIV(i, -1)", LEAST)],
)  # fmt: skip
def test_an_integer_beyond_int64_is_an_error(text, i):
    with pytest.raises(pl.exceptions.PolarsError):
        evaluated(text, i=i)


@pytest.mark.parametrize(
    ("text", "i", "want"),
    [("i + 1", MOST - 1, MOST), ("-i", -MOST, MOST), ("i * 2", LEAST // 2, LEAST), ("POW(i, 63)", -2, LEAST),
     ("POW(i, 62)", 2, 2**62), ("POW(3, i)", 39, 3**39)],
)  # fmt: skip
def test_the_last_integers_that_fit_are_computed(text, i, want):
    assert evaluated(text, i=i).to_list() == [want]


def test_a_column_beyond_int64_is_an_error_that_names_it():
    row = pl.DataFrame({"n": pl.Series([2**63], dtype=pl.UInt64)})
    with pytest.raises(pl.exceptions.InvalidOperationError, match=r"column 'n'.*9223372036854775808"):
        row.select(widened(parse("n > 5"), row.schema))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("CASE WHEN i < 1000 THEN i * i ELSE 0 END", [1, 0]),
        ("CASE WHEN i >= 1000 THEN -1 ELSE i * i END", [1, -1]),
        ("CASE WHEN i >= 1000 THEN -1 WHEN i * i > 5 THEN 2 ELSE i * i * i END", [1, -1]),
        ("CASE WHEN i < 1000 THEN CASE WHEN i * i > 5 THEN i * i ELSE POW(i, 9) END ELSE 1 END", [1, 1]),
        ("CASE WHEN NULL > i THEN i * i ELSE 2 END", [2, 2]),
        ("CASE WHEN i < 1000 THEN CAST(i AS TINYINT) ELSE 3 END", [1, 3]),
        ("CASE WHEN i < 1000 THEN n + 1 ELSE 4 END", [8, 4]),
    ],
)
def test_a_case_computes_only_what_is_chosen(text, want):
    rows = pl.DataFrame({"i": [1, 2**40], "n": pl.Series([7, 2**64 - 1], dtype=pl.UInt64)})
    expr = widened(parse(text), rows.schema).alias("found")
    assert rows.lazy().select(expr).collect()["found"].to_list() == want


def test_a_condition_that_is_needed_and_does_not_fit_is_an_error():
    rows = pl.DataFrame({"i": [1, 2**40]})
    with pytest.raises(pl.exceptions.InvalidOperationError):
        rows.select(widened(parse("CASE WHEN i < 2 THEN 0 WHEN i * i > 5 THEN 1 END"), rows.schema))


@given(
    st.lists(st.tuples(*[st.one_of(st.none(), st.integers(LEAST, MOST), st.integers(-(2**33), 2**33))] * 2)),
    st.sampled_from(["+", "-", "*"]),
)
def test_results_are_exact_or_refused(rows, operator):
    frame = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.Int64}, orient="row")
    count = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[operator]
    want = [None if a is None or b is None else count(a, b) for a, b in rows]
    expr = widened(parse(f"a {operator} b"), frame.schema)
    if all(value is None or LEAST <= value <= MOST for value in want):
        assert frame.select(expr.alias("found"))["found"].to_list() == want
    else:
        with pytest.raises(pl.exceptions.InvalidOperationError):
            frame.select(expr)


def test_long_chains_of_conditions_stay_small():
    text = "CASE " + " ".join(f"WHEN i + {k} = 0 THEN i * {k}" for k in range(40)) + " END"
    grown = len(str(tree_of(widened(parse(text), {"i": pl.Int64()}))))
    assert grown < 100 * len(str(tree_of(parse(text))))
