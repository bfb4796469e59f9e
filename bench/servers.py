"""Servers as online stores: reads from Valkey beside a bare MGET, loads beside a pipeline of SETs and a bare COPY.

Both sides move the same bytes, and each has a server of its own, out of a wheel, on the loopback. What ours does
beyond the peer is the work: packing or unpacking values, windows, an answer in Python's types.

Sizes:  users (keys held), keys (asked for in one call, of each group), features, groups, calls (in one turn).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import psycopg
import redis

import gnomon as gn
from bench.harness import Digest, Job, Sampled, Timed, Work
from bench.materialize import END, Pairs, compare, profile_group, read_pairs
from bench.online import SKEW
from bench.reach import TimesSlower
from bench.tables import project
from bench.workload import Profiles, ensure, skewed_users
from gnomon.demo import servers

_AT_ONCE = 10_000
"""SETs in one pipeline of the peer: more are no faster."""


def groups_of(job: Job) -> list[gn.FeatureGroup]:
    """As many groups of the same rows as the sizes say."""
    recipe = Profiles(job.sizes["users"], snapshots=1, features=job.sizes["features"])
    path = ensure(recipe, job.data)
    first = profile_group(path, recipe)
    others = range(1, job.sizes["groups"])
    return [
        first,
        *(
            gn.FeatureGroup(
                f"{first.name}_{i}", entity=first.entities, source=first.source, features=first.features
            )
            for i in others
        ),
    ]


def materialize_once(job: Job) -> None:
    """Leave what is to be stored in the contest's shared folder, for the peers to take their bytes from."""
    with project(job.shared / "project") as store:
        store.apply(groups_of(job))
        store.materialize(end=END)


def stored(job: Job) -> list[Pairs]:
    """Keys and values of each group, keys in the order of users."""
    tables = read_pairs(next(job.shared.rglob("data.mdb")).parent)
    found = [pairs for name, pairs in sorted(tables.items()) if len(pairs) == job.sizes["users"]]
    assert len(found) == job.sizes["groups"]
    return found


def started(job: Job, make: Any) -> servers.Server:
    """A server that ends with this side's process."""
    folder = job.scratch / "server"
    folder.mkdir()
    for closed in (job.scratch, job.scratch.parent):
        closed.chmod(0o755)  # PostgreSQL runs as another user where we are root
    server: servers.Server = make(folder)
    server.start()
    return server


# --- reads --------------------------------------------------------------------------------------------------


class Asking(Sampled):
    """What both sides do: ask for the same users in the same order."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        keys, calls = job.sizes["keys"], job.sizes["calls"]
        drawn = skewed_users(keys * calls, job.sizes["users"], SKEW, "online")
        self.asked: list[list[int]] = drawn.reshape(calls, keys).tolist()
        self.server = started(job, servers.valkey)


class Gnomon(Asking):
    """State features by the name of their service, a dict out."""

    name = "gnomon"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        groups = groups_of(job)
        self.store = project(job.scratch / "project", online=self.server.url)
        features = [group.renamed(prefix=f"g{i}_") for i, group in enumerate(groups)]
        self.store.apply([*groups, gn.FeatureService("bench", features=features)])
        self.store.materialize(end=END)
        self.prepared = [
            [{"user_id": users[0]}] if len(users) == 1 else {"user_id": users} for users in self.asked
        ]

    def requests(self) -> Sequence[Any]:
        return self.prepared

    def call(self, request: Any) -> Any:
        return self.store.get_online_features("bench", request).to_dict()

    def digest(self) -> Digest:
        return {}


class RawMget(Asking):
    """One MGET of the same values, however many groups; bytes out."""

    name = "raw mget"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.client = redis.Redis.from_url(self.server.url)
        names: list[list[bytes]] = []
        for i, pairs in enumerate(stored(job)):
            named = [b"bench:%d:%s" % (i, key) for key, _ in pairs]
            names.append(named)
            for at in range(0, len(pairs), _AT_ONCE):
                self.client.mset(
                    dict(
                        zip(named[at : at + _AT_ONCE], (v for _, v in pairs[at : at + _AT_ONCE]), strict=True)
                    )
                )
        order = {user: at for at, user in enumerate(users_of(job))}
        self.prepared = [[of[order[user]] for of in names for user in users] for users in self.asked]

    def requests(self) -> Sequence[Any]:
        return self.prepared

    def call(self, request: Any) -> Any:
        return self.client.mget(request)


def users_of(job: Job) -> list[int]:
    """All users, in the order of their keys' bytes, which is that of the numbers."""
    recipe = Profiles(job.sizes["users"], snapshots=1, features=job.sizes["features"])
    users: list[int] = (
        pl.read_parquet(ensure(recipe, job.data), columns=["user_id"])["user_id"].sort().to_list()
    )
    return users


