"""PostgresStore keeps every promise of the seam."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.online.postgres import PostgresStore
from gnomon.testing.online import DurableOnlineStoreTests, OnlineStoreTests


class TestPostgresStore(OnlineStoreTests, DurableOnlineStoreTests):
    hot_updates = 250

    @pytest.fixture
    def store(self, postgres_url: str) -> Iterator[PostgresStore]:
        with PostgresStore.from_url(postgres_url, root=Path()) as store:
            yield store

    @pytest.fixture
    def reopen(self, postgres_url: str) -> Callable[[], PostgresStore]:
        return lambda: PostgresStore.from_url(postgres_url, root=Path())
