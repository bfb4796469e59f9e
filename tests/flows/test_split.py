"""Parts of a training set: exact at their edges, the same in every order, and what leaks between them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gnomon as gn
from gnomon.errors import DataError, UsageError
from gnomon.flows.contents import Contents, LabelColumn
from gnomon.flows.split import Assigned, assign
from tests.flows.small import DAY, HOUR, US, T

LABEL = LabelColumn("next", 7 * 86_400_000_000, ("user",))


def contents(frame: pl.DataFrame, *labels: LabelColumn, features: tuple[str, ...] = ()) -> Contents:
    own = tuple(name for name in frame.columns if name not in features)
    return Contents("at", ("user",), own, features, labels)


def rows(*times: datetime, users: Any = None) -> pl.DataFrame:
    return pl.DataFrame({"user": users or [1] * len(times), "at": list(times)})


def split(frame: pl.DataFrame, how: Any, *labels: LabelColumn) -> Assigned:
    return assign(frame, contents(frame, *labels), how)


def parts(found: Assigned) -> dict[str, list[int]]:
    return {name: numbers.tolist() for name, numbers in found.rows.items()}


def many(n: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "user": rng.integers(0, n // 5, n),
            "at": [T + int(h) * HOUR for h in rng.integers(0, 24 * 60, n)],
            "late": rng.random(n) < 0.1,
        }
    )


# -------------------------------------------------------------------------------------------------- by time


def test_the_gap_is_exact_to_the_microsecond():
    frame = rows(T - DAY - US, T - DAY, T - US, T, T + US)
    found = split(frame, gn.TimeSplit(T, gap="1d"))
    assert parts(found) == {"train": [0], "test": [3, 4]}
    assert found.left_out == 2


def test_validation_lies_between_with_a_gap_on_both_sides():
    frame = rows(T - 4 * DAY, T - 3 * DAY, T - 2 * DAY, T - DAY - US, T - DAY, T)
    found = split(frame, gn.TimeSplit(T, validate_from=T - 2 * DAY, gap="1d"))
    assert parts(found) == {"train": [0], "validation": [2, 3], "test": [5]}


def test_without_a_gap_given_it_is_as_long_as_the_longest_label():
    frame = rows(T - 7 * DAY - US, T - 7 * DAY, T)
    assert parts(split(frame, gn.TimeSplit(T), LABEL, LabelColumn("soon", 1, ()))) == {
        "train": [0],
        "test": [2],
    }
    assert parts(split(frame, gn.TimeSplit(T))) == {"train": [0, 1], "test": [2]}


def test_a_gap_shorter_than_a_label_is_told_with_the_rows_that_reach_over():
    frame = rows(T - 8 * DAY, T - 7 * DAY, T - 7 * DAY + US, T - 2 * DAY, T - DAY, T)
    found = split(frame, gn.TimeSplit(T, gap="2d"), LABEL)
    (leak,) = found.leaks
    assert leak.startswith("the gap of 2d is shorter than the 7d of label `next`: the windows of 1 row reach")
    assert split(frame, gn.TimeSplit(T, gap="7d"), LABEL).leaks == ()


def test_walking_forward_trains_on_all_that_came_before():
    frame = rows(*(T + i * DAY for i in range(8)))
    found = split(frame, gn.WalkForward(2, test_from=T + 4 * DAY, gap="1d"))
    # From T + 4d to the instant after the last row, in two.
    assert parts(found) == {
        "train_1": [0, 1, 2],
        "test_1": [4, 5],
        "train_2": [0, 1, 2, 3, 4],
        "test_2": [6, 7],
    }
    assert found.left_out == 0
    thirds = split(frame, gn.WalkForward(3, gap=0))
    assert [len(numbers) for name, numbers in thirds.rows.items() if name.startswith("test")] == [2, 2, 2]
    assert set(np.concatenate(list(thirds.rows.values()))) == set(range(8))


def test_folds_need_rows():
    with pytest.raises(DataError, match="without rows has no folds"):
        split(rows().cast({"at": pl.Datetime("us"), "user": pl.Int64}), gn.WalkForward(2))
    with pytest.raises(UsageError, match="after the last row"):
        split(rows(T), gn.WalkForward(2, test_from=T + US))


# --------------------------------------------------------------------------------------------------- by hash

CHANCE = [gn.EntitySplit(), gn.EntitySplit("late"), gn.RandomSplit(seed=3), gn.RandomSplit(stratify="late")]


@pytest.mark.parametrize("how", [*CHANCE, gn.TimeSplit(T + 30 * DAY), gn.WalkForward(3)], ids=repr)
def test_a_row_falls_where_it_falls_in_every_order(how):
    frame = many(500)
    order = np.random.default_rng(1).permutation(500)
    here, there = split(frame, how), split(frame[order], how)
    for name, numbers in here.rows.items():
        assert sorted(order[there.rows[name]].tolist()) == numbers.tolist() or _alike(
            frame, order, numbers, there, name
        )


def _alike(frame: pl.DataFrame, order: Any, numbers: Any, there: Assigned, name: str) -> bool:
    """Equal rows may stand for each other."""
    return frame[numbers].sort(pl.all()).equals(frame[order][there.rows[name]].sort(pl.all()))


@pytest.mark.parametrize("how", CHANCE, ids=repr)
def test_every_row_is_in_one_part(how):
    found = split(many(500), how)
    assert sorted(np.concatenate(list(found.rows.values())).tolist()) == list(range(500))
    assert found.left_out == 0


def test_no_key_is_in_two_parts_and_shares_are_met_about():
    frame = many(20_000)
    found = split(frame, gn.EntitySplit(shares={"train": 0.7, "dev": 0.1, "test": 0.2}))
    users = {name: set(frame["user"][numbers].to_list()) for name, numbers in found.rows.items()}
    assert sum(map(len, users.values())) == len(set().union(*users.values()))
    total = sum(map(len, users.values()))
    assert [round(len(u) / total, 1) for u in users.values()] == [0.7, 0.1, 0.2]


def test_a_key_stays_in_its_part_when_others_come_and_in_every_width():
    frame = many(300)
    whole = split(frame, gn.EntitySplit(seed=5))
    few = split(frame.head(40).cast({"user": pl.Int16}), gn.EntitySplit(seed=5))
    assert few.rows["test"].tolist() == [i for i in whole.rows["test"] if i < 40]
    assert split(frame, gn.EntitySplit(seed=6)).rows["test"].tolist() != whole.rows["test"].tolist()


def test_features_do_not_decide_where_a_row_falls():
    frame = many(300)
    wider = frame.with_columns(f=pl.int_range(300))
    here = assign(frame, contents(frame), gn.RandomSplit())
    there = assign(wider, contents(wider, features=("f",)), gn.RandomSplit())
    assert parts(here) == parts(there)


def test_equal_rows_fall_together():
    frame = pl.concat([many(200)] * 3)
    for how in (gn.RandomSplit(), gn.RandomSplit(stratify="late")):
        test = set(split(frame, how).rows["test"].tolist())
        assert test == {i + k for i in {row % 200 for row in test} for k in (0, 200, 400)}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=60), st.integers(0, 5))
def test_each_value_is_shared_out_to_the_row(values, seed):
    frame = pl.DataFrame(
        {"user": range(len(values)), "at": [T] * len(values), "s": values}, schema_overrides={"s": pl.String}
    )
    found = split(frame, gn.RandomSplit({"train": 0.6, "dev": 0.2, "test": 0.2}, seed=seed, stratify="s"))
    for value in {"a", "b", None}:
        has = [v == value for v in values]
        n = sum(has)
        sizes = [sum(has[i] for i in numbers) for numbers in found.rows.values()]
        cuts = [int(np.floor(edge * n + 0.5)) for edge in np.cumsum([0.6, 0.2])]
        assert sizes == [cuts[0], cuts[1] - cuts[0], n - cuts[1]]


def test_a_frame_without_rows_has_parts_without_rows():
    frame = rows().cast({"at": pl.Datetime("us"), "user": pl.Int64})
    for how in (gn.TimeSplit(T), gn.EntitySplit(), gn.RandomSplit(), gn.RandomSplit(stratify="user")):
        assert parts(split(frame, how)) == {"train": [], "test": []}


def test_a_column_that_is_not_there_offers_the_nearest():
    frame = many(10)
    with pytest.raises(UsageError, match="no column `lat`"):
        split(frame, gn.RandomSplit(stratify="lat"))
    with pytest.raises(UsageError, match="did you mean `user`"):
        split(frame, gn.EntitySplit("usr"))
    with pytest.raises(UsageError, match="keys of the training set are not known"):
        assign(frame, Contents("at", (), tuple(frame.columns), (), ()), gn.EntitySplit())


# ------------------------------------------------------------------------------------------------------ leaks


def overlapping(frame: pl.DataFrame, test: set[int]) -> int:
    """Rows with a row of the same key in the other part, less than a week away: slow and plain."""
    found = 0
    for i, (user, at) in enumerate(frame.select("user", "at").iter_rows()):
        found += any(
            user == u and abs(at - t) < 7 * DAY and (i in test) != (j in test)
            for j, (u, t) in enumerate(frame.select("user", "at").iter_rows())
        )
    return found


@pytest.mark.parametrize("seed", range(4))
def test_windows_that_overlap_between_parts_are_counted(seed):
    frame = many(120, seed)
    found = split(frame, gn.RandomSplit(seed=seed), LABEL)
    n = overlapping(frame, set(found.rows["test"].tolist()))
    (leak,) = found.leaks
    assert leak.startswith(f"the windows of label `next` overlap between parts for {n} rows")


def test_rows_a_window_apart_do_not_overlap():
    frame = rows(T, T + 7 * DAY, T + 14 * DAY, T + 21 * DAY)
    for seed in range(8):
        assert split(frame, gn.RandomSplit({"a": 0.5, "b": 0.5}, seed=seed), LABEL).leaks == ()


def test_parts_by_the_labels_key_do_not_overlap():
    assert split(many(500), gn.EntitySplit(), LABEL).leaks == ()
    assert split(many(500), gn.EntitySplit("at"), LABEL).leaks != ()
