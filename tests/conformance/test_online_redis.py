"""RedisStore keeps every promise of the seam: on Redis, and on Valkey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
