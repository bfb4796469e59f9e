"""What becomes of changes, one after another: known by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

import gnomon as gn
from gnomon.testing.reference import historical
from gnomon.testing.reference_changes import Insert, Retract, read_changes

GROUP = gn.FeatureGroup(
    "g",
    entity=gn.Entity("thing", keys={"k": pl.Int64}),
    timestamp="t",
    event_id="id",
    schema={"id": pl.Int64, "x": pl.Int64},
    features=[gn.sum("x")],
)
SCHEMA = {"k": pl.Int64(), "t": pl.Datetime("us", "UTC"), "id": pl.Int64(), "x": pl.Int64()}


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def row(id: int, x: int, t: int = 1) -> dict[str, object]:
    return {"k": 1, "t": at(t), "id": id, "x": x}


def us(second: int) -> int:
    return second * 1_000_000


@pytest.mark.parametrize(
    ("done", "sums"),
    [
        ([Insert(us(5), [row(1, 1), row(2, 2)])], {4: 3, 30: 3}),
        ([Insert(us(5), [row(1, 1)]), Insert(us(9), [row(1, 7)])], {8: 1, 9: 7}),
        ([Insert(us(5), [row(1, 1)]), Insert(us(9), (), [{"k": 1, "id": 1}])], {8: 1, 9: None}),
        ([Insert(us(5), (), [{"k": 1, "id": 1}]), Insert(us(9), [row(1, 1)])], {4: 1, 5: None, 30: None}),
        ([Insert(us(5), [row(1, 1)]), Insert(us(9), [row(1, 7)], [{"k": 1, "id": 1}])], {8: 1, 9: 7}),
        ([Insert(us(5), [row(1, 1), row(2, 2)]), Retract(us(9), [2])], {8: 3, 9: 1}),
        ([Retract(us(3), [2]), Insert(us(5), [row(1, 1), row(2, 2)])], {2: 3, 3: 1}),
        (
            [
                Insert(us(5), [row(1, 1)]),
                Retract(us(9), [1]),
                Insert(us(12), [row(1, 1)]),
                Insert(us(15), [row(1, 4)]),
            ],
            {8: 1, 9: None, 14: None, 15: 4},
        ),
        ([Insert(us(5), [row(1, 1, t=50)]), Retract(us(9), [1])], {60: None}),
    ],
)
def test_each_moment_sees_what_was_known_then(done, sums):
    versions = read_changes(GROUP, done, SCHEMA)
    spine = [{"k": 1, "event_timestamp": at(second)} for second in sums]
    found = historical(GROUP, spine=spine, versions=versions, schema=SCHEMA)
    assert [row["x_sum"] for row in found] == list(sums.values())
