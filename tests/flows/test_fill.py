"""What a table lacks, when rows can be added to it, and how its horizon moves on."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

import gnomon as gn
from gnomon.abc.source import Part
from gnomon.flows.fill import (
    check_there,
    held_until,
    missing,
    moved_on,
    newest_activation,
    source_text,
    still_good,
)
from gnomon.flows.load import Piece
from gnomon.flows.online import Loaded, Reach, Table, keys_of, read_document, shape_of
from gnomon.time import ALWAYS, DAY, NEVER, instant
from tests.flows.small import HOUR, PLAN, VISITS, T, visit

REACH = Reach(span=DAY, slack=DAY)


@pytest.fixture
def layout(store):
    return layout_of(store)


def layout_of(store: gn.Store, ref: str = "visits") -> Any:
    snapshot = store.registry.snapshot()
    return store._project.layout(snapshot, snapshot.group(ref))


def table(layout, **changes) -> Table:
    return replace(Table("visits@1#1", shape_of(layout), keys_of(layout), span=layout.span), **changes)


def part(name: str, etag: str = "1") -> Part:
    return Part(name, etag)


def test_missing_are_parts_never_seen_and_what_seen_ones_hold_after_their_end(layout):
    given = table(layout, start=5, parts={"a": Loaded("1", 10), "b": Loaded("1", 20)})
    parts = [part("a"), part("b"), part("c")]
    assert list(missing(given, parts, 20)) == [Piece(part("a"), 10, 20, again=True), Piece(part("c"), 5, 20)]
    assert list(missing(given, parts, 5)) == []


def test_table_holds_the_newest_row_of_a_part_that_grows(layout):
    given = table(layout, parts={"a": Loaded("1", 10), "g": Loaded("known_at", 20)})
    growing = Part("g", "known_at", grows=True)
    assert held_until(given, [part("a"), part("g")]) == 20
    assert held_until(given, [part("a"), growing]) == 21
    assert held_until(table(layout, parts={"g": Loaded("known_at", NEVER)}), [growing]) == NEVER
    assert held_until(table(layout), [growing]) == ALWAYS


def test_rows_can_be_added_to_a_table_of_the_same_shape_whose_parts_are_unchanged(layout):
    given = table(layout, parts={"a": Loaded("1", NEVER)})
    assert still_good(given, layout, REACH, [part("a"), part("new")], ALWAYS)
    for other in (
        replace(given, keys="user: String"),
        replace(given, shape=replace(given.shape, lag=7)),
        replace(given, start=0),
        replace(given, parts={"a": Loaded("2", NEVER)}),
        replace(given, parts={"gone": Loaded("1", NEVER)}),
        replace(given, parts={"a": Loaded("", NEVER)}),
    ):
        assert not still_good(other, layout, REACH, [part("a"), part("new")], ALWAYS)


def test_table_that_let_go_what_a_longer_window_needs_is_not_good_any_more(layout):
    given = table(layout, span=DAY, horizon=100 * DAY, watermark=102 * DAY)
    assert still_good(given, layout, REACH, [], ALWAYS)
    assert not still_good(replace(given, span=DAY // 2), layout, Reach(3 * DAY, 0), [], ALWAYS)


def test_watermark_never_goes_back(layout):
    first = moved_on(table(layout), layout, REACH, newest=10 * DAY)
    assert (first.watermark, first.horizon, first.span) == (10 * DAY, 8 * DAY, layout.span)
    assert moved_on(first, layout, REACH, newest=9 * DAY) == first
    assert moved_on(first, layout, REACH, newest=ALWAYS) == first


def test_newest_activation_is_that_of_the_rows_before_the_end_and_not_of_the_future(store, layout):
    store.insert(VISITS, [visit(1, T - HOUR), visit(2, T)])
    reader = store._project.reader(VISITS, layout)
    [only] = reader.parts()
    assert newest_activation(layout, reader, [Piece(only, ALWAYS, NEVER)], NEVER) == instant(T)
    assert newest_activation(layout, reader, [Piece(only, ALWAYS, NEVER)], instant(T) - 1) == instant(
        T - HOUR
    )
    assert newest_activation(layout, reader, [Piece(only, ALWAYS, instant(T))], NEVER) == instant(T - HOUR)
    assert newest_activation(layout, reader, [], NEVER) == ALWAYS


def test_source_text_changes_with_what_decides_which_rows_there_are(store):
    assert source_text(VISITS, layout_of(store)) != source_text(PLAN, layout_of(store, "plan"))


def test_table_of_a_cached_group_that_is_gone_is_told(store, layout):
    store.insert(VISITS, [visit(1, T - HOUR)])
    store.materialize()
    live = read_document(store._project.online, "visits@1").live
    group = store.registry.get("group", "visits")
    check_there(store._project, group, live, store._project.reader(group, layout).parts())
    check_there(store._project, group, None, [])
    with pytest.raises(gn.GnomonError, match="the table of `visits@1` is gone"):
        check_there(store._project, group, live, [])
