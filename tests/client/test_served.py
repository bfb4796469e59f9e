"""The same questions to a store and, through the client, to a real server on its folder: everything is compared."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon import config
from gnomon.client import calls
from gnomon.errors import GnomonError
from gnomon.flows.answer import OnlineFeatures
from tests.serve.server import serving

T = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

TYPES: dict[str, tuple[Any, list[Any]]] = {
    "i8": (pl.Int8, [-128, 127]),
    "i64": (pl.Int64, [2**63 - 1, -(2**63)]),
    "u64": (pl.UInt64, [2**64 - 1, 0]),
    "f32": (pl.Float32, [0.10000000149011612, -0.0]),
    "f64": (pl.Float64, [5e-324, math.nan, math.inf, -math.inf, -0.0, 0.1, 1e22]),
    "flag": (pl.Boolean, [True, False]),
    "text": (pl.String, ["", 'é"\\\0\n', "\U0001f600", "NaN"]),
    "raw": (pl.Binary, [b"", b"\0\xff"]),
    "cents": (pl.Decimal(38, 2), [Decimal("-0.01"), Decimal("123456789012345678901234567890123456.78")]),
    "fine": (pl.Decimal(20, 10), [Decimal("0.0000000001"), Decimal("1.5")]),
    "day": (pl.Date, [date(1, 1, 1), date(9999, 12, 31), date(1969, 12, 31)]),
    "moment": (pl.Datetime("us", "UTC"), [T, datetime(1, 1, 1, tzinfo=UTC), T - timedelta(days=30_000)]),
    "naive": (pl.Datetime("us"), [datetime(2026, 1, 1, 0, 0, 0, 1)]),  # noqa: DTZ001 - naive on purpose
    "millis": (pl.Datetime("ms", "UTC"), [datetime(2026, 1, 1, 0, 0, 0, 7000, tzinfo=UTC)]),
    "zoned": (pl.Datetime("us", "America/New_York"), [T]),
    "span": (pl.Duration("us"), [timedelta(0), timedelta(days=-1, microseconds=1), timedelta(days=40_000)]),
    "clock": (pl.Time, [time(23, 59, 59, 999_999), time(0)]),
    "ints": (pl.List(pl.Int64), [[], [None], [1, 2]]),
    "floats": (pl.List(pl.Float64), [[math.nan, None, -0.0]]),
    "days": (pl.List(pl.Date), [[date(2026, 1, 1), None]]),
    "pair": (pl.Array(pl.Int32, 2), [[1, 2], [3, 4]]),
    "shape": (pl.Struct({"a": pl.Int64, "b": pl.Binary}), [{"a": 1, "b": b"\1"}, {"a": None, "b": None}]),
    "deep": (
        pl.List(pl.Struct({"key": pl.Decimal(10, 1), "at": pl.Datetime("us", "UTC")})),
        [[{"key": Decimal("1.5"), "at": T}, {"key": None, "at": None}]],
    ),
}
"""Feature → its type, and values of it."""

USER = gn.Entity("user", keys={"user": pl.Int64})
PLACE = gn.Entity(
    "place", keys={"raw": pl.Binary, "day": pl.Date, "moment": pl.Datetime("us", "UTC"), "open": pl.Boolean}
)
WORLD = gn.Entity("world", keys={})

EVERY = gn.FeatureGroup(
    "every", entity=USER, timestamp="at", max_age="30d",
    features=[gn.Feature(name, dtype) for name, (dtype, _) in TYPES.items()],
)  # fmt: skip
EVENTS = gn.FeatureGroup(
    "events", entity=USER, timestamp="at",
    schema={"x": pl.Float64, "n": pl.Int64, "kind": pl.String, "cost": pl.Decimal(12, 2)},
    features=[
        gn.count(windows=["1h", "1d"]),
        gn.sum("n"),
        gn.mean("x", windows=["1d"]),
        gn.std("x", windows=["1d"]),
        gn.sum("cost", windows=["1d"]),
        gn.last_k("kind", 3, windows=["1d"]),
        gn.histogram("kind", windows=["1d"]),
        gn.sum("x", windows=["1d"], by="kind", name="x_by_kind"),
        gn.time_since_last(),
        gn.count(windows=["1d"], name="own", include_request=True, where="n > 1"),
    ],
)  # fmt: skip
PLACES = gn.FeatureGroup("places", entity=PLACE, timestamp="at", features=[gn.Feature("seats", pl.Int32)])
GLOBAL = gn.FeatureGroup(
    "whole", entity=WORLD, timestamp="at", features=[gn.count(windows=["1d"], name="all_1d")]
)
EMPTY = gn.FeatureGroup("empty", entity=USER, timestamp="at", features=[gn.Feature("nothing", pl.Int64)])
SERVICE = gn.FeatureService(
    "both", features=[EVERY["i64"], EVERY.renamed(prefix="friend_", keys={"user": "friend"})["text"]]
)
PLAIN = [f"events:{name}" for name in EVENTS.feature_names if not name.startswith("own")]
SPOT = {"raw": b"\0\xff", "day": date(2026, 1, 1), "moment": T, "open": True}


def _fill(store: gn.Store) -> None:
    store.apply([EVERY, EVENTS, PLACES, GLOBAL, EMPTY, SERVICE])
    rows = max(len(values) for _, values in TYPES.values())
    schema = {"user": pl.Int64, "at": pl.Datetime("us", "UTC")} | {n: d for n, (d, _) in TYPES.items()}
    states = [
        {"user": u, "at": T - HOUR} | {n: values[u % len(values)] for n, (_, values) in TYPES.items()}
        for u in range(rows)
    ]
    states.append({"user": 90, "at": T - HOUR, **dict.fromkeys(TYPES)})
    states.append({"user": 91, "at": T - timedelta(days=31), **{n: v[0] for n, (_, v) in TYPES.items()}})
    store.insert(EVERY, pl.DataFrame(states, schema=schema, orient="row"))
    events = [
        {"user": u, "at": T - HOUR * k, "x": x, "n": n, "kind": kind, "cost": Decimal(k)}
        for u in (0, 1)
        for k, (x, n, kind) in enumerate(
            [(0.1, 1, "a"), (math.nan, 2, "b"), (None, None, None), (1e300, 3, "a")]
        )
    ]
    events += [{"user": 5, "at": T - HOUR, "x": None, "n": 2**62, "kind": "z", "cost": None} for _ in "ab"]
    store.insert(EVENTS, pl.DataFrame(events, schema_overrides={"cost": pl.Decimal(12, 2)}))
    store.insert(PLACES, [SPOT | {"at": T - HOUR, "seats": 7}])
    store.insert(GLOBAL, [{"at": T - HOUR}])
    store.materialize([EVERY, EVENTS, PLACES, GLOBAL])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("served")
    (made / "gnomon.toml").write_text(config.DEFAULT_TEXT.format(name="served"))
    with gn.Store(made) as store:
        _fill(store)
    return made


@pytest.fixture(scope="module")
def store(folder) -> Iterator[gn.Store]:
    with gn.Store(folder) as store:
        yield store


@pytest.fixture(scope="module")
def client(folder) -> Iterator[gn.Client]:
    with serving(folder) as url, gn.Client(url) as client:
        yield client


@pytest.fixture(params=["json", "arrow"])
def form(request, monkeypatch) -> str:
    """In which form answers come, whatever their size."""
    monkeypatch.setattr(calls, "MANY", 0 if request.param == "arrow" else 10**9)
    return request.param


def told(found: OnlineFeatures) -> dict[str, Any]:
    """Everything that an answer tells, such that equal texts are equal bits."""
    frame = found.to_polars()
    return {
        "names": found.names,
        "columns": repr(found.to_dict()),
        "schema": frame.schema,
        "frame": repr(frame.rows()),
        "statuses": found.statuses,
        "event_times": repr(found.event_times),
        "errors": found.errors,
        "at": found.at,
        "revision": found.revision,
        "shown": repr(found),
    }


USERS = [{"user": u} for u in (0, 1, 2, 3, 4, 5, 6, 90, 91, 99, 1, 0)]
QUESTIONS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "every type": (EVERY, USERS, {}),
    "aggregates": (PLAIN, USERS, {}),
    "an overflow": (["events:n_sum", "events:count_1h"], [{"user": 5}, {"user": 0}], {}),
    "a service in two roles": ("both", [{"user": 0, "friend": 1}, {"user": 91, "friend": 99}], {}),
    "a service by its definition": (SERVICE, {"user": [0], "friend": [2]}, {}),
    "keys of many types": (PLACES, [SPOT, SPOT | {"open": False}, SPOT | {"raw": b"\0"}], {}),
    "keys in a frame": ("places:seats", pl.DataFrame([SPOT]), {}),
    "no keys": (GLOBAL, [{}, {}], {}),
    "columns": (["every:i64", "every:text"], {"user": [0, 90]}, {}),
    "nobody": (["every:i64", "every:shape"], [], {}),
    "nobody, in columns": (["every:i64"], {"user": []}, {}),
    "not ready": (["empty:nothing", "every:i64"], USERS, {}),
    "full names": (["every:i64", "events:count_1h"], USERS, {"full_names": True}),
    "a request row": (["events:own_1d"], USERS, {"request": {"n": 7}}),
    "request rows": (["events:own_1d"], USERS[:2], {"request": {"n": [1, 2]}}),
    "request rows in a list": (["events:own_1d"], USERS[:2], {"request": [{"n": 1}, {"n": 2}]}),
    "a version": (["every@1:text"], USERS, {}),
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("at", [T, T - HOUR, T - timedelta(microseconds=1)])
def test_answers_are_those_of_the_store(store, client, form, name, at):
    features, entities, options = QUESTIONS[name]
    want = store.get_online_features(features, entities, at=at, **options)
    assert told(client.get_online_features(features, entities, at=at, **options)) == told(want)


def test_each_question_is_answered_at_its_own_time(store, client, form):
    times = [T, T - HOUR, T + HOUR, T - HOUR + timedelta(microseconds=1)]
    want = store.get_online_features(PLAIN, {"user": [0] * 4}, at=times)
    assert told(client.get_online_features(PLAIN, {"user": [0] * 4}, at=times)) == told(want)


def test_arrays_are_those_of_the_store(store, client, form):
    features = ["every:i64", "every:flag", "events:count_1d"]
    want = store.get_online_features(features, USERS, at=T).to_numpy()
    assert client.get_online_features(features, USERS, at=T).to_numpy().tobytes() == want.tobytes()


WRONG: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "an unknown service": ("bot", [{"user": 0}], {}),
    "a group for a service": ("every", [{"user": 0}], {}),
    "an unknown feature": (["every:i46"], [{"user": 0}], {}),
    "no features": ([], [{"user": 0}], {}),
    "twice": (["every:i64", "every:i64"], [{"user": 0}], {}),
    "an unknown key": (["every:i64"], [{"usr": 0}], {}),
    "one key too many": (["every:i64"], {"user": [0], "x": [1]}, {}),
    "a key of another type": (["every:i64"], [{"user": "0"}], {}),
    "a key that is a truth": (["every:i64"], [{"user": True}], {}),
    "a null key": (["every:i64"], [{"user": 0}, {"user": None}], {}),
    "a key too large": (["every:i64"], [{"user": 2**63}], {}),
    "ragged columns": ("places:seats", {"raw": [b"", b""], "day": [], "moment": [], "open": []}, {}),
    "ragged rows": (["every:i64"], [{"user": 0}, {}], {}),
    "no keys wanted": (GLOBAL, {}, {}),
    "a missing request value": (["events:own_1d"], [{"user": 0}], {}),
    "an unknown request value": (["events:own_1d"], [{"user": 0}], {"request": {"m": 1}}),
    "a wrong request value": (["events:own_1d"], [{"user": 0}], {"request": {"n": "much"}}),
    "too few request values": (["events:own_1d"], [{"user": 0}, {"user": 1}], {"request": {"n": [1]}}),
    "before the horizon": (GLOBAL, [{}], {"at": "1999-01-01"}),
    "too many times": (["every:i64"], [{"user": 0}], {"at": [T, T]}),
    "no time": (["every:i64"], [{"user": 0}], {"at": "soon"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_are_those_of_the_store(store, client, name):
    features, entities, options = WRONG[name]
    options = {"at": T, **options}
    with pytest.raises(GnomonError) as want:
        store.get_online_features(features, entities, **options)
    with pytest.raises(GnomonError) as got:
        client.get_online_features(features, entities, **options)
    assert (got.type, got.value.what, got.value.hint) == (want.type, want.value.what, want.value.hint)


def test_the_asynchronous_client_tells_the_same(store, client):
    async def ask() -> list[OnlineFeatures]:
        async with gn.AsyncClient(client.url) as other:
            return await asyncio.gather(*(other.get_online_features(EVERY, USERS, at=T) for _ in range(8)))

    want = told(store.get_online_features(EVERY, USERS, at=T))
    assert [told(found) for found in asyncio.run(ask())] == [want] * 8


def test_a_place_opens_as_what_it_is(folder, client, store):
    for place in (folder, str(folder), client.url):
        with gn.Store.open(place) as opened:
            found = opened.get_online_features(["every:i64"], [{"user": 0}], at=T)
        assert found.to_dict() == {"i64": [2**63 - 1]}
