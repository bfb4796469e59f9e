"""The demo, told step by step: real flights → features → training set → model → online answers → proof that
both agree.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from gnomon.config import DEFAULT_TEXT, FILE_NAME, load
from gnomon.demo import ask, data, model, over_http, servers
from gnomon.demo.compare import Comparison, compare
from gnomon.errors import GnomonError
from gnomon.flows.apply import Plan
from gnomon.flows.definitions import load_definitions
from gnomon.flows.retrieval import Retrieval
from gnomon.store import Store
from gnomon.time import stopwatch

NOW = datetime(2013, 12, 20, 18, tzinfo=UTC)
"""The demo's present: online rows are what was known by then."""
_COMPARED = timedelta(hours=23)
_LOG_ALL = """
[log]
sample = 1                               # every answer is logged; by itself a server logs one entity of a hundred
"""
Say = Callable[[str], None]


@dataclass
class Outcome:
    """What the demo did, for `--json`."""

    folder: str
    flights: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    training_rows: int = 0
    training_seconds: float = 0.0
    features: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    materialize_seconds: float = 0.0
    online: list[dict[str, Any]] = field(default_factory=list)
    latency_us: float = 0.0
    compared: dict[str, Any] = field(default_factory=dict)
    through: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By server: what was compared through it, where its wheel is installed."""

    verified: dict[str, Any] = field(default_factory=dict)
    """Logged answers, all of those before, against what is computed again."""

    http: dict[str, Any] = field(default_factory=dict)
    """What was asked over HTTP, with what, and which features differed."""

    @property
    def agrees(self) -> bool:
        compared = (self.compared, *self.through.values())
        sound = bool(self.verified.get("ok")) and self.http.get("differ") == []
        return sound and all(one.get("differ") == 0 and one.get("values", 0) > 0 for one in compared)


def run(folder: Path, say: Say = print) -> Outcome:
    """Run the demo in a folder (made if it does not exist). Raises: MissingDependency without the demo's
    extra.
    """
    out = Outcome(str(folder))
    project = _files(folder, out, say)
    with Store(folder) as store:
        applied = project.apply_to(store)
        features = store.registry.get("service", ask.SERVICE)
        say(
            f"\n2. Definitions: revision {applied.revision}, service `{features.name}`, "
            f"{len(features.features)} features"
        )
        spine = spine_of(folder)
        training = _train(store, spine, out, say)
        _online(store, folder, spine, training, out, say)
    return out


@dataclass(frozen=True)
class Project:
    """The demo's project folder."""

    folder: Path

    def apply_to(self, store: Store) -> Plan:
        """Apply the definitions."""
        return store.apply(load_definitions(load(self.folder)), message="the demo's features")


def write_project(folder: Path) -> Project:
    """Write gnomon.toml and the definitions into a folder."""
    (folder / FILE_NAME).write_text(DEFAULT_TEXT.format(name="flights") + _LOG_ALL)
    shutil.copy(Path(__file__).with_name("features.py"), folder / "features.py")
    return Project(folder)


def _files(folder: Path, out: Outcome, say: Say) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    elapsed = stopwatch()
    counts = data.prepare(folder / "data")
    out.flights = asdict(counts)
    say(
        f"1. Data: {counts.flights:,} flights from New York in 2013, "
        f"{counts.weather:,} hours of weather ({elapsed():.1f} s)"
    )
    say(
        f"   {counts.without_departure:,} flights never left, {counts.without_landing:,} never landed: "
        "no event time, so"
    )
    say("   they count in no window")
    return write_project(folder)


def spine_of(folder: Path) -> pl.DataFrame:
    """One row a flight whose delay became known, at its scheduled departure."""
    flights = pl.read_parquet(folder / "data" / "flights.parquet")
    return flights.filter(pl.col("arr_delay").is_not_null()).select(
        "flight_id", *ask.KEYS, "distance", "scheduled_minutes",
        event_timestamp=pl.col("scheduled_at"), late=pl.col("arr_delay") > 30,
    )  # fmt: skip


def _train(store: Store, spine: pl.DataFrame, out: Outcome, say: Say) -> Retrieval:
    retrieval = store.get_historical_features(spine, ask.SERVICE)
    training = retrieval.to_polars()
    names = training.columns[spine.width :]
    out.training_rows, out.training_seconds, out.features = len(training), retrieval.seconds, len(names)
    out.ignored = {ref: str(ignored) for ref, ignored in retrieval.ignored.items() if ignored}
    say(
        f"\n3. Training set: {len(training):,} rows × {len(names)} features, each as known at the flight's scheduled "
        f"departure\n   {retrieval.seconds:.1f} s, {len(training) / retrieval.seconds:,.0f} rows/s"
        " (the first run compiles the kernels)"
    )
    for ref, text in out.ignored.items():
        say(f"   {ref}: ignored {text}")
    scores = model.score(training, names)
    out.scores = asdict(scores)
    say(
        f"\n4. Model: more than 30 minutes late? Trained on {scores.train:,} flights, tested on the "
        f"{scores.test:,} from October on"
    )
    say(
        f"   AUC from the schedule alone {scores.without:.3f}, with these features {scores.with_features:.3f}"
    )
    return retrieval


