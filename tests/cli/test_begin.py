"""init, demo, doctor."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon.cli import begin, late
from gnomon.flows.checks import installation


def test_new_project_runs_by_its_readme(tmp_path):
    """Each command of the README, as a person types it, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(gn.__file__).parents[1])}

    def type_in(line: str, folder: Path) -> str:
        program, *arguments = shlex.split(line)
        assert program == "gnomon"
        command = [sys.executable, "-m", program, *arguments]
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    type_in("gnomon init shop", tmp_path)
    shop = tmp_path / "shop"
    lines = [line for line in (shop / "README.md").read_text().splitlines() if line.startswith("gnomon ")]
    assert [line.split()[1] for line in lines] == ["apply", "training", "materialize", "get"]
    shown = {line.split()[1]: type_in(line, shop) for line in lines}
    training = pl.read_parquet(shop / "train.parquet")
    assert training.columns[:3] == ["customer", "event_timestamp", "basket"]
    assert len(training) == 60
    assert training["orders_30d"].sum() > 0
    assert "basket_share" in shown["get"]
    assert "PRESENT" in shown["get"]


def test_init_says_what_to_do_next(gnomon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = gnomon("init", "shop", "--json")
    assert ran.status == 0
    assert ran.json["next"][0] == "cd shop"
    assert all((tmp_path / "shop" / file).is_file() for file in ran.json["files"])


def test_init_works_in_the_folder_that_one_stands_in(gnomon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = gnomon("init", ".")
    assert ran.status == 0
    assert "cd " not in ran.out


def test_init_refuses_a_folder_in_use(gnomon, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    ran = gnomon("init", tmp_path)
    assert ran.status == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_doctor_finds_a_filled_project_well(ask):
    ran = ask("doctor", "--json")
    assert ran.status == 0
    assert ran.json["errors"] == 0
    assert {"python", "packages", "registry", "definitions", "disk"} <= {
        c["name"] for c in ran.json["checks"]
    }


def test_doctor_tells_what_to_do_and_fails_for_an_error(gnomon, shop):
    assert gnomon("apply").status == 0
    (shop / "orders.csv").unlink()
    ran = gnomon("doctor")
    assert ran.status == 1
    assert "error  source of spending@1" in ran.out
    assert "error: source of spending@1: the folder is there, the file is not" in ran.out


def test_doctor_mends_what_is_safe_when_asked_to(gnomon, shop, monkeypatch):
    monkeypatch.setattr(installation, "_others", lambda _: [])  # of this machine's own
    assert gnomon("apply").status == 0
    assert gnomon("materialize").status == 0
    with gn.Store(shop) as store:
        store._project.online.load("spending@1#99", [(b"k", b"v")])
    assert "warn: online tables: `gnomon doctor --fix` removes them" in gnomon("doctor").out
    mended = gnomon("doctor", "--fix", "--json").json
    assert mended["fixed"] >= 1
    [tables] = [check for check in mended["checks"] if check["name"] == "online tables"]
    assert (tables["level"], tables["fixed"], tables["found"]) == ("ok", True, "removed 1 table")
    assert "online tables" not in gnomon("doctor").out.partition("warn: ")[2]


def test_doctor_works_without_a_project(gnomon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = gnomon("doctor", "--json")
    assert ran.status == 0
    assert ran.json["checks"][-1]["hint"].startswith("`gnomon init DIR`")


@dataclass
class Outcome:
    folder: str
    agrees: bool


class FakeDemo:
    """The demo's interface; what it does is tested with the demo."""

    def __init__(self, agrees: bool) -> None:
        self.agrees = agrees

    def run(self, folder: Path, say) -> Outcome:
        say("1. flights")
        return Outcome(str(folder), self.agrees)


@pytest.mark.parametrize(("agrees", "status"), [(True, 0), (False, 1)])
def test_demo_that_does_not_agree_is_a_finding(gnomon, monkeypatch, agrees, status):
    monkeypatch.setattr(begin, "demonstration", FakeDemo(agrees))
    ran = gnomon("demo")
    assert ran.status == status
    assert ran.out == "1. flights\n"
    assert gnomon("demo", "--json").json["agrees"] is agrees


def test_demo_keeps_its_folder_only_when_asked(gnomon, monkeypatch, tmp_path):
    monkeypatch.setattr(begin, "demonstration", FakeDemo(True))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert not Path(gnomon("demo", "--json").json["folder"]).exists()
    assert Path(gnomon("demo", "--keep", "--json").json["folder"]).is_dir()
    assert f"kept in {tmp_path / 'here'}" in gnomon("demo", "--dir", tmp_path / "here").out


def test_demo_overwrites_nothing(gnomon, shop):
    before = (shop / "gnomon.toml").read_text()
    assert gnomon("demo", "--dir", shop).status == 2
    assert (shop / "gnomon.toml").read_text() == before


def test_demo_is_where_the_command_looks_for_it():
    assert callable(late.demo.run)
