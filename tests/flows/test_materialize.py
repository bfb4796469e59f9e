"""Which rows a run brings online, from which parts, and what it tells of them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import Stopped, Unavailable, UsageError
from gnomon.events import Event, Materialized, Progress, Step, listening
from gnomon.flows.online import filling, read_document
from tests.flows.small import (
    DAY,
    HOUR,
    MINUTE,
    PLAN,
    SECOND,
    US,
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
FILED = gn.FeatureGroup("filed", entity=USER, source=SOURCE, features=[gn.count(windows=["1d"])])


def live(store: gn.Store, ref: str = "filed@1") -> Any:
    return read_document(store._project.online, ref).live


def file(folder: Path, name: str, *rows: tuple[int, datetime]) -> Path:
    return write(folder, f"log/{name}.parquet", [{"user": user, "at": at} for user, at in rows])


@pytest.fixture
def filed(bare: gn.Store, data: Path) -> gn.Store:
    """A group on two files, with three rows of user 1 and one of user 2."""
    file(data, "a", (1, T - HOUR), (2, T - HOUR))
    file(data, "b", (1, T - MINUTE), (1, T - SECOND))
    bare.apply([FILED])
    return bare


# --- once, and what is new ------------------------------------------------------------------------------------


def test_a_second_run_has_nothing_to_do_and_disturbs_no_reader(filed):
    first = filed.materialize()
    epoch = filed._project.online.get_meta("epoch")
    again = filed.materialize()
    assert (first.rows, first.keys, again.rows, again.keys) == (4, 3, 0, 0)
    assert "nothing new" in str(again)
    assert filed._project.online.get_meta("epoch") == epoch


def test_a_group_without_rows_has_its_table(store):
    store.materialize()
    assert live(store, "visits@1").name in store._project.online.tables()


def test_only_new_parts_are_read(filed, data):
    filed.materialize()
    file(data, "c", (2, T - MINUTE))
    report = filed.materialize()
    assert (report.groups[0].parts, report.rows, report.groups[0].rebuilt) == (1, 1, False)
    assert ask(filed, [FILED], [1, 2]) == {"count_1d": [3, 2]}


def test_a_changed_file_makes_the_table_anew(filed, data):
    filed.materialize()
    file(data, "b", (2, T - MINUTE))
    report = filed.materialize()
    assert report.groups[0].rebuilt
    assert ask(filed, [FILED], [1, 2]) == {"count_1d": [1, 2]}


def test_a_removed_file_takes_its_rows_along(filed, data):
    filed.materialize()
    (data / "log" / "b.parquet").unlink()
    assert filed.materialize().groups[0].rebuilt
    assert ask(filed, [FILED], [1, 2]) == {"count_1d": [1, 1]}
    assert len(filed._project.online.tables()) == 1


def test_columns_that_get_another_type_make_the_table_anew(bare, data):
    source = gn.FileSource("log", "log", format="csv", timestamp="at")
    total = gn.sum(expr="CAST(x AS DOUBLE)", windows=["1d"], name="x")
    group = gn.FeatureGroup("filed", entity=USER, source=source, features=[total])
    (data / "log").mkdir()
    (data / "log/a.csv").write_text("user,at,x\n1,2026-01-10T11:00:00,1\n")
    bare.apply([group])
    bare.materialize()
    (data / "log/b.csv").write_text("user,at,x\n1,2026-01-10T11:00:00,1.0\n1,2026-01-10T11:30:00,2.5\n")
    bare.apply([group])
    assert bare.materialize().groups[0].rebuilt
    assert ask(bare, [group], [1]) == train(bare, [group], [(1, T)]) == {"x_1d": [3.5]}


def test_inserts_are_followed_commit_by_commit(store):
    store.insert(VISITS, [visit(1, T - HOUR, 3)])
    store.materialize("visits")
    store.insert(VISITS, [visit(1, T - 2 * HOUR, 4), visit(1, T - HOUR, 3)])
    report = store.materialize("visits")
    assert (report.groups[0].parts, report.rows, report.groups[0].rebuilt) == (1, 1, False)
    assert ask(store, ["visits:ms_sum_1d"], [1]) == {"ms_sum_1d": [7]}


def test_only_the_groups_asked_for_are_brought_online(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    store.insert(PLAN, [plan(1, T - HOUR, "free")])
    store.materialize([PLAN])
    assert statuses(store, ["visits:count_1d", "plan:name"], [1]) == [["NOT_READY", "PRESENT"]]


def test_a_group_that_is_not_online_is_left_out(bare):
    quiet = gn.FeatureGroup(
        "quiet", entity=USER, timestamp="at", online=False, features=[gn.Feature("name", pl.String)]
    )
    bare.apply([quiet])
    assert bare.materialize().groups == []


# --- SQL ------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(data: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(data / "shop.db", isolation_level=None)
    connection.execute("CREATE TABLE visit (user INTEGER, at TEXT, seen TEXT)")
    yield connection
    connection.close()


def put(database: sqlite3.Connection, user: int, at: datetime, seen: datetime) -> None:
    database.execute("INSERT INTO visit VALUES (?, ?, ?)", (user, at.isoformat(), seen.isoformat()))


def queried(known_at: str | None) -> gn.FeatureGroup:
    source = gn.SQLSource(
        "visit", url="sqlite:///shop.db", query="SELECT * FROM visit", timestamp="at", known_at=known_at
    )
    return gn.FeatureGroup("queried", entity=USER, source=source, features=[gn.count(windows=["1d"])])


def test_a_query_that_cannot_tell_what_is_new_is_read_whole_each_time(bare, database):
    put(database, 1, T - HOUR, T)
    group = queried(None)
    bare.apply([group])
    bare.materialize()
    database.execute("DELETE FROM visit")
    put(database, 1, T - MINUTE, T)
    put(database, 1, T - SECOND, T)
    assert bare.materialize().groups[0].rebuilt
    assert ask(bare, [group], [1]) == {"count_1d": [2]}
    assert len(bare._project.online.tables()) == 1


def test_a_query_with_known_at_is_followed_by_what_became_known(bare, database, clock):
    put(database, 1, T - 2 * HOUR, T - HOUR)
    group = queried("seen")
    bare.apply([group])
    bare.materialize()
    put(database, 1, T - 3 * HOUR, T - HOUR)
    put(database, 2, T - 4 * HOUR, T - SECOND)
    report = bare.materialize()
    assert not report.groups[0].rebuilt
    assert ask(bare, [group], [1, 2]) == {"count_1d": [2, 1]}


def test_a_row_that_becomes_known_in_years_hides_none_that_is_known_before(bare, database, clock):
    put(database, 1, T - HOUR, datetime(2099, 1, 1, tzinfo=UTC))
    group = queried("seen")
    bare.apply([group])
    bare.materialize()
    put(database, 1, T - MINUTE, T - SECOND)
    bare.materialize()
    assert ask(bare, [group], [1]) == {"count_1d": [1]}


# --- from, until ----------------------------------------------------------------------------------------------


def test_rows_beyond_the_end_come_with_a_later_run(filed):
    assert filed.materialize(end=T - MINUTE).rows == 2
    assert ask(filed, [FILED], [1]) == {"count_1d": [1]}
    assert filed.materialize(end=T - SECOND).rows == 1
    assert filed.materialize(end=T).rows == 1
    assert ask(filed, [FILED], [1]) == {"count_1d": [3]}


def test_an_interval_counts_activations(bare, data):
    source = gn.FileSource("late", "log", format="parquet", timestamp="at", lag="1h")
    late = gn.FeatureGroup("late", entity=USER, source=source, features=[gn.count(windows=["1d"])])
    file(data, "a", (1, T - HOUR), (1, T - HOUR - US))
    bare.apply([late])
    assert bare.materialize(end=T).rows == 1
    assert ask(bare, [late], [1]) == {"count_1d": [1]}


def test_a_run_that_starts_late_leaves_earlier_rows_out_and_does_not_guess(filed):
    filed.materialize(start=T - HOUR + US)
    assert statuses(filed, [FILED], [1]) == [["NOT_READY"]]
    assert statuses(filed, [FILED], [1], at=T - HOUR + DAY + US) == [["PRESENT"]]
    assert ask(filed, [FILED], [1], at=T - HOUR + DAY + US) == {"count_1d": [2]}


def test_a_run_that_starts_later_than_the_last_one_ended_leaves_no_hole(filed):
    filed.materialize(end=T - MINUTE)
    filed.materialize(start=T - SECOND)
    assert ask(filed, [FILED], [1]) == {"count_1d": [3]}


def test_a_run_that_starts_earlier_than_the_table_makes_it_anew(filed):
    filed.materialize(start=T - MINUTE)
    report = filed.materialize(start=T - HOUR)
    assert report.groups[0].rebuilt
    assert ask(filed, [FILED], [1], at=T - HOUR + DAY) == {"count_1d": [3]}


def test_a_table_made_anew_reaches_as_far_as_the_one_before(filed, data):
    filed.materialize()
    file(data, "b", (1, T - MINUTE))
    report = filed.materialize(start=T - HOUR + US, end=T - 30 * MINUTE)
    assert report.groups[0].rebuilt
    assert ask(filed, [FILED], [1, 2]) == {"count_1d": [2, 1]}


@pytest.mark.parametrize("end", [T - HOUR, T - HOUR - US])
def test_an_empty_interval_is_refused(store, end):
    with pytest.raises(UsageError, match="is empty"):
        store.materialize(start=T - HOUR, end=end)


# --- what is told ---------------------------------------------------------------------------------------------


def test_steps_and_progress_are_told_in_order(filed):
    told: list[Event] = []
    with listening(told.append):
        filed.materialize()
    steps = [event.step for event in told if isinstance(event, Step)]
    assert steps == ["choose", "horizon", "load 1/2", "load 2/2", "publish"]
    parts = [event for event in told if isinstance(event, Progress) and event.unit == "parts"]
    assert [(event.done, event.total) for event in parts] == [(1, 2), (2, 2)]
    assert [event.rows for event in told if isinstance(event, Materialized)] == [4]


def test_a_report_can_be_told_to_machines(filed):
    told = filed.materialize().to_dict()
    assert told["groups"][0]["group"] == "filed@1"
    assert told["groups"][0]["rows"] == 4


def test_a_run_that_fails_tells_step_and_what_is_complete_and_can_go_on(bare, data):
    late = gn.FileSource("log", "log", format="parquet", timestamp="at", event_id="id")
    group = gn.FeatureGroup("filed", entity=USER, source=late, features=[gn.sum("x", windows=["1d"])])
    rows = [{"user": 1, "at": T - HOUR, "id": 1, "x": 1}]
    write(data, "log/a.parquet", rows)
    write(data, "log/b.parquet", [{**rows[0], "x": 2}])
    bare.apply([group])
    with pytest.raises(Stopped, match=r"step `load` for `filed@1` \(1/1\).*not unique") as caught:
        bare.materialize()
    assert "1 part done" in str(caught.value.hint)
    write(data, "log/b.parquet", [{**rows[0], "id": 2, "x": 2}])
    bare.materialize()
    assert ask(bare, [group], [1]) == {"x_sum_1d": [3]}


def test_another_process_that_fills_a_group_is_waited_for(filed):
    with (
        filling(filed.path, "filed@1"),
        pytest.raises(Unavailable, match="another process"),
        filling(filed.path, "filed@1", wait=0.05),
    ):
        pass


# --- horizon --------------------------------------------------------------------------------------------------


def test_the_horizon_follows_the_newest_row_that_is_active(filed, data):
    filed.materialize()
    table = live(filed)
    assert table.watermark == int((T - SECOND).timestamp() * 1e6)
    assert table.horizon == table.watermark - 2 * 86_400_000_000
    file(data, "c", (1, T + DAY), (1, T - 5 * DAY))
    report = filed.materialize()
    assert report.groups[0].late == 1
    assert live(filed).watermark == table.watermark, "what is in the future lets nothing go"


def test_rows_that_fall_behind_the_horizon_are_let_go_and_counted(filed, data, clock):
    filed.materialize()
    clock.now = T + 10 * DAY
    file(data, "c", (1, clock.now - HOUR))
    report = filed.materialize()
    assert report.groups[0].retired == 3
    assert ask(filed, [FILED], [1, 2]) == {"count_1d": [1, 0]}
    assert statuses(filed, [FILED], [2, 3]) == [["PRESENT"], ["NOT_FOUND"]]


def test_slack_keeps_rows_for_longer(tmp_path, clock):
    (tmp_path / "gnomon.toml").write_text('[online]\nurl = "memory://"\nslack = "30d"\n')
    with gn.Store(tmp_path, clock=clock) as store:
        store.apply([VISITS])
        store.insert(VISITS, [visit(1, T - 20 * DAY), visit(1, T - HOUR)])
        store.materialize()
        assert ask(store, ["visits:count_1d"], [1], at=T - 20 * DAY + HOUR) == {"count_1d": [1]}


# --- changes of definitions -----------------------------------------------------------------------------------


def test_a_feature_of_new_inputs_waits_while_the_others_go_on_answering(store):
    store.insert(VISITS, [visit(1, T - HOUR, 7)])
    store.materialize()
    group = visits(gn.max(expr="ms * 2", windows=["1d"], name="twice"))
    store.apply([group])
    assert ask(store, ["visits:ms_sum_1d", "visits:twice_1d"], [1]) == {"ms_sum_1d": [7], "twice_1d": [None]}
    assert statuses(store, ["visits:ms_sum_1d", "visits:twice_1d"], [1]) == [["PRESENT", "NOT_READY"]]
    assert store.materialize("visits").groups[0].rebuilt
    assert ask(store, ["visits:ms_sum_1d", "visits:twice_1d"], [1]) == {"ms_sum_1d": [7], "twice_1d": [14]}


def test_an_unbounded_feature_waits_until_all_rows_are_there_again(store, clock):
    store.insert(VISITS, [visit(1, T - 30 * DAY, 7), visit(1, T - HOUR, 1)])
    store.materialize()
    group = visits(gn.sum("ms"))
    store.apply([group])
    assert statuses(store, ["visits:ms_sum"], [1]) == [["NOT_READY"]]
    store.materialize()
    assert ask(store, ["visits:ms_sum"], [1]) == {"ms_sum": [8]}


def test_a_table_that_was_begun_for_a_change_taken_back_is_removed(store):
    store.insert(PLAN, [plan(1, T - HOUR, "free")])
    store.materialize()
    before = store.registry.snapshot().revision
    number = gn.Feature("number", pl.Int64, expr="CAST(name AS BIGINT)")
    store.apply(
        [
            gn.FeatureGroup(
                "plan", entity=USER, timestamp="at", max_age="2d", features=[*PLAN.features, number]
            )
        ]
    )
    with pytest.raises(Stopped, match="feature `number` cannot be computed"):
        store.materialize("plan")
    online = store._project.online
    assert read_document(online, "plan@1").building is not None
    store.registry.revert(before)
    assert store.materialize("plan").rows == 0
    assert read_document(online, "plan@1").building is None
    assert sum(name.startswith("plan@1#") for name in online.tables()) == 1
    assert ask(store, [PLAN], [1]) == {"name": ["free"]}


# --- values ---------------------------------------------------------------------------------------------------


def test_settling_delay_moves_every_path_back(bare):
    group = gn.FeatureGroup(
        "slow", entity=USER, timestamp="at", settling_delay="1h", features=[gn.count(windows=["1h"])]
    )
    bare.apply([group])
    bare.insert(group, [{"user": 1, "at": T - k * 30 * MINUTE} for k in range(6)])
    bare.materialize()
    times = [T + k * 15 * MINUTE for k in range(-8, 9)]
    online = [ask(bare, [group], [1], at=t)["count_1h"][0] for t in times]
    assert online == train(bare, [group], [(1, t) for t in times])["count_1h"]
    assert ask(bare, [group], [1]) == {"count_1h": [2]}


def test_settling_delay_of_a_state_group_hides_the_newest_rows(bare):
    group = gn.FeatureGroup(
        "slow",
        entity=USER,
        timestamp="at",
        settling_delay="1h",
        max_age="1h",
        features=[gn.Feature("v", pl.Int64)],
    )
    bare.apply([group])
    bare.insert(group, [{"user": 1, "at": T - k * HOUR, "v": k} for k in range(4)])
    bare.materialize()
    for t in (T - HOUR, T, T + HOUR, T + 2 * HOUR, T + 2 * HOUR + US):
        assert ask(bare, [group], [1], at=t) == train(bare, [group], [(1, t)])
    assert statuses(bare, [group], [1], at=T + 2 * HOUR + US) == [["EXPIRED"]]


def test_rows_of_the_future_wait(store, clock):
    store.insert(VISITS, [visit(1, T + HOUR)])
    store.materialize()
    assert statuses(store, ["visits:count_1d"], [1]) == [["NOT_FOUND"]]
    clock.now = T + HOUR + US
    assert ask(store, ["visits:count_1d"], [1]) == {"count_1d": [1]}


def test_a_table_that_was_lost_is_told_and_does_not_empty_the_online_store(tmp_path):
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "lost"\n')
    user = gn.Entity("user", keys={"user": int})
    group = gn.FeatureGroup("g", entity=user, timestamp="t", schema={"x": float}, features=[gn.sum("x")])
    with gn.Store(tmp_path, online="memory://") as store:
        store.apply([group])
        store.insert(group, [{"user": 1, "t": "2026-01-01", "x": 2.0}])
        store.materialize()
        shutil.move(tmp_path / ".gnomon" / "offline", tmp_path / "elsewhere")
        with pytest.raises(Stopped, match="is gone"):
            store.materialize()
        assert store.get_online_features([group], [{"user": 1}]).to_dict() == {"x_sum": [2.0]}
