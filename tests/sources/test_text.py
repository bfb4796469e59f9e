"""What text files look like. CSV dates that are no ISO 8601 are not guessed: text that is no time is an error."""

import gzip
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import GnomonError
from gnomon.sources.text import csv_types, dates_as_text, header_of, is_blank, jsonl_types


@pytest.mark.parametrize(
    ("written", "stays_text"),
    [("2026-05-06", False), ("2026-05-06 10:00:00", False), ("05/06/2026", True), ("06/05/2026 10:00", True)],
)
def test_only_iso_dates_are_read_as_dates(written, stays_text):
    content = BytesIO(f"u,at\n1,{written}\n2,\n".encode())
    assert dates_as_text(content) == ({"at": pl.String()} if stays_text else {})


def test_a_file_with_other_dates_as_event_time_is_refused(tmp_path: Path):
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "dates"\n')
    (tmp_path / "a.csv").write_text("u,at\n1,05/06/2026 11:00\n")
    source = gn.FileSource("a", path="a.csv", timestamp="at")
    group = gn.FeatureGroup(
        "g", entity=gn.Entity("u", keys={"u": int}), source=source, features=[gn.count(windows=["1h"])]
    )
    with gn.Store(tmp_path) as store:
        store.apply([group])
        with pytest.raises(GnomonError, match="`g@1`"):
            store.materialize()
        with pytest.raises(GnomonError, match="`g@1`"):
            store.get_historical_features({"u": [1], "event_timestamp": ["2026-07-01"]}, [group]).to_polars()


def test_types_are_told_by_the_first_rows_and_not_by_none(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text("k\tx\tday\tat\tother\n1\t\t2026-01-31\t05/06/2026\t\n2\t\t2026-02-01\t05/07/2026\ta\n")
    assert header_of(file) == ["k", "x", "day", "at", "other"]
    assert csv_types(file) == {
        "k": pl.Int64(), "x": pl.Null(), "day": pl.Date(), "at": pl.String(), "other": pl.String()
    }  # fmt: skip
    file.write_text("k\tx\n")
    assert csv_types(file) == {"k": pl.Null(), "x": pl.Null()}


def test_fields_of_json_lines_are_those_of_all_looked_at(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"k": 1, "n": null}\n{"k": 0.5, "s": "a"}\n')
    assert jsonl_types(file) == {"k": pl.Float64(), "n": pl.Null(), "s": pl.String()}


@pytest.mark.parametrize(("content", "blank"), [(b"", True), (b" \n\r\n", True), (b"k\n", False)])
def test_a_file_is_blank_if_not_even_a_header_is_in_it(tmp_path, content, blank):
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    assert is_blank(tmp_path / "a.csv") is is_blank(tmp_path / "a.csv.gz") is blank
