"""Answers over HTTP: `gnomon serve` with one worker beside bare applications in the same Granian, all asked by wrk.

Each side has a server of its own on the loopback, without an access log, and is asked with the same bodies in the same
order. The measure is the time that a request takes of the server: the inverse of requests a second.

Sizes:  users (keys held), keys (asked about in one request), features, bodies, connections, seconds (of one turn).
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import URLError
from urllib.request import Request, urlopen

import polars as pl
import redis

import gnomon as gn
from bench.apps import ANSWER, VALKEY
from bench.harness import Job, Measure, Side, Work
from bench.materialize import END, profile_group
from bench.online import SKEW
from bench.reach import Flat, Requests, Share
from bench.servers import started
from bench.tables import project
from bench.windows import aggregates
from bench.workload import Histories, Profiles, ensure, skewed_users
from gnomon.demo import servers
from gnomon.online.statuses import STATUSES

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = Path(__file__).with_name("wrk.lua")
PATH = "/v1/online-features"
_AT_ONCE = 10_000
"""Keys in one command that fills the peer's Valkey."""


class Asked(Side):
    """A server, and wrk that asks it."""

    path: ClassVar[str] = PATH

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.wrk = found_wrk()
        keys, bodies = job.sizes["keys"], job.sizes["bodies"]
        drawn = skewed_users(keys * bodies, job.sizes["users"], SKEW, "serve")
        self.asked: list[list[int]] = drawn.reshape(bodies, keys).tolist()
        self.bodies = [self.body(users) for users in self.asked]
        self.file = job.scratch / "bodies"
        self.file.write_text("\n".join(self.bodies) + "\n", encoding="utf-8")
        self.server = self.start()

    def start(self) -> servers.Server:
        """The server, ready to answer."""
        raise NotImplementedError

    def body(self, users: Sequence[int]) -> str:
        return json.dumps({"service": "bench", "entities": [{"user_id": user} for user in users]})

    def close(self) -> None:
        self.server.stop()

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}{self.path}"

    def turn(self) -> Measure:
        told = self.load(self.job.sizes["seconds"], self.job.sizes["connections"])
        return {
            "request_us": 1e6 * told["seconds"] / told["requests"],
            "p50_us": told["p50_us"],
            "p99_us": told["p99_us"],
        }

    def load(self, seconds: float, connections: int, delay_ms: float = 0) -> Mapping[str, float]:
        """What wrk tells of so many seconds. Raises: RuntimeError if any request failed."""
        told = self.job.scratch / "told.json"
        command = [
            self.wrk,
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "-s",
            str(SCRIPT),
            self.url(),
        ]
        environment = os.environ | {"BODIES": str(self.file), "TOLD": str(told), "DELAY_MS": str(delay_ms)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
        outcome: Mapping[str, float] = json.loads(told.read_text())
        if outcome["failed"]:
            raise RuntimeError(f"{outcome['failed']:.0f} of {outcome['requests']:.0f} requests failed")
        return outcome

    def ask(self, body: str) -> bytes:
        """One answer."""
        request = Request(self.url(), body.encode(), {"content-type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
            return content


def found_wrk() -> str:
    """Where wrk is. Raises: RuntimeError that tells how to get it."""
    found = shutil.which("wrk")
    if found is None:
        raise RuntimeError("this work needs wrk: apt-get install wrk, or brew install wrk")
    return found


def program(
    job: Job, name: str, command: Sequence[str], path: str, environment: Mapping[str, str]
) -> servers.Server:
    """A server of ours or of Granian's. `{port}` in the command: where it listens; `path`: there when it answers."""
    folder = job.scratch / name
    folder.mkdir()

    def filled(port: int) -> list[str]:
        told = [
            f"{key}={value}" for key, value in {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **environment}.items()
        ]
        return ["/usr/bin/env", *told, *(part.format(port=port) for part in command)]

    def answers(port: int) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return True
        except (URLError, ConnectionError, TimeoutError):
            return False

    server = servers.Server(folder, filled, answers=answers)
    server.start()
    return server


# --- ours ---------------------------------------------------------------------------------------------------


class Gnomon(Asked):
    """State features of one service, out of LMDB."""

    name = "gnomon"
    settings: ClassVar[str] = ""
    """Further lines of gnomon.toml."""

    def start(self) -> servers.Server:
        folder = self.job.scratch / "project"
        with project(folder, online=self.online()) as store:
            self.fill(store)
        lines = f'[project]\nname = "bench"\n[online]\nurl = "{self.online() or "lmdb://.gnomon/online"}"\n'
        (folder / "gnomon.toml").write_text(lines + self.settings, encoding="utf-8")
        command = [sys.executable, "-m", "gnomon", "serve", "--project", str(folder), "--port", "{port}"]
        return program(self.job, "http", [*command, "--workers", "1", "--no-access-log"], "/readyz", {})

    def online(self) -> str | None:
        """The online store's URL; None: LMDB in the project."""
        return None

    def fill(self, store: gn.Store) -> None:
        group = profile_group(ensure(recipe(self.job), self.job.data), recipe(self.job))
        store.apply([group, gn.FeatureService("bench", features=[group])])
        store.materialize([group], end=END)

    def sample(self) -> tuple[int, int] | None:
        """Some answers, compared with the file."""
        rows = pl.read_parquet(ensure(recipe(self.job), self.job.data))
        looked = wrong = 0
        for users, body in list(zip(self.asked, self.bodies, strict=True))[:20]:
            want = pl.DataFrame({"user_id": users}).join(
                rows, on="user_id", how="left", maintain_order="left"
            )
            got = json.loads(self.ask(body))["rows"]
            for row, expected in zip(got, want.select(recipe(self.job).names).rows(), strict=True):
                wrong += sum(a != b for a, b in zip(row, expected, strict=True))
                looked += len(expected)
        return looked, wrong


class Logging(Gnomon):
    """Every answer is logged."""

    name = "every answer logged"
    settings = "[log]\nsample = 1.0\n"


class NotLogging(Gnomon):
    name = "none logged"
    settings = "[log]\nsample = 0.0\n"


class GnomonOnValkey(Gnomon):
    """The same out of Valkey."""

    def online(self) -> str | None:
        if not hasattr(self, "valkey"):
            self.valkey = started(self.job, servers.valkey)
        return self.valkey.url


class GnomonWindows(Gnomon):
    """Twenty windowed aggregates over keys of 100 rows, asked as of the data's end."""

    def body(self, users: Sequence[int]) -> str:
        return json.dumps(
            {"service": "bench", "entities": [{"user_id": user} for user in users], "at": END.isoformat()}
        )

    def fill(self, store: gn.Store) -> None:
        path = ensure(Histories(self.job.sizes["users"]), self.job.data)
        group = gn.FeatureGroup(
            "spending",
            entity=gn.Entity("user", keys={"user_id": pl.Int64}),
            source=gn.FileSource("events", path=str(path), timestamp="ts"),
            features=aggregates(),
        )
        store.apply([group, gn.FeatureService("bench", features=[group])])
        store.materialize([group], end=END)

    def sample(self) -> tuple[int, int] | None:
        """Whether each is there; their bits are compared by `online-windows`."""
        answer = json.loads(self.ask(self.bodies[0].replace('"at"', '"include": ["statuses"], "at"')))
        told = [status for row in answer["statuses"] for status in row]
        return len(told), sum(status not in STATUSES or status == "ERROR" for status in told)


class GnomonState(Gnomon):
    """The state features, as a peer of others of ours."""

    name = "state features"


class Soak(Gnomon):
    """At 70 % of its own peak for a long time, in pieces; between them the server's memory is looked at."""

    name = "gnomon at 70 %"
    share: ClassVar[float] = 0.7
    pieces: ClassVar[int] = 10
    crowd: ClassVar[int] = 64
    """Connections: many, so that each rests for long beside what wrk's clock can tell."""

    def turn(self) -> Measure:
        peak = self.load(8, self.job.sizes["connections"])
        each_ms = 1e3 * self.crowd * peak["seconds"] / (self.share * peak["requests"])
        rest = max(1.0, each_ms - peak["p50_us"] / 1e3)
        told, memory = [], []
        for _ in range(self.pieces):
            told.append(self.load(self.job.sizes["seconds"] // self.pieces, self.crowd, rest))
            memory.append(resident(self.server.pid))
            # What a connection waits for its answer depends on the load: what is too much or too little is made up for.
            rest = max(0.0, rest + each_ms - 1e3 * self.crowd * told[-1]["seconds"] / told[-1]["requests"])
        return {
            "request_us": 1e6 * sum(one["seconds"] for one in told) / sum(one["requests"] for one in told),
            "p50_us": statistics.median(one["p50_us"] for one in told),
            "p99_us": max(one["p99_us"] for one in told),
            # The first piece fills caches.
            "growth": memory[-1] / memory[0] - 1,
        }


def resident(pid: int) -> int:
    """Bytes of a process and all below it that are in memory. Linux."""
    place = Path("/proc") / str(pid)
    pages = int((place / "statm").read_text().split()[1])
    below = (place / "task" / str(pid) / "children").read_text().split()
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident(int(child)) for child in below)


# --- beside -------------------------------------------------------------------------------------------------


class Beside(Asked):
    """An application of bench.apps."""

    path = "/"
    app: ClassVar[str]

    def start(self) -> servers.Server:
        command = [
            str(Path(sys.executable).with_name("granian")), "--interface", "asgi", "--workers", "1",
            "--loop", "asyncio", "--http", "1", "--no-ws", "--host", "127.0.0.1", "--port", "{port}",
            "--log-level", "warning", f"bench.apps:{self.app}",
        ]  # fmt: skip
        return program(self.job, "http", command, "/", self.environment())

    def environment(self) -> Mapping[str, str]:
        raise NotImplementedError


class Constant(Beside):
    """The same bytes each time: an answer of ours, which `prepare` left."""

    name = "a constant"
    app = "constant"

    def environment(self) -> Mapping[str, str]:
        return {ANSWER: str(self.job.shared / "answer.json")}


class RawMget(Beside):
    """MGET of rows that are JSON already, read and written again."""

    name = "raw mget"
    app = "mget"

    def environment(self) -> Mapping[str, str]:
        valkey = started(self.job, servers.valkey)
        rows = pl.read_parquet(ensure(recipe(self.job), self.job.data))
        names = recipe(self.job).names
        with redis.Redis.from_url(valkey.url) as client:
            for part in rows.iter_slices(_AT_ONCE):
                values = part.select(names).rows()
                client.mset(
                    {str(user): json.dumps(row) for user, row in zip(part["user_id"], values, strict=True)}
                )
        self.valkey = valkey
        return {VALKEY: valkey.url}


def recipe(job: Job) -> Profiles:
    return Profiles(job.sizes["users"], snapshots=1, features=job.sizes["features"])


def leave_answer(job: Job) -> None:
    """Keep one of our answers for the peer that gives nothing else."""
    folder = job.scratch / "prepare"
    folder.mkdir()
    ours = Gnomon(Job(job.sizes, job.data, folder, job.shared, job.threads))
    (job.shared / "answer.json").write_bytes(ours.ask(ours.bodies[0]))
    ours.server.stop()


def serving(name: str, title: str, keys: int, features: int, **options: Any) -> Work:
    full = {
        "users": 100_000, "keys": keys, "features": features, "bodies": 2_000 if keys == 1 else 200, "connections": 16,
        "seconds": 8,
    }  # fmt: skip
    small = {**full, "users": 10_000, "seconds": 1}
    options.setdefault("ours", Gnomon)
    return Work(
        f"serve-{name}",
        f"serve: {{keys}} × {{features}} {title}, {{users:,}} keys",
        small,
        full,
        comparable=False,
        turns=3,
        **options,
    )


def soaking() -> Work:
    """Half an hour; a failed request fails the work."""
    short = serving("soak", "", 1, 20)
    return replace(
        short,
        title="serve: {keys} × {features} state features over HTTP for {seconds:,} s at 70 % of the peak",
        small={**short.small, "seconds": 20},
        full={**short.full, "seconds": 1_800},
        ours=Soak,
        reaches=(Flat(0.05),),
        turns=0,
        huge=True,
    )


STATE = "state features over HTTP"
WINDOWS = "windowed aggregates over HTTP"
BESIDE_MGET: dict[str, Any] = {"ours": GnomonOnValkey, "peers": (RawMget,), "reaches": (Share(0.6),)}
BESIDE_STATE: dict[str, Any] = {"ours": GnomonWindows, "peers": (GnomonState,), "reaches": (Share(0.5),)}

WORKS = (
    serving("1x20", f"{STATE}, LMDB", 1, 20, peers=(Constant,), reaches=(Share(0.5),), prepare=leave_answer),
    serving("redis-1x20", f"{STATE}, Valkey", 1, 20, **BESIDE_MGET),
    serving("redis-1x100", f"{STATE}, Valkey", 1, 100, **BESIDE_MGET),
    serving("100x20", f"{STATE}, LMDB", 100, 20, reaches=(Requests(2_000),)),
    serving("100x100", f"{STATE}, LMDB", 100, 100, reaches=(Requests(500),)),
    serving("windows-1", WINDOWS, 1, 20, **BESIDE_STATE),
    serving("windows-100", WINDOWS, 100, 20, **BESIDE_STATE),
    serving(
        "logged", f"{STATE}, every answer logged", 1, 20,
        ours=Logging, peers=(NotLogging,), reaches=(Share(0.9),),
    ),
    soaking(),
)  # fmt: skip
