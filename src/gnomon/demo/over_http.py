"""Over HTTP: a question to `gnomon serve` in a process of its own, with curl where there is one."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from gnomon import interchange
from gnomon.errors import Unavailable
from gnomon.flows.answer import OnlineFeatures
from gnomon.time import monotonic, sleep

_START = 60.0
"""Seconds after which a server that is not ready is given up."""
_JSON = "content-type: application/json"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL of a server for the project, ready to answer, for as long as the block lasts.

    Raises: Unavailable with what it told, if it does not get ready.
    """
    command = [sys.executable, "-m", "gnomon", "serve", "--project", str(folder), "--port", "0", "--json"]
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--no-access-log"], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield _ready(process, folder / "serve.log")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def _ready(process: subprocess.Popen[str], log: Path) -> str:
    """The server's URL, once it answers."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:  # the document that tells where; it ends when the server does, too
        lines.append(line)
        if line.rstrip() == "}":
            break
    end = monotonic() + _START
    url: str | None = json.loads("".join(lines) or "{}").get("url")
    while url is not None and process.poll() is None and monotonic() < end:
        try:
            with urlopen(f"{url}/readyz", timeout=5):
                return url
        except (URLError, ConnectionError):
            sleep(0.1)
    raise Unavailable(f"the server does not get ready: {log.read_text(errors='replace')[-500:]}")


def ask(url: str, question: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What asked, `curl` or `urllib`, and the answer to a question of POST /v1/online-features."""
    place, body = f"{url}/v1/online-features", json.dumps(question)
    if shutil.which("curl") is None:
        request = Request(place, body.encode(), dict([_JSON.split(": ")]))
        with urlopen(request, timeout=30) as answer:
            return "urllib", json.load(answer)
    command = ["curl", "--silent", "--show-error", place, "--header", _JSON, "--data-binary", "@-"]
    run = subprocess.run(command, input=body, capture_output=True, text=True, check=False)
    if run.returncode:
        raise Unavailable(f"curl failed: {run.stderr.strip()}")
    told: dict[str, Any] = json.loads(run.stdout)
    return "curl", told


def differing(told: Mapping[str, Any], found: OnlineFeatures) -> list[str]:
    """The features whose values over HTTP are others than those in this process; all, where there are others."""
    if told.get("features") != list(found.names):
        return list(found.names)
    rows: list[list[Any]] = told["rows"]
    differ = []
    for name, column, dtype, there in zip(
        found.names, found.columns, found.dtypes, zip(*rows, strict=True), strict=True
    ):
        write = interchange.float_text if interchange.is_float(dtype) else interchange.writer(dtype)
        here = column if write is None else interchange.written(column, write)
        if json.dumps(here) != json.dumps(list(there)):  # as text: it tells -0.0 from 0.0, and 1 from 1.0
            differ.append(name)
    return differ
