"""What definitions share: how they print, how names are checked, how all problems are told at once."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any

import pytest

import gnomon as gn
from gnomon.define.base import Definition, Problems, pairs, version_of
from gnomon.errors import DefinitionError, UsageError


@dataclass(frozen=True, repr=False)
class Thing(Definition):
    name: str
    size: int = 0
    parts: tuple[Any, ...] = ()
    hidden: int = field(default=5, repr=False)


def test_only_what_differs_from_the_default_is_printed():
    assert repr(Thing("a")) == "Thing(name='a')"
    assert (
        repr(Thing("a", size=2, parts=(Thing("b"),))) == "Thing(name='a', size=2, parts=(Thing(name='b'),))"
    )


def test_a_value_of_another_type_than_the_default_is_printed():
    assert repr(Thing("a", size=False)) == "Thing(name='a', size=False)"


def test_a_notebook_shows_a_table_and_no_markup_of_the_users():
    html = Thing("<b>", parts=(Thing("b"), Thing("c")))._repr_html_()
    assert html.startswith("<table><caption>Thing</caption>")
    assert "&lt;b&gt;" in html
    assert "Thing(name=&#x27;b&#x27;)<br>Thing(name=&#x27;c&#x27;)" in html
    assert "hidden" not in html


def test_definitions_do_not_change():
    with pytest.raises(FrozenInstanceError):
        gn.Entity("a").name = "b"


@pytest.mark.parametrize("name", ["a", "_a", "A-1_b"])
def test_usable_names_have_no_problem(name):
    problems = Problems("thing")
    problems.name(name)
    problems.done()


@pytest.mark.parametrize("name", ["", "1a", "a b", "é", "a.b", "a@1", "-a", None, 5, "__a"])
def test_other_names_are_refused_with_a_hint(name):
    problems = Problems("thing")
    problems.name(name)
    assert [p.at for p in problems.found] == ["thing"]
    assert problems.found[0].hint


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.0, None])
def test_versions_count_from_one(version):
    problems = Problems("thing")
    version_of(version, problems)
    assert problems.found[0].at == "thing.version"


def test_everything_that_is_wrong_is_raised_at_once():
    problems = Problems("thing")
    problems.done()

    def fails(text):
        raise UsageError(f"{text} is wrong", hint="mend it")

    problems.add("first", at="x")
    assert problems.attempt(fails, "second", at="y") is None
    assert problems.attempt(int, "3") == 3
    with pytest.raises(DefinitionError) as caught:
        problems.done()
    told = [(p.what, p.at, p.hint) for p in caught.value.problems]
    assert told == [("first", "thing.x", None), ("second is wrong", "thing.y", "mend it")]


def test_mappings_are_pairs_in_their_own_order():
    problems = Problems("thing")
    assert pairs({"b": 1, "a": 2}, "tags", problems) == (("b", 1), ("a", 2))
    assert pairs((("b", 1),), "tags", problems) == (("b", 1),)
    assert pairs(None, "tags", problems) == ()
    assert not problems.found
    assert pairs(["a"], "tags", problems) == ()
    assert problems.found[0].what == "`tags` must be a dict, found list"


def test_a_name_is_no_longer_than_a_file_may_be_called():
    fine, long = Problems("group"), Problems("group")
    fine.name("g" * 128)
    long.name("g" * 129)
    assert not fine.found
    assert "has 129 characters" in long.found[0].what
