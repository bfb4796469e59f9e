"""A clock, and stores with the small definitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import gnomon as gn
from tests.flows.small import PLAN, VISITS, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bare(clock: Clock) -> Iterator[gn.Store]:
    """A store without definitions."""
    with gn.Store(clock=clock, author="ana") as store:
        yield store


@pytest.fixture
def store(bare: gn.Store) -> gn.Store:
    """A store with `visits` and `plan` applied."""
    bare.apply([VISITS, PLAN])
    return bare


@pytest.fixture
def data(bare: gn.Store) -> Path:
    """The folder that paths of sources are relative to."""
    return bare.path
