"""Committed rows in the online table, whoever makes or fills it at the time."""

from __future__ import annotations

import pytest

import gnomon as gn
from gnomon.events import Step, listening
from gnomon.flows.online import read_document
from tests.flows.small import MINUTE, SECOND, VISITS, T, ask, visit, visits


def during(flow: str, step: str, act):
    """A listener that acts once, when a flow has completed a step."""
    done = []

    def listen(event):
        if event == Step(flow, "visits@1", step) and not done:
            done.append(event)
            act()

    return listening(listen)


def document(store):
    return read_document(store._project.online, "visits@1")


def test_a_push_beside_a_running_materialize_is_answered(store):
    store.insert("visits", [visit(1, T - MINUTE)])
    store.materialize()
    store.insert("visits", [visit(1, T - 2 * MINUTE)])
    seen = []

    def act():
        store.push("visits", [visit(1, T - SECOND)])
        seen.append(ask(store, [VISITS], [1])["count_1d"])

    with during("materialize", "horizon", act):
        store.materialize()
    assert seen == [[2]]
    assert ask(store, [VISITS], [1])["count_1d"] == [3]


@pytest.mark.parametrize("step", ["choose", "horizon", "load 1/1"])
def test_a_push_while_the_table_is_made_anew_is_in_both(store, step):
    store.push("visits", [visit(1, T - MINUTE)])
    more = visits(gn.count(windows=["9d"]))
    store.apply([more])  # reaches farther back than what is held
    seen = []

    def act():
        store.push("visits", [visit(1, T - SECOND, 9)])
        seen.append(
            (document(store).building is not None, ask(store, ["visits:ms_sum_1d"], [1])["ms_sum_1d"])
        )

    with during("materialize", step, act):
        store.materialize()
    assert seen == [(True, [10])]
    assert ask(store, ["visits:count_1d", "visits:ms_sum_1d"], [1]) == {"count_1d": [2], "ms_sum_1d": [10]}
    assert document(store).building is None


@pytest.mark.parametrize("step", ["choose", "catch up"])
def test_a_push_during_a_backfill_is_in_what_it_publishes(store, step):
    store.push("visits", [visit(1, T - MINUTE)])
    with during("backfill", step, lambda: store.push("visits", [visit(1, T - SECOND, 9)])):
        report = store.backfill("visits", end=T - MINUTE)
    assert ask(store, [VISITS], [1])["ms_sum_1d"] == [10]
    assert report.rows == 2 if step == "choose" else report.rows >= 1


def test_small_steps_of_time_do_not_write_the_document(store, clock):
    store.push("visits", [visit(1, T - MINUTE)])
    store.push("visits", [visit(1, T - SECOND)])
    before = document(store)
    clock.now = T + MINUTE
    store.push("visits", [visit(2, T)])
    assert document(store) == before
    clock.now = T + 2000 * MINUTE
    store.push("visits", [visit(2, T + MINUTE)])
    assert document(store).live.horizon > before.live.horizon
