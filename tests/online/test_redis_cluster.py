"""A cluster of Redis: tables spread over nodes, slots that move under way, nodes that go away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.crc import key_slot

from gnomon.errors import GnomonError, Unavailable, UsageError
from gnomon.online.redis import RedisStore
from gnomon.online.redis_cluster import Cluster
from gnomon.online.redis_url import parse
from gnomon.testing.online import add_one, number, put
from tests.servers import Server

TABLE = "group@1"
KEYS = [number(i) for i in range(300)]
TAG = "{0}"
SLOT = key_slot(TAG.encode())


def outcome(call: Callable[[], object]) -> object:
    """What a call returns, or what it raises of ours."""
    try:
        return call()
    except GnomonError as error:
        return error


def opened(url: str) -> RedisStore:
    return RedisStore.from_url(url, root=Path())


@pytest.fixture
def store(cluster_url: str) -> Iterator[RedisStore]:
    with opened(cluster_url) as store:
        yield store


@pytest.fixture
def clients(cluster_nodes: list[Server]) -> Iterator[dict[int, redis.Redis]]:
    """Port → a client of that node alone."""
    clients = {node.port: redis.Redis(port=node.port) for node in cluster_nodes}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def moving(cluster_url: str, clients: dict[int, redis.Redis]) -> Iterator[Moving]:
    moving = Moving(cluster_url, clients)
    yield moving
    if moving.begun:
        moving.finish()


class Moving:
    """The slot of `TAG` on its way from its node to the next."""

    def __init__(self, url: str, clients: dict[int, redis.Redis]) -> None:
        _, source = Cluster(parse(url, Path()))._owner(SLOT)
        target = next(port for port in clients if port != source)
        self.clients, self.target = clients, target
        self.source, self.begun = clients[source], False

    def begin(self) -> None:
        self.begun = True
        target, source = self.clients[self.target], self.source
        target.execute_command("CLUSTER SETSLOT", SLOT, "IMPORTING", source.execute_command("CLUSTER MYID"))
        source.execute_command("CLUSTER SETSLOT", SLOT, "MIGRATING", target.execute_command("CLUSTER MYID"))

    def move(self, chosen: Callable[[bytes], bool]) -> None:
        """Move those keys of the slot that a test chooses."""
        for key in self.source.keys(f"*{TAG}*"):
            if chosen(key):
                self.source.execute_command("MIGRATE", "127.0.0.1", self.target, key, 0, 5000)

    def finish(self) -> None:
        """Move the rest, and let all know."""
        self.move(lambda key: True)
        name = self.clients[self.target].execute_command("CLUSTER MYID")
        for port in sorted(self.clients, key=lambda port: port != self.target):
            self.clients[port].execute_command("CLUSTER SETSLOT", SLOT, "NODE", name)


def test_a_table_is_spread_over_all_nodes(store: RedisStore, clients: dict[int, redis.Redis]) -> None:
    store.load(TABLE, [(key, b"v" + key) for key in KEYS])
    assert all(client.keys(f"*table:{TABLE}") for client in clients.values())
    assert store.read(TABLE, KEYS) == [b"v" + key for key in KEYS]
    store.drop(TABLE)
    assert not any(client.keys(f"*table:{TABLE}") for client in clients.values())


def test_a_slot_that_moves_is_followed_all_the_way(
    cluster_url: str, store: RedisStore, moving: Moving
) -> None:
    """Before, while and after: by one who knows where it was, and one who comes anew."""

    def works(value: int) -> None:
        with opened(cluster_url) as newcomer:
            for one in (store, newcomer):
                assert one.read(TABLE, KEYS) == [number(value)] * 300
                value += 1
                one.update(TABLE, KEYS, add_one)
                assert one.tables() == [TABLE]
                assert one.read_many([(TABLE, KEYS[:1])], "document") == ([[number(value)]], b"told")

    put(store, TABLE, {key: number(0) for key in KEYS})
    store.set_meta("document", None, b"told")
    works(0)
    moving.begin()
    works(2)
    moving.move(lambda key: True)
    works(4)
    moving.finish()
    works(6)


def test_half_a_move_is_waited_for_and_told_of(store: RedisStore, moving: Moving) -> None:
    """A script needs two keys, of which one is here and one is there: that no node can do."""
    put(store, TABLE, {key: number(0) for key in KEYS})
    moving.begin()
    moving.move(lambda key: b"tables" in key)
    with pytest.raises(Unavailable):
        store.update(TABLE, KEYS, add_one)
    assert None not in store.read(TABLE, KEYS)
    moving.finish()
    store.update(TABLE, KEYS, add_one)
    assert {int.from_bytes(value or b"", "big") for value in store.read(TABLE, KEYS)} <= {1, 2}


def test_a_killed_node_takes_its_keys_away_until_it_is_back(
    store: RedisStore, cluster_nodes: list[Server], clients: dict[int, redis.Redis]
) -> None:
    put(store, TABLE, {key: number(0) for key in KEYS})
    node = cluster_nodes[1]
    node.kill()
    start = time.monotonic()
    told = [outcome(lambda key=key: store.read(TABLE, [key])) for key in KEYS[:50]]
    assert {type(one) for one in told} == {list, Unavailable}
    assert [one for one in told if isinstance(one, list)] == [[number(0)]] * sum(
        isinstance(one, list) for one in told
    )
    with pytest.raises(Unavailable):
        store.read(TABLE, KEYS)
    assert time.monotonic() - start < 5
    node.start()
    end = time.monotonic() + 20
    while clients[node.port].execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert store.read(TABLE, KEYS) == [number(0)] * 300


def test_any_node_that_is_there_shows_the_way(cluster_nodes: list[Server], store: RedisStore) -> None:
    put(store, TABLE, {b"a": b"1"})
    with opened(f"redis+cluster://127.0.0.1:1,127.0.0.1:{cluster_nodes[2].port}") as other:
        assert other.read(TABLE, [b"a"]) == [b"1"]
    with (
        opened("redis+cluster://127.0.0.1:1") as other,
        pytest.raises(Unavailable, match="cannot be reached"),
    ):
        other.read(TABLE, [b"a"])


@pytest.mark.usefixtures("cluster_url")
def test_a_single_server_and_a_cluster_are_told_apart(valkey_url: str, cluster_nodes: list[Server]) -> None:
    with (
        opened(valkey_url.replace("redis:", "redis+cluster:")) as store,
        pytest.raises(UsageError, match="cluster"),
    ):
        store.read(TABLE, [b"a"])
    told = []
    for node in cluster_nodes:
        with opened(f"redis://127.0.0.1:{node.port}") as store:
            told.append(outcome(lambda store=store: store.read(TABLE, [b"a"])))
    assert [one for one in told if not isinstance(one, UsageError)] == [[None]]
    assert {one.hint for one in told if isinstance(one, UsageError)} == {"write `redis+cluster://`"}
