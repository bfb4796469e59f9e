"""Everything that the doctor looks at: well, and ill."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from gnomon import config
from gnomon.cli import starter
from gnomon.flows import doctor
from gnomon.flows.definitions import load_definitions
from gnomon.flows.doctor import Check, diagnose
from gnomon.kernels import _jit
from gnomon.store import Store
from gnomon.time import DAY, system_clock


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


def test_column_that_changed_its_type_is_an_error(shop):
    apply(shop)
    edit(shop / "orders.csv", "\n1001,", "\nx1001,")
    source = checks(shop)["source of spending@1"]
    assert source.level == "error"
    assert "`order_id` is String, was Int64" in source.found


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


def test_clock_behind_its_files_is_told(shop):
    late = (system_clock() + 3 * DAY) // 1_000_000
    os.utime(shop / "orders.csv", (late, late))
    clock = checks(shop)["clock"]
    assert clock.level == "warn"
    assert "before `orders.csv` was written" in clock.found


def test_clock_that_goes_backwards_is_an_error(shop):
    ticks = iter(range(2**60, 0, -1))
    assert checks(shop, clock=lambda: next(ticks))["clock"].level == "error"


@pytest.mark.parametrize(("free", "level"), [(10 << 30, "ok"), (1 << 30, "warn"), (1 << 20, "error")])
def test_little_room_is_told(shop, monkeypatch, free, level):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert checks(shop)["disk"].level == level


def test_missing_package_is_an_error_and_an_optional_one_is_not(monkeypatch):
    monkeypatch.setattr(doctor, "OPTIONAL", ("no-such-extra",))
    assert checks(None)["packages"].level == "ok"
    assert "without no-such-extra" in checks(None)["packages"].found
    monkeypatch.setattr(doctor, "PACKAGES", ("polars", "no-such-package"))
    assert checks(None)["packages"].level == "error"


def test_kernels_without_a_folder_are_a_warning(monkeypatch):
    monkeypatch.setattr(_jit, "cache_folder", lambda: None)
    assert checks(None)["kernel cache"].level == "warn"


def test_failure_that_nobody_foresaw_is_a_finding(monkeypatch):
    def fail() -> None:
        raise RuntimeError("strange")

    monkeypatch.setattr(_jit, "cache_folder", fail)
    cache = checks(None)["kernel cache"]
    assert (cache.level, cache.found) == ("error", "RuntimeError: strange")


def test_without_a_project_the_installation_is_examined():
    assert list(checks(None)) == ["python", "packages", "kernel cache", "project"]
