"""Answers are read with their types, and told as those of a store are."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import polars as pl
import pytest

from gnomon.client.answers import read_online
from gnomon.client.call import ARROW, Reply
from gnomon.errors import CorruptValue
from gnomon.time import ALWAYS

DAY = datetime(1970, 1, 2, tzinfo=UTC)
DOCUMENT = {
    "features": ["d", "t"],
    "rows": [["1.50", None], [None, "1970-01-02T00:00:00.000000Z"]],
    "at": "1970-01-03T00:00:00.000000Z",
    "revision": 7,
    "types": ["Decimal(38, 2)", "Datetime(us, UTC)"],
    "statuses": [["PRESENT", "ERROR"], ["NOT_FOUND", "PRESENT"]],
    "event_times": [["1970-01-02T00:00:00.000000Z", "1970-01-02T00:00:00.000000Z"], [None, None]],
    "errors": [{"row": 0, "feature": "t", "why": "too large"}],
}
FRAME = pl.DataFrame(
    {
        "d": pl.Series([Decimal("1.50"), None], dtype=pl.Decimal(38, 2)),
        "t": pl.Series([None, DAY], dtype=pl.Datetime("us", "UTC")),
        "d__status": ["PRESENT", "NOT_FOUND"],
        "d__event_time": pl.Series([DAY, None], dtype=pl.Datetime("us", "UTC")),
        "d__error": pl.Series([None, None], dtype=pl.String),
        "t__status": ["ERROR", "PRESENT"],
        "t__event_time": pl.Series([DAY, None], dtype=pl.Datetime("us", "UTC")),
        "t__error": ["too large", None],
    }
)


def json(**changes) -> Reply:
    return Reply(200, {"content-type": "application/json"}, msgspec.json.encode(DOCUMENT | changes))


def arrow(frame: pl.DataFrame = FRAME) -> Reply:
    into = io.BytesIO()
    frame.write_ipc_stream(into)
    headers = {"content-type": ARROW, "gnomon-at": DOCUMENT["at"], "gnomon-revision": "7"}
    return Reply(200, headers, into.getvalue())


@pytest.mark.parametrize("reply", [json(), arrow()], ids=["json", "arrow"])
def test_both_forms_say_the_same(reply):
    found = read_online(reply)
    assert found.to_dict() == {"d": [Decimal("1.50"), None], "t": [None, DAY]}
    assert found.to_polars().schema == {"d": pl.Decimal(38, 2), "t": pl.Datetime("us", "UTC")}
    assert found.statuses == DOCUMENT["statuses"]
    assert found.event_times == [[DAY, DAY], [None, None]]
    assert found.errors == {(0, "t"): "too large"}
    assert (found.names, found.revision, found.at) == (("d", "t"), 7, 2 * 86_400_000_000)
    assert "2 rows × 2 features" in repr(found)


@pytest.mark.parametrize(
    "reply", [json(rows=[], statuses=[], event_times=[], errors=[]), arrow(FRAME.clear())]
)
def test_an_answer_about_nobody_keeps_names_and_types(reply):
    found = read_online(reply)
    assert found.to_dict() == {"d": [], "t": []}
    assert found.to_polars().schema == {"d": pl.Decimal(38, 2), "t": pl.Datetime("us", "UTC")}
    assert (found.statuses, found.event_times, found.errors) == ([], [], {})


def test_a_time_without_a_date_is_the_end_that_it_names():
    assert read_online(json(at="always")).at == ALWAYS


@pytest.mark.parametrize(
    "reply",
    [
        json(rows=[["1.50"]]),
        json(rows=[["x", None], [None, None]]),
        json(statuses=[["GONE", "PRESENT"], ["PRESENT", "PRESENT"]]),
        json(errors=[{"row": 0, "feature": "x", "why": ""}]),
        json(at="soon"),
        Reply(200, {"content-type": ARROW}, b"ARROW?"),
    ],
)
def test_what_is_no_answer_is_refused_whole(reply):
    with pytest.raises(CorruptValue, match="cannot be read"):
        read_online(reply)
