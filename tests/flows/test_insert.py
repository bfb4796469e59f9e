"""Rows into the table of a cached group: checked, once, in one commit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, UsageError
from gnomon.events import Inserted, listening
from tests.flows.small import HOUR, MINUTE, USER, VISITS, T, plan, train, visit

SCORES = gn.FeatureGroup(
    "scores",
    entity=USER,
    timestamp="at",
    known_at="seen",
    event_id="id",
    schema={"id": pl.Int64, "x": pl.Int64},
    features=[gn.sum("x", windows=["1d"])],
)


def score(id: int | None, x: int, *, seen: datetime | None = T - HOUR, user: int = 1) -> dict[str, Any]:
    return {"user": user, "at": T - HOUR, "seen": seen, "id": id, "x": x}


@pytest.fixture
def scores(bare: gn.Store) -> gn.Store:
    bare.apply([SCORES])
    return bare


def test_a_commit_tells_what_became_of_the_rows(store):
    told: list[Inserted] = []
    with listening(lambda e: told.append(e) if isinstance(e, Inserted) else None):
        commit = store.insert(VISITS, [visit(1, T), visit(1, T), visit(None, T), visit(1, None)])
        again = store.insert("visits", [visit(1, T), visit(2, T)])
    assert (commit.rows, commit.accepted, commit.duplicates, commit.id) == (4, 2, 0, 0)
    assert (commit.ignored.null_key, commit.ignored.null_time, commit.quarantined) == (1, 1, 0)
    assert (again.rows, again.accepted, again.duplicates, again.id) == (2, 1, 1, 1)
    assert str(again) == "visits@1: 1 of 2 rows committed, 1 there already (commit 1)"
    assert told == [Inserted("visits@1", 0, 4, 2), Inserted("visits@1", 1, 2, 1)]


def test_a_batch_delivered_again_makes_no_commit(store):
    rows = [visit(1, T - HOUR), visit(1, T - HOUR), visit(2, T)]
    store.insert(VISITS, rows)
    again = store.insert(VISITS, rows[::-1])
    assert (again.accepted, again.duplicates, again.id) == (0, 3, None)
    assert store._project.offline.version("visits@1") == 0


def test_nothing_to_do_is_fine_however_it_is_given(scores):
    scores.insert("scores", [], deletes=[])
    for nothing in ([], pl.DataFrame(), {}):
        assert scores.insert("scores", deletes=nothing).id is None
        assert scores.insert("scores", nothing).id is None


def test_rows_that_take_no_part_alone_make_no_table(store):
    assert store.insert(VISITS, [visit(None, T)]).id is None
    assert store._project.offline.tables() == []


def test_a_row_with_an_id_counts_once_however_it_is_delivered(scores):
    scores.insert(SCORES, [score(1, 5), score(2, 7)])
    assert scores.insert(SCORES, [score(2, 7), score(2, 7), score(3, 1)]).accepted == 1
    assert train(scores, [SCORES], [(1, T)]) == {"x_sum_1d": [13]}


def test_a_correction_known_later_is_a_new_version(scores):
    scores.insert(SCORES, [score(1, 5)])
    assert scores.insert(SCORES, [score(1, 8, seen=T)]).accepted == 1
    questions = [(1, T - MINUTE), (1, T)]
    assert train(scores, [SCORES], questions) == {"x_sum_1d": [5, 8]}


@pytest.mark.parametrize("seen", [T - HOUR, None])
@pytest.mark.parametrize("together", [True, False])
def test_one_id_with_two_contents_at_one_known_at_is_refused_and_nothing_is_written(scores, together, seen):
    first, second = score(1, 5, seen=seen), score(1, 8, seen=seen)
    if not together:
        scores.insert(SCORES, [first])
    before = scores._project.offline.version("scores@1")
    with pytest.raises(DataError, match="`id` of group `scores` is not unique") as caught:
        scores.insert(SCORES, [score(9, 1), first, second])
    assert caught.value.at == "id = 1"
    assert scores._project.offline.version("scores@1") == before


def test_one_id_of_two_keys_is_two_rows(scores):
    assert scores.insert(SCORES, [score(1, 5), score(1, 8, user=2)]).accepted == 2


def test_rows_without_an_id_are_refused_where_ids_are_declared(scores):
    with pytest.raises(DataError, match=r"`id` is null in 1 row"):
        scores.insert(SCORES, [score(1, 5), score(None, 5)])


def test_state_rows_of_one_time_are_all_kept_as_versions(store):
    rows = [plan(1, T - HOUR, "free"), plan(1, T - HOUR, "paid")]
    assert store.insert("plan", rows).accepted == 2
    assert store.insert("plan", rows).accepted == 0


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame([visit(1, T)]),
        pl.LazyFrame([visit(1, T)]),
        {"user": [1], "at": [T], "ms": [1]},
        [visit(1, T)],
        pl.DataFrame([visit(1, T)]).to_pandas(),
        pl.DataFrame([visit(1, T)]).to_arrow(),
        pl.DataFrame([visit(1, T)]).cast({"user": pl.Int8, "ms": pl.UInt16}),
        {"user": [1], "at": ["2026-01-10T13:00:00+01:00"], "ms": [1]},
        {"user": [1], "at": [T.replace(tzinfo=None)], "ms": [1]},
        {"user": [1], "at": pl.Series([T]).dt.cast_time_unit("ns"), "ms": [1]},
        {"ms": np.array([1], np.int16), "at": [T], "user": np.array([1], np.uint8)},
    ],
)  # fmt: skip
def test_whatever_frame_the_same_rows_come_in_they_are_the_same_rows(store, frame):
    store.insert(VISITS, [visit(1, T)])
    assert store.insert(VISITS, frame).duplicates == 1


@pytest.mark.parametrize(
    ("frame", "message", "hint"),
    [
        ({"user": [1], "at": [T]}, "needs the columns `ms`", "columns found: user, at"),
        ({"user": [1], "at": [T], "mss": [1]}, "needs the columns `ms`", "did you mean `mss`"),
        ({"user": [1], "at": [T], "ms": [1], "extra": [2]}, "has no columns `extra`", "nothing is dropped"),
        ({"user": ["1"], "at": [T], "ms": [1]}, "`user` of group `visits` is Int64, found String", "cast"),
        ({"user": [1], "at": [T], "ms": [1.5]}, "`ms` of group `visits` is Int64, found Float64", "cast"),
        ({"user": [1], "at": [5], "ms": [1]}, "`at` of group `visits` is Datetime", "cast"),
    ],
)
def test_columns_that_do_not_fit_are_named(store, frame, message, hint):
    with pytest.raises(DataError, match=message) as caught:
        store.insert(VISITS, frame)
    assert hint in caught.value.hint
    assert store._project.offline.tables() == []


def test_text_that_is_no_time_names_the_group(store):
    with pytest.raises(DataError, match="`visits`"):
        store.insert(VISITS, {"user": [1], "at": ["yesterday"], "ms": [1]})


def test_a_group_that_reads_a_source_takes_no_rows(bare, data):
    pl.DataFrame({"user": [1], "at": [T]}).write_parquet(data / "a.parquet")
    source = gn.FileSource("a", "a.parquet", timestamp="at")
    group = gn.FeatureGroup("filed", entity=USER, source=source, features=[gn.count()])
    bare.apply([group])
    with pytest.raises(UsageError, match="reads `a` in place"):
        bare.insert(group, [{"user": 1, "at": T}])


def test_values_of_every_type_come_back_from_the_table(bare):
    types = {
        "a": pl.UInt64, "b": pl.Duration("us"), "c": pl.Time, "d": pl.Decimal(38, 4), "e": pl.Binary,
        "f": pl.List(pl.Struct({"x": pl.Float32, "y": pl.Datetime("us", "UTC")})), "g": pl.Array(pl.Int8, 2),
        "h": pl.Datetime("ns"), "i": pl.Boolean, "j": pl.Date, "k": pl.Float64, "l": pl.Datetime("ms", "Europe/Berlin"),
    }  # fmt: skip
    group = gn.FeatureGroup(
        "all",
        entity=USER,
        timestamp="at",
        features=[gn.Feature(name, dtype) for name, dtype in types.items()],
    )
    now = datetime(2026, 1, 10, 11, 0, 0, 5000, tzinfo=UTC)
    values = {
        "a": 2**64 - 1, "b": HOUR, "c": now.time(), "d": "12345678901234567890.1234", "e": b"\0\xff",
        "f": [{"x": 1.5, "y": now}, None], "g": [1, -1], "h": 1, "i": True, "j": now.date(), "k": -0.0, "l": now,
    }  # fmt: skip
    full = pl.DataFrame({n: pl.Series([v]) if n == "l" else [v] for n, v in values.items()})
    full = full.with_columns(l=pl.col("l").dt.convert_time_zone("Europe/Berlin"))
    given = full.with_columns(pl.col("g").cast(pl.List(pl.Int8))).cast(
        {name: dtype for name, dtype in types.items() if name != "l"}
        | {"l": pl.Datetime("ms", "Europe/Berlin")}
    )
    given = pl.concat([given, given.clear(1)])
    bare.apply([group])
    bare.insert(group, given.with_columns(user=pl.Series([1, 2]), at=pl.lit(T - HOUR)))
    spine = {"user": [1, 2], "event_timestamp": [T, T]}
    found = bare.get_historical_features(spine, [group]).to_polars().select(list(types))
    assert found.equals(given)
    assert found.schema == given.schema
