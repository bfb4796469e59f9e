"""Optimizing: fewer files, the same answers, and who is told what."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import UsageError
from tests.flows.small import HOUR, PLAN, VISITS, T, plan, train, visit, write


def fill(store):
    for number in range(3):
        store.insert(VISITS, [visit(u, T - u * HOUR, number) for u in (3, 1, 2)])
        store.insert(PLAN, [plan(u, T - number * HOUR, f"p{number}") for u in (2, 1)])


def test_tables_become_one_file_in_order_and_answers_stay(store):
    fill(store)
    features = ["visits:count_1d", "visits:ms_sum_1d", "plan:name"]
    questions = [(u, T - h * HOUR) for u in range(4) for h in range(3)]
    before = train(store, features, questions)
    report = store.optimize()
    assert [(g.group, g.files_before, g.files_after) for g in report.groups] == [
        ("plan@1", 3, 1), ("visits@1", 3, 1),
    ]  # fmt: skip
    assert train(store, features, questions) == before
    offline = store._project.offline
    frame = offline.scan("visits@1", offline.schema("visits@1")).collect()
    assert frame.equals(frame.sort("user", "at", maintain_order=True))


def test_a_second_time_there_is_nothing_to_do(store):
    fill(store)
    store.optimize("visits")
    assert str(store.optimize("visits")) == "visits@1: nothing to do, 1 file"
    assert str(store.optimize(["plan"])).startswith("plan@1: 3 files → 1, ")


def test_a_table_that_does_not_exist_yet_has_nothing_to_do(store):
    assert str(store.optimize("visits")) == "visits@1: nothing to do, 0 files"


def test_inserting_the_same_rows_again_changes_nothing_after_it(store):
    fill(store)
    store.optimize()
    assert store.insert(VISITS, [visit(1, T - HOUR, 0)]).accepted == 0


def test_a_group_with_a_source_has_no_table(bare):
    write(bare.path, "v.parquet", [visit(1, T)])
    source = gn.FileSource("v", path="v.parquet", timestamp="at")
    group = gn.FeatureGroup(
        "v", entity=VISITS.entities[0], source=source, features=[gn.count(windows=["1d"])]
    )
    bare.apply([group])
    for work in (bare.optimize, bare.vacuum):
        with pytest.raises(UsageError, match="no table of its own"):
            work("v")
    assert str(bare.optimize()) == "no group keeps rows of its own"


def test_a_group_without_keys_is_sorted_by_time(bare):
    group = gn.FeatureGroup(
        "all", timestamp="at", schema={"ms": pl.Int64}, features=[gn.count(windows=["1d"])]
    )
    bare.apply([group])
    for h in (3, 1, 2):
        bare.insert(group, [{"at": T - h * HOUR, "ms": h}])
    bare.optimize()
    frame = bare._project.offline.scan("all@1", {"ms": pl.Int64()}).collect()
    assert frame["ms"].to_list() == [3, 2, 1]
