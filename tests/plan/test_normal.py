"""Rows in normal form: one time, whatever it was written as; nothing ignored without being counted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gnomon as gn
from gnomon.frames import to_polars
from gnomon.plan.layout import make_layout
from gnomon.plan.normal import (
    ID,
    KNOWN,
    TIME,
    Ignored,
    as_type,
    content,
    count_ignored,
    key,
    lane,
    micros,
    normalise,
    not_times,
    raw_columns,
    why_no_time,
)
from gnomon.time import DAY, HOUR, MINUTE, NEVER, SECOND, instant

NOON = instant("2026-01-31T12:00:00Z")


def read(values, dtype=None):
    """A column of times as microseconds."""
    column = pl.Series("t", values, dtype=dtype)
    return column.to_frame().select(micros(pl.col("t"), column.dtype))["t"].to_list()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31 12:00:00", NOON),
        ("2026-01-31T12:00:00", NOON),
        ("2026-01-31T12:00", NOON),
        ("2026-01-31T12:00Z", NOON),
        ("2026-01-31 12:00+00:00", NOON),
        ("2026-01-31T12:00:00+01:00", NOON - HOUR),
        ("2026-01-31T12:00:00+0100", NOON - HOUR),
        ("2026-01-31 12:00:00+01", NOON - HOUR),
        ("2026-01-31 12:00:00 +01:00", NOON - HOUR),
        ("2026-01-31T12:00:00-05:30", NOON + 5 * HOUR + 30 * MINUTE),
        ("2026-01-31", NOON - 12 * HOUR),
        (" 2026-01-31 ", NOON - 12 * HOUR),
        ("2026-01-31T12:00:00.5", NOON + SECOND // 2),
        ("2026-01-31T12:00:00.000001Z", NOON + 1),
        ("2026-01-31T12:00:00.9999999+01:00", NOON - HOUR + 999_999),
        ("2026-01-31T12:00:00.999999999Z", NOON + 999_999),
        ("1969-12-31T23:59:59.9999995Z", -1),
        ("1969-12-31T23:59:59.9999985Z", -2),
        ("0001-01-01", instant("0001-01-01")),
        ("9999-12-31T23:59:59.999999Z", instant("9999-12-31T23:59:59.999999")),
        (None, None),
    ],
)
def test_text_is_one_instant_however_it_is_written(text, want):
    assert read([text], pl.String()) == [want]


def test_spellings_may_be_mixed_in_one_column():
    given = ["2026-01-31", None, "2026-01-31T12:00:00+01:00", "2026-01-31 12:00"]
    assert read(given) == [NOON - 12 * HOUR, None, NOON - HOUR, NOON]


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "",
        "-0044-03-15",
        "10000-01-01",
        "2026-02-30",
        "2026-01-31T25:00:00",
        "31.01.2026",
        "12:00",
    ],
)
def test_text_that_is_no_time_is_an_error_and_no_null(text):
    with pytest.raises(pl.exceptions.PolarsError):
        read([text, "2026-01-31"])


@given(st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")])))
def test_text_of_a_datetime_is_its_instant(at):
    text = at.isoformat()
    # Offsets with seconds, as in times before time zones, are not written in ISO 8601.
    if at.utcoffset().total_seconds() % 60 == 0:
        assert read([text]) == [instant(at)]


@pytest.mark.parametrize(
    ("unit", "ticks", "want"),
    [
        ("ns", [1999, -1, -1000, -1001], [1, -1, -1, -2]),
        ("us", [1999, -1], [1999, -1]),
        ("ms", [2, -1], [2000, -1000]),
    ],
)
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_finer_times_are_floored_also_before_1970(unit, ticks, want, zone):
    column = pl.Series("t", ticks).cast(pl.Datetime(unit, zone))
    assert read(column, None) == want


def test_both_folds_of_an_hour_are_two_instants():
    fold = datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"))
    frame = to_polars({"t": [fold, fold.replace(fold=1)]})
    local = frame["t"].dt.convert_time_zone("America/New_York")
    first, second = read(frame["t"])
    assert second - first == HOUR
    assert read(local) == [first, second]


def test_a_date_is_its_first_moment():
    assert read([date(2026, 1, 31), date(1969, 12, 31), None]) == [NOON - 12 * HOUR, -DAY, None]


# ------------------------------------------------------------------------------------------------ the frame

EVENTS = gn.FeatureGroup(
    "events",
    entity=gn.Entity("e", keys={"k": int, "m": str}),
    features=[gn.sum("x"), gn.count(where="y > 0"), gn.sum(expr="x * 2")],
    timestamp="at",
    known_at="seen",
    event_id="id",
)
SCHEMA = {
    "k": pl.Int8(), "m": pl.String(), "at": pl.Datetime("ms"), "seen": pl.String(), "id": pl.Int16(),
    "x": pl.Int32(), "y": pl.Int64(), "unused": pl.Int64(),
}  # fmt: skip
LAYOUT = make_layout(EVENTS, SCHEMA)


def frame(*rows):
    return pl.DataFrame([dict(zip(SCHEMA, row, strict=True)) for row in rows], schema=SCHEMA).lazy()


AT = datetime.fromtimestamp(5, UTC).replace(tzinfo=None)
ROW = (1, "a", AT, "1970-01-01T00:00:09+00:00", 7, 2, 3, 4)


def test_columns_have_the_names_and_types_of_the_normal_form():
    normal = normalise(frame(ROW), LAYOUT, with_content=True, keep=["unused"]).collect()
    assert normal.to_dicts() == [
        {
            key(0): 1, key(1): "a", TIME: 5 * SECOND, KNOWN: 9 * SECOND, ID: 7,
            lane(0): 2, lane(1): True, lane(2): 4, content(0): 2, content(1): 3, "unused": 4,
        }
    ]  # fmt: skip
    assert normal.schema[key(0)] == normal.schema[ID] == normal.schema[TIME] == pl.Int64()


def test_only_what_is_asked_for_is_evaluated():
    normal = normalise(frame(ROW), LAYOUT, inputs=[1]).collect()
    assert normal.columns == [key(0), key(1), TIME, KNOWN, ID, lane(1)]


def test_a_known_at_that_is_null_is_not_known_yet():
    row = (1, "a", AT, None, 7, 2, 3, 4)
    assert normalise(frame(row), LAYOUT).collect()[KNOWN].to_list() == [NEVER]


def test_rows_without_key_or_time_are_left_out_and_counted():
    rows = frame(
        ROW,
        (None, "a", AT, "2026-01-01", 8, 0, 0, 0),
        (1, None, None, "2026-01-01", 9, 0, 0, 0),
        (1, "a", None, "2026-01-01", 10, 0, 0, 0),
    )
    assert normalise(rows, LAYOUT).collect()[ID].to_list() == [7]
    ignored = count_ignored(rows, LAYOUT)
    assert ignored == Ignored(null_key=2, null_time=1)
    assert str(ignored) == "2 rows with a null key, 1 row without an event time"


def test_a_row_that_is_ignored_cannot_fail():
    texts = {**SCHEMA, "seen": pl.String()}
    rows = pl.DataFrame(
        [dict(zip(SCHEMA, (None, "a", AT, "no time", 7, 2, 3, 4), strict=True))], schema=texts
    ).lazy()
    assert len(normalise(rows, LAYOUT).collect()) == 0


def test_a_group_without_keys_has_no_null_keys():
    group = gn.FeatureGroup("g", features=[gn.count()], timestamp="at")
    layout = make_layout(group, SCHEMA)
    rows = frame(ROW, (None, None, None, None, 1, 1, 1, 1))
    assert count_ignored(rows, layout) == Ignored(0, 1)
    assert len(normalise(rows, layout).collect()) == 1


def test_counts_of_ignored_rows_add_up_and_nothing_is_false():
    assert Ignored(1, 2) + Ignored(3, 4) == Ignored(4, 6)
    assert not Ignored()
    assert str(Ignored()) == "none"


def test_ids_are_numbers_or_text():
    group = gn.FeatureGroup("g", features=[gn.count()], timestamp="at", event_id="m")
    normal = normalise(frame(ROW), make_layout(group, SCHEMA)).collect()
    assert normal[ID].to_list() == ["a"]


def test_raw_columns_are_named_once_and_unused_ones_are_not_read():
    assert raw_columns(LAYOUT) == ["k", "m", "at", "seen", "id", "x", "y"]
    group = gn.FeatureGroup(
        "g", entity=gn.Entity("e", keys={"k": int}), features=[gn.count("k")], timestamp="at"
    )
    assert raw_columns(make_layout(group, SCHEMA)) == ["k", "at"]


def test_a_date_alone_is_a_time_only_where_it_may_be():
    texts = pl.Series("t", ["2026-01-31T12:00:00Z", "2026-01-31 ", "noon", None, "2026-01-31 12:00"])
    assert not_times(texts).to_list() == [False, False, True, False, False]
    assert not_times(texts, days=False).to_list() == [False, True, True, False, False]
    for days, bad in ((True, "`noon` is no time"), (False, "`2026-01-31 ` is a date without a time of day")):
        with pytest.raises(pl.exceptions.InvalidOperationError, match=bad):
            texts.to_frame().select(micros(pl.col("t"), pl.String(), days=days))
    assert why_no_time("2026-01-31") != why_no_time("31.1.2026")


@pytest.mark.parametrize(
    ("given", "counts"), [({}, False), ({"lag": "1d"}, True), ({"known_at": "seen"}, True)]
)
def test_a_date_alone_in_a_sources_text_needs_something_that_tells_when_it_was_known(given, counts):
    schema = {"k": pl.Int64(), "at": pl.String(), "seen": pl.Datetime("us")}
    source = gn.FileSource("s", "s.jsonl", timestamp="at", **given)
    group = gn.FeatureGroup("g", entity=gn.Entity("u", keys={"k": int}), source=source, features=[gn.count()])
    row = {"k": [1], "at": ["2026-01-31"], "seen": [datetime.fromisoformat("2026-02-01")]}
    normal = normalise(pl.LazyFrame(row, schema=schema), make_layout(group, schema))
    if counts:
        assert normal.collect()[TIME].to_list() == [NOON - 12 * HOUR]
    else:
        with pytest.raises(pl.exceptions.InvalidOperationError, match="without a time of day"):
            normal.collect()


@pytest.mark.parametrize(
    ("values", "dtype", "want"),
    [
        (["2026-01-31T13:00:00+01:00"], pl.Datetime("us", "UTC"), datetime(2026, 1, 31, 12, tzinfo=UTC)),
        (["2026-01-31T13:00:00+01:00"], pl.Datetime("ms"), datetime.fromisoformat("2026-01-31T12:00")),
        (
            [datetime.fromisoformat("2026-01-31T12:00")],
            pl.Datetime("us", "UTC"),
            datetime(2026, 1, 31, 12, tzinfo=UTC),
        ),
        ([7], pl.Float64(), 7.0),
    ],
)
def test_a_column_is_read_as_another_type(values, dtype, want):
    column = pl.Series("t", values)
    made = column.to_frame().select(as_type(pl.col("t"), column.dtype, dtype))["t"]
    assert (made.dtype, made.to_list()) == (dtype, [want])
