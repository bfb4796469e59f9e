"""An exception becomes a message and an exit status."""

from __future__ import annotations

import json

import pytest
import typer

from gnomon.cli.failures import report
from gnomon.errors import (
    BreakingChange,
    Conflict,
    CorruptValue,
    DataError,
    DefinitionError,
    NotFound,
    Problem,
    Stopped,
    Unavailable,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DefinitionError("x"), 1),
        (BreakingChange("x"), 1),
        (UsageError("x"), 2),
        (NotFound("x"), 2),
        (typer.BadParameter("x"), 2),
        (DataError("x"), 3),
        (Conflict("x"), 3),
        (CorruptValue("x"), 3),
        (Stopped("x"), 3),
        (Unavailable("x"), 3),
        (PermissionError(13, "x", "file"), 3),
        (ZeroDivisionError("x"), 3),
    ],
)
def test_status_tells_whose_turn_it_is(capsys, error, status):
    assert report(error, as_json=False) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")


def test_every_problem_is_told_with_its_place_and_hint(capsys):
    report(DefinitionError([Problem("one", "a.b", "do this"), Problem("two")]), as_json=False)
    assert capsys.readouterr().err == "error: one\n  at a.b\nhint: do this\nerror: two\n"


def test_file_that_fails_is_named_and_no_mistake_of_ours(capsys):
    report(PermissionError(13, "Permission denied", "/some/file"), as_json=False)
    assert capsys.readouterr().err == "error: Permission denied\n  at /some/file\n"


def test_document_holds_every_problem(capsys):
    report(DefinitionError([Problem("one", "a.b", "do this"), Problem("two")]), as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "error": {
            "kind": "DefinitionError",
            "status": 1,
            "problems": [
                {"what": "one", "at": "a.b", "hint": "do this"},
                {"what": "two", "at": None, "hint": None},
            ],
        }
    }
