"""Answers of keys whose rows lie in leaves equal the reference (CASES 40a, 54, 67): as if they were not hot."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

import gnomon as gn
from gnomon.online.sealing import Sizes
from gnomon.testing.reference import same
from tests.online.hot import few_rows_are_many
from tests.properties.stores import asked
from tests.properties.test_changes import Clock, Told, check_online, perform, told

SIZES = st.sampled_from([Sizes(1, 1), Sizes(2, 1), Sizes(4, 2)])
LOADS = st.lists(st.booleans(), max_size=9)


@given(told(), LOADS, SIZES, st.sampled_from(["memory://", "lmdb://online"]))
@settings(max_examples=60)
def test_changes_in_any_order_equal_the_reference(
    what: Told, loads: list[bool], sizes: Sizes, online: str
) -> None:
    clock = Clock()
    with few_rows_are_many(sizes), gn.Store(clock=clock, online=online) as store:
        perform(store, clock, what, loads)
        check_online(store, what)


@given(told(), LOADS, LOADS, SIZES)
@settings(max_examples=30)
def test_when_rows_were_sealed_leaves_no_trace(
    what: Told, loads: list[bool], others: list[bool], sizes: Sizes
) -> None:
    clock = Clock()
    with gn.Store(clock=clock) as store:
        perform(store, clock, what, others)
        plain = asked(store, what.case)
    with few_rows_are_many(sizes), gn.Store(clock=clock) as store:
        perform(store, clock, what, loads)
        for got, want in zip(asked(store, what.case), plain, strict=True):
            assert same(got.values, want.values)
            assert (got.statuses, got.event_time) == (want.statuses, want.event_time)
