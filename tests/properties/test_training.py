"""The local engine equals the plain reference, to the last bit, on random rows (CASES 67)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.engines import part
from gnomon.errors import ComputeError
from gnomon.testing.reference import OVERFLOW, historical, same
from gnomon.testing.strategies import Case, event_cases, state_cases
from tests.properties.engine import trained

READINGS = st.sampled_from(["known", "known", "latest", 4_000_000])


def expected(case: Case, as_of: Any = "known") -> list[dict[str, Any]]:
    return historical(case.group, batches=case.batches, spine=case.spine, as_of=as_of, schema=case.schema)


def check(case: Case, as_of: Any) -> None:
    want = expected(case, as_of)
    if any(value is OVERFLOW for row in want for value in row.values()):
        with pytest.raises(ComputeError):
            trained(case, as_of)
        return
    got = trained(case, as_of)
    assert same(got, want), f"\n got {got}\nwant {want}"


@given(event_cases(), READINGS)
@settings(max_examples=300)
def test_aggregates_equal_the_reference(case: Case, as_of: Any) -> None:
    check(case, as_of)


@given(event_cases(), READINGS)
@settings(max_examples=60)
def test_pieces_and_threads_leave_no_trace(case: Case, as_of: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part, "_SMALL", 0)
        check(case, as_of)


@given(state_cases(), READINGS)
@settings(max_examples=150)
def test_newest_rows_equal_the_reference(case: Case, as_of: Any) -> None:
    check(case, as_of)
