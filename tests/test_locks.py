"""One writer at a time, in threads and processes; a lock ends with its process."""

from __future__ import annotations

import threading

import pytest

from gnomon.errors import Unavailable
from gnomon.locks import locked
from tests.online.processes import FORK, in_children


def test_a_lock_may_be_taken_again_once_it_is_let_go(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "deep" / "folder" / "a.lock", wait=0):
            pass


def test_an_error_in_the_block_lets_the_lock_go(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "a.lock"):
        raise KeyError("x")
    with locked(tmp_path / "a.lock", wait=0):
        pass


def test_who_waits_too_long_is_told_which_lock(tmp_path):
    path = tmp_path / "a.lock"
    with (
        locked(path),
        pytest.raises(Unavailable, match=r"`a.lock` is held") as caught,
        locked(path, wait=0.03),
    ):
        pytest.fail("two hold one lock")
    assert caught.value.at == str(path)
    assert caught.value.hint


def test_locks_of_two_names_do_not_meet(tmp_path):
    with locked(tmp_path / "a.lock"), locked(tmp_path / "b.lock", wait=0):
        pass


def test_a_thread_waits_for_another(tmp_path):
    entered, order = threading.Event(), []

    def second():
        entered.wait()
        with locked(tmp_path / "a.lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with locked(tmp_path / "a.lock"):
        entered.set()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_what_processes_do_under_a_lock_does_not_mix(tmp_path):
    counter = tmp_path / "n"
    counter.write_text("0")

    def count():
        for _ in range(50):
            with locked(tmp_path / "n.lock"):
                counter.write_text(str(int(counter.read_text()) + 1))

    in_children(count, count)
    assert counter.read_text() == "100"


def test_the_lock_of_a_process_that_dies_is_free(tmp_path):
    path = tmp_path / "a.lock"
    holds = FORK.Event()

    def hold():
        with locked(path):
            holds.set()
            threading.Event().wait()

    process = FORK.Process(target=hold)
    process.start()
    assert holds.wait(10)
    with pytest.raises(Unavailable), locked(path, wait=0):
        pytest.fail("two hold one lock")
    process.kill()
    process.join()
    with locked(path, wait=1):
        pass
