"""The command line as a whole: help, statuses, errors, and how little it loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gnomon as gn
from gnomon.cli.main import COMMANDS, GROUPS
from gnomon.errors import ComputeError, Conflict, DataError
from gnomon.store import Store

HEAVY = (
    "deltalake",
    "duckdb",
    "llvmlite",
    "lmdb",
    "numba",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "sqlalchemy",
)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(gn.__file__).parents[1])}
ALL = [name for commands in COMMANDS.values() for name in commands]
INNER = [(name, word) for name, (_, _, commands) in GROUPS.items() for word in commands]


def in_process_of_its_own(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True)


def in_a_shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell in which `gnomon` is this one."""
    gnomon = f'gnomon() {{ "{sys.executable}" -m gnomon "$@"; }}; '
    return subprocess.run(["sh", "-c", gnomon + command], env=ENVIRONMENT, capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [["--help"], ["training", "--help"], ["get", "--bad"]])
def test_nothing_heavy_is_loaded_before_a_command_runs(arguments):
    """A count of modules, not seconds: a shared machine's clock would decide."""
    program = f"""
import sys
from gnomon.cli import main
main({arguments!r})
print("loaded:", *[name for name in {HEAVY!r} if name in sys.modules])
"""
    assert in_process_of_its_own(program).stdout.splitlines()[-1] == "loaded:"


def test_help_names_every_command_and_the_exit_statuses(gnomon):
    for ran in (gnomon(), gnomon("--help"), gnomon("-h")):
        assert ran.status == 0
        assert all(f"\n  {name} " in ran.out for name in [*ALL, *GROUPS])
        assert "1 found something wrong" in " ".join(ran.out.split())


@pytest.mark.parametrize("words", [*((name,) for name in ALL), *INNER], ids=" ".join)
def test_every_command_has_help_and_speaks_json(gnomon, words):
    ran = gnomon(*words, "--help")
    assert ran.status == 0
    assert "--json" in ran.out
    assert "--project" in ran.out


def test_help_on_a_terminal_loses_nothing(gnomon, monkeypatch):
    """Text in square brackets would be taken for markup there."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = gnomon("materialize", "--help").out
    assert "Default: all groups" in shown
    assert "Default: the nearest" in shown


def test_version_is_told(gnomon):
    assert gnomon("--version").out == f"gnomon {gn.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["lst"], ["list", "--bad"], ["show"], ["revert", "three"], ["list", "things"], ["get", "--key"]],
)
def test_wrong_use_is_status_2_and_told_on_standard_error(gnomon, shop, arguments):
    ran = gnomon(*arguments)
    assert ran.status == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert "\nhint: " in ran.err


def test_error_says_what_where_and_now_what(gnomon, shop):
    (shop / "gnomon.toml").write_text("[project]\nnme = 'x'\n")
    ran = gnomon("list")
    assert ran.status == 3
    assert ran.err.splitlines() == [
        "error: unknown key `nme` in `[project]`",
        f"  at {shop / 'gnomon.toml'}",
        "hint: did you mean `name`?",
    ]


def test_error_is_a_document_with_json(gnomon, shop):
    ran = gnomon("show", "nobody", "--json")
    assert ran.status == 2
    assert ran.json["error"]["kind"] == "NotFound"
    assert ran.json["error"]["problems"][0]["what"] == "Object `nobody` not found"
    assert "error: Object `nobody` not found" in ran.err


@pytest.mark.parametrize(
    ("error", "status"),
    [(DataError("no"), 3), (ComputeError("no"), 3), (Conflict("no"), 3), (OSError(13, "denied", "f"), 3)],
)
def test_what_fails_to_run_is_status_3(gnomon, shop, monkeypatch, error, status):
    monkeypatch.setattr(Store, "plan", raising(error))
    assert gnomon("plan").status == status


def test_unexpected_error_asks_for_a_report_and_hides_the_traceback(gnomon, shop, monkeypatch):
    monkeypatch.setattr(Store, "plan", raising(RuntimeError("surprise")))
    ran = gnomon("plan")
    assert ran.status == 3
    assert ran.err.startswith("error: unexpected RuntimeError: surprise\n  at test_main.py:")
    assert "report it" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_traceback_is_shown_for_debugging_only(gnomon, shop, monkeypatch, value, shown):
    monkeypatch.setenv("GNOMON_DEBUG", value)
    assert ("Traceback" in gnomon("show", "nobody").err) is shown


def test_interruption_is_status_130_without_words(gnomon, shop, monkeypatch):
    monkeypatch.setattr(Store, "plan", raising(KeyboardInterrupt()))
    ran = gnomon("plan")
    assert (ran.status, ran.out, ran.err) == (130, "", "")


@pytest.mark.parametrize(
    "arguments", ["list", "list --json", "--help", "get --help", "show nobody --json", "plan"]
)
def test_reader_that_has_gone_is_no_error(shop, arguments):
    """`gnomon --help | true`, made certain: the pipe's other end is closed before anything is written."""
    end, pipe = os.pipe()
    os.close(end)
    ran = subprocess.run(
        [sys.executable, "-m", "gnomon", *arguments.split()],
        stdout=pipe,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    os.close(pipe)
    message = "error: Object `nobody` not found\n" if "nobody" in arguments else ""
    assert (ran.returncode, ran.stderr.partition("hint")[0]) == (141, message)


@pytest.mark.parametrize(
    ("arguments", "status"), [("list --json", 0), ("--help", 0), ("lst", 2), ("show nobody --json", 2)]
)
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing_of_what_is_done(shop, arguments, status, closed):
    ran = in_a_shell(f"gnomon {arguments} {closed}")
    assert ran.returncode == status
    assert "Traceback" not in ran.stdout + ran.stderr


def test_file_opened_by_a_command_never_takes_the_place_of_a_closed_stream(shop):
    assert in_a_shell("gnomon apply >&- 2>&-").returncode == 0
    assert in_a_shell("gnomon show shop_model").returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("arguments", ["list", "list --json", "show nobody --json"])
def test_output_that_cannot_be_written_is_told_in_one_line(shop, arguments):
    ran = in_a_shell(f"gnomon {arguments} > /dev/full")
    assert ran.returncode == 3
    assert ran.stderr.endswith("error: standard output cannot be written: No space left on device\n")
    assert "Traceback" not in ran.stderr


def test_messages_that_nobody_reads_stop_no_work(shop):
    """`gnomon apply 2>&1 >/dev/null | true`, made certain."""
    end, pipe = os.pipe()
    os.close(end)
    command = [sys.executable, "-m", "gnomon", "materialize"]
    assert in_a_shell("gnomon apply").returncode == 0
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=pipe, text=True, env=ENVIRONMENT)
    os.close(pipe)
    assert ran.returncode == 0
    assert "600 rows" in ran.stdout


def test_project_is_the_nearest_folder_upwards(gnomon, shop, monkeypatch):
    below = shop / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert gnomon("plan", "--json").json["base"] == 0


def test_no_project_is_wrong_use(gnomon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for ran in (gnomon("list"), gnomon("list", "--project", tmp_path / "none")):
        assert ran.status == 2
        assert "gnomon init DIR" in ran.err


def raising(error: BaseException):
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