# --- loads --------------------------------------------------------------------------------------------------


class Loading(Timed):
    """`materialize` into a server that holds nothing, in a new project each turn."""

    name = "gnomon"
    make: Any

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.recipe = Profiles(job.sizes["users"], snapshots=1, features=job.sizes["features"])
        self.path = ensure(self.recipe, job.data)
        self.group = profile_group(self.path, self.recipe)
        self.server = started(job, type(self).make)
        self.turns = 0
        self.store: gn.Store | None = None

    def url(self) -> str:
        """Of a place in the server that holds nothing, and what the latest turn left is gone."""
        raise NotImplementedError

    def reset(self) -> None:
        if self.store is not None:
            self.store.close()
        self.turns += 1
        self.store = project(self.job.scratch / f"project-{self.turns}", online=self.url())
        self.store.apply([self.group])

    def work(self) -> object:
        assert self.store is not None
        return self.store.materialize([self.group], end=END)

    def sample(self) -> tuple[int, int]:
        assert self.store is not None
        return compare(self.store, self.group, self.path, self.recipe)


class GnomonIntoValkey(Loading):
    make = staticmethod(servers.valkey)

    def url(self) -> str:
        with redis.Redis.from_url(self.server.url) as client:
            client.flushall()
        return self.server.url


class GnomonIntoPostgres(Loading):
    make = staticmethod(servers.postgres)

    def url(self) -> str:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS gnomon CASCADE")
            connection.execute("CHECKPOINT")
        return self.server.url


class Sets(Timed):
    """The same bytes by SET, so many to a pipeline."""

    name = "pipeline of SETs"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        (self.pairs,) = stored(job)
        self.server = started(job, servers.valkey)
        self.client = redis.Redis.from_url(self.server.url)

    def reset(self) -> None:
        self.client.flushall()

    def work(self) -> object:
        for at in range(0, len(self.pairs), _AT_ONCE):
            pipeline = self.client.pipeline(transaction=False)
            for key, value in self.pairs[at : at + _AT_ONCE]:
                pipeline.set(key, value)
            pipeline.execute()
        return None


class Copy(Timed):
    """The same bytes by one binary COPY into a table with a primary key."""

    name = "copy"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        (self.pairs,) = stored(job)
        self.server = started(job, servers.postgres)
        self.connection = psycopg.connect(self.server.url, autocommit=True)

    def reset(self) -> None:
        self.connection.execute("DROP TABLE IF EXISTS bench")
        self.connection.execute("CREATE TABLE bench (key bytea PRIMARY KEY, value bytea NOT NULL)")
        self.connection.execute("CHECKPOINT")

    def work(self) -> object:
        with self.connection.cursor().copy("COPY bench FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["bytea", "bytea"])
            for row in self.pairs:
                copy.write_row(row)
        return None


def reading(keys: int, groups: int, users: int) -> Work:
    small = {"users": 2_000, "keys": keys, "features": 20, "groups": groups, "calls": 300}
    return Work(
        f"redis-{groups}x{keys}x20" if groups > 1 else f"redis-{keys}x20",
        ("redis: {groups} groups × " if groups > 1 else "redis: ")
        + "{keys} × {features} state features, {users:,} keys in Valkey",
        small,
        {**small, "users": users, "calls": 1_000},
        Gnomon,
        (RawMget,),
        (TimesSlower(1.7),),
        prepare=materialize_once,
        comparable=False,
    )


def loading(name: str, title: str, ours: type[Loading], peer: type[Timed]) -> Work:
    small = {"users": 20_000, "features": 20, "groups": 1}
    return Work(
        f"materialize-{name}",
        f"materialize {{users:,}} keys × {{features}} features into {title}",
        small,
        {**small, "users": 1_000_000},
        ours,
        (peer,),
        (TimesSlower(1.7),),
        turns=3,
        prepare=materialize_once,
        comparable=False,
    )


WORKS = (
    reading(1, 1, 1_000_000),
    reading(100, 1, 1_000_000),
    reading(100, 5, 100_000),
    loading("redis", "Valkey", GnomonIntoValkey, Sets),
    loading("postgres", "PostgreSQL", GnomonIntoPostgres, Copy),
)
