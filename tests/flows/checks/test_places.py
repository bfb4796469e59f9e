"""Room on every disk that a project writes to."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from gnomon import config
from gnomon.flows.checks import places
from gnomon.flows.checks.places import local_folders, room


@pytest.mark.parametrize(("free", "level"), [(10 << 30, "ok"), (1 << 30, "warn"), (1 << 20, "error")])
def test_little_room_is_told(shop, monkeypatch, free, level):
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert room(config.load(shop)).level == level


def test_each_disk_is_looked_at_and_the_fullest_decides(shop, monkeypatch):
    full = Path(tempfile.gettempdir())
    real = places.Path.stat

    def stat(path, **options):
        """As if the folder of temporary files were a disk of its own."""
        found = real(path, **options)
        return SimpleNamespace(st_dev=-1) if path == full else found

    monkeypatch.setattr(places.Path, "stat", stat)
    monkeypatch.setattr(
        places.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20 if path == full else 1 << 40)
    )
    found = room(config.load(shop))
    assert found.level == "error"
    assert f"1.0 MB free at {full} (temporary files)" in found.text


def test_folder_that_cannot_be_written_is_an_error(shop, monkeypatch):
    monkeypatch.setattr(places.os, "access", lambda *_: False)
    assert (room(config.load(shop)).level, "cannot be written" in room(config.load(shop)).text) == (
        "error",
        True,
    )


def test_stores_on_servers_are_no_folders_and_missing_ones_lie_in_what_is_there(shop):
    chosen = config.load(shop, online="redis://host/0", offline="s3://bucket/rows")
    assert local_folders(chosen).keys() == {"the project", "temporary files", "compiled kernels"}
    chosen = config.load(shop, online="lmdb://.gnomon/online?size=1", offline="not/yet/there")
    found = local_folders(chosen)
    assert (found["the online store"], found["the offline store"]) == (shop / ".gnomon" / "online", shop)
