"""Sources that become empty, grow in width or break while they are in use: training and materialize say the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, DefinitionError, GnomonError, Stopped, Unavailable

T = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
INSTANT = pl.Datetime("us", "UTC")
LINE = '{"k": 1, "at": "2026-01-01T00:00:00Z", "x": 2}\n'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[gn.Store]:
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "x"\n')
    (tmp_path / "rows").mkdir()
    with gn.Store(tmp_path, online="memory://") as store:
        yield store


def group(path: str = "rows", source: gn.SQLSource | None = None, **given: object) -> gn.FeatureGroup:
    times = {name: given.pop(name) for name in ("lag", "known_at") if name in given}
    made = source or gn.FileSource("s", path, timestamp="at", **times)
    return gn.FeatureGroup(
        "g", entity=gn.Entity("u", keys={"k": int}), source=made, features=[gn.count(), gn.sum("x")], **given
    )


def trained(store: gn.Store, of: gn.FeatureGroup) -> tuple[object, ...]:
    spine = pl.DataFrame({"k": [1], "event_timestamp": [T + 30 * DAY]})
    return store.get_historical_features(spine, [of]).to_polars().select("count", "x_sum").row(0)


def answers(store: gn.Store, of: gn.FeatureGroup) -> tuple[object, ...]:
    """What training and the online store say alike."""
    store.materialize()
    online = store.get_online_features([of], [{"k": 1}], at=T + 30 * DAY).to_dict()
    said = trained(store, of)
    assert said == (online["count"][0], online["x_sum"][0])
    return said


def refused(store: gn.Store, of: gn.FeatureGroup) -> GnomonError:
    """What training and materialize refuse alike."""
    with pytest.raises(Stopped) as stopped:
        store.materialize()
    with pytest.raises(DataError) as caught:
        trained(store, of)
    assert caught.value.what in stopped.value.what
    assert caught.value.hint in stopped.value.hint
    return caught.value


def query(store: gn.Store, *statements: str) -> gn.SQLSource:
    with closing(sqlite3.connect(store.path / "shop.db")) as database, database:
        for statement in statements:
            database.execute(statement)
    return gn.SQLSource("s", url="sqlite:///shop.db", query="SELECT * FROM rows", timestamp="at")


# ------------------------------------------------------------------------------------------------------- empty


def test_a_query_without_rows_needs_types_that_the_definition_tells(store):
    shop = query(store, "CREATE TABLE rows (k INTEGER, at TEXT, x REAL)")
    with pytest.raises(DefinitionError) as caught:
        store.apply([group(source=shop)])
    hints = [problem.hint for problem in caught.value.problems]
    assert 'schema={"at": pl.Datetime("us", "UTC")}' in hints[0]
    assert 'schema={"x": pl.Float64}' in hints[1]
    declared = group(source=shop, schema={"at": INSTANT, "x": pl.Float64})
    store.apply([declared])
    assert answers(store, declared) == (0, None)
    query(store, "INSERT INTO rows VALUES (1, '2026-01-01 10:00', 2.5)")
    assert answers(store, declared) == (1, 2.5)
    query(store, "DELETE FROM rows")
    assert answers(store, declared) == (0, None)


@pytest.mark.parametrize("nothing", ["", "\n \n"])
def test_a_file_that_was_emptied_is_a_source_without_rows(store, nothing):
    file, lines = store.path / "a.jsonl", group("a.jsonl")
    file.write_text(LINE)
    store.apply([lines])
    assert answers(store, lines) == (1, 2)
    file.write_text(nothing)
    assert answers(store, lines) == (0, None)
    assert not store.apply([lines]).has_changes


def test_an_empty_file_is_applied_with_declared_types(store):
    file = store.path / "a.jsonl"
    file.touch()
    with pytest.raises(
        DefinitionError, match="the type of the column `x` is not known: the source has no rows"
    ):
        store.apply([group("a.jsonl", schema={"at": INSTANT})])
    lines = group("a.jsonl", schema={"at": INSTANT, "x": pl.Int64})
    store.apply([lines])
    assert answers(store, lines) == (0, None)
    file.write_text(LINE)
    assert answers(store, lines) == (1, 2)


def test_a_file_with_a_header_alone_tells_names_and_the_others_types(store):
    (store.path / "rows/0.csv").write_text("k,at,x\n")
    with pytest.raises(DefinitionError, match="is not known: the source has no value in it"):
        store.apply([group()])
    (store.path / "rows/1.csv").write_text("k,at,x\n1,2026-01-01T00:00:00Z,2\n")
    store.apply([group()])
    assert answers(store, group()) == (1, 2)


def test_a_folder_may_be_empty_later_but_not_at_first(store):
    with pytest.raises(DefinitionError, match="nothing to read at `rows`") as caught:
        store.apply([group()])
    assert "the folder is empty" in caught.value.hint
    file = store.path / "rows/1.csv"
    file.write_text("k,at,x\n1,2026-01-01T00:00:00Z,2\n")
    store.apply([group()])
    assert answers(store, group()) == (1, 2)
    file.unlink()
    assert answers(store, group()) == (0, None)
    assert not store.apply([group()]).has_changes
    (store.path / "rows").rmdir()
    assert "nothing to read" in refused(store, group()).what


# ------------------------------------------------------------------------------------------------------- types


def put(store: gn.Store, name: str, types: dict[str, pl.DataType], **columns: object) -> None:
    pl.DataFrame({"k": [1], **columns}, schema={"k": pl.Int32(), **types}).write_parquet(
        store.path / "rows" / name
    )


def test_parquet_files_of_several_widths_are_one_source(store):
    naive = T.replace(tzinfo=None)
    put(store, "1.parquet", {"at": pl.Datetime("us"), "x": pl.Int32()}, at=[naive], x=[1])
    put(store, "2.parquet", {"at": pl.Datetime("ns", "UTC"), "x": pl.Int64()}, at=[T + DAY], x=[2**40])
    put(store, "3.parquet", {"at": pl.Datetime("ms")}, at=[naive + 2 * DAY])
    store.apply([group()])
    assert answers(store, group()) == (3, 2**40 + 1)


def test_state_groups_fetch_the_same_rows_from_files_of_several_types(store):
    for i, dtype in enumerate([pl.Int32(), pl.Int64(), pl.Int32()]):
        put(store, f"{i}.parquet", {"at": pl.Datetime("us", "UTC"), "x": dtype}, at=[T + i * DAY], x=[i])
    state = gn.FeatureGroup(
        "g",
        entity=gn.Entity("u", keys={"k": int}),
        source=gn.FileSource("s", "rows", timestamp="at"),
        features=[gn.Feature("x", pl.Int64)],
    )
    store.apply([state])
    times = [T + i * DAY for i in range(3)]
    spine = pl.DataFrame({"k": [1] * 3, "event_timestamp": times})
    assert store.get_historical_features(spine, [state]).to_polars()["x"].to_list() == [0, 1, 2]


def test_types_that_conflict_are_refused_with_both_files(store):
    put(store, "1.parquet", {"at": INSTANT, "x": pl.Int64()}, at=[T], x=[1])
    put(store, "2.parquet", {"at": INSTANT, "x": pl.String()}, at=[T], x=["a"])
    with pytest.raises(DefinitionError, match=r"column `x` is Int64 in `1\.parquet`, String in `2\.parquet`"):
        store.apply([group()])


def test_a_file_of_another_type_that_comes_later_is_refused_and_named(store):
    put(store, "1.parquet", {"at": INSTANT, "x": pl.Int64()}, at=[T], x=[1])
    store.apply([group()])
    put(store, "2.parquet", {"at": INSTANT, "x": pl.Float64()}, at=[T + DAY], x=[0.5])
    error = refused(store, group())
    assert "column `x` is Float64, its group has it as Int64" in error.what
    assert error.at.endswith("2.parquet")


@pytest.mark.parametrize(
    ("name", "row"), [("2.csv", "k,at,x\n1,2026-01-02T00:00:00Z,0.5\n"), ("2.jsonl", LINE)]
)
def test_a_fraction_among_whole_numbers_is_never_cut_off(store, name, row):
    (store.path / "rows" / name.replace("2", "1")).write_text(row.replace("0.5", "2"))
    store.apply([group()])
    (store.path / "rows" / name).write_text(row.replace('"x": 2', '"x": 0.5'))
    error = refused(store, group())
    assert "0.5" in error.what
    assert error.at.endswith(name)


def test_types_of_json_lines_are_those_of_all_files(store):
    (store.path / "rows/1.jsonl").write_text('{"k": 1, "at": "2026-01-01T00:00:00Z"}\n')
    (store.path / "rows/2.jsonl").write_text(LINE)
    (store.path / "rows/3.jsonl").write_text(LINE.replace("2}", "0.5}").replace("-01T", "-03T"))
    store.apply([group()])
    assert answers(store, group()) == (3, 2.5)


def test_text_that_looks_like_numbers_is_text_where_it_is_declared(store):
    (store.path / "rows/1.csv").write_text("k,at,x\n007,2026-01-01T00:00:00Z,1\n")
    zips = gn.Entity("u", keys={"k": str})
    source = gn.FileSource("s", "rows", timestamp="at")
    with pytest.raises(DefinitionError, match="key column `k` is Int64") as caught:
        store.apply([gn.FeatureGroup("g", entity=zips, source=source, features=[gn.count()])])
    assert 'schema={"k": pl.String}' in caught.value.hint
    told = gn.FeatureGroup("g", entity=zips, source=source, features=[gn.count()], schema={"k": str})
    store.apply([told])
    spine = {"k": ["007", "7"], "event_timestamp": [T + DAY] * 2}
    assert store.get_historical_features(spine, [told]).to_polars()["count"].to_list() == [1, 0]


# ------------------------------------------------------------------------------------------------------- times


def test_a_date_among_times_is_no_midnight(store):
    times = [f"2026-01-{i % 28 + 1:02}T10:00:00Z" for i in range(20_000)]
    lines = [f"1,{time},1\n" for time in times]
    (store.path / "rows/1.csv").write_text("k,at,x\n" + "".join(lines))
    store.apply([group()])
    (store.path / "rows/1.csv").write_text("k,at,x\n" + "".join([*lines, "1,2026-01-05,1\n"]))
    error = refused(store, group())
    assert "`at` of row 20,001 of" in error.what
    assert "1.csv` is `2026-01-05`, a date without a time of day" in error.what
    assert 'lag="1d"' in error.hint


def test_dates_and_times_in_one_column_count_with_a_lag(store):
    (store.path / "rows/1.csv").write_text("k,at,x\n1,2026-01-01,1\n1,2026-01-02T10:00:00Z,1\n")
    store.apply([group(lag="1d")])
    assert answers(store, group(lag="1d")) == (2, 2)


def test_text_that_is_no_time_is_told_as_it_is_written_with_row_and_file(store):
    (store.path / "rows/1.jsonl").write_text(LINE + LINE.replace("2026-01-01T00:00:00Z", " noon ") * 2)
    store.apply([group()])
    error = refused(store, group())
    assert "`at` of row 2 of" in error.what
    assert "1.jsonl` is ` noon `, no time as ISO 8601 writes them" in error.what
    assert "2 such rows" in error.what


def test_a_query_tells_a_bad_time_too(store):
    shop = query(store, "CREATE TABLE rows (k, at, x)", "INSERT INTO rows VALUES (1, '2026-01-01', 1)")
    store.apply([group(source=shop)])
    assert "`at` of row 1 of" in refused(store, group(source=shop)).what


# ------------------------------------------------------------------------------------------------------- files


def test_a_row_that_was_cut_off_is_refused(store):
    (store.path / "rows/1.csv").write_text("k,at,x\n1,2026-01-01T00:00:00Z,2\n1,2026-01-01T01:00:00Z\n")
    store.apply([group()])
    assert "row 2 has 2 fields, the header has 3" in refused(store, group()).what


def test_a_file_torn_in_the_middle_is_named(store):
    put(store, "1.parquet", {"at": INSTANT, "x": pl.Int64()}, at=[T], x=[1])
    store.apply([group()])
    whole = (store.path / "rows/1.parquet").read_bytes()
    (store.path / "rows/2.parquet").write_bytes(whole[: len(whole) // 2])
    error = refused(store, group())
    assert "cannot read `2.parquet`" in error.what
    assert "rename them when they are complete" in error.hint
    with pytest.raises(DefinitionError, match=r"cannot read `2\.parquet`"):
        store.apply([group()])


def test_damage_within_a_file_is_told_with_its_name(store):
    columns = {"k": [1] * 50_000, "at": [T] * 50_000, "x": range(50_000)}
    pl.DataFrame(columns).write_parquet(store.path / "rows/1.parquet")
    file = store.path / "rows/2.parquet"
    pl.DataFrame(columns).write_parquet(file)
    store.apply([group()])
    content = bytearray(file.read_bytes())
    content[100:-2000] = bytes(len(content) - 2100)
    file.write_bytes(content)
    error = refused(store, group())
    assert "2.parquet`" in error.what
    assert "1.parquet`" not in error.what


def test_a_file_that_is_replaced_while_it_is_read_is_not_half_believed(store, monkeypatch):
    put(store, "1.parquet", {"at": INSTANT, "x": pl.Int64()}, at=[T], x=[1])
    store.apply([group()])
    engine = store._project.engine
    run = engine.run

    def replaced_meanwhile(*args, **options):
        put(store, "1.parquet", {"at": INSTANT, "x": pl.Int64()}, at=[T], x=[10**9])
        return run(*args, **options)

    monkeypatch.setattr(engine, "run", replaced_meanwhile)
    with pytest.raises(Unavailable, match=r"1\.parquet` was changed while it was being read"):
        trained(store, group())
    monkeypatch.undo()
    assert answers(store, group()) == (1, 10**9)


def test_a_file_that_goes_while_it_is_read_is_told(store, monkeypatch):
    put(store, "1.parquet", {"at": INSTANT, "x": pl.Int64()}, at=[T], x=[1])
    store.apply([group()])
    engine = store._project.engine
    run = engine.run

    def gone_meanwhile(*args, **options):
        (store.path / "rows/1.parquet").unlink()
        return run(*args, **options)

    monkeypatch.setattr(engine, "run", gone_meanwhile)
    with pytest.raises(Unavailable, match=r"`1\.parquet` has gone while it was being read"):
        trained(store, group())
