"""insert, materialize, backfill."""

from __future__ import annotations

import io
from types import SimpleNamespace

import polars as pl
import pytest

CACHED = """
import polars as pl
import gnomon as gn

user = gn.Entity("user", keys={"user": str})
clicks = gn.FeatureGroup(
    "clicks",
    entity=user,
    timestamp="at",
    schema={"page": str},
    features=[gn.count(windows=["1d"]), gn.last("page")],
)
"""
ROWS = "user,at,page\n007,2026-01-01T10:00:00Z,a\n8,2026-01-01T11:00:00Z,b\n"


@pytest.fixture
def site(gnomon, shop):
    """A project whose group keeps its own rows."""
    (shop / "features.py").write_text(CACHED)
    assert gnomon("apply").status == 0
    return shop


def test_groups_that_are_not_kept_online_are_told_where_nothing_is_materialized(gnomon, shop):
    (shop / "features.py").write_text(CACHED.replace('"clicks",', '"clicks", online=False,'))
    assert gnomon("apply").status == 0
    ran = gnomon("materialize")
    assert ran.status == 0
    assert "hint: no group is kept online" in ran.err


def test_inserting_again_changes_nothing(gnomon, site):
    (site / "rows.csv").write_text(ROWS)
    first = gnomon("insert", "clicks", "rows.csv", "--json").json
    assert (first["group"], first["rows"], first["accepted"], first["duplicates"]) == ("clicks@1", 2, 2, 0)
    again = gnomon("insert", "clicks", "rows.csv")
    assert again.out == "clicks@1: 0 of 2 rows committed, 2 there already\n"


def test_pushed_rows_are_online_at_once_and_what_does_not_fit_is_told(gnomon, site):
    (site / "rows.csv").write_text(ROWS + "9,,c\n")
    ran = gnomon("push", "clicks", "rows.csv", "--json")
    assert ran.status == 1
    assert (ran.json["accepted"], ran.json["rejected"][0]["row"]) == (2, 2)
    assert gnomon("get", "clicks:page_last", "--key", "user=007", "--json").json["rows"] == [["a"]]
    (site / "rows.csv").write_text(ROWS)
    again = gnomon("push", "clicks", "rows.csv")
    assert (again.status, again.out) == (0, "clicks@1: 0 of 2 rows taken, 2 there already\n")


def test_text_that_looks_like_a_number_stays_text(gnomon, site):
    """`007` is a user's name here: the group says so, whatever the file looks like."""
    (site / "rows.csv").write_text(ROWS)
    assert gnomon("insert", "clicks", "rows.csv").status == 0
    assert gnomon("materialize").status == 0
    found = gnomon("get", "clicks:page_last", "--key", "user=007", "--json").json
    assert found["rows"] == [["a"]]


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl"])
def test_every_format_goes_in(gnomon, site, name):
    frame = pl.read_csv(io.StringIO(ROWS), schema_overrides={"user": pl.String}, try_parse_dates=True)
    (frame.write_parquet if name.endswith("parquet") else frame.write_ndjson)(site / name)
    assert gnomon("insert", "clicks", name, "--json").json["accepted"] == 2


def test_standard_input_goes_in(gnomon, site, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(ROWS.encode())))
    assert gnomon("insert", "clicks", "-").status == 2
    assert gnomon("insert", "clicks", "-", "--format", "csv", "--json").json["accepted"] == 2


@pytest.mark.parametrize(
    "arguments", [("clicks", "none.csv"), ("click", "rows.csv"), ("clicks", "gnomon.toml")]
)
def test_what_is_not_there_is_wrong_use(gnomon, site, arguments):
    (site / "rows.csv").write_text(ROWS)
    assert gnomon("insert", *arguments).status == 2


def test_columns_that_do_not_fit_are_told(gnomon, site):
    (site / "rows.csv").write_text(ROWS.replace("page", "pge"))
    ran = gnomon("insert", "clicks", "rows.csv")
    assert ran.status == 3
    assert "did you mean `pge`?" in ran.err


def test_materialize_is_incremental_and_leaves_rows_beyond_the_end(gnomon, shop):
    assert gnomon("apply").status == 0
    first = gnomon("materialize", "spending", "--end", "2025-03-01", "--json").json["groups"]
    assert [group["group"] for group in first] == ["spending@1"]
    assert 0 < first[0]["rows"] < 300
    [rest] = gnomon("materialize", "spending", "--resume", "--json").json["groups"]
    assert first[0]["rows"] + rest["rows"] == 300
    assert gnomon("materialize", "spending").out.startswith("spending@1: nothing new\n")


