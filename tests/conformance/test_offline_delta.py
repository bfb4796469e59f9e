"""DeltaStore keeps every promise of the seam."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gnomon.offline.delta import DeltaStore
from gnomon.offline.places import Folder
from gnomon.testing.offline import OfflineStoreTests
from tests.faults import children

assert children.SERVER  # other processes are forked by a server that has imported what is slow to import


class TestDeltaStore(OfflineStoreTests):
    @pytest.fixture
    def open(self, tmp_path: Path) -> partial[DeltaStore]:
        return partial(DeltaStore, Folder(tmp_path / "offline"))
