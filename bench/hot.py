"""One key with very many rows in its window, in LMDB: questions of twenty windowed aggregates, and rows that arrive.

Sizes:  rows (of the key, all in the longest window), calls (in one turn).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import polars as pl

import gnomon as gn
from bench.brute import Events
from bench.harness import Job, Sampled, Work
from bench.online import END
from bench.reach import Reach, SameBits, Tail
from bench.tables import project
from bench.windows import FUNCTIONS, LENGTHS, aggregates, output
from bench.workload import END_US
from gnomon.flows.online import read_document
from gnomon.online import codec
from gnomon.online.arrays import WordColumn
from gnomon.online.views import views_of
from gnomon.online.writer import Target, update
from gnomon.plan.layout import make_layout

KEY = 7


class Hot(Sampled):
    """The twenty features of `windows` over the rows of one user, materialized from a file."""

    name = "gnomon"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        n = job.sizes["rows"]
        draws = np.random.default_rng(n)
        self.ts = np.sort(draws.integers(END_US - LENGTHS["30d"], END_US, n))
        self.amount = np.round(draws.gamma(2.0, 30.0, n), 2)
        file = job.scratch / "events.parquet"
        ts = pl.Series(self.ts).cast(pl.Datetime("us", "UTC"))
        pl.DataFrame({"user_id": np.full(n, KEY), "ts": ts, "amount": self.amount}).write_parquet(file)
        self.group = gn.FeatureGroup(
            "spending",
            entity=gn.Entity("user", keys={"user_id": pl.Int64}),
            source=gn.FileSource("events", path=str(file), timestamp="ts"),
            features=aggregates(),
        )
        self.store = project(job.scratch / "project")
        self.store.apply([self.group, gn.FeatureService("bench", features=[self.group])])
        self.store.materialize([self.group])

    def requests(self) -> Sequence[Any]:
        return range(self.job.sizes["calls"])

    def ask(self, at: Any) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.store.get_online_features(
            "bench", [{"user_id": KEY}], at=at
        ).to_dict()
        return answer

    def sample(self) -> tuple[int, int]:
        """All features at the end, and at some instants of the last day."""
        brute = Events(np.full(len(self.ts), KEY), self.ts, self.ts, self.amount)
        looked = wrong = 0
        for back in (0, 1, 3_600_000_000, 5 * 3_600_000_000):
            answer = self.ask(END_US - back)
            for window, length in LENGTHS.items():
                want = brute.window(KEY, END_US - back, length)
                wrong += sum(answer[output(name, window)][0] != want[name] for name in FUNCTIONS)
                looked += len(FUNCTIONS)
        return looked, wrong


class Reading(Hot):
    """Questions as of the data's end, in process, a dict out."""

    def call(self, request: Any) -> Mapping[str, Any]:
        return self.ask(END)


class Appending(Hot):
    """Rows that arrive one by one, each a little later than the one before it, as materialize writes them."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        # The rows that come: what they take up must not count.
        self.numbers = count(1)
        self.online = self.store._project.online
        layout = make_layout(
            self.group, {"user_id": pl.Int64(), "ts": pl.Datetime("us", "UTC"), "amount": pl.Float64()}
        )
        table = read_document(self.online, self.group.ref).live
        assert table is not None
        self.target = Target(table.name, table.shape.layout(), views_of(layout.outputs))
        ((self.key, _),) = self.online.scan(table.name)

    def requests(self) -> Sequence[Any]:
        return [self.row(next(self.numbers)) for _ in range(self.job.sizes["calls"])]

    def row(self, number: int) -> codec.FlatRows:
        at = np.array([END_US + number * 1_000_000])
        identity = WordColumn(np.random.default_rng(number).integers(0, 2**62, 2), 2)
        amount = WordColumn(np.array([number / 8]).view(np.int64))
        return codec.fresh(np.array([0, 1]), at, at.copy(), identity, (amount,))

    def call(self, request: codec.FlatRows) -> Any:
        return update(self.online, self.target, [self.key], request)


class Copying(Sampled):
    """What no append can do without: the value's bytes written to a file, and the disk asked to keep them."""

    name = "write + fsync"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        # About what the index of so many rows takes.
        self.value = b"x" * (job.sizes["rows"] // 3)
        self.file = (job.scratch / "value").open("wb", buffering=0)

    def requests(self) -> Sequence[Any]:
        return range(self.job.sizes["calls"])

    def call(self, request: Any) -> None:
        self.file.seek(0)
        self.file.write(self.value)
        os.fdatasync(self.file.fileno())


def work(
    name: str, title: str, side: type[Hot], peers: tuple[type[Sampled], ...], reaches: tuple[Reach, ...]
) -> Work:
    small = {"rows": 50_000, "calls": 200}
    return Work(
        name, title, small, {"rows": 1_000_000, "calls": 1_000}, side, peers, reaches, comparable=False
    )


WORKS = (
    work(
        "hot-read",
        "online: one key of {rows:,} rows × 20 windowed aggregates",
        Reading,
        (),
        (Tail(1_000), SameBits()),
    ),
    work(
        "hot-append",
        "online: a row more for a key of {rows:,} rows",
        Appending,
        (Copying,),
        (Tail(2_000), SameBits()),
    ),
)
