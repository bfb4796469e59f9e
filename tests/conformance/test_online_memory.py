"""MemoryStore keeps every promise of the seam."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gnomon.online.memory import MemoryStore
from gnomon.testing.online import OnlineStoreTests


class TestMemoryStore(OnlineStoreTests):
    @pytest.fixture
    def store(self) -> Iterator[MemoryStore]:
        with MemoryStore() as store:
            yield store
