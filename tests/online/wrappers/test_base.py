"""WrapperStore hands everything on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.errors import UsageError
from gnomon.online.memory import MemoryStore
from gnomon.online.wrappers.base import WrapperStore
from gnomon.testing.online import OnlineStoreTests


class TestWrapperStoreIsAnOnlineStore(OnlineStoreTests):
    @pytest.fixture
    def store(self) -> WrapperStore:
        return WrapperStore(MemoryStore())


def test_can_what_its_store_can() -> None:
    assert WrapperStore(MemoryStore()).capabilities == MemoryStore.capabilities


def test_has_no_url() -> None:
    with pytest.raises(UsageError, match="WrapperStore stands before another store"):
        WrapperStore.from_url("wrapper://", root=Path())
