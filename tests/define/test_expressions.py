"""Row expressions: what one row allows, and what is refused."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon.define.expressions import columns_of, columns_read, dtype_of, parse, typed
from gnomon.errors import DefinitionError

ROW = pl.DataFrame({"x": [4.0], "name": ["abcdef"], "Filter": [2], "kind": ["Slice"]})


def value(text: str) -> object:
    return ROW.select(parse(text).alias("value"))["value"][0]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("x > 3 AND name LIKE 'a%'", True),
        ("x * 0.1", 4.0 * 0.1),
        ("COALESCE(NULL, x)", 4.0),
        ("CASE WHEN x > 5 THEN 'high' ELSE 'low' END", "low"),
        ("TRY_CAST(name AS DOUBLE)", None),
    ],
)
def test_expressions_of_one_row_are_evaluated(text, want):
    assert value(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("SUBSTR(name, 2, 3)", "bcd"),
        ("LEFT(name, 2)", "ab"),
        ("RIGHT(name, 2)", "ef"),
        ("LPAD(name, 8, '-')", "--abcdef"),
    ],
)
def test_cutting_text_is_not_taken_for_cutting_a_column(text, want):
    assert value(text) == want


def test_columns_and_texts_may_be_called_as_forbidden_nodes_are():
    assert value('"Filter" + 1') == 3
    assert value("kind = 'Slice'") is True


@pytest.mark.parametrize(
    "text", ["SUM(x)", "COUNT(*)", "MAX(x)", "SUM(x) OVER ()", "MEDIAN(x)", "ROW_NUMBER()"]
)
def test_what_sees_other_rows_is_refused(text):
    with pytest.raises(DefinitionError, match="one row"):
        parse(text)


@pytest.mark.parametrize("text", ["NOW()", "RANDOM()", "CURRENT_TIMESTAMP", "CURRENT_DATE"])
def test_what_depends_on_the_moment_or_on_chance_is_refused(text):
    with pytest.raises(DefinitionError, match="not allowed"):
        parse(text)


def test_an_unknown_function_is_refused_with_the_nearest_name():
    with pytest.raises(DefinitionError, match="did you mean `LENGTH`"):
        parse("LENGHT(name)")


def test_an_unreadable_text_is_refused():
    with pytest.raises(DefinitionError, match="cannot be read"):
        parse("x >")


def test_the_columns_that_an_expression_reads_are_told_once_and_sorted():
    assert columns_of("x > 3 AND name = 'a' OR x < 1") == ("name", "x")


def test_the_type_is_that_of_the_columns_types():
    assert dtype_of("x > 3", {"x": pl.Int64()}) == pl.Boolean()
    assert dtype_of("x * 0.5", {"x": pl.Int64()}) == pl.Float64()


def test_an_unknown_column_is_named_with_the_nearest():
    with pytest.raises(DefinitionError, match="did you mean `amount`"):
        dtype_of("amont > 1", {"amount": pl.Float64()})
    assert dtype_of("x + x", {"x": pl.Int8()}) == pl.Int64()
    assert dtype_of("x * 2", {"x": pl.Float32()}) == pl.Float64()


def test_an_unknown_column_is_refused_with_the_nearest_name():
    with pytest.raises(DefinitionError, match="column `amuont` of the expression") as caught:
        columns_read("amuont > 3", {"amount": pl.Int64()})
    assert "`amount`" in str(caught.value)


def test_types_that_do_not_go_together_are_told_by_their_columns():
    with pytest.raises(DefinitionError, match=r"does not fit its columns.*column 'x'"):
        typed("'1' + x", (("x", pl.Int64()),))


@pytest.mark.parametrize("terms", [110, 200, 2000])
def test_what_is_nested_too_deeply_is_refused(terms):
    with pytest.raises(DefinitionError, match="nested too deeply"):
        typed("+".join(["x"] * terms), (("x", pl.Int64()),))


@pytest.mark.parametrize(
    "text",
    ["+".join(["x"] * 90), "CASE " + " ".join(f"WHEN x = {i} THEN 'a{i}'" for i in range(120)) + " END"],
    ids=["sum", "case"],
)
def test_what_people_write_is_not_nested_too_deeply(text):
    found = pl.DataFrame({"x": [1]}).select(typed(text, (("x", pl.Int64()),)).alias("found"))["found"]
    assert found.to_list() in ([90], ["a1"])


def test_a_function_without_its_arguments_is_refused():
    with pytest.raises(DefinitionError, match="cannot be read"):
        parse("GREATEST()")
