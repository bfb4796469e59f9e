"""Sources: where rows are, and which columns tell time and identity."""

from __future__ import annotations

from pathlib import Path

import pytest

import gnomon as gn
from gnomon.errors import DefinitionError
from gnomon.time import HOUR


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("a.parquet", "parquet"),
        ("a.PQ", "parquet"),
        ("data/*.csv", "csv"),
        ("a.tsv", "csv"),
        ("a.ndjson", "jsonl"),
        ("a.jsonl", "jsonl"),
        ("folder", None),
        ("folder.old/", None),
    ],
)
def test_the_format_is_told_by_the_end_of_the_name(path, want):
    assert gn.FileSource("s", path, timestamp="t").file_format == want


def test_a_given_format_wins():
    assert gn.FileSource("s", "a.txt", timestamp="t", format="csv").file_format == "csv"


def test_a_path_and_its_text_are_the_same_source():
    assert gn.FileSource("s", Path("a/b.csv"), timestamp="t") == gn.FileSource("s", "a/b.csv", timestamp="t")


def test_a_lag_is_kept_in_microseconds():
    source = gn.FileSource("s", "a.csv", timestamp="t", lag="1h")
    assert source.lag == HOUR
    assert source == gn.FileSource("s", "a.csv", timestamp="t", lag=HOUR)


def test_all_problems_of_a_file_source_are_told_at_once():
    with pytest.raises(DefinitionError) as caught:
        gn.FileSource("my source", "a.xls", timestamp="", lag="1 month", format="xls")
    assert [p.at for p in caught.value.problems] == [
        "source my source",
        "source my source.lag",
        "source my source.timestamp",
        "source my source.format",
    ]
    assert caught.value.problems[-1].hint == "known: parquet, csv, jsonl, delta, iceberg"


def test_a_lag_is_not_negative_and_excludes_known_at():
    with pytest.raises(DefinitionError, match="cannot be negative"):
        gn.FileSource("s", "a.csv", timestamp="t", lag=-1)
    with pytest.raises(DefinitionError, match="`known_at` and `lag` exclude each other"):
        gn.SQLSource("s", url="sqlite:///a.db", query="SELECT 1", timestamp="t", known_at="k", lag="1h")


def test_a_query_needs_a_database():
    with pytest.raises(DefinitionError, match=r"`data/shop\.db` is not a database URL") as caught:
        gn.SQLSource("s", url="data/shop.db", query="SELECT 1", timestamp="t")
    assert "sqlite:///" in caught.value.hint


def test_secrets_among_options_are_variables():
    with pytest.raises(DefinitionError) as caught:
        gn.FileSource(
            "s", "s3://a/b.csv", timestamp="t", options={"aws_region": "eu-1", "aws_secret_access_key": "xyz"}
        )
    assert "`aws_secret_access_key` would be kept in the registry" in caught.value.what
    assert "${AWS_SECRET_ACCESS_KEY}" in caught.value.hint
    assert "xyz" not in str(caught.value)
    options = {"aws_access_key_id": "me", "aws_secret_access_key": "${SECRET}"}
    source = gn.FileSource("s", "s3://a/b.csv", timestamp="t", options=options)
    assert dict(source.options) == options
