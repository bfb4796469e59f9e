"""registry export, import, replicate, history, show."""

from __future__ import annotations

import io
import json

import pytest


@pytest.fixture
def applied(gnomon, shop):
    """The shop after two revisions."""
    assert gnomon("apply", "-m", "first").status == 0
    text = (shop / "features.py").read_text()
    (shop / "features.py").write_text(text.replace("gn.Entity(", 'gn.Entity(owner="ops", name='))
    assert gnomon("apply", "-m", "another owner").status == 0
    return shop


@pytest.fixture
def other(shop, tmp_path):
    """A project without revisions."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "gnomon.toml").write_text((shop / "gnomon.toml").read_text())
    return folder


def test_export_and_import_move_all_revisions(gnomon, applied, other):
    assert gnomon("registry", "export", "all.jsonl").out == "all.jsonl: 2 revisions\n"
    ran = gnomon("registry", "import", "all.jsonl", "--dry-run", "--project", other)
    assert ran.out == "2 revisions would be imported\n"
    assert gnomon("registry", "history", "--project", other).out == "no revisions yet\n"
    ran = gnomon("registry", "import", "all.jsonl", "--json", "--project", other)
    assert ran.json == {"revisions": 2, "present": 0, "dry_run": False}
    assert gnomon("history", "--project", other).out == gnomon("history").out
    assert gnomon("list", "--project", other).out == gnomon("list").out


def test_export_goes_through_a_pipe(gnomon, applied, other, monkeypatch):
    ran = gnomon("registry", "export", "-")
    assert len(ran.out.splitlines()) == 3
    monkeypatch.setattr("sys.stdin", io.StringIO(ran.out))
    assert gnomon("registry", "import", "-", "--project", other).out == "2 revisions imported\n"


def test_import_into_another_history_is_refused(gnomon, applied, other):
    gnomon("registry", "export", "all.jsonl")
    (other / "features.py").write_text(
        'import gnomon as gn\n\nuser = gn.Entity("user", keys={"user": int})\n'
    )
    assert gnomon("apply", "--project", other).status == 0
    ran = gnomon("registry", "import", "all.jsonl", "--project", other)
    assert ran.status == 3
    assert "error: the registry's revision 1, by " in ran.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export", "features.py"], "`features.py` is there already"),
        (["export", "-", "--json"], "cannot hold the export and --json"),
        (["import", "nothing.jsonl"], "there is no file `nothing.jsonl`"),
        (["replicate"], "no replica is named"),
        (["show", "9"], "revision 9 not found"),
        (["show"], "there is no revision yet"),
    ],
)
def test_wrong_use_is_told(gnomon, shop, arguments, told):
    ran = gnomon("registry", *arguments)
    assert ran.status == 2
    assert told in ran.err


def test_show_tells_what_a_revision_changed(gnomon, applied):
    first = gnomon("registry", "show", "1", "--json").json
    assert {change["action"] for change in first["changes"]} == {"add"}
    assert first["message"] == "first"
    newest = gnomon("registry", "show")
    assert newest.out.startswith("revision 2 by ")
    assert "another owner" in newest.out
    assert "owner: " in newest.out


def test_replicate_makes_a_copy_that_servers_read(gnomon, applied, other):
    ran = gnomon("registry", "replicate", "--to", other / "copy.db")
    assert ran.status == 0
    assert ran.out.startswith("revision 2, compared 2")
    (other / "gnomon.toml").write_text('[registry]\nurl = "sqlite:///copy.db"\n')
    assert json.loads(gnomon("list", "--json", "--project", other).out) == gnomon("list", "--json").json
    (other / "features.py").write_text(
        'import gnomon as gn\n\nuser = gn.Entity("user", keys={"user": int})\n'
    )
    ran = gnomon("apply", "--project", other)
    assert ran.status == 2
    assert "only follows it" in ran.err
