"""How old what is online is."""

from __future__ import annotations

import pytest

import gnomon as gn
from gnomon.flows.freshness import Age, age_of
from tests.flows.small import HOUR, MINUTE, PLAN, US, T, plan


@pytest.fixture
def aged(bare, clock):
    """The age of `plan`, whose newest row is one hour old."""
    bare.apply([PLAN])
    bare.insert(PLAN, [plan(1, T - HOUR, "free"), plan(2, T - 2 * HOUR, "paid"), plan(3, T + HOUR, "later")])
    bare.materialize()
    return bare


def age(store: gn.Store, promised: int | None = None) -> Age:
    return age_of(store._project, "plan@1", promised)


def test_age_is_that_of_the_newest_row_online_and_rows_of_the_future_do_not_count(aged, clock):
    assert age(aged).age == 3_600_000_000
    clock.now = T + MINUTE
    assert age(aged).age == 3_660_000_000


def test_rows_that_are_not_online_yet_make_nothing_fresh(aged):
    aged.insert(PLAN, [plan(1, T - MINUTE, "new")])
    assert age(aged).age == 3_600_000_000
    aged.materialize()
    assert age(aged).age == 60_000_000


def test_exactly_as_old_as_promised_is_fresh(aged, clock):
    assert not age(aged, promised=3_600_000_000).is_stale
    clock.now = T + US
    assert age(aged, promised=3_600_000_000).is_stale
    assert not age(aged).is_stale


def test_group_without_rows_online_keeps_no_promise(store):
    assert age(store).age is None
    assert age(store, promised=1).is_stale
    assert str(age(store)) == "without any row online"


def test_age_is_shown_in_whole_seconds_with_the_newest_time(aged, clock):
    clock.now = T + US
    assert str(age(aged)) == "1h old, with its newest row of 2026-01-10T11:00:00.000000Z"
