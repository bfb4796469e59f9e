"""On-demand functions: their inputs, how they are found again, and when their code counts as changed."""

from __future__ import annotations

import linecache
import textwrap

import polars as pl
import pytest

import gnomon as gn
from gnomon.define.ondemand import source_hash
from gnomon.errors import DefinitionError

GROUP = gn.FeatureGroup(
    "g", entity=gn.Entity("e", keys={"k": int}), features=[gn.count(), gn.sum("x")], timestamp="t"
)
COUNT, MINUTES = GROUP["count"], gn.Request("minutes", int)


@gn.on_demand(inputs=[COUNT, MINUTES], returns={"per_minute": float}, owner="ana", tags={"a": "b"})
def per_minute(count, minutes):
    """Rows per minute."""
    return count / minutes


def plain(count):
    return count


def takes_anything(count, **options):
    return count


def test_a_declared_function_is_found_again_by_its_place():
    assert (per_minute.module, per_minute.qualname) == (__name__, "per_minute")
    assert (per_minute.ref, per_minute.name, per_minute.description) == (
        "per_minute@1",
        "per_minute",
        "Rows per minute.",
    )
    assert per_minute.input_names == ("count", "minutes")
    assert per_minute.returns == (("per_minute", pl.Float64()),)


def test_calling_it_calls_the_function():
    assert per_minute(6, minutes=3) == 2


def test_it_is_equal_to_itself_declared_again():
    again = gn.on_demand(
        inputs=[COUNT, MINUTES], returns={"per_minute": pl.Float64}, owner="ana", tags={"a": "b"}
    )(per_minute.function)
    assert again == per_minute
    assert hash(again) == hash(per_minute)


def test_options_that_are_not_inputs_may_be_taken():
    assert gn.on_demand(inputs=[COUNT], returns={"x": int})(takes_anything).input_names == ("count",)


def inner():
    def nested(count):
        return count

    return nested


@pytest.mark.parametrize(
    ("function", "given", "want"),
    [
        (plain, {"inputs": ["count"]}, ["`'count'` is not an input"]),
        (plain, {"inputs": [COUNT, MINUTES]}, ["the function takes 1 parameter, but inputs are declared: 2"]),
        (
            per_minute.function,
            {"inputs": [COUNT, COUNT]},
            ["the input `count` is named twice"],
        ),
        (plain, {"returns": {}}, ["`returns` must name at least one output"]),
        (
            plain,
            {"returns": {"a b": int, "c": "Int65"}},
            ["`Int65` is not a type", "`a b` is not a usable output name"],
        ),
        (plain, {"version": 0}, ["version 0 is not a positive whole number"]),
        (inner(), {}, ["the function cannot be imported again"]),
    ],
)
def test_what_cannot_be_meant_is_refused(function, given, want):
    with pytest.raises(DefinitionError) as caught:
        gn.on_demand(**{"inputs": [COUNT], "returns": {"x": int}, **given})(function)
    assert [p.what for p in caught.value.problems] == want
    assert all(p.at.startswith(f"on-demand {function.__name__}") for p in caught.value.problems)


def test_a_lambda_has_no_name_to_be_found_by():
    with pytest.raises(DefinitionError, match="`<lambda>` is not a usable name"):
        gn.on_demand(inputs=[COUNT], returns={"x": int})(lambda count: count)


def test_a_request_has_a_name_and_a_type():
    assert gn.Request("minutes", int) == gn.Request("minutes", pl.Int64)
    with pytest.raises(DefinitionError) as caught:
        gn.Request("a b", "Int65")
    assert [p.at for p in caught.value.problems] == ["request a b", "request a b.dtype"]


def defined(text: str, name: str = "f"):
    """The function of a source text, as if it stood in a file."""
    source = textwrap.dedent(text)
    file = f"<test {hash(source)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names: dict[str, object] = {}
    exec(compile(source, file, "exec"), names)  # noqa: S102
    return names[name]


PLAIN = "def f(a):\n    return a + 1\n"


@pytest.mark.parametrize(
    "text",
    [
        'def f(a):\n    """What it does."""\n    return a + 1\n',
        "def keep(f):\n    return f\n\n@keep\ndef f(a):\n    return a + 1\n",
        "def f(a):   \n    return a + 1   \n",
    ],
    ids=["docstring", "decorator", "spaces"],
)
def test_docstring_and_decorators_are_no_code(text):
    assert source_hash(defined(text)) == source_hash(defined(PLAIN))


@pytest.mark.parametrize(
    "text",
    ["def f(a):\n    return a + 2\n", "def f(b):\n    return b + 1\n", "def f(a=0):\n    return a + 1\n"],
)
def test_other_code_has_another_hash(text):
    assert source_hash(defined(text)) != source_hash(defined(PLAIN))


def test_a_function_without_source_is_told_by_its_compiled_code():
    names: dict[str, object] = {}
    exec(PLAIN, names)  # noqa: S102
    other: dict[str, object] = {}
    exec(PLAIN.replace("+ 1", "+ 2"), other)  # noqa: S102
    assert source_hash(names["f"]) == source_hash(names["f"]) != source_hash(other["f"])


def test_a_timeout_is_a_length_of_time_longer_than_nothing():
    assert gn.on_demand(inputs=[COUNT], returns={"x": int}, timeout="50ms")(plain).timeout == 50_000
    with pytest.raises(DefinitionError, match=r"longer than nothing - at `on-demand plain.timeout`"):
        gn.on_demand(inputs=[COUNT], returns={"x": int}, timeout=0)(plain)
    with pytest.raises(DefinitionError, match=r"`soon` is not a duration - at `on-demand plain.timeout`"):
        gn.on_demand(inputs=[COUNT], returns={"x": int}, timeout="soon")(plain)


def test_a_timeout_is_no_part_of_the_code():
    with_one = gn.on_demand(inputs=[COUNT], returns={"x": int}, timeout="50ms")(plain)
    assert with_one.source_hash == gn.on_demand(inputs=[COUNT], returns={"x": int})(plain).source_hash
