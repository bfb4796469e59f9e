"""Clocks that are behind, ahead, or go backwards; servers' clocks; rows of the future."""

from __future__ import annotations

import os
import re

import pytest

from gnomon.flows.checks.clocks import dates, own_clock, server_clocks
from gnomon.time import DAY, HOUR, system_clock
from tests.flows.checks.conftest import edit


def test_clock_behind_its_files_is_told(shop, opened):
    late = (system_clock() + 3 * DAY) // 1_000_000
    os.utime(shop / "orders.csv", (late, late))
    project, snapshot = opened()
    found = own_clock(project, snapshot, snapshot.groups())
    assert found.level == "warn"
    assert "before `orders.csv` was written" in found.text


def test_clock_behind_the_registry_is_told(opened):
    project, snapshot = opened(clock=lambda: system_clock() - DAY)
    assert "before the newest revision was written" in own_clock(project, snapshot, ()).text


def test_clock_that_goes_backwards_is_an_error(opened):
    ticks = iter(range(2**60, 0, -1))
    project, snapshot = opened(clock=lambda: next(ticks))
    assert own_clock(project, snapshot, ()).level == "error"


def test_stores_without_a_server_tell_no_time(opened):
    assert server_clocks(opened()[0]) == ("ok", "no server tells its time", None, None)


@pytest.mark.parametrize("server", ["postgres_url", "valkey_url"])
def test_servers_clock_is_compared_with_ours(request, opened, server):
    url = request.getfixturevalue(server)
    assert server_clocks(opened(online=url)[0]).level == "ok"
    found = server_clocks(opened(online=url, clock=lambda: system_clock() - HOUR)[0])
    assert found.level == "warn"
    assert re.fullmatch(r"the online store's clock is (1h|36\d\ds|3599s) ahead", found.text)
    assert "NTP" in (found.hint or "")


def test_registrys_clock_is_compared_too(opened, postgres_url):
    project, _ = opened(registry=postgres_url, clock=lambda: system_clock() + DAY)
    assert "the registry's clock is" in server_clocks(project).text
    assert "behind" in server_clocks(project).text


def test_slow_answer_is_not_taken_for_a_clock_that_is_off(opened, valkey_url):
    """What is known within three seconds can be off by as much."""
    ticks = iter([0, 0, 0, 6_000_000])  # the registry, which has no server, is asked first
    project, _ = opened(online=valkey_url)
    start = system_clock() - 5_000_000
    project.clock = lambda: start + next(ticks)
    assert server_clocks(project).level == "ok"


def test_rows_dated_after_now_are_counted(shop, opened):
    assert dates(*opened()) == ("ok", "no rows dated after now", None, None)
    first = (shop / "orders.csv").read_text().splitlines()[1]
    time = first.split(",")[2]
    edit(shop / "orders.csv", f",{time},", ",2099-01-01T00:00:00Z,")
    found = dates(*opened())
    assert found.level == "warn"
    assert "1 row of spending@1, the last 2099-01-01T00:00:00.000000Z" in found.text


def test_more_rows_than_can_be_looked_at_are_said_to_be_left_out(opened, monkeypatch):
    monkeypatch.setattr("gnomon.flows.checks.clocks._MOST_ROWS", 1)
    found = dates(*opened())
    assert (found.level, "too many rows to look at: last_order@1, spending@1" in found.text) == ("ok", True)


def test_source_that_is_gone_is_left_to_its_own_check(shop, opened):
    (shop / "orders.csv").unlink()
    assert dates(*opened()).level == "ok"
