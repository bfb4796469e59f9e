"""BigtableStore keeps every promise of the seam on Google's emulator, but for reads of one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.abc.online import OnlineStore
from gnomon.online.bigtable import BigtableStore
from gnomon.testing.online import DurableOnlineStoreTests, OnlineStoreTests


@pytest.mark.slow
class TestBigtableStore(OnlineStoreTests, DurableOnlineStoreTests):
    hot_updates = 20
    many_keys = 2_000
    rounds = 40

    @pytest.fixture
    def store(self, bigtable_url: str) -> Iterator[BigtableStore]:
        with BigtableStore.from_url(bigtable_url, root=Path()) as store:
            yield store

    @pytest.fixture
    def reopen(self, bigtable_url: str) -> Callable[[], BigtableStore]:
        return lambda: BigtableStore.from_url(bigtable_url, root=Path())

    # A transaction of Bigtable is of one row.

    def test_a_read_is_of_one_moment(self, store: OnlineStore) -> None:
        assert not store.capabilities.one_moment
        assert "by itself" in store.capabilities.reasons["one_moment"]
