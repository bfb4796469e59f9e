"""An error says what, where, and what now; a wrong name is offered the nearest one."""

from __future__ import annotations

import pytest

from gnomon import errors
from gnomon.errors import (
    DefinitionError,
    GnomonError,
    Problem,
    counted,
    megabytes,
    nearest,
    not_found,
    type_of,
)


def test_an_error_is_printed_with_its_place_and_hint():
    error = errors.DataError("no time", at="spine", hint="give one")
    assert str(error) == "no time - at `spine`\n\nhint: give one"
    assert (error.what, error.at, error.hint) == ("no time", "spine", "give one")
    assert str(errors.UsageError("no time")) == "no time"


def test_all_problems_of_definitions_are_listed_by_number():
    error = DefinitionError([Problem("a is wrong", "g.features[0]"), Problem("b is wrong", hint="drop it")])
    assert str(error) == (
        "2 problems in the definitions\n\n1. a is wrong - at `g.features[0]`\n\n2. b is wrong\n   hint: drop it"
    )
    assert [p.what for p in error.problems] == ["a is wrong", "b is wrong"]
    assert error.what == "a is wrong"


def test_sizes_are_short():
    assert (megabytes(1_234_567), megabytes(2_300_000_000)) == ("1.2 MB", "2.3 GB")


def test_one_problem_is_told_without_a_number():
    assert str(DefinitionError([Problem("a is wrong")])) == str(DefinitionError("a is wrong")) == "a is wrong"


def test_every_error_of_ours_can_be_caught_as_one():
    ours = {v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)}
    assert len(ours) > 10
    assert all(issubclass(error, GnomonError | Warning) for error in ours)


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = {}
    above: list[str] = []
    for line in errors.__doc__.splitlines():
        if "─" in line or line == "GnomonError":
            name = line.lstrip("│├└─ ").split()[0]
            depth = (len(line) - len(line.lstrip("│├└─ "))) // 3
            above[depth:] = [name]
            drawn[name] = above[depth - 1] if depth else "Exception"
    classes = {v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, GnomonError)}
    assert drawn == {c.__name__: c.__bases__[0].__name__ for c in classes}


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("temp", "temp"),
        ("tmep", "temp"),
        ("TEMP", "temp"),
        ("Late_1D", "late_1d"),
        ("humidity", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case(name, want):
    assert nearest(name, ["temp", "late_1d", "x"]) == want


def test_a_missing_name_comes_with_the_nearest_or_with_a_few():
    assert not_found("Feature", "tmep", ["temp"]).hint == "did you mean `temp`?"
    assert not_found("Feature", "q", ["b", "a"]).hint == "known: `a`, `b`"
    many = [f"name{i:02}" for i in range(10)]
    assert not_found("Feature", "q", many).hint.endswith("`name07` and 2 more")
    assert not_found("Feature", "q", []).hint == "there is no feature yet"
    assert not_found("Feature", "q", [], first="make one").hint == "there is no feature yet: make one"
    assert str(not_found("Feature", "q", [], at="g")).startswith("Feature `q` not found - at `g`")


def test_counts_are_read_as_people_write_them():
    assert (counted(0, "row"), counted(1, "row"), counted(2000, "row")) == ("0 rows", "1 row", "2,000 rows")
    assert (counted(1, "entity"), counted(2, "entity"), counted(2, "key")) == (
        "1 entity",
        "2 entities",
        "2 keys",
    )


def test_types_have_their_article():
    assert (type_of(1), type_of("x"), type_of([])) == ("an int", "a str", "a list")
