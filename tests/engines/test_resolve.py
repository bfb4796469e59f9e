"""Rows as read become rows in order: keys are matched, versions resolved, and it is told when each is seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gnomon as gn
from gnomon.engines.resolve import ContentNeeded, match_keys, needs_content, orders, resolve
from gnomon.errors import DataError
from gnomon.plan.layout import make_layout
from gnomon.plan.normal import PART, key, normalise
from gnomon.testing import reference
from gnomon.testing.strategies import Case, event_cases, state_cases
from gnomon.time import NEVER, SECOND, instant

START = datetime(1970, 1, 1, tzinfo=UTC)
SCHEMA = {
    "k": pl.Int64(), "t": pl.Datetime("us", "UTC"), "known": pl.Datetime("us", "UTC"), "id": pl.Int64(),
    "x": pl.Int64(),
}  # fmt: skip


def at(seconds):
    return None if seconds is None else START + timedelta(seconds=seconds)


def group(*features, **given):
    return gn.FeatureGroup(
        "g",
        entity=gn.Entity("e", keys={"k": int}),
        features=features or [gn.last("x")],
        timestamp="t",
        schema=SCHEMA,
        **given,
    )


def resolved(declared, *rows, as_of="known", parts=None):
    """Rows are (k, t, known, id, x) in seconds; returns what is resolved, and each x with when it is seen."""
    layout = make_layout(declared, SCHEMA)
    table = pl.DataFrame(
        [{"k": k, "t": at(t), "known": at(known), "id": i, "x": x} for k, t, known, i, x in rows],
        schema=SCHEMA,
    )
    keep = []
    if parts is not None:
        table, keep = table.with_columns(pl.Series(PART, parts)), [PART]
    frame = normalise(table.lazy(), layout, with_content=True, keep=keep).collect()
    found = resolve(layout, frame, frame[key(0)].to_numpy(writable=True) - 1, as_of, layout.outputs)
    known = found.known if len(found.known) else found.time
    until = found.until if len(found.until) else np.full(len(found.time), NEVER)
    seen = [
        (int(table["x"][int(p)]), int(k) // SECOND, None if u == NEVER else int(u) // SECOND)
        for p, k, u in zip(found.position, known, until, strict=True)
    ]
    return found, seen


# ------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("keys", "asked", "rows"),
    [
        ({"a": int}, [(5,), (None,), (7,), (5,)], [(7,), (5,), (9,)]),
        ({"a": str}, [("x",), (None,), ("",), ("x",)], [("",), ("x",), ("z",)]),
        ({"a": str, "b": int}, [("x", 1), ("x", None), ("y", 1), ("x", 1)], [("y", 1), ("x", 1), ("x", 2)]),
        ({"a": bool}, [(True,), (None,), (False,), (True,)], [(False,), (True,), (True,)]),
    ],
)
def test_equal_keys_get_one_number_and_null_or_unknown_ones_none(keys, asked, rows):
    declared = gn.FeatureGroup("g", entity=gn.Entity("e", keys=keys), features=[gn.count()], timestamp="t")
    schema = dict(declared.keys)
    layout = make_layout(declared, {**schema, "t": pl.Datetime("us")})
    frames = [
        pl.DataFrame(given, schema={key(i): d for i, d in enumerate(schema.values())}, orient="row")
        for given in (asked, rows)
    ]
    q_code, row_code = match_keys(frames[0], len(asked), frames[1], layout)
    assert q_code[0] == q_code[3] == row_code[1] >= 0
    assert q_code[2] == row_code[0] >= 0
    assert q_code[1] == -1
    assert len({*q_code.tolist()}) == 3
    if rows[2] not in asked:
        assert row_code[2] == -1
    # What is read-only is another type to compiled code.
    assert q_code.flags.writeable
    assert row_code.flags.writeable


def test_without_key_columns_there_is_one_key():
    declared = gn.FeatureGroup("g", features=[gn.count()], timestamp="t")
    layout = make_layout(declared, {"t": pl.Datetime("us")})
    q_code, row_code = match_keys(pl.DataFrame(), 3, pl.DataFrame({"__t": [1, 2]}), layout)
    assert (q_code.tolist(), row_code.tolist()) == ([0, 0, 0], [0, 0])


# ------------------------------------------------------------------------------------------------ event groups


def test_rows_come_in_order_of_key_and_time():
    found, seen = resolved(
        group(), (2, 1, None, 1, 10), (1, 5, None, 2, 20), (1, 3, None, 3, 30), (0, 9, None, 4, 40)
    )
    assert [x for x, _, _ in seen] == [30, 20, 10]
    assert found.code.tolist() == [0, 0, 1]
    assert (len(found.known), len(found.until)) == (0, 0)


def test_equal_rows_of_one_batch_all_count():
    _, seen = resolved(group(), (1, 3, None, 1, 7), (1, 3, None, 2, 7))
    assert [x for x, _, _ in seen] == [7, 7]


def test_rows_that_another_batch_brought_do_not_count_again():
    rows = [(1, 3, None, 1, 7), (1, 3, None, 2, 7), (1, 4, None, 3, 8)]
    _, seen = resolved(group(), *rows, *rows, *rows[:1], parts=["a"] * 3 + ["b"] * 3 + ["c"])
    assert [x for x, _, _ in seen] == [7, 7, 8]
    _, more = resolved(group(), *rows[:1], *rows, parts=["a"] + ["b"] * 3)
    assert [x for x, _, _ in more] == [7, 7, 8]


def test_rows_of_one_time_are_ordered_by_their_ids():
    rows = [(1, 3, None, i, 10 * i) for i in (5, 2, 9)]
    _, seen = resolved(group(event_id="id"), *rows)
    assert [x for x, _, _ in seen] == [20, 50, 90]


def test_a_declared_known_at_orders_before_the_id():
    _, seen = resolved(group(event_id="id", known_at="known"), (1, 3, 9, 1, 10), (1, 3, 4, 2, 20))
    assert seen == [(20, 4, None), (10, 9, None)]


def test_a_later_version_replaces_the_earlier_from_its_known_at_on():
    declared = group(event_id="id", known_at="known")
    rows = [(1, 3, 3, 1, 10), (1, 3, 8, 1, 11), (1, 2, 20, 1, 12), (1, 5, 5, 2, 50)]
    _, seen = resolved(declared, *rows)
    assert sorted(seen) == [(10, 3, 8), (11, 8, 20), (12, 20, None), (50, 5, None)]
    assert [x for x, _, _ in resolved(declared, *rows, as_of="latest")[1]] == [12, 50]
    assert [x for x, _, _ in resolved(declared, *rows, as_of=10 * SECOND)[1]] == [11, 50]
    assert resolved(declared, *rows, as_of=2 * SECOND)[1] == []


def test_what_is_not_known_yet_is_the_latest_version_all_the_same():
    declared = group(event_id="id", known_at="known")
    rows = [(1, 3, 3, 1, 10), (1, 3, None, 1, 11)]
    assert (10, 3, None) in resolved(declared, *rows)[1]
    assert [x for x, _, _ in resolved(declared, *rows, as_of="latest")[1]] == [11]


def test_the_same_content_again_changes_nothing_and_keeps_when_it_was_known():
    declared = group(event_id="id", lag="1s")
    _, seen = resolved(declared, (1, 3, None, 1, 10), (1, 3, None, 1, 10))
    assert seen == [(10, 4, None)]


def test_one_id_under_two_keys_are_two_rows():
    _, seen = resolved(group(event_id="id"), (1, 3, None, 1, 10), (2, 3, None, 1, 20))
    assert [x for x, _, _ in seen] == [10, 20]


def test_two_contents_of_one_id_known_at_one_time_are_an_error():
    with pytest.raises(DataError, match="event_id `id` is not unique: 2 rows") as caught:
        resolved(group(event_id="id"), (1, 3, None, 7, 10), (1, 3, None, 7, 11))
    assert caught.value.at == "id = 7"
    assert "later known_at" in caught.value.hint


def test_ids_of_keys_that_nobody_asks_about_are_not_looked_at():
    _, seen = resolved(group(event_id="id"), (0, 3, None, 7, 10), (0, 3, None, 7, 11), (1, 3, None, 7, 12))
    assert [x for x, _, _ in seen] == [12]


def test_a_row_without_an_id_is_an_error():
    with pytest.raises(DataError, match="`id` is null in 1 row"):
        resolved(group(event_id="id"), (1, 3, None, None, 10))


def test_a_lag_moves_when_rows_are_seen_and_not_their_order():
    _, seen = resolved(group(lag="5s"), (1, 3, None, 1, 10), (1, 2, None, 2, 20))
    assert seen == [(20, 7, None), (10, 8, None)]


# ------------------------------------------------------------------------------------------------ state groups

STATE = gn.Feature("x", int)


def test_of_one_time_the_version_known_last_counts_from_then_on():
    found, seen = resolved(
        group(STATE, known_at="known"), (1, 3, 3, 1, 10), (1, 3, 8, 2, 11), (1, 4, 4, 3, 12)
    )
    assert sorted(seen) == [(10, 3, 8), (11, 8, None), (12, 4, None)]
    assert found.ties == 0


def test_of_one_time_and_known_at_the_greater_id_counts():
    found, seen = resolved(group(STATE, event_id="id"), (1, 3, None, 9, 10), (1, 3, None, 2, 11))
    assert seen == [(10, 3, None)]
    assert found.ties == 1


def test_without_an_id_the_content_decides_whatever_the_order():
    rows = [(1, 3, None, 1, x) for x in (10, 11, 12)]
    found, seen = resolved(group(STATE), *rows)
    assert len(seen) == 1
    assert found.ties == 2
    assert resolved(group(STATE), *rows[::-1])[1] == seen


def test_the_same_row_again_is_no_tie():
    found, seen = resolved(group(STATE), (1, 3, None, 1, 10), (1, 3, None, 1, 10))
    assert (len(seen), found.ties) == (1, 0)


def test_content_that_is_missing_is_asked_for():
    layout = make_layout(group(STATE), SCHEMA)
    frame = pl.DataFrame({key(0): [1, 1], "__t": [3, 3]})
    with pytest.raises(ContentNeeded):
        resolve(layout, frame, np.zeros(2, np.int64), "known", ())


# -------------------------------------------------------------------------------------- against the reference


def expected(case: Case, as_of: Any, t: int) -> list[tuple[Any, int, tuple[int, int]]]:
    """(key, event time, content) of the rows that count at t, in order."""
    versions = reference.read(case.group, case.batches, case.schema)
    counting = reference.counting(case.group, reference.seen(versions, as_of, t))
    return sorted((v.key, v.time, v.content) for v in counting)


def got(case: Case, as_of: Any, t: int) -> list[tuple[Any, int, tuple[int, int]]]:
    from_batches = [{**row, PART: f"{i}"} for i, batch in enumerate(case.batches) for row in batch]
    schema = {**case.schema, PART: pl.String()}
    layout = make_layout(case.group, case.schema)
    table = pl.DataFrame([{c: row.get(c) for c in schema} for row in from_batches], schema=schema)
    frame = normalise(table.lazy(), layout, with_content=True, keep=[PART]).collect()
    keys = [f"__k{i}" for i in range(len(layout.keys))]
    asked = frame.select(keys).unique() if keys else pl.DataFrame()
    _, code = match_keys(asked, len(asked), frame, layout)
    rows = resolve(layout, frame, code, as_of, layout.outputs)
    h1, h2 = reference.content_hashes(frame, layout)
    known = rows.known if len(rows.known) else rows.time
    until = rows.until if len(rows.until) else np.full(len(rows.time), NEVER)
    if as_of != "known":
        known = np.full(len(known), -NEVER)
    return sorted(
        (tuple(frame.select(keys).row(p)) if keys else (), int(time), (int(h1[p]), int(h2[p])))
        for p, time, k, u in zip(rows.position.tolist(), rows.time, known, until, strict=True)
        if k <= t < u
    )


@given(
    st.one_of(event_cases(), state_cases()),
    st.sampled_from(["known", "known", "latest", 4 * SECOND]),
    st.integers(-3, 30),
)
@settings(max_examples=30)
def test_the_rows_that_count_are_those_of_the_reference(case, as_of, seconds):
    t = instant(at(seconds))
    assert got(case, as_of, t) == expected(case, as_of, t)


# -------------------------------------------------------------------------------------------- what must be read


def outputs(*features, **given):
    layout = make_layout(group(*features, **given), SCHEMA)
    return layout, layout.outputs


def test_content_is_read_only_where_it_may_decide():
    assert not needs_content(*outputs(gn.sum("x"), gn.max("x")), many_parts=False)
    assert needs_content(*outputs(gn.sum("x")), many_parts=True)
    assert needs_content(*outputs(gn.sum("x"), event_id="id"), many_parts=False)
    assert needs_content(*outputs(gn.last("x")), many_parts=False)
    assert needs_content(*outputs(STATE), many_parts=False)


def test_order_matters_to_ends_lists_and_limits_only():
    assert not orders(outputs(gn.sum("x"), gn.median("x"), gn.time_since_last())[1])
    for feature in (gn.first("x"), gn.last_k("x", 2), gn.sum("x", limit=3)):
        assert orders(outputs(gn.count(), feature)[1])
