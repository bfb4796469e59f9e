"""A training set that is computed when it is first looked at, and comes out in any shape."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import MissingDependency, Unavailable, UsageError
from gnomon.events import Retrieved, listening
from tests.flows.small import HOUR, PLAN, US, USER, VISITS, T, plan, visit

SPINE = pl.DataFrame({"user": [1, 2, 1], "event_timestamp": [T, T, T - HOUR], "label": [0, 1, 1]})


@pytest.fixture
def filled(store: gn.Store) -> gn.Store:
    store.insert(VISITS, [visit(1, T - HOUR - US, 5)])
    store.insert(PLAN, [plan(2, T - HOUR, "paid")])
    return store


def test_nothing_is_read_before_a_result_is_asked_for_and_then_once(filled):
    told: list[Retrieved] = []
    with listening(lambda e: told.append(e) if isinstance(e, Retrieved) else None):
        retrieval = filled.get_historical_features(SPINE, ["visits:ms_sum_1d"])
        assert (told, "not computed yet" in repr(retrieval)) == ([], True)
        retrieval.explain()
        assert told == []
        retrieval.to_polars()
        retrieval.to_polars()
    assert [(event.rows, event.features) for event in told] == [(3, 1)]
    assert ", computed;" in repr(retrieval)
    assert retrieval.seconds > 0


def test_every_shape_holds_the_same_rows(filled, tmp_path):
    retrieval = filled.get_historical_features(SPINE, ["visits:ms_sum_1d", "plan:name"])
    frame = retrieval.to_polars()
    assert frame.to_dict(as_series=False) == {
        **SPINE.to_dict(as_series=False),
        "ms_sum_1d": [5, None, 5],
        "name": [None, "paid", None],
    }
    assert pl.DataFrame(retrieval.to_arrow()).equals(frame)
    assert retrieval.to_pandas()["ms_sum_1d"].isna().tolist() == [False, True, False]
    assert str(retrieval.to_pandas()["ms_sum_1d"].dtype).startswith("int64")
    assert [len(batch) for batch in retrieval.to_batches(2)] == [2, 1]
    assert pl.concat(retrieval.to_batches(2)).equals(frame)
    retrieval.write_parquet(tmp_path / "set.parquet")
    assert pl.read_parquet(tmp_path / "set.parquet").equals(frame)


@pytest.mark.parametrize("missing", ["pandas", "pyarrow"])
def test_a_missing_package_is_told_with_the_line_that_installs_it(filled, monkeypatch, missing):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    retrieval = filled.get_historical_features(SPINE, ["visits:ms_sum_1d"])
    with pytest.raises(MissingDependency, match=rf"to_pandas\(\) needs `{missing}`") as caught:
        retrieval.to_pandas()
    assert "pip install 'gnomon[pandas]'" in caught.value.hint
    assert retrieval.to_polars().height == 3


def test_rows_that_take_no_part_are_counted_by_group(bare, data):
    rows = pl.DataFrame({"user": [1, None, 2], "at": [T, T, None]})
    rows.write_parquet(data / "log.parquet")
    source = gn.FileSource("log", "log.parquet", timestamp="at")
    bare.apply([gn.FeatureGroup("filed", entity=USER, source=source, features=[gn.count()])])
    ignored = bare.get_historical_features(SPINE, ["filed:count"]).ignored["filed@1"]
    assert (ignored.null_key, ignored.null_time) == (1, 1)


def test_it_explains_what_will_be_read_and_how_each_feature_is_made(bare):
    group = gn.FeatureGroup(
        "g",
        entity=USER,
        timestamp="at",
        schema={"x": pl.Int64},
        features=[gn.sum("x", windows=["1h"], offset="10m", where="x > 2", limit=5), gn.count()],
    )
    bare.apply([group, PLAN])
    told = bare.get_historical_features(SPINE, [group["x_sum_1h"], PLAN], as_of=T).explain()
    for part in (
        "3 rows of spine, time `event_timestamp`, as of 2026-01-10T12:00:00.000000Z",
        "g@1 (event group), key user",
        "table g@1 (empty): ",
        "with event time from 2026-01-10T09:50:00.000000Z to 2026-01-10T12:00:00.000000Z",
        "sum(x) where (x > 2) in [t - 10m - 1h, t - 10m), newest 5 → Int64",
        "name of the newest row not older than 2d → String",
    ):
        assert part in told
    everything = bare.get_historical_features(SPINE, [group]).explain()
    assert "from the beginning" in everything


@pytest.mark.parametrize(
    ("take", "message"),
    [
        (lambda r, _: r.to_batches(0), "`rows` must be a whole number of at least 1, found 0"),
        (lambda r, _: r.to_batches(2.5), "at least 1, found 2.5"),
        (lambda r, _: r.save(3), "a dataset's name is text, found 3"),
        (lambda r, _: r.save("../x"), "`../x` cannot be a dataset's name"),
        (lambda r, _: r.save("x" * 200), "cannot be a dataset's name"),
        (lambda r, folder: r.write_parquet(folder / "none" / "x.parquet"), "there is no folder"),
        (lambda r, folder: r.write_parquet(folder), "is a folder"),
        (lambda r, _: r.write_parquet(3), "`3` is no path"),
    ],
)
def test_what_cannot_end_well_is_refused_before_anything_is_computed(filled, tmp_path, take, message):
    retrieval = filled.get_historical_features(SPINE, ["visits:ms_sum_1d"])
    with pytest.raises(UsageError, match=message) as caught:
        take(retrieval, tmp_path)
    assert caught.value.hint
    assert "not computed yet" in repr(retrieval)


def test_a_file_that_cannot_be_written_leaves_nothing_half_done(filled, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(Unavailable, match="cannot be written: No space left"):
        filled.get_historical_features(SPINE, ["visits:ms_sum_1d"]).write_parquet(tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []
