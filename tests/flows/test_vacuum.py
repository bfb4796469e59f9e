"""Vacuum: what goes, what stays for whom, and what is told."""

from __future__ import annotations

import os

import pytest

import gnomon as gn
from gnomon.errors import Gone, UsageError
from tests.flows.small import HOUR, PLAN, VISITS, T, plan, train, visit


@pytest.fixture
def optimized(store):
    """Two files of inserts that were rewritten; a dataset was saved when there was the first alone."""
    store.insert(VISITS, [visit(1, T - HOUR, 1)])
    spine = [{"user": 1, "event_timestamp": T}]
    store.get_historical_features(spine, ["visits:ms_sum_1d"]).save("monday")
    store.insert(VISITS, [visit(1, T - 2 * HOUR, 2)])
    store.optimize("visits")
    return store


def test_files_of_replaced_versions_go_when_they_are_old_enough(optimized):
    assert optimized.vacuum().files == 0
    assert optimized.vacuum(older_than="1h").files == 0
    report = optimized.vacuum(older_than="0s")
    assert (report.files, report.broken) == (1, [])
    assert optimized.vacuum(older_than="0s").files == 0
    assert train(optimized, ["visits:ms_sum_1d"], [(1, T)]) == {"ms_sum_1d": [3]}


def test_what_a_dataset_was_made_from_stays_and_is_told(optimized):
    report = optimized.vacuum(older_than="0s")
    (group,) = [g for g in report.groups if g.group == "visits@1"]
    assert group.kept == {"monday": 1}
    assert "kept for 1 dataset: `monday` (1)" in str(report)
    assert optimized.dataset("monday").changed_sources() == {}


def test_datasets_of_other_projects_that_share_the_store_are_known(optimized, tmp_path):
    with gn.Store(offline=str(optimized.path / ".gnomon" / "offline")) as other:
        other.apply([VISITS])
        report = other.vacuum(older_than="0s")
    assert [(g.files, g.kept) for g in report.groups] == [(1, {"monday": 1})]
    assert optimized.dataset("monday").changed_sources() == {}


def test_by_force_it_goes_too_and_the_dataset_is_named(optimized):
    report = optimized.vacuum(older_than="0s", force=True)
    assert (report.files, report.broken) == (2, ["monday"])
    assert "needed by 1 dataset: `monday` (1)" in str(report)
    dataset = optimized.dataset("monday")
    assert list(dataset.changed_sources()) == ["visits@1"]
    assert dataset.to_polars()["ms_sum_1d"].to_list() == [1]


def test_a_dry_run_tells_the_same_and_removes_nothing(optimized):
    dry = optimized.vacuum(older_than="0s", dry_run=True, force=True)
    assert str(dry).endswith("to be removed")
    done = optimized.vacuum(older_than="0s", force=True)
    assert [(g.files, g.bytes, g.broken) for g in dry.groups] == [
        (g.files, g.bytes, g.broken) for g in done.groups
    ]
    assert done.bytes > 0


def test_an_older_version_cannot_be_read_any_more(optimized):
    optimized.vacuum(older_than="0s")
    offline = optimized._project.offline
    assert len(offline.scan("visits@1", offline.schema("visits@1"), version=0).collect()) == 1  # monday's
    with pytest.raises(Gone):
        offline.scan("visits@1", offline.schema("visits@1"), version=1)


def test_what_a_killed_writer_left_goes_when_no_running_one_can_own_it(store):
    store.insert(VISITS, [visit(1, T - HOUR)])
    orphan = store.path / ".gnomon" / "offline" / "visits@1" / "part-dead.parquet"
    orphan.write_bytes(b"half")
    assert store.vacuum("visits").files == 0
    os.utime(orphan, (0, 0))
    assert store.vacuum("visits").files == 1
    assert not orphan.exists()


def test_rows_of_a_removed_group_stay_whatever_their_age(store):
    store.insert(PLAN, [plan(1, T - HOUR, "free")])
    store.apply([VISITS], prune=True)
    store.apply([PLAN])
    assert store.vacuum(older_than="0s", force=True).files == 0
    offline = store._project.offline
    assert len(offline.scan("plan@1", offline.schema("plan@1"), version=0).collect()) == 1


def test_an_age_below_nothing_is_refused(store):
    with pytest.raises(UsageError):
        store.vacuum(older_than=-1)


def test_groups_without_rows_have_nothing_to_remove(store):
    assert str(store.vacuum(older_than="0s")) == "0 files, 0.0 MB removed"
