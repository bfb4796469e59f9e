"""The audit log: lines that are only added, never waited for, and counted where they are lost."""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from gnomon.flows.access import audit
from gnomon.flows.access.audit import AuditLog, Found, Wanted, read_log
from tests.flows.small import Clock


@pytest.fixture
def clock():
    return Clock()


def denied(log, who="key a", **more):
    return log.record("denied", who, "read", "POST /v1/online-features", status=403, **more)


def test_entries_are_read_as_they_were_recorded(tmp_path, clock):
    with AuditLog(tmp_path / "deep" / "audit", clock=clock) as log:
        assert denied(log, objects=["weather@1"], why="reader:weather", address="::1", request_id="r1")
        assert log.record("done", "key „ü“", "write", "POST /v1/push/clicks")
    first, second = read_log(tmp_path / "deep" / "audit").entries
    assert (first.outcome, first.status, first.objects, first.why) == (
        "denied",
        403,
        ("weather@1",),
        "reader:weather",
    )
    assert (first.address, first.request_id, first.instant) == ("::1", "r1", clock())
    assert (second.who, second.status, second.address) == ("key „ü“", 0, "")


def test_no_log_is_an_empty_one(tmp_path):
    assert read_log(tmp_path / "none") == Found(())


def test_file_that_is_full_is_followed_by_another_and_stays(tmp_path, clock):
    with AuditLog(tmp_path, clock=clock, file_bytes=300) as log:
        for i in range(20):
            denied(log, who=f"key {i}")
    files = list(tmp_path.glob("*.jsonl"))
    assert len(files) > 3
    assert all(path.stat().st_size < 600 for path in files)
    assert {e.who for e in read_log(tmp_path).entries} == {f"key {i}" for i in range(20)}


def test_log_is_read_by_its_owner_alone(tmp_path):
    with AuditLog(tmp_path) as log:
        denied(log)
    (path,) = tmp_path.glob("*.jsonl")
    assert path.stat().st_mode & 0o077 == 0


def test_entries_are_found_by_what_they_tell(tmp_path, clock):
    with AuditLog(tmp_path, clock=clock) as log:
        denied(log, who="key a", objects=["weather@1"])
        clock.now += timedelta(seconds=1)
        log.record("done", "oidc ana", "write", "POST /v1/push/clicks", objects=["visits@2"])
        clock.now += timedelta(seconds=1)
        log.record("failed", "key a", "write", "POST /v1/push/clicks", objects=["visits@2"])
    whole = read_log(tmp_path).entries
    times = [entry.instant for entry in whole]

    def found(**wanted):
        return [whole.index(entry) for entry in read_log(tmp_path, Wanted(**wanted)).entries]

    assert found() == [0, 1, 2]
    assert found(who="ana") == [1]
    assert found(outcome="denied") == [0]
    assert found(action="write") == [1, 2]
    assert found(object="visits") == found(object="visits@2") == [1, 2]
    assert found(object="visits@1") == []
    assert found(since=times[1]) == [1, 2]
    assert found(until=times[1]) == [0]


def test_limit_keeps_the_newest_and_tells_how_many_are_left_out(tmp_path, clock):
    with AuditLog(tmp_path, clock=clock) as log:
        for i in range(5):
            clock.now += timedelta(seconds=1)
            denied(log, who=f"key {i}")
    found = read_log(tmp_path, limit=2)
    assert ([e.who for e in found.entries], found.more) == (["key 3", "key 4"], 3)


def test_lines_that_are_no_entries_are_counted(tmp_path):
    with AuditLog(tmp_path) as log:
        denied(log)
    (path,) = tmp_path.glob("*.jsonl")
    with path.open("a") as file:
        file.write('{"time": "20\n' + json.dumps({"time": "never", "outcome": "done"}) + "\n")
        file.write('{"time":"soon","outcome":"done","who":"a","action":"b","what":"c"}\n')
    found = read_log(tmp_path)
    assert (len(found.entries), found.unreadable) == (1, 3)


def test_entries_of_many_processes_stand_in_the_order_of_time(tmp_path):
    program = (
        "import sys; from pathlib import Path; from gnomon.flows.access.audit import AuditLog\n"
        "with AuditLog(Path(sys.argv[1])) as log:\n"
        "    for i in range(50): log.record('done', f'{sys.argv[2]} {i}', 'write', 'x')\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(n)]) for n in range(2)]
    assert [one.wait(30) for one in running] == [0, 0]
    entries = read_log(tmp_path).entries
    assert sorted(e.who for e in entries) == sorted(f"{n} {i}" for n in range(2) for i in range(50))
    assert [e.time for e in entries] == sorted(e.time for e in entries)


def test_place_that_cannot_be_written_is_said_and_written_when_it_can(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(audit, "_AGAIN", 0.01)
    (tmp_path / "audit").write_text("a file is in the way")
    with caplog.at_level(logging.ERROR, "gnomon"), AuditLog(tmp_path / "audit") as log:
        assert denied(log)
        while not caplog.records:
            threading.Event().wait(0.01)
        assert log.waiting == 1
        (tmp_path / "audit").unlink()
    assert "cannot be written" in caplog.text
    assert len(caplog.records) == 1
    assert (log.lost, len(read_log(tmp_path / "audit").entries)) == (0, 1)


def test_what_finds_no_room_is_counted_and_nobody_waits(tmp_path, caplog):
    (tmp_path / "audit").write_text("a file is in the way")
    with caplog.at_level(logging.ERROR, "gnomon"):
        log = AuditLog(tmp_path / "audit", queue=3)
        assert [denied(log) for _ in range(5)] == [True, True, True, False, False]
        assert log.lost == 2
        log.close()
    assert log.lost == 5
    assert "with 3 entries that could not be written" in caplog.text


def test_line_that_a_full_disk_cut_off_spoils_no_other(tmp_path):
    """A limit of the size of files fails a write half-way, as a full disk does."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from gnomon.flows.access import audit\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); audit._AGAIN = 0.01\n"
        "log = audit.AuditLog(Path(sys.argv[1]))\n"
        "hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (250, hard))\n"
        "for i in range(6): log.record('done', f'key {i}', 'write', 'x')\n"
        "while log.waiting > 4 or not log._torn: pass\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))\n"
        "log.close()\n"
        "print(log.lost)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=30
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "0\n"
    found = read_log(tmp_path)
    assert [e.who for e in found.entries] == [f"key {i}" for i in range(6)]
    assert found.unreadable == 1


def test_closed_log_takes_nothing_more(tmp_path):
    log = AuditLog(tmp_path)
    log.close()
    log.close()
    assert not denied(log)
    assert log.lost == 1
    assert not any(tmp_path.iterdir())
