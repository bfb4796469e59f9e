"""What one piece of a source brings online: which rows, under which keys, and what older rows leave behind."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from tests.flows.small import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    US,
    USER,
    VISITS,
    T,
    ask,
    train,
    visit,
    write,
)  # fmt: skip

SOURCE = gn.FileSource("log", "log", format="parquet", timestamp="at")
FILED = gn.FeatureGroup("filed", entity=USER, source=SOURCE, features=[gn.count(windows=["1d"])])


def file(folder: Path, name: str, *rows: tuple[int, datetime]) -> Path:
    return write(folder, f"log/{name}.parquet", [{"user": user, "at": at} for user, at in rows])


def test_rows_that_two_files_hold_count_once_and_equal_rows_of_one_file_all_count(bare, data):
    file(data, "a", (1, T - HOUR), (1, T - HOUR))
    file(data, "b", (1, T - HOUR), (1, T - HOUR), (1, T - HOUR))
    bare.apply([FILED])
    report = bare.materialize()
    assert (report.rows, report.groups[0].duplicates) == (5, 2)
    assert ask(bare, [FILED], [1]) == train(bare, [FILED], [(1, T)]) == {"count_1d": [3]}


def test_equal_rows_of_several_inserts_all_count(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    assert store.insert(VISITS, [visit(1, T - HOUR)] * 2).accepted == 1
    store.materialize()
    assert (
        ask(store, ["visits:count_1d"], [1])
        == train(store, ["visits:count_1d"], [(1, T)])
        == {"count_1d": [2]}
    )


def test_rows_without_key_or_time_are_ignored_and_counted(bare, data):
    write(
        data,
        "log/a.parquet",
        [{"user": 1, "at": T - HOUR}, {"user": None, "at": T - HOUR}, {"user": 1, "at": None}],
    )
    bare.apply([FILED])
    report = bare.materialize()
    assert (report.rows, report.groups[0].ignored.null_key, report.groups[0].ignored.null_time) == (1, 1, 1)
    assert "1 row with a null key" in str(report)


def test_more_keys_than_one_update_takes_come_online(store):
    n = 45_000
    first = pl.DataFrame({"user": range(n), "at": [T - HOUR] * n, "ms": range(n)})
    store.insert(VISITS, first)
    store.materialize("visits")
    store.insert(VISITS, first.with_columns(pl.col("ms") + 1))
    report = store.materialize("visits")
    assert (report.keys, report.rows, report.groups[0].duplicates) == (n, n, 0)
    assert ask(store, ["visits:ms_sum_1d"], [0, 20_001, n - 1]) == {"ms_sum_1d": [1, 40_003, 2 * n - 1]}


# --- what older rows leave behind ---------------------------------------------------------------------------

START = T - HOUR
OLD, OLDER = T - 5 * DAY, T - 9 * DAY


def told(store: gn.Store, group: gn.FeatureGroup, users: list[int], at: datetime) -> Any:
    """Values, statuses and event times of some users."""
    found = store.get_online_features([group], [{"user": u} for u in users], at=at)
    return found.to_dict(), found.statuses, found.event_times


def check_start(store: gn.Store, group: gn.FeatureGroup, users: list[int], *times: datetime) -> None:
    """A table from START on tells at some times what a table of all rows tells."""
    store.materialize(start=START)
    late = [told(store, group, users, t) for t in times]
    store.materialize()
    assert late == [told(store, group, users, t) for t in times]
    assert all(status != ["NOT_READY"] for _, given, _ in late for status in given)


def test_a_key_with_nothing_since_the_start_is_found_and_keeps_its_event_time(bare, data):
    file(data, "a", (1, OLDER), (1, OLD), (2, OLD), (2, T - MINUTE))
    file(data, "b", (1, OLDER + HOUR), (3, OLDER))
    bare.apply([FILED])
    report = bare.materialize(start=START)
    assert (report.rows, report.groups[0].late) == (1, 0)
    later = START + DAY
    assert told(bare, FILED, [1, 3, 4], later) == (
        {"count_1d": [0, 0, 0]},
        [["PRESENT"], ["PRESENT"], ["NOT_FOUND"]],
        [[OLD], [OLDER], [None]],
    )
    check_start(bare, FILED, [1, 2, 3, 4], later, later + DAY)


@pytest.mark.parametrize("max_age", ["2h", "30d", None])
def test_a_state_group_answers_from_the_start_on(bare, data, max_age):
    source = gn.FileSource("plans", "plans", format="parquet", timestamp="at")
    group = gn.FeatureGroup(
        "plans", entity=USER, source=source, max_age=max_age, features=[gn.Feature("name", pl.String)]
    )
    rows = [(1, OLDER, "free"), (1, OLD, "paid"), (2, OLD, None), (3, OLD, "paid"), (3, T - MINUTE, "gold")]
    write(data, "plans/a.parquet", [{"user": u, "at": at, "name": name} for u, at, name in rows])
    bare.apply([group])
    check_start(bare, group, [1, 2, 3, 4], START, START + US, T, T + 3 * HOUR)


def test_a_row_known_since_the_start_of_before_it_is_the_newest_from_then_on(bare, data):
    source = gn.FileSource("log", "log", format="parquet", timestamp="at", known_at="seen")
    group = gn.FeatureGroup("filed", entity=USER, source=source, features=[gn.count(windows=["1m"])])
    rows = [(1, OLDER, OLDER), (1, OLD, T - 2 * SECOND), (2, OLD, T - SECOND)]
    write(data, "log/a.parquet", [{"user": u, "at": at, "seen": seen} for u, at, seen in rows])
    bare.apply([group])
    check_start(bare, group, [1, 2], T - 3 * SECOND, T - 2 * SECOND, T - SECOND)


def test_what_a_correction_took_away_before_the_start_leaves_nothing(bare, data):
    source = gn.FileSource("log", "log", format="parquet", timestamp="at", known_at="seen", event_id="id")
    group = gn.FeatureGroup("filed", entity=USER, source=source, features=[gn.count(windows=["1h"])])
    rows = [(1, OLD, OLD, "a"), (1, OLDER, OLD + HOUR, "a"), (2, OLD, OLD, "b"), (2, T, OLD + HOUR, "b")]
    write(data, "log/a.parquet", [{"user": u, "at": at, "seen": seen, "id": i} for u, at, seen, i in rows])
    bare.apply([group])
    check_start(bare, group, [1, 2], T, T + US)
    assert told(bare, group, [1], T)[2] == [[OLDER]]


def test_the_global_key_has_a_start_too(bare, data):
    group = gn.FeatureGroup("all", entity=[], source=SOURCE, features=[gn.count(windows=["1h"])])
    file(data, "a", (1, OLDER), (1, OLD))
    bare.apply([group])
    bare.materialize(start=START)
    found = bare.get_online_features([group], [{}])
    assert (found.to_dict(), found.statuses, found.event_times) == ({"count_1h": [0]}, [["PRESENT"]], [[OLD]])
