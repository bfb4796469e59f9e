"""Reports: for people, and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from gnomon.flows.proof.report import ConsistencyReport, Mismatch
from gnomon.time import SECOND


def report() -> ConsistencyReport:
    made = ConsistencyReport("shop@1", rows=2)
    good, bad = made.feature("count"), made.feature("total")
    good.values = bad.values = 2
    bad.mismatches, good.skewed, good.delay = 1, 1, 90 * SECOND
    made.examples.append(
        Mismatch(
            "value",
            "total",
            {"user": 1},
            0,
            SECOND,
            "r-1",
            1.5,
            datetime(2026, 1, 1, tzinfo=UTC),
            "bits fell",
        )
    )
    made.not_compared["a value of theirs was an ERROR"] = 3
    return made


def test_a_report_tells_people_what_differs() -> None:
    text = str(report())
    assert "shop@1: 1 mismatch of 4 values in 2 rows" in text
    assert "1 of 2 differ" in text
    assert 'settling_delay="90s" would remove it' in text
    assert "not compared: 3 rows, a value of theirs was an ERROR" in text
    assert "value: `total` of user=1 at 1970-01-01T00:00:00.000000Z, request r-1" in text
    assert "bits fell" in text


def test_a_report_is_a_json_document() -> None:
    document = json.loads(json.dumps(report().to_dict()))
    assert (document["ok"], document["values"], document["mismatches"]) == (False, 4, 1)
    assert document["examples"][0]["why"] == "bits fell"


def test_features_are_made_once() -> None:
    made = report()
    assert made.feature("total") is made.features[1]
    assert not made.ok
