"""A table made anew from its source, beside the one that answers: whole, in chunks, stopped, overtaken."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

import gnomon as gn
from gnomon.errors import Stopped, Unavailable, UsageError
from gnomon.events import Backfilled, Event, Progress, Step, listening
from gnomon.flows.online import change_document, filling, read_document
from gnomon.time import instant
from tests.faults.scene import held_online
from tests.flows.small import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    USER,
    VISITS,
    T,
    ask,
    plan,
    statuses,
    train,
    visit,
    visits,
    write,
)  # fmt: skip

SOURCE = gn.FileSource("log", "log", format="parquet", timestamp="at")
FILED = gn.FeatureGroup("filed", entity=USER, source=SOURCE, features=[gn.count(windows=["1h", "30d"])])
DAYS = 40


def file(folder: Path, name: str, *rows: tuple[int, datetime]) -> Path:
    return write(folder, f"log/{name}.parquet", [{"user": user, "at": at} for user, at in rows])


@pytest.fixture
def filed(bare: gn.Store, data: Path) -> gn.Store:
    """A group on two files that hold forty days, some of them both."""
    rows = [(day % 3, T - day * DAY - MINUTE) for day in range(DAYS)]
    file(data, "a", *rows[:25], rows[3], rows[3])
    file(data, "b", *rows[20:], rows[21])
    bare.apply([FILED])
    return bare


def document(store: gn.Store, ref: str = "filed@1") -> Any:
    return read_document(store._project.online, ref)


def stop_at(step: str) -> Callable[[Event], None]:
    """A listener that ends a run when a step is done, as Ctrl-C does."""

    def listener(event: Event) -> None:
        if event == Step("backfill", "filed@1", step):
            raise KeyboardInterrupt

    return listener


# --- equal tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk", [None, "1d", "3d", "30d"])
def test_table_is_that_of_a_materialization_however_it_is_cut(filed, chunk, workers):
    filed.materialize()
    want = held_online(filed, FILED)
    report = filed.backfill("filed", chunk=chunk, workers=workers)
    assert held_online(filed, FILED) == want
    assert (report.rows, report.asked, report.resumed) == (DAYS + 8, DAYS + 8, 0)
    assert len(filed._project.online.tables()) == 1


WITH_IDS = gn.FeatureGroup(
    "visits",
    entity=USER,
    timestamp="at",
    known_at="seen",
    event_id="id",
    schema={"id": int, "ms": int},
    features=[gn.sum("ms", windows=["1d"])],
)


@pytest.mark.parametrize("group", [VISITS, WITH_IDS])
def test_rows_that_become_known_later_and_corrections_are_where_they_were(bare, group):
    bare.apply([group])
    rows = [visit(n % 2, T - n * HOUR, n) for n in range(30)]
    if group.event_id is not None:
        rows = [
            {**row, "seen": max(row["at"], T - (100 - row["ms"]) * MINUTE), "id": row["ms"] // 3}
            for row in rows
        ]
    bare.insert(group, rows)
    bare.materialize()
    want = held_online(bare, group)
    bare.backfill(group, chunk="7h", workers=2)
    assert held_online(bare, group) == want


def test_row_that_is_not_known_yet_lets_go_of_nothing(bare, clock):
    bare.apply([WITH_IDS])
    row = {"user": 1, "at": T, "seen": T, "ms": 5, "id": 1}
    bare.insert(WITH_IDS, [row, {**row, "seen": None, "id": 2}])
    clock.now = T + 400 * DAY
    bare.materialize()
    want = held_online(bare, WITH_IDS)
    bare.backfill(WITH_IDS)
    assert held_online(bare, WITH_IDS) == want
    assert ask(bare, [WITH_IDS], [1], at=T + HOUR) == {"ms_sum_1d": [5]}


@pytest.mark.parametrize("server", ["valkey_url", "postgres_url"])
def test_table_on_a_server_is_that_of_a_materialization(request, data, clock, server):
    rows = [(day % 3, T - day * DAY - MINUTE) for day in range(DAYS)]
    file(data, "a", *rows)
    (data / "gnomon.toml").write_text("")
    with gn.Store(data, online=request.getfixturevalue(server), clock=clock) as store:
        store.apply([FILED])
        store.materialize()
        want = held_online(store, FILED)
        report = store.backfill("filed", chunk="10d", workers=2)
        assert held_online(store, FILED) == want
        assert (report.rows, len(store._project.online.tables())) == (DAYS, 1)


def test_answers_equal_training(filed):
    filed.backfill("filed", chunk="1d")
    assert ask(filed, [FILED], [0, 1, 2, 9]) == train(filed, [FILED], [(u, T) for u in (0, 1, 2, 9)])


def test_group_without_rows_is_filled_with_nothing(bare):
    bare.apply([VISITS])
    report = bare.backfill("visits", chunk="1d")
    assert (report.rows, report.size, report.chunks) == (0, 0, 1)
    assert statuses(bare, [VISITS], [1]) == [["NOT_FOUND"] * 3]


# --- what a materialization does not do -------------------------------------------------------------------------


def queried(data: Path) -> tuple[gn.FeatureGroup, sqlite3.Connection]:
    database = sqlite3.connect(data / "shop.db", isolation_level=None)
    database.execute("CREATE TABLE visit (user INTEGER, at TEXT)")
    source = gn.SQLSource(
        "v", url="sqlite:///shop.db", query="SELECT * FROM visit", timestamp="at", known_at="at"
    )
    return gn.FeatureGroup("filed", entity=USER, source=source, features=[gn.count(windows=["1d"])]), database


def test_rows_corrected_where_nothing_tells_are_read_again(bare, data):
    group, database = queried(data)
    for minutes in (1, 2, 3):
        database.execute("INSERT INTO visit VALUES (1, ?)", [(T - minutes * MINUTE).isoformat()])
    bare.apply([group])
    bare.materialize()
    database.execute("DELETE FROM visit WHERE at < ?", [(T - 2 * MINUTE).isoformat()])
    database.execute("UPDATE visit SET user = 2 WHERE at = ?", [(T - 2 * MINUTE).isoformat()])
    bare.materialize()
    assert ask(bare, [group], [1, 2]) == {"count_1d": [3, 0]}  # it cannot know
    bare.backfill("filed", T - HOUR, T, chunk="1m")
    assert ask(bare, [group], [1, 2]) == {"count_1d": [1, 1]}
    database.execute("INSERT INTO visit VALUES (2, ?)", [(T - SECOND).isoformat()])
    assert bare.materialize().groups[0].rebuilt is False
    assert ask(bare, [group], [1, 2]) == {"count_1d": [1, 2]}
    database.close()


def test_file_that_looks_as_before_is_read_again(filed, data):
    """A tool that keeps sizes and times, such as a copy of a backup."""
    filed.materialize()
    path = data / "log" / "a.parquet"
    rows, stat = pl.read_parquet(path), path.stat()
    size = len(path.read_bytes())
    rows.with_columns(user=2 - pl.col("user")).write_parquet(path)
    content = path.read_bytes()
    assert len(content) == size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert filed.materialize().rows == 0
    filed.backfill("filed", chunk="10d")
    assert ask(filed, [FILED], [0, 1, 2]) == train(filed, [FILED], [(u, T) for u in (0, 1, 2)])


def test_newest_row_of_a_growing_query_stays_whatever_the_interval(bare, data):
    group, database = queried(data)
    for hours in (1, 2, 3):
        database.execute("INSERT INTO visit VALUES (1, ?)", [(T - hours * HOUR).isoformat()])
    bare.apply([group])
    bare.materialize()
    bare.backfill("filed", T - 3 * HOUR, T - 2 * HOUR)
    assert ask(bare, [group], [1]) == {"count_1d": [3]}
    database.close()


def test_table_begins_earlier_and_a_feature_becomes_ready(filed):
    filed.materialize(start=T - 2 * DAY)
    assert statuses(filed, [FILED], [0]) == [["PRESENT", "NOT_READY"]]
    report = filed.backfill("filed", T - 31 * DAY, T - 2 * DAY, chunk="10d")
    assert statuses(filed, [FILED], [0]) == [["PRESENT", "PRESENT"]]
    assert ask(filed, [FILED], [0]) == train(filed, [FILED], [(0, T)])
    assert (document(filed).live.start, report.asked) == (instant(T - 31 * DAY), 37)


def test_new_window_is_not_ready_until_filled_and_then_complete(store, clock):
    """CASES 53: what was let go comes back."""
    store.insert(VISITS, [visit(1, T - day * DAY - MINUTE, day) for day in range(30)])
    store.materialize()
    longer = visits(gn.sum("ms", windows=["20d"]))
    store.apply([longer])
    assert statuses(store, ["visits:ms_sum_20d", "visits:ms_sum_1d"], [1]) == [["NOT_READY", "PRESENT"]]
    store.backfill("visits", chunk="3d")
    assert ask(store, ["visits:ms_sum_20d"], [1]) == {"ms_sum_20d": [sum(range(20))]}


def test_newer_values_are_never_overwritten(store):
    """Neither those that are online and newer than the interval, nor those of it that are newer than its oldest."""
    store.insert("plan", [plan(1, T - day * DAY, f"{day} days ago") for day in (5, 3, 1)])
    store.materialize()
    store.backfill("plan", T - 4 * DAY, T - 2 * DAY, chunk="1h", workers=3)
    assert ask(store, ["plan:name"], [1]) == {"name": ["1 days ago"]}
    store.insert("plan", [plan(1, T - MINUTE, "newest"), plan(1, T - 6 * DAY, "oldest")])
    store.backfill("plan", T - 10 * DAY, T - 5 * DAY, chunk="1h")
    store.materialize()
    assert ask(store, ["plan:name"], [1]) == {"name": ["newest"]}


def test_interval_of_a_first_backfill_is_what_the_table_holds(filed):
    report = filed.backfill("filed", T - 22 * DAY, T - 10 * DAY)
    assert report.rows == report.asked == 12 + 2 + 1  # two days are in both files, one of them twice in one
    filed.materialize(start=T - 22 * DAY)
    assert document(filed).live.start == instant(T - 22 * DAY)
    assert ask(filed, ["filed:count_1h"], [0]) == train(filed, ["filed:count_1h"], [(0, T)])


# --- stopped, overtaken -----------------------------------------------------------------------------------------


def test_stopped_run_is_gone_on_with_and_nothing_is_read_twice(filed):
    filed.materialize()
    want = held_online(filed, FILED)
    with listening(stop_at("load 3/40")), pytest.raises(KeyboardInterrupt):
        filed.backfill("filed", chunk="1d", workers=1)
    before = document(filed).refill
    assert ask(filed, [FILED], [0]) == train(filed, [FILED], [(0, T)])
    steps: list[str] = []
    with listening(lambda event: steps.append(event.step) if isinstance(event, Step) else None):
        report = filed.backfill("filed", chunk="1d", workers=1)
    assert steps[1] == "load 4/40"
    assert (report.resumed, report.rows) == (3, DAYS + 8)
    assert before.rows < report.rows
    assert held_online(filed, FILED) == want
    assert report.size == sum(
        len(k) + len(v) for k, v in filed._project.online.scan(document(filed).live.name)
    )


def test_run_for_another_interval_or_of_a_changed_source_begins_anew(filed, data):
    for change in (lambda: None, lambda: file(data, "a", (7, T - DAY))):
        with listening(stop_at("load 3/40")), pytest.raises(KeyboardInterrupt):
            filed.backfill("filed", chunk="1d", workers=1)
        change()
        report = filed.backfill("filed", T - 90 * DAY, chunk="1d")
        assert report.resumed == 0
        assert len(filed._project.online.tables()) == 1
        assert ask(filed, [FILED], [0, 7]) == train(filed, [FILED], [(0, T), (7, T)])


def test_others_fill_the_live_table_meanwhile_and_nothing_of_it_is_lost(filed, data):
    """A materialization between two chunks, and what it brought is in the table that takes its place."""
    filed.materialize()

    def materialize(event: Event) -> None:
        if event == Step("backfill", "filed@1", "load 2/40"):
            file(data, "c", (0, T - SECOND), (5, T - 35 * DAY))
            assert filed.materialize().rows == 2
            assert ask(filed, [FILED], [0]) == train(filed, [FILED], [(0, T)])

    with listening(materialize):
        report = filed.backfill("filed", chunk="1d", workers=1)
    assert report.rows == DAYS + 10
    assert filed.materialize().rows == 0
    assert ask(filed, [FILED], [0, 5]) == train(filed, [FILED], [(0, T), (5, T)])


def test_rows_of_a_growing_query_that_came_meanwhile_are_not_lost(bare, data):
    group, database = queried(data)
    for hours in range(5):
        database.execute("INSERT INTO visit VALUES (1, ?)", [(T - hours * HOUR - MINUTE).isoformat()])
    bare.apply([group])
    bare.materialize()

    def another(event: Event) -> None:
        if event == Step("backfill", "filed@1", "load 2/5"):
            database.execute("INSERT INTO visit VALUES (1, ?)", [(T - SECOND).isoformat()])
            bare.materialize()

    with listening(another):
        bare.backfill("filed", chunk="1h", workers=1)
    assert ask(bare, [group], [1]) == {"count_1d": [6]}
    database.close()


def test_source_that_changes_meanwhile_is_told_and_the_old_table_answers(filed, data):
    filed.materialize()

    def change(event: Event) -> None:
        if event == Step("backfill", "filed@1", "load 40/40"):
            file(data, "b", (9, T - MINUTE))

    with (
        listening(change),
        pytest.raises(Stopped, match=r"step `catch up`.*changed while it was read") as caught,
    ):
        filed.backfill("filed", chunk="1d")
    assert "begins anew" in caught.value.hint
    assert ask(filed, [FILED], [9]) == {"count_1h": [0], "count_30d": [0]}
    filed.backfill("filed", chunk="1d")
    assert ask(filed, [FILED], [9]) == {"count_1h": [1], "count_30d": [1]}


def test_table_made_anew_meanwhile_is_not_replaced_by_an_older_reading(filed, data):
    filed.materialize()

    def rebuild(event: Event) -> None:
        if event == Step("backfill", "filed@1", "load 2/40"):
            file(data, "b", (9, T - MINUTE))
            assert filed.materialize().groups[0].rebuilt

    with listening(rebuild), pytest.raises(Stopped, match="made anew meanwhile"):
        filed.backfill("filed", chunk="1d", workers=1)
    assert ask(filed, [FILED], [9]) == {"count_1h": [1], "count_30d": [1]}


def test_backfill_that_another_took_the_place_of_ends(filed):
    filed.materialize()

    def other(event: Event) -> None:
        if event == Step("backfill", "filed@1", "load 2/40"):
            change_document(
                filed._project.online, "filed@1", lambda d: replace(d, refill=replace(d.refill, table=d.live))
            )

    with listening(other), pytest.raises(Stopped, match="another backfill"):
        filed.backfill("filed", chunk="1d", workers=1)


def test_two_that_do_the_same_end_with_the_same_table(filed):
    """Each reads all of it, at worst, and neither publishes half."""
    filed.materialize()
    want, second = held_online(filed, FILED), []

    def other(event: Event) -> None:
        if event == Step("backfill", "filed@1", "load 2/5") and not second:
            second.append(1)
            second.append(filed.backfill("filed", chunk="10d", workers=1).resumed)

    with listening(other), pytest.raises(Stopped, match="another backfill"):
        filed.backfill("filed", chunk="10d", workers=1)
    assert second == [1, 2]
    assert held_online(filed, FILED) == want


def test_group_is_held_for_a_chunk_at_a_time(filed):
    free = []

    def look(event: Event) -> None:
        if isinstance(event, Step) and event.step.startswith("load"):
            with filling(filed.path, "filed@1", wait=0.0):
                free.append(event.step)

    with listening(look):
        filed.backfill("filed", chunk="10d", workers=1)
    assert len(free) == 5


def test_failing_store_stops_it_and_says_how_to_go_on(filed, monkeypatch):
    filed.materialize()

    def fail(*_: Any) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(filed._project.online, "update", fail)
        with pytest.raises(Stopped) as caught:
            filed.backfill("filed", chunk="1d")
    assert caught.value.what == "backfill stopped in step `load` for `filed@1`: the disk is full"
    assert "running it again" in caught.value.hint
    assert filed.backfill("filed", chunk="1d").rows == DAYS + 8


# --- told -------------------------------------------------------------------------------------------------------


def test_dry_run_tells_what_the_run_then_does_and_changes_nothing(filed):
    filed.materialize()
    epoch, tables = filed._project.online.get_meta("epoch"), filed._project.online.tables()
    told = filed.backfill("filed", chunk="10d", dry_run=True)
    assert (filed._project.online.get_meta("epoch"), filed._project.online.tables()) == (epoch, tables)
    assert (told.dry_run, told.rows, told.size) == (True, 0, 0)
    done = filed.backfill("filed", chunk="10d")
    assert (told.estimate.rows, told.estimate.keys, told.chunks) == (done.rows, 3, done.chunks)
    assert told.estimate.size == pytest.approx(done.size, rel=0.2)
    assert told.estimate.seconds > 0
    assert "48 rows to read, 48 of them in the interval asked for" in str(told)
    assert "expected" in str(done)


def test_steps_and_progress_are_told_in_order(filed):
    events: list[Event] = []
    with listening(events.append):
        filed.backfill("filed", chunk="20d", workers=1)
    steps = [event.step for event in events if isinstance(event, Step)]
    assert steps == ["choose", "load 1/3", "load 2/3", "load 3/3", "catch up", "publish"]
    assert [e.done for e in events if isinstance(e, Progress)] == [1, 2, 3]
    assert [e.rows for e in events if isinstance(e, Backfilled)] == [DAYS + 8]


def test_rows_without_key_or_time_are_counted_once(bare, data):
    rows = [{"user": 1, "at": T - day * DAY} for day in range(5)]
    write(data, "log/a.parquet", [*rows, {"user": None, "at": T}, {"user": 1, "at": None}])
    bare.apply([FILED])
    report = bare.backfill("filed", chunk="1d")
    assert (report.ignored.null_key, report.ignored.null_time) == (1, 1)


def test_report_can_be_told_to_machines(filed):
    told = filed.backfill("filed").to_dict()
    assert (told["group"], told["rows"], told["estimate"]["rows"]) == ("filed@1", DAYS + 8, DAYS + 8)


def test_query_that_cannot_tell_what_changed_is_read_at_once_and_that_is_said(bare, data):
    group, database = queried(data)
    source = gn.SQLSource("v", url="sqlite:///shop.db", query="SELECT * FROM visit", timestamp="at")
    group = gn.FeatureGroup("filed", entity=USER, source=source, features=[gn.count(windows=["1d"])])
    for hours in range(3):
        database.execute("INSERT INTO visit VALUES (1, ?)", [(T - hours * HOUR - MINUTE).isoformat()])
    database.close()
    bare.apply([group])
    report = bare.backfill("filed", chunk="1h")
    assert (report.chunks, report.rows) == (1, 3)
    assert "does not tell what has changed" in str(report)
    assert ask(bare, [group], [1]) == {"count_1d": [3]}


# --- refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": T, "end": T}, "is empty"),
        ({"chunk": "0d"}, "holds nothing"),
        ({"chunk": "1 month"}, "is not a duration"),
        ({"workers": 0}, "0 workers"),
        ({"start": "soon"}, "start: `soon` is not a time"),
    ],
)
def test_wrong_arguments_are_refused(filed, options, message):
    with pytest.raises(UsageError, match=message):
        filed.backfill("filed", **options)


def test_group_that_is_not_kept_online_has_nothing_to_fill(bare):
    quiet = gn.FeatureGroup(
        "quiet", entity=USER, timestamp="at", online=False, features=[gn.Feature("name", pl.String)]
    )
    bare.apply([quiet])
    with pytest.raises(UsageError, match="is not kept online"):
        bare.backfill("quiet")


def test_cached_group_whose_rows_are_lost_keeps_its_table(store):
    store.insert(VISITS, [visit(1, T - timedelta(hours=1))])
    store.materialize()
    store._project.offline.drop("visits@1")
    with pytest.raises(Stopped, match="is gone"):
        store.backfill("visits")
    assert ask(store, ["visits:count_1d"], [1]) == {"count_1d": [1]}
