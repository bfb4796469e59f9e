"""`gnomon serve` tells where it is asked, and what is wrong with what it was told; the rest is in tests/serve."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--workers", "0"], "--workers: 0 is too little"),
        (["--timeout", "soon"], "--timeout: `soon` is not a duration"),
        (["--tls-cert", "none.pem"], "--tls-cert: there is no file"),
        (["--host", "0.0.0.0"], "--insecure-no-auth"),
    ],
)
def test_flags_that_cannot_be_right_are_named(ask, flags, says):
    ran = ask("serve", *flags)
    assert ran.status == 2
    assert says in ran.err


def test_json_tells_where_to_ask(filled):
    command = [sys.executable, "-m", "gnomon", "serve", "--project", str(filled), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        lines = []
        while not lines or lines[-1].rstrip() != "}":
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
    told = json.loads("".join(lines))
    assert told["url"].startswith("http://127.0.0.1:")
    assert told["workers"] == 1
