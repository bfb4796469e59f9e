"""key create, list, revoke; audit."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def applied(gnomon, shop):
    assert gnomon("apply", "-m", "first").status == 0
    return shop


def test_key_is_shown_once_on_standard_output_alone(gnomon, applied):
    ran = gnomon("key", "create", "--role", "writer", "--expires", "90d", "--name", "the push job")
    assert ran.status == 0
    assert re.fullmatch(r"gnm_[0-9a-f]{12}_[0-9a-f]{64}\n", ran.out)
    assert "`the push job`: writer, until 20" in ran.err
    assert "shown this once" in ran.err
    secret = ran.out.strip().rpartition("_")[2]
    assert secret not in ran.err
    for command in (["key", "list", "--all"], ["key", "list", "--json"], ["audit", "--json"]):
        assert secret not in gnomon(*command).out


def test_keys_are_listed_with_what_they_allow(gnomon, applied):
    assert gnomon("key", "list").out == "no keys\n"
    group = "spending"
    made = gnomon("key", "create", "-g", group, "--pii", "--json").json
    assert made["grants"] == [f"pii:{group}", f"reader:{group}"]
    listed = gnomon("key", "list", "--json").json["keys"]
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    assert listed[0]["state"] == "valid"
    assert made["id"] in gnomon("key", "list").out


def test_revoked_key_leaves_the_list_and_stays_in_the_whole_one(gnomon, applied):
    made = gnomon("key", "create", "--json").json
    ran = gnomon("key", "revoke", made["key"])
    assert (ran.status, f"key {made['id']}" in ran.out) == (0, True)
    assert gnomon("key", "list", "--json").json == {"keys": []}
    (kept,) = gnomon("key", "list", "--all", "--json").json["keys"]
    assert (kept["id"], kept["state"]) == (made["id"], "revoked")
    assert gnomon("key", "revoke", made["id"]).status == 0
    assert gnomon("key", "revoke", "0").status == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--role", "root"], "`root` is not a role"),
        (["--expires", "soon"], "is not a duration"),
        (["--group", "nowhere"], "`nowhere` not found"),
    ],
)
def test_key_that_cannot_be_made_is_refused(gnomon, applied, arguments, told):
    ran = gnomon("key", "create", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err


def test_audit_tells_what_became_of_keys_and_finds_it(gnomon, applied):
    assert gnomon("audit").out == "no entries\n"
    made = gnomon("key", "create", "--name", "one", "--json").json
    gnomon("key", "revoke", made["id"])
    entries = gnomon("audit", "--json").json["entries"]
    assert [(e["outcome"], e["action"]) for e in entries] == [("done", "key create"), ("done", "key revoke")]
    assert all(made["id"] in e["what"] for e in entries)
    assert len(gnomon("audit", "--action", "key revoke", "--json").json["entries"]) == 1
    ran = gnomon("audit", "--limit", "1")
    assert "key revoke" in ran.out
    assert "key create" not in ran.out
    assert "1 older entry left out" in ran.err
    assert gnomon("audit", "--since", "2100-01-01").out == "no entries\n"
    assert gnomon("audit", "--outcome", "dnied").status == 2


def test_log_that_cannot_be_written_does_not_undo_a_key(gnomon, applied):
    (applied / ".gnomon" / "audit").write_text("a file is in the way")
    ran = gnomon("key", "create")
    assert (ran.status, "audit" in ran.err) == (0, True)
    assert len(gnomon("key", "list", "--json").json["keys"]) == 1
