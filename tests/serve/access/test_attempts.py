"""Attempts: failures are held back by address, and come back with time."""

from __future__ import annotations

import pytest

from gnomon.serve.access import attempts
from gnomon.serve.access.attempts import BURST, PER_SECOND, Attempts


class Seconds:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def counted(seconds):
    return Attempts(clock=seconds)


def test_address_that_fails_too_often_is_told_to_wait_and_others_are_not(counted, seconds):
    assert [counted.failed("10.0.0.1") for _ in range(BURST)] == [None] * BURST
    assert counted.failed("10.0.0.1") == 3
    assert counted.failed("10.0.0.2") is None
    seconds.now += 1 / PER_SECOND
    assert counted.failed("10.0.0.1") is None
    assert counted.failed("10.0.0.1") == 3


def test_failures_that_were_held_back_make_the_wait_no_longer(counted, seconds):
    for _ in range(10 * BURST):
        counted.failed("10.0.0.1")
    seconds.now += 1 / PER_SECOND
    assert counted.failed("10.0.0.1") is None


def test_addresses_that_one_customer_may_choose_count_as_one(counted):
    assert [counted.failed(f"2001:db8::{i:x}") for i in range(BURST + 1)][-1] == 3
    assert counted.failed("2001:db8:0:1::1") is None
    for _ in range(BURST):
        counted.failed("::ffff:10.0.0.1")
    assert counted.failed("10.0.0.1") == 3


def test_what_is_no_address_is_counted_as_it_is(counted):
    assert [counted.failed("") for _ in range(BURST + 1)][-1] == 3


def test_so_many_addresses_are_remembered_and_no_more(counted, monkeypatch):
    monkeypatch.setattr(attempts, "_ADDRESSES", 10)
    for i in range(50):
        counted.failed(f"10.0.0.{i}")
    assert len(counted) == 10
