"""The answer log of a project, by its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

import gnomon as gn
from gnomon.errors import DataError


def test_answers_lie_where_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "gnomon.toml").write_text('[log]\nurl = "elsewhere"\nsample = 0.5\n')
    with gn.Store(tmp_path) as store:
        assert repr(str(tmp_path / "elsewhere")) in repr(store._proof.store)
        assert store._proof.log is not None


def test_gnomon_toml_goes_before_what_a_server_does_by_itself(tmp_path: Path) -> None:
    (tmp_path / "gnomon.toml").write_text("[log]\nsample = 0\n")
    with gn.Store(tmp_path) as store:
        store.log_answers(1.0)
        assert store._proof.log is None


def test_a_wrong_setting_is_told_when_the_store_opens(tmp_path: Path) -> None:
    (tmp_path / "gnomon.toml").write_text("[log]\nsample = 2\n")
    with pytest.raises(DataError, match=r"log\.sample"):
        gn.Store(tmp_path)
