"""LmdbStore keeps every promise of the seam: as it is used, and with a map that must grow again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.online.lmdb import LmdbStore
from gnomon.testing.online import DurableOnlineStoreTests, OnlineStoreTests


class TestLmdbStore(OnlineStoreTests, DurableOnlineStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LmdbStore]:
        # Without waiting for the disk, which is what a test of ten thousand commits would measure.
        with LmdbStore(tmp_path / "online", sync=False) as store:
            yield store

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], LmdbStore]:
        return lambda: LmdbStore(tmp_path / "online", sync=False)


class TestLmdbStoreWithASmallMap(OnlineStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LmdbStore]:
        with LmdbStore(tmp_path / "online", sync=False, map_size=1 << 17) as store:
            yield store
