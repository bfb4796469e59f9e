"""The documents of groups: what is true online, kept so that readers notice and killed writers leave nothing."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon.errors import Unavailable
from gnomon.flows.online import (
    EPOCH,
    Document,
    Loaded,
    Reach,
    Table,
    change_document,
    document_name,
    filling,
    forget_group,
    keys_of,
    lane_name,
    reach_of,
    read_document,
    settle,
    shape_of,
    unnamed_tables,
)  # fmt: skip
from gnomon.online.memory import MemoryStore
from gnomon.plan.layout import make_layout
from gnomon.time import ALWAYS, DAY, HOUR
from tests.flows.small import PLAN, VISITS

SCHEMA = {
    "user": pl.Int64(), "at": pl.Datetime("us", "UTC"), "ms": pl.Int64(), "name": pl.String(),
}  # fmt: skip
LAYOUT, STATE = make_layout(VISITS, SCHEMA), make_layout(PLAN, SCHEMA)
TABLE = Table("visits@1#1", shape_of(LAYOUT), keys_of(LAYOUT), parts={"a": Loaded("x", 7)}, complete=True)


@pytest.fixture
def online():
    with MemoryStore() as store:
        yield store


def epoch(store: MemoryStore) -> int:
    return int(store.get_meta(EPOCH) or b"0")


def name(store: MemoryStore, *tables: str) -> None:
    """Make tables."""
    for table in tables:
        store.load(table, [(b"k", b"v")])


class Dying(MemoryStore):
    """Its user dies before the epoch turns."""

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        if name == EPOCH:
            raise KeyboardInterrupt
        return super().set_meta(name, expected, value)


def test_a_document_comes_back_as_it_was_written_and_turns_the_epoch(online):
    before = epoch(online)
    written = change_document(online, "visits@1", lambda _: Document(3, TABLE))
    assert read_document(online, "visits@1") == written
    assert (written.generation, written.live, written.building) == (3, TABLE, None)
    assert epoch(online) == before + 1


def test_a_change_is_made_on_top_of_what_others_have_written(online):
    def change(document: Document) -> Document:
        if document.generation == 0:
            change_document(online, "visits@1", lambda d: Document(5, d.live))
        return Document(document.generation + 1)

    assert change_document(online, "visits@1", change).generation == 6


def test_a_document_that_always_changes_is_given_up_on(online):
    def change(document: Document) -> Document:
        online.set_meta(
            document_name("g"), online.get_meta(document_name("g")), b'{"generation":%d}' % change.n
        )
        change.n += 1
        return document

    change.n = 0
    with pytest.raises(Unavailable, match="changes all the time"):
        change_document(online, "g", change)


def test_an_unknown_group_has_an_empty_document(online):
    assert read_document(online, "visits@1") == Document()


def test_settling_drops_tables_that_the_document_does_not_name_and_no_others(online):
    change_document(online, "visits@1", lambda _: Document(2, TABLE))
    name(online, "visits@1#1", "visits@1#2", "visits@12#1", "other@1#1")
    before = epoch(online)
    settle(online, "visits@1")
    assert online.tables() == ["other@1#1", "visits@1#1", "visits@12#1"]
    assert epoch(online) > before, "readers of the dropped table are told first"


def test_settling_what_is_settled_disturbs_no_reader(online):
    change_document(online, "visits@1", lambda _: Document(2, TABLE))
    before = epoch(online)
    settle(online, "visits@1")
    settle(online, "never@1")
    assert epoch(online) == before


def test_settling_tells_readers_of_a_document_whose_writer_died_before_it_did():
    with Dying() as online:
        with pytest.raises(KeyboardInterrupt):
            change_document(online, "visits@1", lambda _: Document(2, TABLE))
        online.__class__ = MemoryStore
        assert epoch(online) == 0
        settle(online, "visits@1")
        assert epoch(online) == 1


def test_tables_of_live_and_building_are_named(online):
    name(online, "visits@1#1", "visits@1#2", "visits@1#3")
    building = Table("visits@1#2", TABLE.shape)
    assert unnamed_tables(online, "visits@1", Document(2, TABLE, building)) == ["visits@1#3"]


def test_forgetting_removes_document_and_tables_and_tells_readers(online):
    change_document(online, "visits@1", lambda _: Document(2, TABLE))
    name(online, "visits@1#1", "visits@1#2", "other@1#1")
    before = epoch(online)
    assert forget_group(online, "visits@1")
    assert (online.tables(), read_document(online, "visits@1")) == (["other@1#1"], Document())
    assert epoch(online) > before


def test_forgetting_what_is_not_there_does_nothing(online):
    before = epoch(online)
    assert not forget_group(online, "visits@1")
    assert epoch(online) == before


def test_a_group_is_filled_by_one_at_a_time_and_others_beside_it(tmp_path):
    with (
        filling(tmp_path, "a@1"),
        filling(tmp_path, "b@1"),
        pytest.raises(Unavailable),
        filling(tmp_path, "a@1", wait=0),
    ):
        pass


@pytest.mark.parametrize(
    ("span", "watermark", "horizon"),
    [(5, 100, 85), (0, 100, 90), (None, 100, ALWAYS), (5, ALWAYS, ALWAYS), (5, ALWAYS + 7, ALWAYS)],
)
def test_the_horizon_lies_span_and_slack_before_the_watermark(span, watermark, horizon):
    assert Reach(span, 10).horizon(watermark) == horizon


def test_slack_is_as_long_as_the_farthest_look_and_at_least_a_day():
    assert reach_of(LAYOUT, None) == Reach(DAY, DAY)
    assert reach_of(STATE, None) == Reach(0, DAY)
    assert reach_of(LAYOUT, HOUR) == Reach(DAY, HOUR)


def test_lanes_are_named_by_what_they_hold_whatever_their_place():
    shape = shape_of(LAYOUT)
    assert [lane for lane, _ in shape.lanes] == [lane_name(i) for i in LAYOUT.inputs] == ["ms:Int64"]
    assert shape.layout().lanes[0].kind == "word"
    assert (shape.kind, shape.id_kind, keys_of(LAYOUT)) == ("event", "hash", "user: Int64")
