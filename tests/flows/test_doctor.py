"""The examination as a whole: what is looked at, in which order, and what stands in for what. Each look: `checks/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon import config
from gnomon.cli import starter
from gnomon.flows.checks import installation
from gnomon.flows.checks.check import Check
from gnomon.flows.definitions import load_definitions
from gnomon.flows.doctor import diagnose
from gnomon.kernels import _jit
from gnomon.store import Store


@pytest.fixture(autouse=True)
def _no_old_kernels(monkeypatch):
    """What other work left on this machine is not what these tests are about."""
    monkeypatch.setattr(installation, "_others", lambda _: [])


@pytest.fixture
def shop(tmp_path) -> Path:
    folder = tmp_path / "shop"
    starter.write(folder)
    return folder


def apply(folder: Path) -> None:
    with Store(folder) as store:
        store.apply(load_definitions(config.load(folder)))


def checks(folder: Path | None, **options) -> dict[str, Check]:
    return {check.name: check for check in diagnose(folder, **options)}


def edit(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_new_project_lacks_only_what_was_not_done_yet(shop):
    found = checks(shop)
    assert [name for name, check in found.items() if check.level == "error"] == []
    assert found["registry"].hint == "`gnomon apply` registers the definitions"
    assert found["applied"].found == "not applied: 6 changes"
    assert found["online store"].hint == "`gnomon materialize` fills it"


def test_project_in_use_is_well(shop):
    apply(shop)
    with Store(shop) as store:
        store.materialize()
    assert {check.level for check in checks(shop).values()} == {"ok"}


def test_every_finding_that_is_not_well_says_what_to_do(shop):
    apply(shop)
    edit(shop / "orders.csv", "order_id,customer", "order_id,custmer")
    found = checks(shop)
    assert found["source of spending@1"].level == "error"
    assert found["source of spending@1"].hint == "did you mean `custmer`?"
    assert all(check.hint for check in found.values() if check.level != "ok")


def test_missing_source_is_an_error_of_its_own_check_only(shop):
    apply(shop)
    (shop / "orders.csv").unlink()
    found = checks(shop)
    assert found["source of last_order@1"].level == "error"
    assert found["clock"].level == "ok"


def test_definitions_that_fail_do_not_stop_the_examination(shop):
    apply(shop)
    (shop / "features.py").write_text("1 / 0")
    found = checks(shop)
    assert found["definitions"].level == "error"
    assert "ZeroDivisionError" in found["definitions"].found
    assert found["source of spending@1"].level == "ok"
    assert found["disk"].level == "ok"


def test_breaking_change_in_the_definitions_is_an_error(shop):
    apply(shop)
    edit(shop / "features.py", "amount > 100", "amount > 200")
    assert checks(shop)["applied"].hint == "`gnomon plan` tells which"


def test_unreadable_settings_end_the_examination(shop):
    (shop / "gnomon.toml").write_text("[project")
    found = checks(shop)
    assert list(found)[-1] == "project"
    assert found["project"].level == "error"


def test_store_that_cannot_be_opened_is_an_error(shop):
    edit(shop / "gnomon.toml", "lmdb://.gnomon/online", "nosuch://somewhere")
    edit(shop / "gnomon.toml", "sqlite:///.gnomon/registry.db", "sqlite:///features.py")
    found = checks(shop)
    assert found["online store"].level == "error"
    assert found["registry"].level == "error"
    assert found["source of spending@1"].level == "ok"


def test_failure_that_nobody_foresaw_is_a_finding(monkeypatch):
    def fail() -> None:
        raise RuntimeError("strange")

    monkeypatch.setattr(_jit, "cache_folder", fail)
    cache = checks(None)["kernel cache"]
    assert (cache.level, cache.found) == ("error", "RuntimeError: strange")


def test_without_a_project_the_installation_is_examined():
    assert list(checks(None)) == ["python", "packages", "kernel cache", "old kernels", "project"]
