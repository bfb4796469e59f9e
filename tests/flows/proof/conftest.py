"""A store that logs every answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import gnomon as gn
from tests.flows.proof.shop import LOGGING, SHOP, share
from tests.flows.small import Clock
from tests.flows.test_held import LIMIT, ORDERS


@pytest.fixture
def shop(tmp_path: Path, clock: Clock) -> Iterator[gn.Store]:
    (tmp_path / "gnomon.toml").write_text(LOGGING)
    with gn.Store(tmp_path, clock=clock, author="ana") as store:
        store.apply([ORDERS, LIMIT, share, SHOP])
        yield store
