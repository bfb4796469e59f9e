"""Instants and durations: what is read, what is shown, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from time import sleep
from zoneinfo import ZoneInfo

import pytest

from gnomon.errors import UsageError
from gnomon.time import (
    ALWAYS,
    DAY,
    NEVER,
    SECOND,
    duration,
    instant,
    show,
    show_duration,
    stopwatch,
    system_clock,
    to_datetime,
)

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (0, 0),
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.999999", -1),
        (datetime(1970, 1, 2, tzinfo=UTC), DAY),
        (datetime(1970, 1, 2, tzinfo=timezone(timedelta(hours=1))), DAY - 3600 * SECOND),
        (datetime.fromisoformat("1970-01-02T00:00:00"), DAY),
        (date(1970, 1, 2), DAY),
        ("1970-01-01T00:00:00.0000019Z", 1),
        ("1969-12-31T23:59:59.9999995Z", -1),
        (datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK), 1_793_511_000 * SECOND),
        (datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=NEW_YORK), 1_793_514_600 * SECOND),
    ],
)
def test_instants_are_microseconds_and_naive_times_are_utc(given, want):
    assert instant(given) == want


@pytest.mark.parametrize("given", [True, "tomorrow", 1.5, None])
def test_what_is_no_time_is_refused(given):
    with pytest.raises(UsageError, match="time"):
        instant(given)


def test_instants_are_shown_with_microseconds_and_the_ends_by_name():
    assert show(-1) == "1969-12-31T23:59:59.999999Z"
    assert (show(NEVER), show(ALWAYS)) == ("never", "always")


def test_instants_outside_the_calendar_are_shown_as_its_bounds():
    assert to_datetime(NEVER).year == 9999
    assert to_datetime(ALWAYS + 1).year == 1
    assert show(ALWAYS + 1) == "0001-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ("90s", 90 * SECOND),
        (" 7d ", 7 * DAY),
        ("5us", 5),
        ("3ms", 3000),
        (timedelta(hours=1), 3600 * SECOND),
        (12, 12),
    ],
)
def test_durations_are_read_from_text_timedeltas_and_microseconds(given, want):
    assert duration(given) == want


@pytest.mark.parametrize("given", ["1 month", "1.5h", "-1h", "", "7", True, None])
def test_what_has_no_fixed_length_is_no_duration(given):
    with pytest.raises(UsageError, match="not a duration"):
        duration(given)


@pytest.mark.parametrize("given", [f"{2**64}us", timedelta(days=999_999_999), 2**63, -(2**63) - 1])
def test_a_duration_beyond_64_bits_is_refused(given):
    with pytest.raises(UsageError, match="64 bits"):
        duration(given)


@pytest.mark.parametrize(("given", "want"), [(0, "0us"), (1, "1us"), (90 * SECOND, "90s"), (7 * DAY, "7d")])
def test_durations_are_shown_in_their_largest_whole_unit(given, want):
    assert show_duration(given) == want
    assert duration(show_duration(given)) == given


def test_clocks_do_not_go_backwards_within_a_test():
    elapsed = stopwatch()
    before = system_clock()
    assert system_clock() >= before > instant("2020-01-01")
    first = elapsed()
    sleep(0.002)
    assert elapsed() > first + 0.001
