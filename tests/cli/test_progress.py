"""Progress on a terminal, in a log, and with --json."""

from __future__ import annotations

import pytest

from gnomon.cli.progress import following
from gnomon.events import Applied, Materialized, Progress, emit


def work(total: int, group: str = "weather@1") -> None:
    for done in range(total + 1):
        emit(Progress("materialize", group, done, total, "parts"))


def test_log_has_a_line_for_each_tenth(capsys):
    with following(as_json=False):
        work(1000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "materialize weather@1: 100 of 1,000 parts"
    assert lines[-1] == "materialize weather@1: 1,000 of 1,000 parts"


def test_small_work_has_a_line_for_each_step_and_none_if_there_is_one(capsys):
    with following(as_json=False):
        work(3)
        work(1, "other@1")
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_work_that_begins_again_is_told_again(capsys):
    with following(as_json=False):
        work(2)
        work(2)
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_log_leaves_the_end_of_a_group_to_the_result_and_tells_nothing_unknown(capsys):
    with following(as_json=False):
        emit(Materialized("weather@1", 1200, 3, 0.5))
        emit(Applied(1, 2))
        emit(Progress("materialize", "weather@1", 1, 0))  # how much there is in all is not known
    assert capsys.readouterr().err == ""


def test_json_has_no_progress(capsys):
    with following(as_json=True):
        work(10)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("total", [0, 5])
def test_terminal_has_a_bar_on_standard_error(capsys, monkeypatch, total):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with following(as_json=False):
        emit(Progress("materialize", "weather@1", min(total, 2), total, "parts"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "materialize weather@1" in shown.err
    assert "━" in shown.err


def test_terminal_is_left_alone_before_there_is_progress(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with following(as_json=False):
        emit(Materialized("weather@1", 1200, 3, 0.5))
    assert capsys.readouterr() == ("", "")


def test_nothing_is_told_after_the_work(capsys):
    with following(as_json=False):
        pass
    work(10)
    assert capsys.readouterr().err == ""
