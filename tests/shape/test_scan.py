"""The scanner finds what was planted: a rule of shape that finds nothing must mean that there is nothing."""

from __future__ import annotations

import ast

import pytest

from tests.shape import scan


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ("import datetime\ndatetime.datetime.now()", "datetime.datetime.now"),
        ("import datetime as dt\nclock = dt.datetime.utcnow", "datetime.datetime.utcnow"),
        ("from datetime import datetime as d\nd.now()", "datetime.datetime.now"),
        ("from datetime import date\ndate.today()", "datetime.date.today"),
        ("import time\ntime.time()", "time.time"),
        ("from time import time_ns\nx = time_ns", "time.time_ns"),
    ],
)
def test_wall_clock_is_found_under_any_name(source, want):
    assert scan.wall_clocks(ast.parse(source)) == [(want, 2)]


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic()",
        "from gnomon import time\ntime.time()",
        "self.time.time()",
        "from datetime import datetime\ndatetime.fromisoformat(x)",
    ],
)
def test_what_does_not_tell_the_time_is_let_pass(source):
    assert scan.wall_clocks(ast.parse(source)) == []


@pytest.mark.parametrize("caught", ["", " Exception", " BaseException as e", " (OSError, Exception)"])
def test_broad_except_is_found_with_its_function(caught):
    source = f"class A:\n  def f(self):\n    try: x\n    except{caught}: y"
    assert scan.broad_excepts(ast.parse(source)) == [("A.f", 4)]


def test_named_except_is_let_pass():
    assert scan.broad_excepts(ast.parse("try: x\nexcept (OSError, ValueError): y")) == []


def test_own_import_inside_a_function_is_found():
    source = "import gnomon.a\ndef f():\n  def g():\n    from gnomon.b import c\n  import polars"
    assert scan.imports_in_functions(ast.parse(source), "gnomon") == [("gnomon.b", 4)]


def test_cycle_is_found():
    found = scan.cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert found[0] == found[-1]
    assert set(found) == {"a", "b", "c"}
    assert scan.cycle({"a": {"b", "c"}, "b": {"c"}}) == []
