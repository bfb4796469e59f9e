"""The part function: rows and questions become whole answers, with threads and without, and stay as they were."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

import gnomon as gn
from gnomon.engines import part
from gnomon.engines.lanes import gather
from gnomon.engines.part import Spine, answer, pick_newest
from gnomon.errors import ComputeError
from gnomon.plan.layout import make_layout
from gnomon.plan.normal import key, lane, normalise
from gnomon.testing.reference import same
from gnomon.testing.strategies import Case, state_cases
from gnomon.time import SECOND, instant

START = datetime(1970, 1, 1, tzinfo=UTC)
SCHEMA = {
    "k": pl.Int64(), "t": pl.Datetime("us", "UTC"), "x": pl.Float64(), "n": pl.Int64(), "s": pl.String(),
    "d": pl.Decimal(38, 2),
}  # fmt: skip


def group(*features, **given):
    return gn.FeatureGroup(
        "g",
        entity=gn.Entity("e", keys={"k": int}),
        features=features,
        timestamp="t",
        schema=SCHEMA,
        **given,
    )


def normal(layout, rows):
    """Rows are (k, seconds, x, n, s, d)."""
    table = [dict(zip(SCHEMA, (k, START + timedelta(seconds=t), *rest), strict=True)) for k, t, *rest in rows]
    return normalise(pl.DataFrame(table, schema=SCHEMA).lazy(), layout, with_content=True).collect()


def asked(*questions):
    """Questions are (k, seconds)."""
    keys = pl.DataFrame({key(0): [k for k, _ in questions]}, schema={key(0): pl.Int64()})
    return Spine(keys, np.array([t * SECOND for _, t in questions], np.int64))


def answers(declared, rows, *questions, as_of="known"):
    layout = make_layout(declared, SCHEMA)
    found = answer(layout, layout.outputs, normal(layout, rows), asked(*questions), as_of)
    return {column.name: column.to_list() for column in found.columns}


ROWS = [(1, 1, 0.5, 1, "a", None), (1, 3, None, 2, "b", None), (2, 2, -0.0, 3, None, None)]


def test_answers_are_in_the_order_of_the_questions_whoever_asks_twice():
    features = [gn.count(), gn.sum("n", windows=["2s"]), gn.last("s"), gn.last_k("n", 2)]
    assert answers(group(*features), ROWS, (2, 9), (1, 4), (9, 9), (1, 2), (1, 4)) == {
        "count": [1, 2, 0, 1, 2],
        "n_sum_2s": [None, 2, None, 1, 2],
        "s_last": [None, "b", None, "a", "b"],
        "n_last_k": [[3], [2, 1], [], [1], [2, 1]],
    }


def test_a_null_key_has_nulls_and_no_empty_window():
    features = [gn.count(), gn.last_k("n", 2), gn.rate(windows="1s"), gn.n_distinct("n"), gn.max("n")]
    found = answers(group(*features), ROWS, (None, 9), (1, 9))
    assert {name: values[0] for name, values in found.items()} == dict.fromkeys(found)
    assert found["count"][1] == 2


def test_defaults_are_not_applied_here():
    assert answers(group(gn.sum("n", default=7)), ROWS, (9, 9)) == {"n_sum": [None]}


def test_a_settling_delay_moves_every_question_back():
    assert answers(group(gn.count(), settling_delay="2s"), ROWS, (1, 4), (1, 6)) == {"count": [1, 2]}


def test_features_that_compute_the_same_share_it_under_their_own_names():
    found = answers(group(gn.sum("n"), gn.sum("n", name="again", default=0)), ROWS, (1, 4))
    assert found == {"n_sum": [3], "again": [3]}


def test_result_types_are_those_of_the_outputs():
    features = [
        gn.sum("d"), gn.mean("n"), gn.time_since_last(), gn.last_k("s", 1), gn.first("d"), gn.rate(windows="1s"),
        gn.count(),
    ]  # fmt: skip
    layout = make_layout(group(*features), SCHEMA)
    for rows in (ROWS, []):
        found = answer(layout, layout.outputs, normal(layout, rows), asked((1, 4)), "known")
        assert [c.dtype for c in found.columns] == [o.dtype for o in layout.outputs]


def test_no_questions_and_no_rows_have_all_columns():
    features = [gn.count(), gn.last_k("s", 2), gn.max("x")]
    assert answers(group(*features), ROWS) == {"count": [], "s_last_k": [], "x_max": []}
    assert answers(group(*features), [], (1, 1)) == {"count": [0], "s_last_k": [[]], "x_max": [None]}


def test_ties_are_counted():
    layout = make_layout(group(gn.Feature("n", int)), SCHEMA)
    tied = [(1, 1, None, 1, None, None), (1, 1, None, 2, None, None), (7, 1, None, 1, None, None)]
    found = answer(layout, layout.outputs, normal(layout, tied), asked((1, 4)), "known")
    assert found.ties == 1


# ----------------------------------------------------------------------------------------- what cannot be computed


@pytest.mark.parametrize(
    ("feature", "rows", "what"),
    [
        (gn.sum("n"), [(1, 1, None, 2**63 - 1, None, None), (1, 2, None, 1, None, None)], "the sum does not fit Int64"),
        (gn.sum("x"), [(1, 1, 1.7e308, 0, None, None), (1, 2, 1.7e308, 0, None, None)], "does not fit Float64"),
    ],
)  # fmt: skip
def test_an_overflow_names_feature_row_and_key(feature, rows, what):
    with pytest.raises(ComputeError, match=what) as caught:
        answers(group(feature, version=2), rows, (2, 9), (1, 9), (1, 1))
    (name,) = group(feature).feature_names
    assert f"feature `{name}` of `g@2` cannot be computed for 1 row:" in caught.value.what
    assert caught.value.at == "spine row 1, key k=1"
    assert caught.value.hint


def test_an_overflow_that_nobody_asks_about_is_none():
    rows = [(1, 1, None, 2**63 - 1, None, None), (1, 2, None, 1, None, None)]
    assert answers(group(gn.sum("n", windows=["1s"])), rows, (1, 2), (1, 3)) == {"n_sum_1s": [2**63 - 1, 1]}


# ------------------------------------------------------------------------------------------ threads, given arrays

MANY = [
    (i * i % 17, i % 400, [0.1, 1e16, -1e16, None, float("nan")][i % 5], i % 7, "abc"[i % 3], None) for i in range(3000)
]  # fmt: skip
FEATURES = [
    gn.sum("x", windows=["50s"]), gn.std("n"), gn.median("n", windows=["50s"]), gn.last_k("s", 3, distinct=True),
    gn.n_distinct("s"), gn.max("x"), gn.first("s", limit=5), gn.count(where="n > 2", windows=["50s", "1s"]),
]  # fmt: skip


@pytest.mark.parametrize("given", [{}, {"lag": "7s"}, {"settling_delay": "3s"}])
@pytest.mark.parametrize("features", [FEATURES, [gn.Feature("x", float), gn.Feature("s", str)]])
def test_threads_change_no_bit(monkeypatch, features, given):
    layout = make_layout(group(*features, **given), SCHEMA)
    frame = normal(layout, MANY)
    spine = asked(*((i % 19, i % 450) for i in range(700)), (None, 5))

    def run(small, processors):
        monkeypatch.setattr(part, "_SMALL", small)
        monkeypatch.setattr(os, "cpu_count", lambda: processors)
        return answer(layout, layout.outputs, frame, spine, "known").columns

    alone = run(10**9, 8)
    for threaded in (run(0, 2), run(0, 7)):
        for one, other in zip(alone, threaded, strict=True):
            assert one.dtype == other.dtype
            assert same(one.to_list(), other.to_list()), one.name


def test_nothing_that_was_given_is_written_to():
    layout = make_layout(group(*FEATURES), SCHEMA)
    frame, spine = normal(layout, MANY), asked((3, 50), (None, 5), (1, 9))
    held, t = frame.clone(), spine.t.copy()
    answer(layout, layout.outputs, frame, spine, "known")
    assert frame.equals(held)
    assert (spine.t == t).all()


def test_rows_in_any_order_give_the_same_bits():
    layout = make_layout(group(*FEATURES), SCHEMA)
    frame, spine = normal(layout, MANY), asked(*((i % 19, i % 450) for i in range(200)))
    first = answer(layout, layout.outputs, frame, spine, "known").columns
    again = answer(
        layout, layout.outputs, frame.sample(fraction=1, shuffle=True, seed=3), spine, "known"
    ).columns
    assert all(same(a.to_list(), b.to_list()) for a, b in zip(first, again, strict=True))


# ---------------------------------------------------------------------------------------- the newest row alone


def picked_values(case: Case, frame: pl.DataFrame, layout, spine, as_of):
    picked = pick_newest(layout, frame, spine, as_of)
    assert picked is not None
    return [gather(frame[lane(output.input)], picked.position).to_list() for output in layout.outputs]


@given(state_cases())
@settings(max_examples=15)
def test_the_newest_row_is_the_row_of_the_answer(case):
    layout = make_layout(case.group, case.schema)
    rows = pl.DataFrame([{c: row.get(c) for c in case.schema} for row in case.rows], schema=case.schema)
    spine_rows = pl.DataFrame(
        [{c: row.get(c) for c in case.schema} for row in case.spine], schema=case.schema
    )
    keys = spine_rows.select(pl.col(name).alias(key(i)) for i, (name, _) in enumerate(layout.keys))
    spine = Spine(keys, np.array([instant(row["event_timestamp"]) for row in case.spine], np.int64))
    time = layout.timestamp
    # Rows in order of time are met in one pass; others are sorted.
    for frame in (rows.sort(time, nulls_last=True, maintain_order=True), rows):
        read = normalise(frame.lazy(), layout, with_content=True).collect()
        for as_of in ("known", "latest", 4 * SECOND):
            want = [c.to_list() for c in answer(layout, layout.outputs, read, spine, as_of).columns]
            assert same(picked_values(case, read, layout, spine, as_of), want)


def test_rows_that_tie_need_their_content():
    layout = make_layout(group(gn.Feature("n", int)), SCHEMA)
    tied = [(1, 1, None, 1, None, None), (1, 1, None, 2, None, None)]
    frame = normal(layout, tied)
    narrow = frame.select(key(0), "__t")
    assert pick_newest(layout, narrow, asked((1, 4)), "known") is None
    found = pick_newest(layout, frame, asked((1, 4)), "known")
    assert found is not None
    assert found.ties == 1


def test_times_before_all_time_do_not_wrap():
    layout = make_layout(group(gn.Feature("n", int), max_age="1s"), SCHEMA)
    frame = normal(layout, [(1, 1, None, 1, None, None)])
    spine = Spine(pl.DataFrame({key(0): [1]}), np.array([-(2**63)], np.int64))
    found = pick_newest(layout, frame, spine, "known")
    assert found is not None
    assert found.position.tolist() == [-1]
