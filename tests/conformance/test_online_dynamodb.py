"""DynamoStore keeps every promise of the seam, but for reads of one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.abc.online import OnlineStore
from gnomon.online.dynamodb import DynamoStore
from gnomon.testing.online import DurableOnlineStoreTests, OnlineStoreTests


@pytest.mark.slow
class TestDynamoStore(OnlineStoreTests, DurableOnlineStoreTests):
    hot_updates = 10
    many_keys = 300
    rounds = 25

    @pytest.fixture
    def store(self, dynamodb_url: str) -> Iterator[DynamoStore]:
        with DynamoStore.from_url(dynamodb_url, root=Path()) as store:
            yield store

    @pytest.fixture
    def reopen(self, dynamodb_url: str) -> Callable[[], DynamoStore]:
        return lambda: DynamoStore.from_url(dynamodb_url, root=Path())

    # A transaction would be of one moment: for twice the price, and to be refused while others write.

    def test_a_read_is_of_one_moment(self, store: OnlineStore) -> None:
        assert not store.capabilities.one_moment
        assert "by itself" in store.capabilities.reasons["one_moment"]
