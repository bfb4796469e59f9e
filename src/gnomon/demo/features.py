"""Will a flight arrive more than 30 minutes late? What is known about it at its scheduled departure.

These definitions serve training, materialization and online answers alike.
"""

import polars as pl

import gnomon as gn

origin = gn.Entity("origin", keys={"origin": pl.String}, description="Airport of departure")
carrier = gn.Entity("carrier", keys={"carrier": pl.String})
route = gn.Entity("route", keys={"origin": pl.String, "dest": pl.String}, description="From and to")
plane = gn.Entity("plane", keys={"tailnum": pl.String})

weather = gn.FileSource("weather", path="data/weather.parquet", timestamp="time_hour")
departures = gn.FileSource("departures", path="data/flights.parquet", timestamp="departed_at")
# A delay is known when the plane has landed, so that is when the event happens.
landings = gn.FileSource("landings", path="data/flights.parquet", timestamp="landed_at")

airport_weather = gn.FeatureGroup(
    "airport_weather",
    entity=origin,
    source=weather,
    max_age="3h",
    features=[
        gn.Feature("temp", pl.Float64),
        gn.Feature("wind_speed", pl.Float64),
        gn.Feature("precip", pl.Float64),
        gn.Feature("visib", pl.Float64),
        gn.Feature("pressure", pl.Float64),
        gn.Feature("stormy", pl.Boolean, expr="wind_gust > 30 OR visib < 1"),
    ],
    owner="ops",
    tags={"domain": "weather"},
)
airport_demand = gn.FeatureGroup(
    "airport_demand", entity=origin, source=departures, features=[gn.count(windows=["1h", "1d"])]
)
airport_delay = gn.FeatureGroup(
    "airport_delay",
    entity=origin,
    source=landings,
    features=[
        gn.mean("dep_delay", windows=["1h", "1d", "7d", "30d"]),
        gn.max("dep_delay", windows=["1h"]),
        gn.count(windows=["1d"], where="dep_delay > 60", name="late"),
    ],
)
carrier_delay = gn.FeatureGroup(
    "carrier_delay",
    entity=carrier,
    source=landings,
    features=[gn.mean("arr_delay", windows=["1h", "1d", "7d", "30d"], name="carrier_arr_delay")],
)
route_delay = gn.FeatureGroup(
    "route_delay",
    entity=route,
    source=landings,
    features=[
        gn.mean("arr_delay", windows=["1h", "1d", "7d", "30d"], name="route_arr_delay"),
        gn.std("arr_delay", windows=["30d"], name="route_arr_delay_std"),
        gn.median("arr_delay", windows=["30d"], name="route_arr_delay_median"),
    ],
)
plane_history = gn.FeatureGroup(
    "plane_history",
    entity=plane,
    source=landings,
    features=[
        gn.last("arr_delay", name="plane_last_delay"),
        gn.time_since_last(name="plane_idle"),
        gn.n_distinct("dest", windows=["7d"], name="plane_destinations"),
    ],
)


@gn.on_demand(
    inputs=[airport_delay["dep_delay_mean_1h"], gn.Request("scheduled_minutes", pl.Int64)],
    returns={"delay_share": pl.Float64},
)
def delay_share(dep_delay_mean_1h: pl.Series, scheduled_minutes: pl.Series) -> pl.Series:
    """The origin's present delay as a share of the flight's scheduled length."""
    return dep_delay_mean_1h / scheduled_minutes


delay_model = gn.FeatureService(
    "delay_model",
    features=[
        airport_weather, airport_demand, airport_delay, carrier_delay, route_delay, plane_history, delay_share
    ],
)  # fmt: skip
