"""The seam of offline stores: whole or not at all. What each method does is proved by `OfflineStoreTests`."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from gnomon.abc.offline import Committed, OfflineStore
from gnomon.offline.delta import DeltaStore


@pytest.mark.parametrize("missing", sorted(OfflineStore.__abstractmethods__))
def test_a_store_that_leaves_out_a_promise_cannot_be_made(missing, tmp_path):
    partly = type("Partly", (DeltaStore,), {missing: getattr(OfflineStore, missing)})
    with pytest.raises(TypeError, match=missing):
        partly(tmp_path)


def test_commits_are_facts():
    commit = Committed(version=0, rows=3, time=5)
    assert (commit.note, commit) == ({}, Committed(0, 3, 5, {}))
    with pytest.raises(FrozenInstanceError):
        commit.rows = 4
