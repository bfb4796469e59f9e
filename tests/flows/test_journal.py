"""The journal: a note before each write, one after it, and one for each table that answers."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

import gnomon as gn
from gnomon.abc.source import Part
from gnomon.flows.journal import Carried, Entry, Journal, hash_keys, journal_name, unpack_counters, where_of
from gnomon.flows.online import change_document, read_document
from gnomon.offline.delta import DeltaStore
from tests.flows.small import HOUR, MINUTE, Clock, T, visit


@pytest.fixture
def offline(tmp_path):  # type: ignore[no-untyped-def]
    return DeltaStore.from_url("offline", root=tmp_path)


@pytest.fixture
def journal(offline: DeltaStore, clock: Clock) -> Journal:
    return Journal(lambda: offline, clock)


def test_a_write_is_noted_before_it_begins_and_after_it_ends(journal: Journal, clock: Clock) -> None:
    with journal.writing("g@1", "t", {"a": Carried("e", 3, 9)}, retracted=2) as written:
        (begun,) = journal.read("g@1")
        assert (begun.begin, begun.end, begun.parts, begun.retracted) == (
            clock(),
            None,
            {"a": Carried("e", 3, 9)},
            2,
        )
        clock.now += MINUTE
        written.add([b"x", b"y"], np.array([1, 7]))
        written.add([b"z"], np.array([2]))
    (ended,) = journal.read("g@1")
    assert (ended.id, ended.begin, ended.end) == (begun.id, begun.begin, clock())
    keys, counters = unpack_counters(ended.counters)
    assert keys.tolist() == hash_keys([b"x", b"y", b"z"]).tolist()
    assert counters.tolist() == [1, 7, 2]


def test_a_write_that_fails_has_no_end(journal: Journal) -> None:
    with pytest.raises(KeyboardInterrupt), journal.writing("g@1", "t", {}, retracted=0):
        raise KeyboardInterrupt
    assert [entry.end for entry in journal.read("g@1")] == [None]


def test_of_a_part_that_grows_the_end_is_what_was_there(journal: Journal) -> None:
    with journal.writing("g@1", "t", {"q": Carried("e", 3)}, retracted=0) as written:
        written.until = 5
    assert journal.read("g@1")[0].parts == {"q": Carried("e", 3, 5)}


def test_a_table_without_an_identity_is_not_noted(journal: Journal) -> None:
    with journal.writing("g@1", "", {}, retracted=0) as written:
        written.add([b"x"], np.array([1]))
    assert journal.read("g@1") == []


def test_folding_keeps_every_entry_once_and_those_under_way_apart(
    journal: Journal, offline: DeltaStore, clock: Clock
) -> None:
    for _ in range(3):
        clock.now += MINUTE
        with journal.writing("g@1", "t", {}, retracted=0):
            pass
    with journal.writing("g@1", "t", {}, retracted=0):
        before = journal.read("g@1")
        assert journal.fold("g@1") == 3
        assert journal.read("g@1") == before
        assert len(offline.notes("journal-g@1-")) == 1
        assert journal.fold("g@1") == 0
    assert [entry.end for entry in before[:3]] == sorted(entry.end or 0 for entry in before[:3])


def test_a_fold_that_was_killed_before_it_cleared_up_counts_once(
    journal: Journal, offline: DeltaStore
) -> None:
    with journal.writing("g@1", "t", {}, retracted=0):
        pass
    notes = offline.notes("journal-g@1-")
    journal.fold("g@1")
    for name, text in notes.items():
        offline.write_note(name, text)
    assert len(journal.read("g@1")) == 1


def test_many_small_writes_fold_by_themselves(journal: Journal, offline: DeltaStore) -> None:
    for _ in range(70):
        with journal.writing("g@1", "t", {}, retracted=0):
            pass
    assert len(journal.read("g@1")) == 70
    assert offline.version(journal_name("g@1")) == 0
    assert len(offline.notes("journal-g@1-")) < 10


def test_names_of_groups_are_not_the_beginnings_of_others(journal: Journal) -> None:
    with journal.writing("g@10", "t", {}, retracted=0):
        pass
    assert journal.read("g@1") == []


def entries(store: gn.Store, ref: str) -> list[Entry]:
    return store._project.journal.read(ref)


def test_materialize_notes_parts_counters_and_the_table_that_answers(store: gn.Store, clock: Clock) -> None:
    for user in (1, 2):
        store.insert("visits", [visit(1, T - HOUR, user), visit(user, T - MINUTE, user)])
        clock.now += MINUTE
        store.materialize()
    parts: tuple[Part, ...] = store._project.offline.parts("visits@1")
    writes = [entry for entry in entries(store, "visits@1") if entry.published is None]
    assert sorted(name for entry in writes for name in entry.parts) == [part.etag for part in parts]
    (table,) = {entry.table for entry in entries(store, "visits@1")}
    live = read_document(store._project.online, "visits@1").live
    assert live is not None
    assert live.identity == table
    assert sorted(unpack_counters(writes[-1].counters)[1].tolist()) == [1, 2]
    assert len(entries(store, "visits@1")) - len(writes) == 1


def test_a_table_of_a_release_without_a_journal_is_taken_over(store: gn.Store, clock: Clock) -> None:
    store.insert("visits", [visit(1, T - HOUR)])
    store.materialize()
    online = store._project.online

    def without(document):  # type: ignore[no-untyped-def]
        return replace(document, live=replace(document.live, identity=""))

    change_document(online, "visits@1", without)
    clock.now += HOUR
    store.materialize()
    told = [entry for entry in entries(store, "visits@1") if entry.published is not None]
    assert len(told) == 2
    assert len(told[-1].parts) == 1
    assert told[-1].end == clock()


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://ana:secret@host:6379/0?timeout=1s", "redis://host:6379/0"),
        ("lmdb://.gnomon/online", "lmdb://.gnomon/online"),
        ("memory://", "memory://"),
    ],
)
def test_where_an_online_store_is_tells_no_secret(url: str, where: str) -> None:
    assert where_of(url) == where
