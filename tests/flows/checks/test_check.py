"""What a check makes of what it finds, and of what goes wrong."""

from __future__ import annotations

from gnomon.errors import DataError, DefinitionError, Problem
from gnomon.flows.checks.check import Check, Found, attempt, failed, some


def test_finding_is_told_as_it_is_found():
    assert attempt("disk", lambda: Found("warn", "little", "make room")) == Check(
        "disk", "warn", "little", "make room"
    )


def test_what_can_be_mended_is_only_mended_when_asked_to():
    done = []

    def mend() -> str:
        done.append(1)
        return "removed it"

    def look() -> Found:
        return Found("warn", "left over", "--fix removes it", mend)

    assert attempt("files", look) == Check("files", "warn", "left over", "--fix removes it", fixable=True)
    assert done == []
    assert attempt("files", look, fix=True) == Check("files", "ok", "removed it", fixed=True)
    assert done == [1]


def test_mending_that_fails_is_what_is_found():
    def fail() -> str:
        raise DataError("it is in use", hint="later")

    found = attempt("files", lambda: Found("warn", "left over", None, fail), fix=True)
    assert (found.level, found.found, found.hint, found.fixed) == ("error", "it is in use", "later", False)


def test_failure_that_nobody_foresaw_is_a_finding():
    def fail() -> Found:
        raise RuntimeError("strange")

    assert attempt("disk", fail).found == "RuntimeError: strange"


def test_error_with_many_problems_tells_the_first_and_how_many_more():
    error = DefinitionError([Problem("a\nin two lines", "x"), Problem("b"), Problem("c")])
    assert failed("definitions", error).found == "a - at `x` (and 2 more problems)"


def test_lists_are_short():
    assert some(["a", "b"]) == "`a`, `b`"
    assert some(list("abcde")) == "`a`, `b`, `c` and 2 more"
