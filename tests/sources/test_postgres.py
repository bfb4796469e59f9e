"""What of PostgreSQL's types is read as what, what the server is asked for, and what is said when it goes away."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import psycopg
import pytest

import gnomon as gn
from gnomon.abc.source import Wanted
from gnomon.errors import DataError, Unavailable
from gnomon.sources.sql import SQLReader
from gnomon.time import instant


@pytest.fixture
def run(postgres_url):
    def run(*statements):
        with psycopg.connect(postgres_url) as connection:
            for statement in statements:
                connection.execute(statement)

    return run


@pytest.fixture
def opened(postgres_url, tmp_path):
    def opened(query="SELECT * FROM rows", types=None, **given):
        source = gn.SQLSource("s", url=postgres_url, query=query, timestamp="t", **given)
        return SQLReader(source, tmp_path, types)

    return opened


def test_what_has_no_type_of_ours_is_read_as_postgres_writes_it(run, opened):
    run(
        "CREATE TYPE mood AS ENUM ('glad', 'sad')",
        "CREATE TABLE rows AS SELECT '00000000-0000-0000-0000-00000000000a'::uuid AS u, '{\"a\": 1}'::jsonb AS j, "
        "interval '1 day 2 hours' AS i, '10.0.0.1'::inet AS a, 'glad'::mood AS m, array[1.5]::numeric[] AS n",
    )
    reader = opened()
    assert set(reader.schema().values()) == {pl.String()}
    assert reader.scan(["u", "j", "i", "a", "m", "n"]).collect().row(0) == (
        "00000000-0000-0000-0000-00000000000a", '{"a": 1}', "1 day 02:00:00", "10.0.0.1/32", "glad", "{1.5}",
    )  # fmt: skip


def test_a_numeric_without_a_scale_takes_that_of_the_first_rows_and_never_rounds(run, opened):
    run("CREATE TABLE rows (n numeric)", "INSERT INTO rows VALUES (1.25), (2)")
    assert opened().schema() == {"n": pl.Decimal(38, 2)}
    assert opened().scan(["n"]).collect()["n"].to_list() == [Decimal("1.25"), Decimal("2.00")]
    run("INSERT INTO rows SELECT 1 FROM generate_series(1, 10000)", "INSERT INTO rows VALUES (0.125)")
    with pytest.raises(DataError, match=r"`n` is read with 2 decimals, and holds 0\.125") as caught:
        opened().scan(["n"]).collect()
    assert "CAST(n AS numeric" in caught.value.hint
    read = opened(types={"n": pl.Decimal(38, 3)}).scan(["n"]).collect()
    assert read["n"].min() == Decimal("0.125")


@pytest.mark.parametrize("dtype", ["timestamptz", "timestamp", "date", "timestamptz[]"])
@pytest.mark.parametrize("infinite", ["infinity", "-infinity"])
def test_an_infinite_time_is_refused_and_the_earliest_is_not(run, opened, dtype, infinite):
    made = f"('{{%s}}')::{dtype}" if dtype.endswith("[]") else f"'%s'::{dtype}"
    run(f"CREATE TABLE rows AS SELECT {made % '4713-01-01 BC'} AS t", "SET timezone TO 'UTC'")
    assert opened().scan(["t"]).collect()["t"].null_count() == 0
    run(f"INSERT INTO rows VALUES ({made % infinite})")
    with pytest.raises(DataError, match="`t` holds infinity") as caught:
        opened().scan(["t"]).collect()
    assert "isfinite(t)" in caught.value.hint


def test_names_and_queries_are_taken_as_they_are_written(run, opened):
    run('CREATE TABLE rows AS SELECT 1 AS "A b", \'x:y\' AS "c""d"')
    reader = opened("WITH r AS (SELECT * FROM rows WHERE 'a:b' = 'a:b') SELECT * FROM r -- all")
    assert reader.scan(['c"d', "A b"]).collect().rows() == [("x:y", 1)]


@pytest.mark.parametrize("dtype", ["timestamptz", "timestamp", "date"])
def test_the_server_is_asked_for_the_stretch_of_time_that_matters(run, opened, dtype):
    run(
        f"CREATE TABLE rows AS SELECT d AS k, ('2026-01-01'::timestamp + d * interval '1 day')::{dtype} AS t "
        "FROM generate_series(0, 9) d",
        "INSERT INTO rows VALUES (99, NULL)",
    )
    wanted = Wanted(instant("2026-01-04"), instant("2026-01-06"))
    assert opened(lag="1d").scan(["k"], wanted=wanted).collect()["k"].sort().to_list() == [3, 4, 5]
    said = "\n".join(opened(lag="1d").reads(["k"], wanted))
    assert "SELECT k FROM (SELECT * FROM rows)" in said
    assert "2026-01-04 00:00:00.000000" in said


def test_times_in_text_and_beyond_the_calendar_are_not_compared_by_the_server(run, opened):
    run("CREATE TABLE rows AS SELECT 1 AS k, '2026-01-05' AS t")
    assert opened(lag="1d").reads(["k"], Wanted(instant("2026-01-04"))) == (
        "SELECT k FROM (SELECT * FROM rows)",
        "WHERE true",
    )
    run("CREATE TABLE times AS SELECT 1 AS k, '2026-01-05'::timestamp AS t")
    assert opened("SELECT * FROM times").reads(["k"], Wanted(-(2**62), 2**62))[1] == "WHERE true"


def test_of_what_grows_only_what_may_have_become_active_is_read_again(run, opened):
    run(
        "CREATE TABLE rows (k int, t timestamptz, seen timestamptz)",
        "INSERT INTO rows VALUES (1, '2026-01-01', '2026-01-01'), (2, '2026-01-01', '2026-01-03'), "
        "(3, '2026-01-09', '2026-01-01'), (4, '2026-01-01', NULL), (5, NULL, '2026-01-05')",
    )
    reader = opened(known_at="seen")
    since = Wanted(active_since=instant("2026-01-03"))
    assert reader.scan(["k"], wanted=since).collect()["k"].sort().to_list() == [2, 3, 4, 5]


def test_materialize_asks_for_what_became_known_and_training_for_its_windows(run, postgres_url, tmp_path):
    run(
        "CREATE TABLE orders (id int, user_id int, amount numeric(10, 2), t timestamptz, seen timestamptz, pad text)",
        "INSERT INTO orders SELECT i, i % 3, i, '2026-01-01'::timestamptz + i * interval '1 hour', "
        "'2026-01-01'::timestamptz + i * interval '1 hour', 'x' FROM generate_series(0, 99) i",
    )
    user = gn.Entity("user", keys={"user_id": pl.Int64})
    orders = gn.SQLSource(
        "orders",
        url=postgres_url,
        query="SELECT * FROM orders",
        timestamp="t",
        known_at="seen",
        event_id="id",
    )
    spend = gn.FeatureGroup("spend", entity=user, source=orders, features=[gn.sum("amount", windows=["2d"])])
    at = datetime(2026, 1, 5, 4, tzinfo=UTC)
    spine = pl.DataFrame({"user_id": [0, 1, 2], "event_timestamp": [at] * 3})
    with gn.Store(clock=lambda: instant(at)) as store:
        plan = store.apply([user, orders, spend])
        assert "asks the database for 5 of the query's 6 columns, and rows of the stretch of time" in str(
            plan
        )
        assert store.materialize().rows == 100
        run("INSERT INTO orders VALUES (1000, 0, 0.5, '2026-01-05 03:30Z', '2026-01-05 03:30Z', 'x')")
        (report,) = store.materialize().groups
        assert report.rows == 2  # the new one, and the newest of before
        online = store.get_online_features(["spend:amount_sum_2d"], {"user_id": [0, 1, 2]}, at=at)
        training = store.get_historical_features(spine, ["spend:amount_sum_2d"])
        assert (
            online.to_polars()["amount_sum_2d"].to_list() == training.to_polars()["amount_sum_2d"].to_list()
        )
        said = training.explain()
    assert "SELECT user_id, t, seen, id, amount FROM (SELECT * FROM orders)" in said


def test_a_server_that_goes_away_while_rows_are_read_is_told_as_such(run, opened, postgres_server):
    run("CREATE TABLE rows AS SELECT i AS k, now() AS t FROM generate_series(1, 2000000) i")
    batches = opened().database.batches(["k", "t"])
    assert len(next(batches)) < 2_000_000
    postgres_server.kill()
    try:
        with pytest.raises(Unavailable, match="source `s`: the database cannot be reached") as caught:
            list(batches)
        assert caught.value.hint
        with pytest.raises(Unavailable):
            opened().schema()
    finally:
        postgres_server.start()
    assert len(opened().scan(["k"]).collect()) == 2_000_000


@pytest.mark.parametrize(("wrong", "said"), [("role", 'role "nobody"'), ("database", 'database "nowhere"')])
def test_a_wrong_name_in_the_url_is_no_matter_of_trying_again(postgres_url, tmp_path, wrong, said):
    url = postgres_url.replace("postgres@", "nobody@")
    if wrong == "database":
        url = f"{postgres_url.rpartition('/')[0]}/nowhere"
    source = gn.SQLSource("s", url=url, query="SELECT 1 AS k", timestamp="k")
    with pytest.raises(DataError, match=f"the database refuses: {said} does not exist") as caught:
        SQLReader(source, tmp_path, None).schema()
    assert caught.value.hint.startswith("check the URL")
