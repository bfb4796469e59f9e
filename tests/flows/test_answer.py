"""Answers without a store: what is told of values, whoever brought them."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from gnomon.errors import UsageError
from gnomon.flows.answer import Answered, OnlineFeatures
from gnomon.online.statuses import STATUSES
from gnomon.time import ALWAYS

SECOND = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
PRESENT, ERROR, NOT_FOUND = (STATUSES.index(name) for name in ("PRESENT", "ERROR", "NOT_FOUND"))


@pytest.fixture
def found() -> OnlineFeatures:
    """Two rows of two features, in another order than they were computed in."""
    one = Answered(
        [[1, None], ["a", None]],
        lambda: [[PRESENT, ERROR], [PRESENT, NOT_FOUND]],
        lambda: [1_000_000, ALWAYS],
        lambda: [{1: "too large"}, {}],
    )
    columns, dtypes = [one.columns[1], one.columns[0]], (pl.String(), pl.Int64())
    return OnlineFeatures(("s", "n"), 7, 2_000_000, columns, dtypes, [one, one], [1, 0])


def test_what_is_told_of_a_value_follows_its_column(found):
    assert found.to_dict() == {"s": ["a", None], "n": [1, None]}
    assert found.statuses == [["PRESENT", "PRESENT"], ["NOT_FOUND", "ERROR"]]
    assert found.event_times == [[SECOND, SECOND], [None, None]]
    assert found.errors == {(1, "n"): "too large"}


def test_frames_have_the_declared_types(found):
    assert found.to_polars().equals(pl.DataFrame({"s": ["a", None], "n": [1, None]}))
    with pytest.raises(UsageError, match="`s` is String, no number"):
        found.to_numpy()


def test_a_notebook_shows_the_status_of_what_is_not_present(found):
    assert repr(found) == "OnlineFeatures(2 rows × 2 features at 1970-01-01T00:00:02.000000Z)"
    assert "None (ERROR)" in found._repr_html_()
