"""The local engine: many parts give what one gives, to the bit and in order; its settings."""

from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.engines.local import LocalEngine
from gnomon.errors import UsageError
from gnomon.time import to_datetime

FEW_BYTES = 20_000
"""So little memory that a thousand rows are cut into many parts."""


def sums(rows, questions):
    """A part function: the sum of each question's key, and how many keys its part has."""
    found = rows.group_by("k").agg(pl.col("v").sum())
    return questions.join(found, on="k", how="left", maintain_order="left").select(
        "v", n=pl.lit(rows["k"].n_unique())
    )


ROWS = pl.DataFrame({"k": [i % 97 for i in range(2000)], "v": range(2000)})
QUESTIONS = pl.DataFrame({"k": [(7 * i) % 113 for i in range(500)]})


@pytest.mark.parametrize("memory", [FEW_BYTES, 4 * FEW_BYTES])
def test_many_parts_answer_in_the_order_of_the_questions(memory):
    engine = LocalEngine(memory)
    assert engine.parts(ROWS.schema, len(ROWS)) > 1
    parted = engine.run(ROWS.lazy(), QUESTIONS, ["k"], sums, expected_rows=len(ROWS))
    whole = LocalEngine().run(ROWS.lazy(), QUESTIONS, ["k"], sums, expected_rows=len(ROWS))
    assert parted["v"].equals(whole["v"])
    assert parted["n"].max() < whole["n"].max() == 97


def test_all_rows_and_questions_of_a_key_come_to_one_part():
    seen: dict[int, int] = {}

    def count(rows, questions):
        for key in {*rows["k"], *questions["k"]}:
            seen[key] = seen.get(key, 0) + 1
        return questions.select("k")

    engine = LocalEngine(FEW_BYTES)
    made = engine.run(ROWS.lazy(), QUESTIONS, ["k"], count, expected_rows=len(ROWS))
    assert made["k"].equals(QUESTIONS["k"])
    assert set(seen.values()) == {1}
    assert set(seen) == {*ROWS["k"], *QUESTIONS["k"]}


def test_null_keys_and_composite_keys_are_asked_once_each():
    rows = pl.DataFrame({"a": ["x", "y"] * 500, "b": list(range(10)) * 100, "v": range(1000)})
    questions = pl.DataFrame({"a": ["x", None, "y", "x", "z"], "b": [0, 1, None, 2, 3]})

    def add(rows, questions):
        found = rows.group_by("a", "b").agg(pl.col("v").sum())
        return questions.join(found, on=["a", "b"], how="left", maintain_order="left").select("v")

    many = LocalEngine(FEW_BYTES).run(rows.lazy(), questions, ["a", "b"], add, expected_rows=1000)
    one = LocalEngine().run(rows.lazy(), questions, ["a", "b"], add, expected_rows=1000)
    assert many.equals(one)


def test_without_keys_everything_is_one_part():
    def total(rows, questions):
        return questions.select(v=pl.repeat(rows["v"].sum(), pl.len()))

    made = LocalEngine(1).run(ROWS.lazy(), pl.DataFrame({"t": [1, 2]}), [], total, expected_rows=len(ROWS))
    assert made["v"].to_list() == [ROWS["v"].sum()] * 2


def test_parts_without_rows_or_without_questions_are_no_trouble():
    engine = LocalEngine(FEW_BYTES)
    for rows, questions in ((ROWS.clear(), QUESTIONS), (ROWS, QUESTIONS.clear()), (ROWS[:1], QUESTIONS[:1])):
        parted = engine.run(rows.lazy(), questions, ["k"], sums, expected_rows=len(ROWS))
        whole = LocalEngine().run(rows.lazy(), questions, ["k"], sums, expected_rows=1)
        assert parted.select("v").equals(whole.select("v"))


def test_nothing_is_left_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def fails(rows, questions):
        assert list(tmp_path.iterdir())
        raise KeyError("x")

    with pytest.raises(KeyError):
        LocalEngine(FEW_BYTES).run(ROWS.lazy(), QUESTIONS, ["k"], fails, expected_rows=len(ROWS))
    assert list(tmp_path.iterdir()) == []


