"""When a client tries again, how long it waits, and when it gives up. Nothing here sleeps."""

from __future__ import annotations

import pytest

from gnomon.client.retry import Patience, Trial, asked_wait
from gnomon.errors import Unavailable, UsageError
from gnomon.time import SECOND


class Watch:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def trial(watch: Watch, chance: float = 0.5, **patience) -> Trial:
    return Trial(Patience(**patience), watch, lambda: chance)


def test_waits_double_up_to_their_bound_and_are_drawn_below_it(watch):
    one = trial(watch, timeout=1000, retries=8, pause=0.1, longest=1.0)
    waits = []
    for _ in range(8):
        one.begin()
        waits.append(one.pause())
    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5, 0.5, 0.5])


def test_there_is_one_try_more_than_retries(watch):
    one = trial(watch, retries=1)
    one.begin()
    assert one.pause() is not None
    one.begin()
    assert one.pause() is None


def test_what_the_server_asks_for_is_waited_at_least_and_not_by_all_clients_alike(watch):
    waits = []
    for chance in (0.0, 0.9):
        one = trial(watch, chance, pause=1.0)
        one.begin()
        waits.append(one.pause(3.0))
    assert waits == pytest.approx([3.0, 3.9])


def test_a_wait_that_outlasts_the_deadline_is_not_begun(watch):
    one = trial(watch, timeout=2.0)
    one.begin()
    assert one.pause(5.0) is None


def test_each_try_has_the_time_that_is_left(watch):
    one = trial(watch, timeout=2.0)
    assert one.begin() == 2.0
    watch.now += 1.5
    assert one.begin() == 0.5
    watch.now += 0.5
    with pytest.raises(Unavailable, match="no answer within 2 s"):
        one.begin()


@pytest.mark.parametrize(
    ("header", "want"),
    [
        (None, None),
        ("3", 3.0),
        ("Thu, 01 Jan 1970 00:00:07 GMT", 5.0),
        ("Thu, 01 Jan 1970 00:00:07 -0000", 5.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, want):
    assert asked_wait(header, lambda: 2 * SECOND) == want


@pytest.mark.parametrize(
    "wrong", [{"timeout": 0}, {"timeout": "1s"}, {"timeout": True}, {"retries": -1}, {"retries": 1.5}]
)
def test_patience_that_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Patience(**wrong)
