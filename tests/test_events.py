"""Events reach who listens, while they listen, and harm nobody."""

from __future__ import annotations

import logging

from gnomon.events import Applied, Materialized, Step, emit, listen, listening


def test_everyone_who_listens_hears_every_event_in_order():
    first, second = [], []
    sent = [Step("materialize", "g@1", "load"), Applied(1, 2), Materialized("g@1", 3, 2, 0.5)]
    with listening(first.append), listening(second.append):
        for event in sent:
            emit(event)
    assert first == second == sent


def test_nothing_is_heard_before_and_after():
    heard = []
    emit(Applied(1, 0))
    stop = listen(heard.append)
    emit(Applied(2, 0))
    stop()
    emit(Applied(3, 0))
    assert heard == [Applied(2, 0)]


def test_to_stop_twice_does_nothing():
    heard = []
    stop = listen(heard.append)
    with listening(heard.append):
        stop()
        stop()
        emit(Applied(1, 0))
    assert heard == [Applied(1, 0)]


def test_an_error_in_the_block_ends_listening_too():
    heard = []
    try:
        with listening(heard.append):
            raise KeyError("x")
    except KeyError:
        emit(Applied(1, 0))
    assert heard == []


def test_a_listener_that_fails_is_logged_and_the_others_hear(caplog):
    heard = []

    def fails(event):
        raise RuntimeError("broken listener")

    with listening(fails), listening(heard.append), caplog.at_level(logging.ERROR, "gnomon"):
        emit(Applied(7, 0))
    assert heard == [Applied(7, 0)]
    assert "Applied(revision=7, changes=0)" in caplog.text
    assert "broken listener" in caplog.text


def test_a_listener_may_stop_listening_while_it_hears():
    heard = []

    def once(event):
        heard.append(event)
        stop()

    stop = listen(once)
    with listening(heard.append):
        emit(Applied(1, 0))
        emit(Applied(2, 0))
    assert heard == [Applied(1, 0), Applied(1, 0), Applied(2, 0)]