def _online(
    store: Store, folder: Path, spine: pl.DataFrame, training: Retrieval, out: Outcome, say: Say
) -> None:
    report = store.materialize(end=NOW)
    out.materialize_seconds = report.seconds
    say(
        f"\n5. Materialized what was known by {NOW:%Y-%m-%d %H:%M} UTC: {report.rows:,} rows in {report.seconds:.1f} s"
    )
    for group in report.groups:
        say(f"   {group}")
    # Before NOW, not at it: what was to be known at NOW itself was not brought online.
    recent = pl.col("event_timestamp").is_between(NOW - _COMPARED, NOW, closed="left")
    asked = spine.filter(recent & pl.all_horizontal(pl.col(k).is_not_null() for k in ask.KEYS))
    _answer_three(store, asked.tail(3), out, say)
    truth = training.to_polars()
    result = prove(folder, asked, truth)
    out.compared = asdict(result)
    say(
        f"\n7. A fresh process answered {len(asked):,} flights of the last {_COMPARED.seconds // 3600} hours "
        "from the online store alone:"
    )
    _tell("", result, say)
    for name, make in servers.installed().items():
        with servers.running(make) as server:
            with Store(folder, online=server.url) as other:
                other.materialize(end=NOW)
            result = prove(folder, asked, truth, through=server.url)
        out.through[name] = asdict(result)
        _tell(f"through {name}: ", result, say)
    _verify(store, out, say)
    _over_http(store, folder, asked.tail(3), out, say)


def _over_http(store: Store, folder: Path, flights: pl.DataFrame, out: Outcome, say: Say) -> None:
    """Ask a server about three flights, and compare with what this process answers."""
    entities, minutes = flights.select(ask.KEYS).to_dicts(), flights["scheduled_minutes"].to_list()
    question = {
        "service": ask.SERVICE,
        "entities": entities,
        "request": {"scheduled_minutes": minutes},
        "at": NOW.isoformat(),
    }
    with over_http.serving(folder) as url:
        tool, told = over_http.ask(url, question)
    here = store.get_online_features(ask.SERVICE, entities, request={"scheduled_minutes": minutes}, at=NOW)
    differ = over_http.differing(told, here)
    out.http = {"asked_with": tool, "rows": len(entities), "features": len(here.names), "differ": differ}
    say(
        f"\n9. `gnomon serve` answered {tool} over HTTP: {len(entities)} flights × {len(here.names)} features, "
        f"{len(differ)} that differ from the answers here"
    )


def _verify(store: Store, out: Outcome, say: Say) -> None:
    report = store.verify(ask.SERVICE)
    out.verified = report.to_dict()
    say(
        f"\n8. Every answer of above was logged. Computed again from the files: {report.mismatches:,} mismatches of "
        f"{report.values:,} values\n   in {report.rows:,} logged rows ({report.seconds:.1f} s); "
        "`gnomon verify` does it each night"
    )
    for example in report.examples:
        say(f"   {example}")


def _tell(through: str, result: Comparison, say: Say) -> None:
    say(f"   {through}{result}")
    if result.first is not None:
        say(f"   first difference: {result.first}")


def _answer_three(store: Store, flights: pl.DataFrame, out: Outcome, say: Say) -> None:
    say("\n6. Online, three flights at that moment")
    entities = flights.select(ask.KEYS).to_dicts()
    for entity, minutes in zip(entities, flights["scheduled_minutes"], strict=True):
        answered = store.get_online_features(
            ask.SERVICE, [entity], request={"scheduled_minutes": minutes}, at=NOW
        )
        values = {name: column[0] for name, column in answered.to_dict().items()}
        out.online.append({**entity, **values})
        chosen = (
            "temp",
            "count_1h",
            "dep_delay_mean_1h",
            "carrier_arr_delay_1d",
            "plane_last_delay",
            "delay_share",
        )
        shown = ", ".join(f"{k} {_short(values[k])}" for k in chosen)
        say(f"   {entity['carrier']} {entity['tailnum']} {entity['origin']}→{entity['dest']}: {shown}, …")
    out.latency_us = _latency(store, entities[0], int(flights["scheduled_minutes"][0]))
    groups = len(store.registry.list("group"))
    say(
        f"   one answer of {len(answered.names)} features from {groups} groups: "
        f"{out.latency_us:,.0f} µs (median of 500)"
    )


def _latency(store: Store, entity: dict[str, Any], minutes: int) -> float:
    times = []
    for _ in range(500):
        elapsed = stopwatch()
        store.get_online_features(
            ask.SERVICE, [entity], request={"scheduled_minutes": minutes}, at=NOW
        ).to_dict()
        times.append(elapsed())
    return sorted(times)[len(times) // 2] * 1e6


def _short(value: Any) -> str:
    return "null" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def prove(
    folder: Path, asked: pl.DataFrame, training: pl.DataFrame, through: str | None = None
) -> Comparison:
    """Ask a fresh process, and compare its answers with the training set's values for the same flights.

    `through`: the URL of another online store than the project's.

    The process cannot fall back on the data: the files are out of its reach while it answers.
    """
    asked.write_parquet(folder / "questions.parquet")
    away = folder / "data-out-of-reach"
    (folder / "data").rename(away)
    try:
        command = [
            sys.executable,
            "-m",
            "gnomon.demo.ask",
            str(folder),
            "questions.parquet",
            "answers.parquet",
            *([through] if through is not None else []),
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    finally:
        away.rename(folder / "data")
    if done.returncode:
        raise GnomonError(f"the process that was to answer failed: {done.stderr.strip()[-500:]}")
    online = pl.read_parquet(folder / "answers.parquet")
    names = [c for c in online.columns if not c.endswith(":status")]
    offline = asked.select("flight_id").join(training, on="flight_id", how="left", maintain_order="left")
    return compare(online, offline.select(names))