def test_parts_grow_with_rows_and_their_width():
    engine = LocalEngine(10**6)
    narrow, wide = (
        pl.Schema({"k": pl.Int64()}),
        pl.Schema({"k": pl.Int64(), "s": pl.String(), "l": pl.List(pl.Int8())}),
    )
    assert engine.parts(narrow, 100) == 1
    assert engine.parts(narrow, -1) == 1
    assert 1 < engine.parts(narrow, 10**6) < engine.parts(wide, 10**6)
    assert LocalEngine().parts(narrow, 1000) == 1


# -------------------------------------------------------------------------------------- the rows that answer


ALL = [pl.col("k"), pl.col("v")]


def pick_last(rows, questions):
    """The last row of each key, by number."""
    last = dict(zip(rows["k"], range(len(rows)), strict=True))
    return np.array([last.get(k, -1) for k in questions["k"]], np.int64)


def test_only_the_rows_that_answer_are_kept_in_the_order_of_the_questions():
    double = (pl.col("v") * 2).alias("double")
    made = LocalEngine().newest(
        ROWS.lazy().select("k"), ROWS.lazy(), [double], QUESTIONS, pick_last, expected_rows=len(ROWS)
    )
    picked = pick_last(ROWS, QUESTIONS)
    assert made["double"].to_list() == [None if p < 0 else 2 * int(ROWS["v"][int(p)]) for p in picked]


def test_rows_are_fetched_in_stretches(monkeypatch):
    monkeypatch.setattr("gnomon.engines.local._BATCH", 64)
    made = LocalEngine().newest(ROWS.lazy(), ROWS.lazy(), ALL, QUESTIONS, pick_last, expected_rows=len(ROWS))
    picked = pick_last(ROWS, QUESTIONS)
    assert made["v"].to_list() == [None if p < 0 else int(p) for p in picked]


def test_a_row_that_answers_nothing_cannot_fail():
    narrow = pl.LazyFrame({"k": [1, 2, 1]})
    wide = pl.LazyFrame({"v": [300, 5, 7]})
    columns = [pl.col("v").cast(pl.Int8)]
    questions = pl.DataFrame({"k": [2, 1, 3]})
    made = LocalEngine().newest(narrow, wide, columns, questions, pick_last, expected_rows=3)
    assert made["v"].to_list() == [5, 7, None]
    assert made.schema == {"v": pl.Int8()}


def test_an_expression_makes_no_value_where_no_row_answers():
    lazy = ROWS.lazy()
    columns = [pl.col("v").fill_null(0)]
    made = LocalEngine().newest(lazy, lazy, columns, QUESTIONS, pick_last, expected_rows=len(ROWS))
    assert made["v"].null_count() == sum(k >= 97 for k in QUESTIONS["k"])


def test_a_constant_is_there_for_each_row_that_answers():
    lazy = ROWS.lazy()
    made = LocalEngine().newest(lazy, lazy, [pl.lit(7).alias("seven")], QUESTIONS, pick_last, expected_rows=9)
    assert made["seven"].to_list() == [7 if k < 97 else None for k in QUESTIONS["k"]]


@pytest.mark.parametrize("questions", [QUESTIONS.clear(), pl.DataFrame({"k": [200, 201]})])
def test_no_question_or_no_answer_is_no_row(questions):
    made = LocalEngine().newest(ROWS.lazy(), ROWS.lazy(), ALL, questions, pick_last, expected_rows=len(ROWS))
    assert made.schema == ROWS.schema
    assert made["v"].to_list() == [None] * len(questions)


def test_it_says_so_where_it_cannot_tell():
    lazy = ROWS.lazy()
    assert LocalEngine().newest(lazy, lazy, ALL, QUESTIONS, lambda rows, asked: None, expected_rows=9) is None
    assert (
        LocalEngine(FEW_BYTES).newest(lazy, lazy, ALL, QUESTIONS, pick_last, expected_rows=len(ROWS)) is None
    )
    shorter = ROWS[:100].lazy()
    assert LocalEngine().newest(lazy, shorter, ALL, QUESTIONS, pick_last, expected_rows=9) is None


