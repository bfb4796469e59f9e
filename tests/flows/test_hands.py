"""Calls with a limit of time: who waits goes on in time, and few threads are ever lost."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from gnomon.flows.hands import Hands

SOON, PATIENT = 0.02, 10.0


@pytest.fixture
def gate():
    """Opens at the end of the test, so that no thread outlives it."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_in_time_gives_what_it_returns_and_raises():
    hands = Hands("h")
    assert hands.call(lambda: 5, PATIENT) == 5
    with pytest.raises(KeyError, match="x"):
        hands.call(lambda: {}["x"], PATIENT)
    hands.close()


def test_a_call_that_takes_too_long_is_left_to_itself(gate):
    hands, ended = Hands("h"), threading.Event()

    def slow() -> None:
        gate.wait()
        ended.set()

    with pytest.raises(TimeoutError, match="took longer than it may"):
        hands.call(slow, SOON)
    assert hands.late == 1
    gate.set()
    assert ended.wait(PATIENT)
    assert hands.call(lambda: 1, PATIENT) == 1


def test_when_all_threads_are_late_the_next_call_is_refused_at_once(gate):
    hands = Hands("h", most=2)
    for _ in range(2):
        with pytest.raises(TimeoutError, match="took longer"):
            hands.call(gate.wait, SOON)
    with pytest.raises(TimeoutError, match="2 earlier calls have not ended"):
        hands.call(lambda: 1, seconds=10**6)
    assert hands.late == 2


def test_a_call_waits_for_a_thread_only_as_long_as_it_may(gate):
    hands = Hands("h", most=1)
    other = threading.Thread(target=lambda: hands.call(gate.wait, PATIENT))
    other.start()
    while not hands._busy:
        pass
    with pytest.raises(TimeoutError, match="all its threads were at work"):
        hands.call(lambda: 1, SOON)
    gate.set()
    other.join()
    assert hands.call(lambda: 1, PATIENT) == 1


def test_threads_are_started_when_needed_used_again_and_end_when_closed():
    before = threading.active_count()
    hands = Hands("h")
    seen = {hands.call(threading.get_ident, PATIENT) for _ in range(20)}
    assert 1 <= len(seen) <= 2  # the next call may come before the thread has said that it is free
    threads = [thread for thread in threading.enumerate() if thread.name == "h"]
    hands.close()
    hands.close()
    for thread in threads:
        thread.join(PATIENT)
    assert threading.active_count() <= before


def test_many_callers_get_each_their_own():
    hands, wrong = Hands("h", most=3), []

    def pair(i: int, k: int) -> tuple[int, int]:
        return i, k

    def ask(i: int) -> None:
        for k in range(50):
            if hands.call(partial(pair, i, k), PATIENT) != (i, k):
                wrong.append((i, k))

    callers = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
    assert hands.late == 0
    hands.close()
