"""Requirements: when they hold, and what is said when they do not."""

from __future__ import annotations

import pytest

from gnomon.errors import Conflict
from gnomon.registry.requirements import RevisionIs, Unchanged, check, violation
from gnomon.registry.snapshot import Snapshot, Stamp

SNAPSHOT = Snapshot(
    revision=42,
    author="ana",
    documents={("group", "a@1"): "{}"},
    changed={("group", "a@1"): Stamp(41, "bo"), ("group", "b@1"): Stamp(42, "ana")},
)


@pytest.mark.parametrize(
    ("requirement", "why"),
    [
        (RevisionIs(42), None),
        (RevisionIs(41), "the registry changed in revision 42 by ana"),
        (RevisionIs(43), "there is no revision 43 (any more)"),
        (Unchanged("group", "a@1", 41), None),
        (Unchanged("group", "a@1", 40), "`a@1` changed in revision 41 by bo"),
        (Unchanged("group", "b@1", 41), "`b@1` was removed in revision 42 by ana"),
        (Unchanged("group", "never@1", 0), None),
        (Unchanged("entity", "a@1", 0), None),
    ],
)
def test_requirement_says_why_it_does_not_hold(requirement, why):
    assert violation(requirement, SNAPSHOT) == why


def test_all_that_does_not_hold_is_told_at_once():
    with pytest.raises(Conflict, match=r"`a@1` changed .*; `b@1` was removed") as caught:
        check([Unchanged("group", "a@1", 1), Unchanged("group", "b@1", 1), RevisionIs(42)], SNAPSHOT)
    assert caught.value.hint == "run `gnomon plan` again"
    check([RevisionIs(42)], SNAPSHOT)
