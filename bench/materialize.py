"""From a file into LMDB: every key's newest row, twenty features.

Sizes:  users (keys, one row each).
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import lmdb
import numpy as np
import polars as pl

import gnomon as gn
from bench.harness import Job, Timed, Work
from bench.reach import MemoryUnder, PerSecond
from bench.tables import project
from bench.workload import END_US, Profiles, ensure

END = datetime.fromtimestamp(END_US / 1e6, UTC)
SAMPLE_KEYS = 500

Pairs = list[tuple[bytes, bytes]]


def profile_group(path: Path, recipe: Profiles) -> gn.FeatureGroup:
    """A state group on the recipe's file."""
    return gn.FeatureGroup(
        "profiles",
        entity=gn.Entity("user", keys={"user_id": pl.Int64}),
        source=gn.FileSource("profiles_file", path=str(path), timestamp="ts"),
        features=[gn.Feature(name, pl.Float64) for name in recipe.names],
    )


class Gnomon(Timed):
    """`materialize` into a new project each turn: a second time into the same one has nothing to do."""

    name = "gnomon"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.recipe = Profiles(job.sizes["users"], snapshots=1)
        self.path = ensure(self.recipe, job.data)
        self.folders = (job.scratch / f"project-{i}" for i in count())
        self.group = profile_group(self.path, self.recipe)
        self.store: gn.Store | None = None
        self.folder: Path | None = None

    def reset(self) -> None:
        if self.store is not None and self.folder is not None:
            self.store.close()
            shutil.rmtree(self.folder)
        self.folder = next(self.folders)
        self.store = project(self.folder)
        self.store.apply([self.group])

    def work(self) -> object:
        assert self.store is not None
        return self.store.materialize([self.group], end=END)

    def sample(self) -> tuple[int, int]:
        assert self.store is not None
        return compare(self.store, self.group, self.path, self.recipe)


def compare(store: gn.Store, group: gn.FeatureGroup, path: Path, recipe: Profiles) -> tuple[int, int]:
    """(values read online, values that differ from the file), over users spread across all."""
    users = np.linspace(0, recipe.users - 1, min(SAMPLE_KEYS, recipe.users)).astype(np.int64)
    entities = pl.DataFrame({"user_id": users})
    want = entities.join(pl.read_parquet(path), on="user_id", maintain_order="left")
    got = store.get_online_features([group], entities).to_dict()
    wrong = sum(a != b for name in recipe.names for a, b in zip(got[name], want[name].to_list(), strict=True))
    return len(users) * len(recipe.names), wrong


def materialize_once(job: Job) -> None:
    """Leave a materialized project in the contest's shared folder, for the peer to take its bytes from."""
    recipe = Profiles(job.sizes["users"], snapshots=1)
    group = profile_group(ensure(recipe, job.data), recipe)
    with project(job.shared / "project") as store:
        store.apply([group])
        store.materialize([group], end=END)


class PutMulti(Timed):
    """The bytes that we write, appended to a new LMDB environment in key order: one durable commit."""

    name = "putmulti"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.tables = read_pairs(next(job.shared.rglob("data.mdb")).parent)
        self.folder = job.scratch / "environment"
        size = sum(len(key) + len(value) + 64 for pairs in self.tables.values() for key, value in pairs)
        self.map_size = 2 * size + (64 << 20)

    def reset(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def work(self) -> int:
        written = 0
        with lmdb.open(str(self.folder), map_size=self.map_size, max_dbs=len(self.tables)) as environment:
            databases = {name: environment.open_db(name) for name in self.tables}
            with environment.begin(write=True) as transaction:
                for name, pairs in self.tables.items():
                    with transaction.cursor(databases[name]) as cursor:
                        written += cursor.putmulti(pairs, append=True)[1]
        return written


def read_pairs(path: Path) -> dict[bytes, Pairs]:
    """Everything in an LMDB environment that no one has open for writing, by named database; in key order."""
    tables: dict[bytes, Pairs] = {}
    with (
        lmdb.open(str(path), readonly=True, lock=False, max_dbs=4096) as environment,
        environment.begin() as transaction,
    ):
        loose: Pairs = []
        for key, value in transaction.cursor():
            try:
                database = environment.open_db(key, txn=transaction, create=False)
            except lmdb.IncompatibleError:  # an ordinary value beside the named databases
                loose.append((key, value))
            else:
                if pairs := list(transaction.cursor(database)):
                    tables[key] = pairs
        if loose:
            tables[b"loose"] = loose
    return tables


WORKS = (
    Work(
        "materialize",
        "materialize {users:,} keys × 20 features into LMDB",
        {"users": 20_000},
        {"users": 1_000_000},
        Gnomon,
        (PutMulti,),
        (PerSecond(300_000, "users"), MemoryUnder(2)),
        turns=3,
        prepare=materialize_once,
    ),
)
