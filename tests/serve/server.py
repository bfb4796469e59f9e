"""A real server for tests: `gnomon serve` in a process of its own, on a free port of the loopback."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, Request, build_opener

from gnomon.demo.servers import free_port

SRC = Path(__file__).parents[2] / "src"
_START = 60.0
"""Seconds after which a server that is not ready is given up: the first one of a machine compiles kernels."""


@dataclass
class Serving:
    """A server that runs."""

    url: str
    process: subprocess.Popen[bytes]
    logs: Path
    """Its folder: `out` holds the access log, `err` what it tells of itself."""

    def access_log(self) -> list[dict[str, Any]]:
        # Not splitlines: a client's text may hold what Unicode takes for the end of a line.
        return [json.loads(line) for line in (self.logs / "out").read_text().split("\n") if line]

    def told(self) -> str:
        return (self.logs / "err").read_text()

    def end(self, seconds: float = 20.0) -> int:
        """Tell it to end, and wait; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def running(folder: Path, *flags: str, context: ssl.SSLContext | None = None) -> Iterator[Serving]:
    """A server for the project in `folder`, ready to answer. `context`: for one that speaks TLS."""
    port = free_port()
    scheme = "http" if context is None else "https"
    with tempfile.TemporaryDirectory(prefix="gnomon-server-", ignore_cleanup_errors=True) as logs:
        out, err = Path(logs, "out"), Path(logs, "err")
        command = [sys.executable, "-m", "gnomon", "serve", "--project", str(folder), "--port", str(port)]
        with out.open("wb") as into, err.open("wb") as told:
            process = subprocess.Popen(
                [*command, *flags], stdout=into, stderr=told, env=os.environ | {"PYTHONPATH": str(SRC)}
            )
        made = Serving(f"{scheme}://127.0.0.1:{port}", process, Path(logs))
        try:
            _wait(made, context)
            yield made
        finally:
            if process.poll() is None:
                try:
                    made.end()
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[str]:
    """The same; only where it is asked: `http://127.0.0.1:…`."""
    with running(folder, *flags) as server:
        yield server.url


def _wait(server: Serving, context: ssl.SSLContext | None) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end:
        assert server.process.poll() is None, f"the server ended: {server.told()}"
        try:
            if ask(server.url, "/readyz", context=context).status == 200:
                return
        except (URLError, ConnectionError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"the server does not get ready: {server.told()}")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    url: str,
    path: str,
    body: Any = None,
    *,
    method: str | None = None,
    headers: dict[str, str] | None = None,
    context: ssl.SSLContext | None = None,
    timeout: float = 30.0,
) -> Answer:
    """Ask a server. `body`: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    given = {"content-type": "application/json"} if data is not None else {}
    request = Request(url + path, data, {**given, **(headers or {})}, method=method)
    opener = build_opener(HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return Answer(answer.status, _lower(answer.headers), answer.read())
    except HTTPError as error:
        return Answer(error.code, _lower(error.headers), error.read())


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
