"""What families share: every function has one, and asking together changes nothing."""

from __future__ import annotations

import pytest

from gnomon.define.aggregate import RULES
from gnomon.engines import families
from gnomon.testing.reference import same
from tests.engines.chunks import KINDS, make_case, make_tasks


def test_every_function_belongs_to_a_family():
    assert set(families.FAMILY) == set(RULES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("functions", [("quantile", "median"), ("mode", "top_k")])
def test_members_of_a_family_that_share_a_pass_are_worth_what_they_are_alone(kind, functions):
    case = make_case(kind, 4)
    tasks = [task for function in functions for task in make_tasks(function, [(6, 0)])]
    together = case.solved(tasks)
    alone = [case.solved([task])[0] for task in tasks]
    assert same(together, alone)


def test_tasks_are_grouped_in_the_order_in_which_they_come():
    tasks = make_tasks("count", [(6, 0)])
    found = families.grouped(tasks, lambda task: task.where)
    assert sorted(found) == sorted({task.where for task in tasks})
    assert [task for group in found.values() for task in group] == sorted(
        tasks, key=lambda t: list(found).index(t.where)
    )
