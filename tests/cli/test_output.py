"""Text, tables and JSON of results."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from gnomon.cli import output
from gnomon.cli.output import Table, aligned, cell, plain, show_result

NOON = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (0.1, 0.1),
        (-0.0, -0.0),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (Decimal("1.20"), "1.20"),
        (b"Hi", "SGk="),
        (NOON, "2026-01-31T12:00:00.000005Z"),
        (NOON.replace(tzinfo=None), "2026-01-31T12:00:00.000005Z"),
        (date(2026, 1, 31), "2026-01-31"),
        (time(12, 30), "12:30:00"),
        (timedelta(days=2), "2d"),
        ([1.0, float("nan"), None], [1.0, "NaN", None]),
        ({"key": "a", "value": Decimal("0.5")}, {"key": "a", "value": "0.5"}),
    ],
)
def test_json_keeps_the_bits(value, written):
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == written
    assert repr(plain(value)) == repr(written)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        ("null", "null"),
        (False, "false"),
        (0.1 + 0.2, "0.30000000000000004"),
        (float("nan"), '"NaN"'),
        (b"\xff", "b'\\xff'"),
        (NOON, "2026-01-31T12:00:00.000005Z"),
        (timedelta(days=1, seconds=1), "1 day, 0:00:01"),
        (["é", None], '["é", null]'),
    ],
)
def test_cells_are_as_people_read_them(value, shown):
    assert cell(value) == shown


def test_table_is_aligned_without_blanks_at_line_ends():
    table = Table(("name", "n"), [("a", "10"), ("longer", ""), ("two\nlines", "1")])
    assert aligned(table).splitlines() == ["name       n", "a          10", "longer", "two lines  1"]


def test_json_is_one_document_and_nothing_else(capsys):
    show_result(True, {"n": 1}, "text", Table(("a",), [("b",)]))
    assert json.loads(capsys.readouterr().out) == {"n": 1}


def test_table_is_drawn_on_a_terminal_only(capsys, monkeypatch):
    table = Table(("name",), [("[red]plane[/red]",)])
    show_result(False, {}, table)
    assert capsys.readouterr().out == "name\n[red]plane[/red]\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show_result(False, {}, table)
    shown = capsys.readouterr().out
    assert "──" in shown
    assert "[red]plane[/red]" in shown  # a value is never taken for markup


def test_message_goes_to_standard_error(capsys):
    output.tell("careful")
    assert capsys.readouterr() == ("", "careful\n")
