"""How a condition on times is written in SQL, and in which types."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.abc.source import EVERY_ROW, Wanted
from gnomon.sources.database import Database
from gnomon.time import instant

NAIVE, ZONED = pl.Datetime("us"), pl.Datetime("us", "UTC")
NEW_YEAR = instant("2026-01-01")


class Nothing(Database):
    """A database that is only asked how it writes."""

    def columns(self):
        return {}

    def batches(self, columns, where=""):
        yield from ()


@pytest.fixture
def database():
    source = gn.SQLSource(
        "s", url="nothing://ana:secret@host/db", query="SELECT 1; ", timestamp="t", known_at="seen"
    )
    return Nothing(source, source.url, {})


def test_every_row_has_no_condition(database):
    assert database.condition({"t": ZONED, "seen": ZONED}, EVERY_ROW) == ""


def test_times_are_compared_in_the_columns_own_type(database):
    wanted = Wanted(NEW_YEAR, NEW_YEAR)
    said = database.condition({"t": ZONED}, wanted)
    assert said.startswith("q.\"t\" >= TIMESTAMPTZ '2026-01-01 00:00:00.000000+00' AND ")
    assert said.endswith("q.\"t\" < TIMESTAMPTZ '2026-01-01 00:00:00.000001+00'")
    assert "TIMESTAMP '2026" in database.condition({"t": NAIVE}, wanted)
    assert database.condition({"t": pl.String()}, wanted) == ""


def test_rows_that_are_not_known_yet_are_always_wanted(database):
    said = database.condition({"t": ZONED, "seen": ZONED}, Wanted(active_since=NEW_YEAR))
    assert said.endswith('OR q."seen" IS NULL)')
    assert database.condition({"t": pl.String(), "seen": ZONED}, Wanted(active_since=NEW_YEAR)) == ""


def test_years_have_four_digits(database):
    assert "'0099-01-01 00:00:00.000000" in database.condition({"t": NAIVE}, Wanted(instant("0099-01-01")))


def test_the_query_stands_in_parentheses_and_names_in_quotes(database):
    assert database.text(['a"b']) == 'SELECT q."a""b" AS "a""b" FROM (\nSELECT 1\n) AS q'


def test_what_is_told_holds_no_password(database):
    assert "secret" not in str(database.away(OSError("gone")))
