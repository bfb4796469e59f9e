"""RedisStore keeps every promise of the seam: on Redis, and on Valkey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.abc.online import OnlineStore
from gnomon.online.redis import RedisStore
from gnomon.testing.online import DurableOnlineStoreTests, OnlineStoreTests


class TestOnRedis(OnlineStoreTests, DurableOnlineStoreTests):
    hot_updates = 1_000

    @pytest.fixture
    def store(self, redis_url: str) -> Iterator[RedisStore]:
        with RedisStore.from_url(redis_url, root=Path()) as store:
            yield store

    @pytest.fixture
    def reopen(self, redis_url: str) -> Callable[[], RedisStore]:
        return lambda: RedisStore.from_url(redis_url, root=Path())


class TestOnValkey(OnlineStoreTests, DurableOnlineStoreTests):
    hot_updates = 1_000

    @pytest.fixture
    def store(self, valkey_url: str) -> Iterator[RedisStore]:
        with RedisStore.from_url(valkey_url, root=Path()) as store:
            yield store

    @pytest.fixture
    def reopen(self, valkey_url: str) -> Callable[[], RedisStore]:
        return lambda: RedisStore.from_url(valkey_url, root=Path())


class TestOnACluster(OnlineStoreTests, DurableOnlineStoreTests):
    hot_updates = 500

    @pytest.fixture
    def store(self, cluster_url: str) -> Iterator[RedisStore]:
        with RedisStore.from_url(cluster_url, root=Path()) as store:
            yield store

    @pytest.fixture
    def reopen(self, cluster_url: str) -> Callable[[], RedisStore]:
        return lambda: RedisStore.from_url(cluster_url, root=Path())

    # No command of Redis works on two nodes.

    def test_a_read_is_of_one_moment(self, store: OnlineStore) -> None:
        assert not store.capabilities.one_moment
        assert "several nodes" in store.capabilities.reasons["one_moment"]

    def test_readers_never_see_half_a_swap(self, store: OnlineStore) -> None:
        assert not store.capabilities.atomic_swap
        assert "several nodes" in store.capabilities.reasons["atomic_swap"]


class TestOnAClusterWithTablesInOnePiece(OnlineStoreTests):
    """With one shard a cluster keeps every promise, and each table lies on one node."""

    hot_updates = 500

    @pytest.fixture
    def store(self, cluster_url: str) -> Iterator[RedisStore]:
        with RedisStore.from_url(f"{cluster_url}?shards=1", root=Path()) as store:
            yield store
