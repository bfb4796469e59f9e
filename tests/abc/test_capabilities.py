"""A store says what it cannot do, and why."""

from __future__ import annotations

import pytest

from gnomon.abc.capabilities import Capabilities
from gnomon.errors import UsageError


def test_what_is_missing_needs_a_reason_and_nothing_else_has_one() -> None:
    able = {"batch_keys": 100, "multi_process": True, "atomic_swap": True}
    Capabilities(**able, durable=True)
    Capabilities(**able, durable=False, reasons={"durable": "lives in memory"})
    with pytest.raises(UsageError, match="durable"):
        Capabilities(**able, durable=False)
    with pytest.raises(UsageError, match="durable"):
        Capabilities(**able, durable=True, reasons={"durable": "lives in memory"})


def test_a_round_trip_carries_a_key() -> None:
    with pytest.raises(UsageError, match="at least one key"):
        Capabilities(batch_keys=0, durable=True, multi_process=True, atomic_swap=True)
