"""gnomon contract: export, check."""

from __future__ import annotations

import json

import pytest

from gnomon.cli.failures import DONE, MISUSED, WRONG


@pytest.fixture
def applied(gnomon, shop):
    assert gnomon("apply", "-m", "first").status == DONE
    return shop


def test_export_writes_the_contract_and_check_finds_that_it_holds(gnomon, applied):
    exported = gnomon("contract", "export", "shop_model")
    assert exported.status == DONE
    (applied / "model.json").write_text(exported.out)
    assert exported.json["service"] == "shop_model@1"
    checked = gnomon("contract", "check", "model.json")
    assert checked.status == DONE
    assert checked.out == f"contract {exported.json['hash'][:12]} of shop_model@1: holds at revision 1\n"
    assert gnomon("contract", "check", "model.json", "--json").json["holds"] is True


def test_broken_contract_ends_with_status_1_and_names_revision_and_author(gnomon, applied):
    assert gnomon("contract", "export", "shop_model", "--out", "model.json").status == DONE
    features = applied / "features.py"
    text = features.read_text()
    features.write_text(text[: text.index("shop_model = ")])
    assert gnomon("apply", "--prune", "-m", "no model any more").status == DONE
    checked = gnomon("contract", "check", "model.json")
    assert checked.status == WRONG
    assert "missing: service `shop_model@1` was 8 features, is missing; since revision 2 by " in checked.out
    assert "no model any more" in checked.out
    assert gnomon("contract", "check", "model.json", "--json").json["breaches"][0]["revision"] == 2


def test_several_contracts_are_checked_together(gnomon, applied):
    gnomon("contract", "export", "shop_model", "-o", "a.json")
    checked = gnomon("contract", "check", "a.json", "a.json", "--json")
    assert [report["file"] for report in checked.json] == ["a.json", "a.json"]


@pytest.mark.parametrize("text", ["{", json.dumps({"format": 1}), "[]"])
def test_bad_file_is_used_wrongly(gnomon, applied, text):
    (applied / "model.json").write_text(text)
    checked = gnomon("contract", "check", "model.json")
    assert checked.status == MISUSED
    assert "`model.json` is no contract" in checked.err


def test_missing_file_and_unknown_service_are_used_wrongly(gnomon, applied):
    assert gnomon("contract", "check", "nowhere.json").status == MISUSED
    assert gnomon("contract", "export", "shop_modle").status == MISUSED
    assert gnomon("contract", "export", "shop_model", "-o", "nowhere/model.json").status == MISUSED
