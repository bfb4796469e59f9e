"""Errors become problems: a status that fits, a type that programs can tell, and the words of the error."""

from __future__ import annotations

import inspect

import pytest

from gnomon import errors
from gnomon.errors import DefinitionError, GnomonError, NotFound, Problem, Unavailable
from gnomon.serve import problems
from gnomon.serve.problems import Refused, headers_of, problem_of

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, GnomonError) and kind is not GnomonError
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status_of_its_own_choice(kind):
    told = problem_of(kind("it is so", at="there", hint="do this"))
    assert told.status != 500 or kind is errors.CorruptValue
    assert (told.detail, told.at, told.hint) == ("it is so", "there", "do this")


def test_a_problem_says_its_kind_for_programs_and_for_people():
    told = problem_of(NotFound("gone"), "id-1")
    assert (told.type, told.title, told.status) == ("urn:gnomon:not-found", "Not found", 404)
    assert told.request_id == "id-1"
    assert problem_of(Refused(429, "Too many attempts", "slowly")).type == "urn:gnomon:too-many-attempts"


def test_all_problems_of_definitions_are_told():
    told = problem_of(DefinitionError([Problem("one"), Problem("two", at="there")]))
    assert (told.detail, told.more) == ("one", ["two - at `there`"])


def test_what_may_work_later_says_when():
    assert headers_of(Unavailable("away")) == (("retry-after", "1"),)
    assert headers_of(NotFound("gone")) == ()
    assert headers_of(problems.busy("much")) == (("retry-after", "1"),)
