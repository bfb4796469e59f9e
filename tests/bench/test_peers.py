"""The peers give what brute force gives, on small data full of ties and edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from bench.asof import View, duckdb_join, duckdb_joins, polars_joins
from bench.brute import Events, newest, quantile
from bench.counted import DISTINCT, QUANTILES, distinct_query, quantile_query
from bench.harness import Job
from bench.materialize import PutMulti, read_pairs
from bench.online import RawLmdb, RawLmdbOne
from bench.tables import duck
from bench.windows import FUNCTIONS, LENGTHS, OUTPUTS, output, window_query
from bench.workload import HOUR_US, START_US, Profiles, ensure

HOURS = 40 * 24
"""Longer than the longest window."""
VIEW_TYPES: dict[str, type[pl.DataType]] = {"x": pl.Float64, "word": pl.String, "flag": pl.Boolean}


def at(hours: Any) -> pl.Series:
    """Whole hours after the start: many rows then stand exactly on a window's edge."""
    return pl.Series(START_US + np.asarray(hours, dtype=np.int64) * HOUR_US).cast(pl.Datetime("us", "UTC"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def spine(tmp_path: Path, rng: np.random.Generator) -> Path:
    """300 questions, some twice, some about users without rows, in random order."""
    frame = pl.DataFrame(
        {
            "user_id": rng.integers(0, 12, 300),
            "event_timestamp": at(rng.integers(0, HOURS, 300)),
            "label": rng.integers(0, 2, 300),
        }
    )
    path = tmp_path / "spine.parquet"
    pl.concat([frame, frame[:40]]).write_parquet(path)
    return path


@pytest.fixture
def views(tmp_path: Path, rng: np.random.Generator) -> list[View]:
    """Two views, 200 rows each by time, a time at most once for a user, nulls among the values."""
    made = []
    for number in range(2):
        places = np.sort(rng.choice(9 * HOURS, 200, replace=False))
        frame = pl.DataFrame(
            {
                "user_id": places % 9,
                "ts": at(places // 9),
                f"x{number}": rng.random(200),
                f"word{number}": [None if i % 7 == 0 else f"w{i}" for i in range(200)],
                f"flag{number}": rng.random(200) < 0.5,
            }
        )
        path = tmp_path / f"view{number}.parquet"
        frame.write_parquet(path)
        made.append(
            View(f"view{number}", path, {f"{name}{number}": dtype for name, dtype in VIEW_TYPES.items()})
        )
    return made


def by_row(table: pa.Table) -> list[tuple[Any, ...]]:
    """Rows in an order that does not depend on who made them; each engine names UTC in its own way."""
    frame = pl.DataFrame(table).with_columns(pl.col("event_timestamp").dt.convert_time_zone("UTC"))
    return sorted(frame.rows(), key=repr)


def expected_newest(spine: Path, views: list[View]) -> pa.Table:
    out = pl.read_parquet(spine).to_dicts()
    for view in views:
        rows = pl.read_parquet(view.path).to_dicts()
        for question in out:
            found = newest(rows, question["user_id"], question["event_timestamp"])
            question.update({column: found[column] if found else None for column in view.columns})
    return pa.Table.from_pylist(out)


def test_duckdb_finds_the_newest_row(spine: Path, views: list[View]) -> None:
    got = duckdb_join(duck(1), spine, views[0])
    assert by_row(got) == by_row(expected_newest(spine, views[:1]))


def test_duckdb_joins_several_views(spine: Path, views: list[View]) -> None:
    got = duckdb_joins(duck(1), spine, views)
    assert by_row(got) == by_row(expected_newest(spine, views))


def test_polars_joins_several_views(spine: Path, views: list[View]) -> None:
    assert by_row(polars_joins(spine, views)) == by_row(expected_newest(spine, views))


@pytest.fixture
def events(tmp_path: Path, rng: np.random.Generator) -> Path:
    """800 events, many at one moment, many exactly at a question or at the far edge of its window."""
    n = 800
    hours = np.sort(rng.integers(0, HOURS, n))
    frame = pl.DataFrame(
        {"user_id": rng.integers(0, 9, n), "ts": at(hours), "amount": np.round(rng.random(n) * 100, 2)}
    )
    path = tmp_path / "events.parquet"
    frame.write_parquet(path)
    return path


def test_duckdb_aggregates_half_open_windows(spine: Path, events: Path) -> None:
    rows = duck(1).sql(window_query(events, spine)).to_arrow_table().to_pylist()
    frame = pl.read_parquet(events)
    ts = frame["ts"].to_physical().to_numpy()
    brute = Events(frame["user_id"].to_numpy(), ts, ts, frame["amount"].to_numpy())
    asked = pl.read_parquet(spine).select("user_id", "event_timestamp", "label")
    assert sorted((r["user_id"], r["event_timestamp"], r["label"]) for r in rows) == sorted(asked.rows())
    assert set(rows[0]) == {"user_id", "event_timestamp", "label", *OUTPUTS}
    moments = pl.Series([r["event_timestamp"] for r in rows]).dt.epoch("us").to_list()
    for row, t in zip(rows, moments, strict=True):
        for window, length in LENGTHS.items():
            want = brute.window(row["user_id"], t, length)
            for function in FUNCTIONS:
                got, expected = row[output(function, window)], want[function]
                assert (got is None) == (expected is None)
                assert got == expected or got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("query", "outputs", "fold"),
    [
        (quantile_query, QUANTILES, lambda amounts: quantile(amounts, 0.9)),
        (distinct_query, DISTINCT, lambda amounts: len(set(amounts))),
    ],
)
def test_duckdb_counts_and_orders_the_values_of_half_open_windows(
    query: Any, outputs: list[str], fold: Any, spine: Path, events: Path
) -> None:
    rows = duck(1).sql(query(events, spine)).to_arrow_table().to_pylist()
    frame = pl.read_parquet(events)
    ts = frame["ts"].to_physical().to_numpy()
    brute = Events(frame["user_id"].to_numpy(), ts, ts, frame["amount"].to_numpy())
    asked = pl.read_parquet(spine).select("user_id", "event_timestamp")
    assert sorted((r["user_id"], r["event_timestamp"]) for r in rows) == sorted(asked.rows())
    moments = pl.Series([r["event_timestamp"] for r in rows]).dt.epoch("us").to_list()
    for row, t in zip(rows, moments, strict=True):
        for name, length in zip(outputs, LENGTHS.values(), strict=True):
            want = fold(brute.amounts(row["user_id"], t, length))
            assert row[name] == (want if want is None else pytest.approx(want, rel=1e-12))


def test_the_brute_quantile_lies_between_two_values() -> None:
    assert [quantile([4.0, 1.0, 3.0, 2.0], q) for q in (0.0, 0.5, 0.9, 1.0)] == [1.0, 2.5, 3.7, 4.0]
    assert quantile([], 0.5) is None


def test_brute_force_counts_the_near_edge_out_and_the_far_edge_in() -> None:
    t = 1_000
    ts = np.array([t - 10, t - 1, t])
    events = Events(np.zeros(3, np.int64), ts, ts, np.array([1.0, 2.0, 4.0]))
    assert events.window(0, t, 10)["sum"] == 3.0
    assert events.window(0, t, 9)["sum"] == 2.0
    assert events.window(1, t, 10) == {"count": 0, "sum": None, "mean": None, "min": None, "max": None}


def test_brute_force_does_not_see_what_is_not_known_yet() -> None:
    known = np.array([5, 9])
    events = Events(np.zeros(2, np.int64), np.array([5, 5]), known, np.array([1.0, 2.0]))
    assert [events.window(0, t, 10)["sum"] for t in (6, 8, 9)] == [1.0, 1.0, 3.0]


def job(folder: Path, **sizes: int) -> Job:
    for name in ("scratch", "shared"):
        (folder / name).mkdir()
    return Job(sizes, folder / "data", folder / "scratch", folder / "shared", 1)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An LMDB environment as a store may leave it: two named databases, an empty one, a value beside them."""
    path = tmp_path / "shared" / "project" / "online"
    with lmdb.open(str(tmp_path / "source"), max_dbs=4) as source:
        one, two, _ = (source.open_db(name) for name in (b"one", b"two", b"empty"))
        with source.begin(write=True) as transaction:
            for i in range(100):
                transaction.put(i.to_bytes(2, "big"), b"a" * i, db=one)
            transaction.put(b"k", b"v", db=two)
            transaction.put(b"directory", b"about")
        path.parent.mkdir(parents=True)
        path.mkdir()
        source.copy(str(path))
    return path


def test_pairs_are_read_from_every_named_database(environment: Path) -> None:
    pairs = read_pairs(environment)
    assert {name: len(found) for name, found in pairs.items()} == {b"one": 100, b"two": 1, b"loose": 1}
    assert pairs[b"one"] == [(i.to_bytes(2, "big"), b"a" * i) for i in range(100)]


def test_putmulti_writes_the_same_bytes_in_every_turn(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    side = PutMulti(Job({}, tmp_path, tmp_path / "scratch", tmp_path / "shared", 1))
    for _ in range(2):
        side.turn()
        assert side.result == 102
        assert read_pairs(side.folder) == read_pairs(environment)


@pytest.mark.parametrize(("side_type", "keys"), [(RawLmdb, 5), (RawLmdbOne, 1)])
def test_raw_lmdb_answers_as_the_file_says(side_type: type[RawLmdb], keys: int, tmp_path: Path) -> None:
    side = side_type(job(tmp_path, users=60, keys=keys, features=3, calls=20))
    frame = pl.read_parquet(ensure(Profiles(60, snapshots=1, features=3), tmp_path / "data"))
    rows = {row["user_id"]: row for row in frame.to_dicts()}
    for request in side.requests():
        answer = side.call(request)
        assert list(answer) == ["v0_f00", "v0_f01", "v0_f02"]
        for name, values in answer.items():
            got = values if isinstance(values, list) else [values]
            assert got == [rows[user][name] for user in request]
