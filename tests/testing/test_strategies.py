"""The random cases reach what they are for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings

from gnomon.define.aggregate import RULES, Aggregate
from gnomon.define.group import FeatureGroup
from gnomon.plan.layout import make_layout
from gnomon.testing.reference import counting, read
from gnomon.testing.strategies import COLUMNS, Case, event_cases, event_groups, state_cases


@cache
def drawn(kind: str) -> list[Case]:
    """Some cases, always the same."""
    found: list[Case] = []

    @given(event_cases(default=True) if kind == "event" else state_cases(default=True))
    @settings(max_examples=150, derandomize=True, database=None)
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return found


def replaced(case: Case) -> bool:
    versions = read(case.group, case.batches, case.schema)
    return len(counting(case.group, versions)) < len(versions)


HARD: dict[str, Callable[[Case], Any]] = {
    "replaced rows": replaced,
    "late rows": lambda case: any(r.get("known") and r["t"] and r["known"] > r["t"] for r in case.rows),
    "rows not known yet": lambda case: case.group.known_at and any(r["known"] is None for r in case.rows),
    "rows delivered twice": lambda case: len(case.rows) > len(set(map(repr, case.rows))),
    "several batches": lambda case: sum(map(bool, case.batches)) > 1,
    "groups without keys": lambda case: not case.group.key_names,
    "null keys": lambda case: any(r[n] is None for r in case.spine for n in case.group.key_names),
    "a settling delay": lambda case: case.group.settling_delay,
}


@pytest.mark.parametrize("kind", ["event", "state"])
@pytest.mark.parametrize("what", HARD)
def test_what_is_difficult_is_drawn(what: str, kind: str) -> None:
    assert any(HARD[what](case) for case in drawn(kind))


@cache
def drawn_aggregates() -> list[Aggregate]:
    """Aggregates of some groups, always the same."""
    found: list[Aggregate] = []

    @given(event_groups(default=True))
    @settings(max_examples=400, derandomize=True, database=None)
    def draw(group: FeatureGroup) -> None:
        found.extend(feature for feature in group.features if isinstance(feature, Aggregate))

    draw()
    return found


@pytest.mark.parametrize("function", sorted(RULES))
def test_every_aggregate_is_drawn(function: str) -> None:
    assert any(f.function == function for f in drawn_aggregates())


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_is_drawn(column: str) -> None:
    assert any(f.column == column for f in drawn_aggregates())


@pytest.mark.parametrize("given", "expr windows where limit offset default include_request distinct".split())
def test_every_argument_is_drawn(given: str) -> None:
    assert any(getattr(f, given) for f in drawn_aggregates())


@pytest.mark.parametrize("kind", ["event", "state"])
def test_groups_fit_their_rows(kind: str) -> None:
    for case in drawn(kind)[:40]:
        layout = make_layout(case.group, case.schema)
        assert [output.name for output in layout.outputs] == list(case.group.feature_names)
