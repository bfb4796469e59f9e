"""Settings come from gnomon.toml and flags, flags first; what cannot be right is told with its line or flag."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.config import load
from gnomon.errors import DataError, UsageError
from gnomon.serve.settings import Settings, read_settings


def test_defaults_are_for_this_machine_alone():
    settings = read_settings({}, Path())
    assert settings == Settings()
    assert settings.loopback


def test_lines_of_the_file_are_read_and_flags_go_before_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PORT_OF_TEST", "localhost")
    (tmp_path / "gnomon.toml").write_text(
        '[serve]\nport = 7000\nworkers = 3\ntimeout = "500ms"\nbody_limit = "2MB"\nhost = "${PORT_OF_TEST}"\n'
        '[serve.oidc]\nissuer = "https://issuer"\n'
    )
    settings = read_settings(load(tmp_path).serve, tmp_path, workers=2, port=None)
    assert (settings.port, settings.workers, settings.timeout) == (7000, 2, 0.5)
    assert (settings.body_limit, settings.host) == (2_000_000, "localhost")
    assert settings.sections["oidc"] == {"issuer": "https://issuer"}


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"prot": 1}, "did you mean `port`"),
        ({"port": "x"}, "`serve.port`: `'x'` is not a whole number"),
        ({"port": 70000}, "at most 65535"),
        ({"workers": 0}, "at least 1"),
        ({"workers": True}, "not a whole number"),
        ({"timeout": "soon"}, "`serve.timeout`: `soon` is not a duration"),
        ({"body_limit": "big"}, "`big` is not a size"),
        ({"tls_cert": "none.pem"}, "there is no file"),
    ],
)
def test_a_line_that_cannot_be_right_is_named(section, says, tmp_path):
    with pytest.raises(DataError) as told:
        read_settings(section, tmp_path)
    assert says in str(told.value)
    assert "gnomon.toml" in str(told.value)


def test_a_flag_that_cannot_be_right_is_named(tmp_path):
    with pytest.raises(UsageError, match="--in-flight: 0 is too little"):
        read_settings({}, tmp_path, in_flight=0)


def test_half_of_tls_is_refused(tmp_path):
    (tmp_path / "c.pem").write_text("")
    with pytest.raises(UsageError, match="`tls_key` is missing"):
        read_settings({"tls_cert": "c.pem"}, tmp_path)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("box", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host, loopback):
    assert Settings(host=host).loopback is loopback


def test_contracts_are_files_that_exist(tmp_path):
    (tmp_path / "model.json").write_text("{}")
    assert read_settings({"contracts": ["model.json"]}, tmp_path).contracts == (tmp_path / "model.json",)
    with pytest.raises(UsageError, match=r"--contract: there is no file"):
        read_settings({}, tmp_path, contracts=[Path("nowhere.json")])
    with pytest.raises(DataError, match="is no list of files"):
        read_settings({"contracts": "model.json"}, tmp_path)
