"""The demo's flights: instants that agree with what the airline tells of delays."""

import polars as pl
import pytest

from gnomon.demo import data


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    counts = data.prepare(folder)
    return counts, pl.read_parquet(folder / "flights.parquet"), pl.read_parquet(folder / "weather.parquet")


def test_everything_in_the_wheel_is_there(flights):
    counts, rows, weather = flights
    assert (counts.flights, counts.without_departure, counts.without_landing) == (336_776, 8_255, 8_714)
    assert len(rows) == counts.flights
    assert len(weather) == counts.weather == 26_115


def test_landing_minus_schedule_is_the_delay_that_the_airline_tells(flights):
    """Landing instants are made from local clocks and time zones; delays are told apart from them."""
    _, rows, _ = flights
    told = rows.filter(pl.col("arr_delay").is_not_null())
    late = (pl.col("landed_at") - pl.col("scheduled_at")).dt.total_minutes() - pl.col("scheduled_minutes")
    wrong = told.filter(late != pl.col("arr_delay"))
    assert len(wrong) == 0


def test_a_flight_that_never_left_has_no_instants(flights):
    _, rows, _ = flights
    cancelled = rows.filter(pl.col("dep_delay").is_null())
    assert cancelled["departed_at"].null_count() == len(cancelled)
    assert cancelled["landed_at"].null_count() == len(cancelled)
