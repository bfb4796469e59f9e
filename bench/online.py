"""Reads in process from LMDB, skewed access, a dict out.

Sizes:  users (keys held), keys (asked for in one call), features, calls (in one turn).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from struct import Struct
from typing import Any

import lmdb
import numpy as np
import polars as pl

import gnomon as gn
from bench.brute import Events
from bench.harness import Digest, Job, Sampled, Work
from bench.materialize import profile_group
from bench.reach import Latency, SameBits
from bench.tables import project
from bench.windows import FUNCTIONS, LENGTHS, aggregates, output
from bench.workload import END_US, Histories, Profiles, ensure, skewed_users

END = datetime.fromtimestamp(END_US / 1e6, UTC)
SKEW = 0.8
COMPARED_CALLS = 50


class Online(Sampled):
    """What all sides do: ask for the same users in the same order."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        keys, calls = job.sizes["keys"], job.sizes["calls"]
        drawn = skewed_users(keys * calls, job.sizes["users"], SKEW, "online")
        self.asked: list[list[int]] = drawn.reshape(calls, keys).tolist()
        self.prepared = [self.request(users) for users in self.asked]

    def request(self, users: list[int]) -> Any:
        """What `call` is given for these users; made beforehand."""
        return users

    def requests(self) -> Sequence[Any]:
        return self.prepared

    def compared(self, names: Sequence[str]) -> Digest:
        """Each feature's sum over some calls, weighted by the place where it stands in the answer."""
        sums = dict.fromkeys(names, 0.0)
        for i, request in enumerate(self.prepared[:COMPARED_CALLS]):
            answer = self.call(request)
            for name in names:
                values = answer[name] if isinstance(answer[name], list) else [answer[name]]
                sums[name] += sum((i * 31 + j) % 97 * value for j, value in enumerate(values))
        return {name: (total,) for name, total in sums.items()}


# ---- ours


class Gnomon(Online):
    """State features of one group, by the name of their service."""

    name = "gnomon"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        recipe = Profiles(job.sizes["users"], snapshots=1, features=job.sizes["features"])
        self.names = recipe.names
        self.serve(profile_group(ensure(recipe, job.data), recipe))

    def serve(self, group: gn.FeatureGroup) -> None:
        self.store = project(self.job.scratch / "project")
        self.store.apply([group, gn.FeatureService("bench", features=[group])])
        self.store.materialize([group], end=END)

    def request(self, users: list[int]) -> Any:
        return [{"user_id": users[0]}] if len(users) == 1 else {"user_id": users}

    def call(self, request: Any) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.store.get_online_features("bench", request).to_dict()
        return answer

    def digest(self) -> Digest:
        return self.compared(self.names)


class GnomonWindows(Gnomon):
    """Twenty windowed aggregates over keys of 100 rows, asked as of the data's end."""

    def __init__(self, job: Job) -> None:
        Online.__init__(self, job)
        self.path = ensure(Histories(job.sizes["users"]), job.data)
        self.serve(
            gn.FeatureGroup(
                "spending",
                entity=gn.Entity("user", keys={"user_id": pl.Int64}),
                source=gn.FileSource("events", path=str(self.path), timestamp="ts"),
                features=aggregates(),
            )
        )

    def call(self, request: Any) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.store.get_online_features("bench", request, at=END).to_dict()
        return answer

    def digest(self) -> Digest:
        return {}

    def sample(self) -> tuple[int, int]:
        asked = self.asked[:COMPARED_CALLS]
        users = pl.Series(sorted({user for users in asked for user in users}))
        frame = pl.scan_parquet(self.path).filter(pl.col("user_id").is_in(users.implode())).collect()
        ts = frame["ts"].to_physical().to_numpy()
        brute = Events(frame["user_id"].to_numpy(), ts, ts, frame["amount"].to_numpy())
        looked = wrong = 0
        for request, of in zip(self.prepared, asked, strict=False):
            answer = self.call(request)
            for i, user in enumerate(of):
                for window, length in LENGTHS.items():
                    want = brute.window(user, END_US, length)
                    wrong += sum(answer[output(name, window)][i] != want[name] for name in FUNCTIONS)
                    looked += len(FUNCTIONS)
        return looked, wrong


# ---- peers


class RawLmdb(Online):
    """One packed value a key: a read transaction, `get`, one `struct` unpack, a dict of lists.

    `get` in a loop: `getmulti` on a cursor is slower at these sizes, and so is NumPy. Every key asked for is
    there, so that nothing checks for None.
    """

    name = "raw lmdb"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        recipe = Profiles(job.sizes["users"], snapshots=1, features=job.sizes["features"])
        frame = pl.read_parquet(ensure(recipe, job.data)).sort("user_id")
        self.names = recipe.names
        self.unpack = Struct(f"<{len(self.names)}d").unpack
        self.environment = lmdb.open(str(job.scratch / "environment"), map_size=1 << 34)
        values = np.ascontiguousarray(frame.select(self.names).to_numpy(), dtype="<f8")
        pairs = (
            (user.to_bytes(8, "big"), values[i].tobytes())
            for i, user in enumerate(frame["user_id"].to_list())
        )
        with self.environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(pairs, append=True)

    def call(self, request: list[int]) -> Mapping[str, Any]:
        unpack = self.unpack
        with self.environment.begin() as transaction:
            get = transaction.get
            rows = [unpack(get(user.to_bytes(8, "big"))) for user in request]  # type: ignore[arg-type]
        return dict(zip(self.names, map(list, zip(*rows, strict=True)), strict=True))

    def digest(self) -> Digest:
        return self.compared(self.names)


class RawLmdbOne(RawLmdb):
    """One key: the dict's values are the numbers themselves."""

    def call(self, request: list[int]) -> Mapping[str, Any]:
        with self.environment.begin() as transaction:
            value = transaction.get(request[0].to_bytes(8, "big"))
        return dict(zip(self.names, self.unpack(value), strict=True))  # type: ignore[arg-type]


def state(name: str, keys: int, features: int, peer: type[Online], bound_us: float) -> Work:
    """`keys` × `features` state features among a million keys."""
    small = {"users": 10_000, "keys": keys, "features": features, "calls": 500}
    return Work(
        name,
        "online: {keys} × {features} state features, {users:,} keys in LMDB",
        small,
        {**small, "users": 1_000_000, "calls": 2_000},
        Gnomon,
        (peer,),
        (Latency(bound_us, tail=4),),
    )


def windowed(name: str, keys: int, bound_us: float) -> Work:
    """Twenty windowed aggregates over keys of 100 rows.

    A hundred thousand keys, not a million: the read is the same, and loading takes a tenth of the time.
    """
    small = {"users": 1_000, "keys": keys, "features": 20, "calls": 500}
    return Work(
        name,
        "online: {keys} × 20 windowed aggregates, {users:,} keys of 100 rows",
        small,
        {**small, "users": 100_000, "calls": 2_000},
        GnomonWindows,
        (),
        (Latency(bound_us), SameBits()),
    )


WORKS = (
    state("online-1x20", 1, 20, RawLmdbOne, 15),
    state("online-100x20", 100, 20, RawLmdb, 250),
    state("online-100x100", 100, 100, RawLmdb, 1_000),
    windowed("online-windows-1", 1, 25),
    windowed("online-windows-100", 100, 500),
)
