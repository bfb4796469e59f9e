"""What belongs to a choice of features is known ahead, and keys are read by their types."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError
from gnomon.serve import questions
from gnomon.serve.questions import Questions

DAY = gn.Entity("day", keys={"day": pl.Date, "place": pl.String})
SALES = gn.FeatureGroup(
    "sales",
    entity=DAY,
    timestamp="at",
    schema={"at": pl.Datetime("us", "UTC")},
    features=[gn.Feature("n", pl.Int64)],
)


@pytest.fixture
def store():
    with gn.Store() as store:
        store.apply([DAY, SALES, gn.FeatureService("model", features=[SALES])])
        yield store


def test_services_are_known_ahead_and_others_when_they_are_asked_for(store):
    known = Questions(store)
    known.swap(known.prepare(store.registry.snapshot()))
    assert known.revision == 1
    assert known.find("model@1", False).groups == ("sales@1",)
    assert known.find(["sales:n"], False) is known.find(["sales:n"], False)


def test_keys_are_read_by_their_types_in_rows_and_in_columns(store):
    question = Questions(store).find("model", False)
    rows = questions.read_entities(question, [{"day": "2026-01-31", "place": "x"}])
    columns = questions.read_entities(question, {"day": ["2026-01-31"], "place": ["x"]})
    assert rows == [{"day": date(2026, 1, 31), "place": "x"}]
    assert columns == {"day": [date(2026, 1, 31)], "place": ["x"]}


def test_a_key_that_cannot_be_read_is_told_with_its_row(store):
    question = Questions(store).find("model", False)
    with pytest.raises(DataError, match="`day` has 'x' in row 1, which is no Date"):
        questions.read_entities(question, {"day": ["2026-01-31", "x"], "place": ["x", "y"]})
