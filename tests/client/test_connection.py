"""The arguments of a client: what is taken, and what is refused before anything is opened."""

from __future__ import annotations

import ssl
import sys

import pytest

import gnomon as gn
from gnomon.client.connection import read_url
from gnomon.errors import MissingDependency, UsageError


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("http://127.0.0.1:6566", "http://127.0.0.1:6566"),
        ("https://host/below/", "https://host/below"),
        ("http://[::1]:1/", "http://[::1]:1"),
    ],
)
def test_address_is_kept_without_its_last_slash(url, want):
    assert read_url(url) == want


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "host:6566",
        "/a/folder",
        "ftp://host",
        "redis://host",
        "http://",
        "http://host:x",
        "http://host:99999999",
        "http://host/?a=1",
        "http://host/#a",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(UsageError):
        read_url(url)


def test_credentials_in_a_url_are_refused_and_not_shown():
    with pytest.raises(UsageError, match="holds credentials") as told:
        read_url("https://ana:pass@host")
    assert "pass" not in str(told.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": -1}, "timeout"),
        ({"retries": 0.5}, "retries"),
        ({"connections": 0}, "connections"),
        ({"token": "two\nlines"}, "holds what no header can"),
        ({"token": "é"}, "holds what no header can"),
        ({"headers": {"x": 5}}, "holds what no header can"),
        ({"verify": "no/such/file.pem"}, "no/such/file.pem"),
    ],
)
def test_options_that_cannot_be_are_refused(options, says):
    with pytest.raises(UsageError, match=says) as told:
        gn.Client("http://127.0.0.1:1", **options)
    assert "two" not in str(told.value)


def test_a_file_without_certificates_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(UsageError, match="cannot be read as certificates"):
        gn.Client("https://127.0.0.1:1", verify=tmp_path / "ca.pem")
    with gn.Client("https://127.0.0.1:1", verify=ssl.create_default_context()):
        pass


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(MissingDependency, match="needs `httpx2`") as told:
        gn.Client("http://127.0.0.1:1")
    assert told.value.hint == "pip install 'gnomon[client]'"
