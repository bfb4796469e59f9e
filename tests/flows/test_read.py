"""Which rows and columns are read for questions of a stretch of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, GnomonError
from gnomon.flows.read import Reading, collect_rows, plan_reading
from gnomon.plan.layout import make_layout
from gnomon.plan.normal import PART, TIME
from gnomon.sources.kinds import open_source
from gnomon.time import ALWAYS, NEVER, instant
from tests.flows.small import DAY, HOUR, US, USER, T, train, write


def read(
    folder: Any,
    features: Sequence[Any],
    first: datetime = T,
    last: datetime = T,
    as_of: Any = "known",
    **given: Any,
) -> Reading:
    """Plan the reading of all features over the files in `log`."""
    own = {k: given.pop(k) for k in ("max_age", "settling_delay") if k in given}
    source = gn.FileSource("log", "log", format="parquet", timestamp="at", **given)
    group = gn.FeatureGroup("g", entity=USER, source=source, features=features, **own)
    reader = open_source(source, folder)
    layout = make_layout(group, reader.schema())
    return plan_reading(reader, layout, layout.outputs, instant(first), instant(last), as_of)


def row(at: Any, x: int = 1, user: int | None = 1) -> dict[str, Any]:
    return {"user": user, "at": at, "x": x, "unused": "?"}


def times(reading: Reading) -> list[int]:
    return sorted(reading.frame.collect()[TIME].to_list())


WINDOW = [gn.sum("x", windows=["1h"], offset="1h")]


def test_rows_that_no_window_can_reach_are_not_read(tmp_path):
    at = [T - 2 * HOUR - US, T - 2 * HOUR, T, T + HOUR, T + HOUR + US]
    write(tmp_path, "log/a.parquet", [row(t) for t in at])
    reading = read(tmp_path, WINDOW, T, T + HOUR)
    assert (reading.since, reading.until) == (instant(T - 2 * HOUR), instant(T + HOUR))
    assert times(reading) == [instant(t) for t in at[1:4]]
    assert reading.columns == ("user", "at", "x")


def test_a_settling_delay_reads_further_back_and_not_so_far_on(tmp_path):
    write(tmp_path, "log/a.parquet", [row(T)])
    reading = read(tmp_path, WINDOW, settling_delay="1d")
    assert (reading.since, reading.until) == (instant(T - DAY - 2 * HOUR), instant(T - DAY))


def test_without_a_window_everything_before_is_read(tmp_path):
    write(tmp_path, "log/a.parquet", [row(T)])
    assert read(tmp_path, [*WINDOW, gn.count()]).since == ALWAYS


def test_with_ids_every_version_matters_whenever_it_says_it_happened(tmp_path):
    write(tmp_path, "log/a.parquet", [{**row(T + DAY), "id": 1}, {**row(T - 9 * DAY), "id": 2}])
    reading = read(tmp_path, WINDOW, event_id="id")
    assert (reading.since, reading.until) == (ALWAYS, NEVER)
    assert reading.frame.collect().height == 2


@pytest.mark.parametrize(("max_age", "since"), [(None, ALWAYS), ("1h", instant(T - HOUR))])
def test_state_rows_are_read_back_to_their_age(tmp_path, max_age, since):
    write(tmp_path, "log/a.parquet", [row(T)])
    assert read(tmp_path, [gn.Feature("x", pl.Int64)], max_age=max_age).since == since


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_edges_are_exact_in_the_columns_own_unit(tmp_path, unit):
    at = pl.Series([T - 2 * HOUR, T]).cast(pl.Datetime(unit, "UTC"))
    fine = pl.Series([instant(T - 2 * HOUR) * 1000 - 1]).cast(pl.Datetime("ns", "UTC"))
    frame = pl.DataFrame({"at": pl.concat([at, fine]) if unit == "ns" else at}).with_columns(
        user=1, x=1, unused=1
    )
    write(tmp_path, "log/a.parquet", frame.to_dicts(), frame.schema)
    assert times(read(tmp_path, WINDOW)) == [instant(T - 2 * HOUR), instant(T)]


@pytest.mark.parametrize("as_written", [True, False])
def test_times_in_text_and_days_are_cut_too(tmp_path, as_written):
    if as_written:
        write(tmp_path, "log/a.parquet", [row(t.isoformat()) for t in (T - 3 * HOUR, T - HOUR, T + HOUR)])
        assert times(read(tmp_path, WINDOW)) == [instant(T - HOUR)]
    else:
        write(tmp_path, "log/a.parquet", [row(date(2026, 1, d)) for d in (8, 9, 10, 11)])
        reading = read(tmp_path, [gn.count(windows=["1d"])], lag="1d")
        assert times(reading) == [instant(date(2026, 1, d)) for d in (10,)]


def test_parts_that_may_repeat_each_other_are_told_apart_and_others_are_not(tmp_path):
    write(tmp_path, "log/a.parquet", [row(T - HOUR), row(T - 2 * HOUR)])
    write(tmp_path, "log/b.parquet", [row(T), row(T - HOUR + US)])
    assert PART not in read(tmp_path, WINDOW).frame.collect().columns
    write(tmp_path, "log/c.parquet", [row(T - HOUR)])
    assert PART in read(tmp_path, WINDOW).frame.collect().columns
    write(tmp_path, "log/c.parquet", [row(None)])
    assert PART not in read(tmp_path, WINDOW).frame.collect().columns


def test_rows_that_take_no_part_are_counted_before_anything_is_cut(tmp_path):
    write(tmp_path, "log/a.parquet", [row(T), row(T - 99 * DAY, user=None), row(None)])
    source = gn.FileSource("log", "log", format="parquet", timestamp="at")
    group = gn.FeatureGroup("g", entity=USER, source=source, features=WINDOW)
    reader = open_source(source, tmp_path)
    layout = make_layout(group, reader.schema())
    ignored = plan_reading(reader, layout, layout.outputs, 0, instant(T), "known").ignored(layout)
    assert (ignored.null_key, ignored.null_time) == (1, 1)


def test_a_value_that_does_not_fit_names_the_group_and_a_way_out():
    frame = pl.LazyFrame({"a": ["1", "x"]}).select(pl.col("a").cast(pl.Int64))
    with pytest.raises(DataError, match="group `shop`: its rows cannot be read") as caught:
        collect_rows(frame, "shop")
    assert "TRY_CAST" in caught.value.hint


@pytest.mark.parametrize("kind", ["state", "event"])
def test_a_row_that_cannot_be_computed_names_feature_value_and_file(bare, data, kind):
    write(data, "log/a.parquet", [{"user": 1, "at": T - HOUR, "i": 2}])
    write(data, "log/b.parquet", [{"user": 2, "at": T - HOUR, "i": 2**32}])
    features = {
        "state": gn.Feature("square", pl.Int64, expr="i * i"),
        "event": gn.last(expr="i * i", name="square"),
    }
    source = gn.FileSource("log", "log", format="parquet", timestamp="at")
    group = gn.FeatureGroup("g", entity=USER, source=source, features=[features[kind]])
    bare.apply([group])
    for work in (lambda: train(bare, [group], [(1, T), (2, T)]), bare.materialize):
        with pytest.raises(GnomonError, match="group `g@1`: feature `square` cannot be computed") as caught:
            work()
        assert "`i * i` comes to 18446744073709551616" in caught.value.what
        assert "b.parquet" in caught.value.at
