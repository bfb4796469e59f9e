"""Breakers: what keeps failing is left in peace, and asked once when it may be back."""

from __future__ import annotations

import pytest

from gnomon.sources.breaker import Breaker


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def breaker(seconds: Seconds) -> Breaker:
    return Breaker(3, 5.0, seconds)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed()


def test_it_passes_everything_until_it_failed_so_often_in_a_row(breaker):
    fail(breaker, 2)
    assert breaker.wait() == 0
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.wait() == 0
    fail(breaker, 1)
    assert (breaker.wait(), breaker.failures) == (5.0, 3)


def test_after_a_while_one_passes_and_the_others_wait_for_what_becomes_of_it(breaker, seconds):
    fail(breaker, 3)
    seconds.now += 4
    assert breaker.wait() == 1.0
    seconds.now += 1
    assert breaker.wait() == 0
    assert breaker.wait() == 5.0
    breaker.failed()
    assert breaker.wait() == 5.0
    seconds.now += 5
    assert breaker.wait() == 0
    breaker.succeeded()
    assert breaker.wait() == breaker.wait() == 0


def test_one_that_never_says_what_became_of_it_does_not_close_the_way_for_ever(breaker, seconds):
    fail(breaker, 3)
    seconds.now += 5
    assert breaker.wait() == 0
    seconds.now += 5
    assert breaker.wait() == 0
