"""Tables in and out of files."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from gnomon.errors import DataError, NotFound, UsageError
from gnomon.flows.files import check_target, format_of, read_bytes, read_table, write_table

FRAME = pl.DataFrame({"user": ["007", "8"], "n": [1, None]})


@pytest.mark.parametrize("name", ["t.parquet", "t.PQ", "t.csv", "t.jsonl", "t.ndjson"])
def test_what_is_written_is_read_again(tmp_path, name):
    path = tmp_path / name
    write_table(FRAME, path, check_target(path))
    assert read_table(path, types={"user": pl.String(), "other": pl.Int64()}).equals(FRAME)


def test_times_of_a_csv_file_are_times(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("at\n2026-01-31T12:00:00Z\n")
    assert read_table(path, types={"at": pl.Datetime("us", "UTC")})["at"].dtype == pl.Datetime("us", "UTC")


def test_stream_is_read_like_a_file():
    assert read_bytes(b"user,n\n007,1\n8,\n", "csv", {"user": pl.String()}).equals(FRAME)


def test_format_is_given_or_told_by_the_name(tmp_path):
    assert format_of(tmp_path / "t.txt", "csv") == "csv"
    with pytest.raises(UsageError, match=r"cannot tell the format of `t\.txt`"):
        format_of(tmp_path / "t.txt")
    with pytest.raises(UsageError, match="`xml` is not a file format"):
        format_of(tmp_path / "t.csv", "xml")


def test_missing_file_offers_its_neighbour(tmp_path):
    (tmp_path / "rows.csv").write_text("a\n1\n")
    with pytest.raises(NotFound) as error:
        read_table(tmp_path / "row.csv")
    assert error.value.hint == "did you mean `rows.csv`?"
    with pytest.raises(NotFound):
        read_table(tmp_path / "none" / "rows.csv")


@pytest.mark.parametrize(("name", "content"), [("t.parquet", b"no"), ("t.csv", b"n\nx\n"), ("t.jsonl", b"{")])
def test_file_that_is_not_what_it_seems_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as") as error:
        read_table(tmp_path / name, types={"n": pl.Int64()})
    assert error.value.at == str(tmp_path / name)


@pytest.mark.parametrize("rows", ["1\n", "1,2,3\n"])
def test_rows_of_another_width_than_the_header_are_refused(tmp_path, rows):
    (tmp_path / "t.csv").write_text("user,n\n1,2\n" + rows)
    with pytest.raises(DataError, match="row 2 has"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(DataError, match="standard input: row 2 has"):
        read_bytes(b"user,n\n1,2\n" + rows.encode(), "csv")


def test_type_that_a_format_cannot_hold_is_told(tmp_path):
    frame = pl.DataFrame({"idle": [timedelta(seconds=1)]})
    with pytest.raises(DataError, match="csv cannot hold this table"):
        write_table(frame, tmp_path / "t.csv", "csv")


def test_folder_to_write_to_must_be_there(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        check_target(tmp_path / "none" / "t.csv")