def test_progress_is_told_in_a_log_and_not_with_json_and_each_group_once(gnomon, shop):
    head, *rows = (shop / "orders.csv").read_text().splitlines(keepends=True)
    (shop / "orders").mkdir()
    (shop / "orders" / "a.csv").write_text("".join([head, *rows[:100]]))
    (shop / "orders" / "b.csv").write_text("".join([head, *rows[100:]]))
    definitions = (shop / "features.py").read_text()
    (shop / "features.py").write_text(definitions.replace('path="orders.csv"', 'path="orders", format="csv"'))
    assert gnomon("apply").status == 0
    ran = gnomon("materialize")
    assert "materialize spending@1: 1 of 2 parts" in ran.err
    assert (ran.out + ran.err).count("spending@1: 300 rows") == 1
    (shop / "orders" / "b.csv").touch()
    assert gnomon("materialize", "--json").err == ""


@pytest.mark.parametrize("option", ["--start", "--end"])
def test_wrong_time_names_its_option(gnomon, shop, option):
    ran = gnomon("materialize", option, "yesterday")
    assert ran.status == 2
    assert ran.err.startswith(f"error: {option}: `yesterday` is not a time")


def test_backfill_makes_the_table_anew_and_tells_what_was_expected(gnomon, shop):
    assert gnomon("apply").status == 0
    told = gnomon("backfill", "spending", "--chunk", "30d", "--dry-run", "--json").json
    assert (told["dry_run"], told["rows"]) == (True, 0)
    assert (
        gnomon("get", "shop_model", "--key", "customer=c07", "--request", "basket=60", "--json").status == 0
    )
    ran = gnomon("backfill", "spending", "--chunk", "30d", "--workers", "1")
    assert ran.status == 0
    assert f"expected {told['estimate']['rows']:,}" in ran.out
    assert f"backfill spending@1: 1 of {told['chunks']} chunks" in ran.err
    assert gnomon("materialize", "spending").out.startswith("spending@1: nothing new\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chunk", "1 month"], "`1 month` is not a duration"),
        (["--start", "soon"], "--start: `soon` is not a time"),
        (["--workers", "0"], "0 workers do nothing"),
    ],
)
def test_backfill_used_wrongly_is_told(gnomon, shop, arguments, message):
    assert gnomon("apply").status == 0
    ran = gnomon("backfill", "spending", *arguments)
    assert ran.status == 2
    assert message in ran.err


ORDERS = """
import polars as pl
import gnomon as gn

user = gn.Entity("user", keys={"user": str})
orders = gn.FeatureGroup(
    "orders", entity=user, timestamp="at", event_id="order", schema={"order": int}, features=[gn.count()]
)
"""
OF_ONE = "user,at,order\n7,2026-01-01T10:00:00Z,1\n7,2026-01-01T11:00:00Z,2\n7,2026-01-01T12:00:00Z,3\n"


@pytest.fixture
def orders(gnomon, shop):
    """A project whose group has three orders of one user, online."""
    (shop / "features.py").write_text(ORDERS)
    (shop / "rows.csv").write_text(OF_ONE)
    for command in (("apply",), ("insert", "orders", "rows.csv"), ("materialize",)):
        assert gnomon(*command).status == 0
    return lambda: gnomon("get", "orders:count", "--key", "user=7", "--json").json["rows"]


def test_deletes_are_read_from_a_file(gnomon, shop, orders):
    (shop / "gone.csv").write_text("user,order\n7,2\n7,9\n")
    ran = gnomon("insert", "orders", "--deletes", "gone.csv", "--json").json
    assert (ran["deleted"], ran["unknown"], ran["rows"]) == (2, 1, 0)
    assert gnomon("materialize").status == 0
    assert orders() == [[2]]


def test_rows_are_taken_back_by_id(gnomon, shop, orders):
    ran = gnomon("retract", "orders", "--id", "2", "--id", "3")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("orders@1: 2 ids retracted as of 20")
    assert ran.out.endswith(", 1 key online\n")
    assert orders() == [[1]]
    (shop / "ids.csv").write_text("order\n3\n4\n")
    again = gnomon("retract", "orders", "ids.csv", "--json")
    assert again.status == 1, "an id was not there"
    assert (again.json["accepted"], again.json["repeated"], again.json["unknown"]) == (0, 1, [4])


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("retract", "orders"), "name the ids once"),
        (("retract", "orders", "ids.csv", "--id", "1"), "name the ids once"),
        (("retract", "orders", "--id", "x"), "`order` is Int64, and `x` is no such value"),
        (("retract", "order", "--id", "1"), "did you mean `orders`?"),
        (("insert", "orders"), "nothing to insert"),
        (("insert", "orders", "-", "--deletes", "-"), "standard input can be read once"),
    ],
)
def test_commands_that_cannot_be_say_how(gnomon, orders, command, says):
    ran = gnomon(*command)
    assert ran.status == 2
    assert says in ran.err
