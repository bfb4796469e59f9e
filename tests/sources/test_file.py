"""What files are read, and what is said of those that are not. The rest is proved by `SourceReaderTests`."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError
from gnomon.sources.kinds import open_source


@pytest.fixture
def put(tmp_path):
    """Write files, text or frames, by name."""

    def put(**files):
        for name, content in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pl.DataFrame):
                content.write_parquet(file)
            else:
                file.write_text(content)

    return put


@pytest.fixture
def opened(tmp_path):
    def opened(path, format=None):
        return open_source(gn.FileSource("s", path, timestamp="t", format=format), tmp_path)

    return opened


def keys(reader):
    return sorted(reader.scan(["k"]).collect()["k"])


# ------------------------------------------------------------------------------------------------ which files


def test_a_folder_is_read_with_all_below_it(put, opened):
    put(**{"rows/a.csv": "k\n1\n", "rows/2026/01/b.csv": "k\n2\n", "rows/notes.txt": "no rows"})
    reader = opened("rows")
    assert keys(reader) == [1, 2]
    assert reader.describe() == "csv at rows (2 files)"


def test_files_and_folders_that_begin_with_a_dot_or_underline_are_no_data(put, opened):
    put(
        **{
            "rows/a.csv": "k\n1\n",
            "rows/.a.csv.swp.csv": "k\n8\n",
            "rows/_partial.csv": "k\n9\n",
            "rows/_temporary/0/b.csv": "k\n7\n",
        }
    )
    assert keys(opened("rows")) == [1]


def test_a_project_below_a_folder_with_such_a_name_is_read(tmp_path):
    folder = tmp_path / "_work" / "rows"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("k\n1\n")
    assert keys(open_source(gn.FileSource("s", "rows", timestamp="t"), tmp_path / "_work")) == [1]


def test_a_glob_chooses_files_and_no_folders(put, opened):
    put(**{"rows/a1.csv": "k\n1\n", "rows/a2.csv": "k\n2\n", "rows/b.csv": "k\n3\n", "rows/a3.csv/x": ""})
    assert keys(opened("rows/a*.csv")) == [1, 2]
    assert keys(opened("**/a1.csv")) == [1]


def test_a_file_whose_name_looks_like_a_glob_is_read_as_that_file(put, opened):
    put(**{"[a].csv": "k\n1\n", "a.csv": "k\n2\n"})
    assert keys(opened("[a].csv")) == [1]


def test_an_absolute_path_stays(put, opened, tmp_path):
    put(**{"a.csv": "k\n1\n"})
    assert keys(opened(str(tmp_path / "a.csv"))) == [1]


def test_a_folder_with_an_ending_is_read_in_its_format(put, opened):
    put(**{"rows.parquet/part-0.parquet": pl.DataFrame({"k": [1]}), "rows.parquet/part-0.csv": "k\n9\n"})
    assert keys(opened("rows.parquet")) == [1]


def test_a_given_format_chooses_among_the_files_of_a_folder(put, opened):
    put(**{"rows/a.csv": "k\n1\n", "rows/b.jsonl": '{"k": 2}\n'})
    assert keys(opened("rows", format="csv")) == [1]
    assert keys(opened("rows", format="jsonl")) == [2]


def test_a_given_format_wins_over_the_name(put, opened):
    put(**{"rows.txt": "k\n1\n"})
    assert keys(opened("rows.txt", format="csv")) == [1]


# -------------------------------------------------------------------------------------------------- columns


def test_parquet_files_may_have_grown_columns(put, opened):
    put(
        **{
            "rows/1.parquet": pl.DataFrame({"k": [1], "t": [date(2026, 1, 1)]}),
            "rows/2.parquet": pl.DataFrame({"x": [0.5], "k": [2], "t": [date(2026, 1, 2)]}),
            "rows/3.parquet": pl.DataFrame({"k": [3]}),
        }
    )
    reader = opened("rows")
    assert list(reader.schema().items()) == [("k", pl.Int64()), ("t", pl.Date()), ("x", pl.Float64())]
    rows = reader.scan(["k", "x"], part_column="part").sort("k").collect()
    assert rows.select("k", "x").rows() == [(1, None), (2, 0.5), (3, None)]
    assert reader.expected_rows() == 3
    first, *_ = reader.parts()
    assert reader.scan(["x"], parts=[first]).collect()["x"].to_list() == [None]


def test_times_in_csv_files_are_times(put, opened):
    put(**{"a.csv": "t,d\n2026-01-31T12:00:00Z,2026-01-31\n"})
    rows = opened("a.csv").scan(["t", "d"]).collect()
    assert rows.row(0) == (datetime(2026, 1, 31, 12, tzinfo=UTC), date(2026, 1, 31))


def test_categories_are_text(put, opened):
    put(**{"a.parquet": pl.DataFrame({"k": ["a"]}, schema={"k": pl.Categorical})})
    assert opened("a.parquet").schema() == {"k": pl.String()}


def test_a_column_that_cannot_be_used_is_named(put, opened):
    put(**{"a.parquet": pl.DataFrame({"k": [1], "h": [0.5]}, schema={"k": pl.Int64, "h": pl.Float16})})
    with pytest.raises(DataError, match="source `s`: column `h` is Float16"):
        opened("a.parquet").schema()


# ---------------------------------------------------------------------------------------------- parts and rows


def test_a_file_that_was_written_again_has_another_tag(put, opened):
    put(**{"rows/a.csv": "k\n1\n", "rows/b.csv": "k\n2\n"})
    before = opened("rows").parts()
    put(**{"rows/b.csv": "k\n22\n", "rows/c.csv": "k\n3\n"})
    after = opened("rows").parts()
    assert after[0] == before[0]
    assert after[1].name == before[1].name
    assert after[1].etag != before[1].etag
    assert len(after) == 3


def test_rows_of_parquet_files_are_counted_without_reading_them(put, opened):
    put(**{"a.parquet": pl.DataFrame({"k": range(1000)}), "a.csv": "k\n" + "1\n" * 1000})
    assert opened("a.parquet").expected_rows() == 1000
    assert 0 < opened("a.csv").expected_rows() < 1000


# ---------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("rows/flihgts.csv", "did you mean `flights.csv`?"),
        ("rows/x.parquet", "the folder is there, the file is not"),
        ("data/flights.csv", "does not exist; paths are relative to the project's folder"),
        ("rows/*.jsonl", "the folder is there"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(put, opened, path, hint):
    put(**{"rows/flights.csv": "k\n1\n"})
    with pytest.raises(DataError, match="source `s`: nothing to read at") as caught:
        opened(path)
    assert hint in caught.value.hint


def test_an_empty_folder_is_nothing_to_read(tmp_path, opened):
    (tmp_path / "rows").mkdir()
    with pytest.raises(DataError, match="nothing to read"):
        opened("rows")


@pytest.mark.parametrize(
    ("files", "path", "what", "hint"),
    [
        (
            {"rows/a.csv": "k\n1\n", "rows/b.jsonl": '{"k": 2}\n'},
            "rows",
            "files of several formats: csv, jsonl",
            'format="csv"',
        ),
        ({"a.dat": "k\n1\n"}, "a.dat", "cannot tell the format of `a.dat`", "give it: format="),
        ({"rows/_delta_log/0.json": "", "rows/a.parquet": ""}, "rows", "nothing to read", "`_delta_log`"),
        (
            {"rows/a.csv": "k,x\n1,2\n", "rows/b.csv": "x,k\n2,1\n"},
            "rows",
            "columns differ: `a.csv` has k, x; `b.csv` has x, k",
            "the same columns, in one order",
        ),
        ({"a.parquet": "no parquet"}, "a.parquet", "cannot read `a.parquet`", "is it a parquet file"),
        ({"a.jsonl": "{"}, "a.jsonl", "cannot read `a.jsonl`", "is it a jsonl file"),
    ],
)
def test_what_cannot_be_read_is_told_with_a_way_out(put, opened, files, path, what, hint):
    put(**files)
    with pytest.raises(DataError) as caught:
        opened(path).schema()
    assert caught.value.what.startswith("source `s`: ")
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.at