# ------------------------------------------------------------------------------------------------- whole way


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A project's folder with random events, late ones and replaced ones among them, of few and many keys."""
    folder = tmp_path_factory.mktemp("project")
    pick = random.Random(5)
    rows = [
        {
            "user": pick.choice([1, 1, 1, pick.randrange(60)]),
            "shop": pick.choice(["a", "b", ""]),
            "t": to_datetime(pick.randrange(10**9)),
            "late": pick.choice([0, 0, 0, 10**8]),
            "id": i,
            "x": pick.choice([0.1, -0.1, 1e16, -1e16, None, float("inf")]),
            "n": pick.randrange(-5, 5),
        }
        for i in range(3000)
    ]
    frame = pl.DataFrame(rows).with_columns(known=pl.col("t") + pl.duration(microseconds=pl.col("late")))
    replaced = frame[::7].with_columns(known=pl.col("known") + pl.duration(seconds=100), n=pl.col("n") + 1)
    pl.concat([frame, replaced]).write_parquet(folder / "rows.parquet")
    return folder


SPINE = pl.DataFrame(
    {
        "user": [(i * 7) % 70 for i in range(400)],
        "shop": ["a", "b", "", "c"] * 100,
        "event_timestamp": [to_datetime(i * 2_500_000) for i in range(400)],
        "n": [3] * 400,
    }
)


def training_set(folder, engine):
    """Features of an event group and of a state group, by one engine."""
    entity = gn.Entity("user_shop", keys={"user": int, "shop": str})
    source = gn.FileSource("rows", "rows.parquet", timestamp="t", known_at="known", event_id="id")
    w = ["100s", "500s"]
    events = gn.FeatureGroup(
        "events",
        entity=entity,
        source=source,
        features=[
            gn.sum("x", windows=w), gn.mean("n", windows=w, where="n > 0"), gn.std("n"), gn.last_k("n", 3),
            gn.n_distinct("n", windows=w), gn.median("n", windows=w), gn.first("x", nulls="keep"),
            gn.count(windows=w, include_request=True), gn.max("x", windows=w), gn.time_since_last(),
        ],
    )  # fmt: skip
    state = gn.FeatureGroup(
        "state",
        entity=entity,
        source=source,
        features=[gn.Feature("x", float)],
        max_age=timedelta(seconds=300),
    )
    with gn.Store(folder, engine=engine, clock=lambda: 2 * 10**9) as store:
        store.apply([events, state])
        return store.get_historical_features(SPINE, [events, state]).to_polars()


def test_training_in_many_parts_gives_the_same_bits(files):
    (files / "gnomon.toml").write_text('[online]\nurl = "memory://"')
    whole = training_set(files, "local")
    parted = training_set(files, "local://?memory=20KB")
    assert whole.schema == parted.schema
    for name in whole.columns:
        assert whole[name].equals(parted[name]), name
        if whole[name].dtype == pl.Float64:
            bits = [c.fill_null(7).to_numpy().tobytes() for c in (whole[name], parted[name])]
            assert bits[0] == bits[1], name
    assert whole["x_sum_500s"].n_unique() > 5


# -------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("local", None),
        ("local://", None),
        ("local://?memory=2GB", 2 * 10**9),
        ("local://?memory=500mb", 5 * 10**8),
        ("local://?memory=20 KB", 20_000),
    ],
)
def test_memory_is_read_from_the_url(tmp_path, url, want):
    assert LocalEngine.from_url(url, root=tmp_path).memory == want


@pytest.mark.parametrize(
    "url", ["local://?memory=", "local://?memory=2", "local://?memory=0GB", "local://?threads=2GB"]
)
def test_other_settings_are_refused_with_an_example(tmp_path, url):
    with pytest.raises(UsageError, match="is no setting of the local engine") as caught:
        LocalEngine.from_url(url, root=tmp_path)
    assert caught.value.hint == "such as local://?memory=2GB"
