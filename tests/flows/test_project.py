"""What all flows share: stores opened once, layouts of registered groups, the code of functions."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DefinitionError, UsageError
from gnomon.flows.definitions import load_definitions
from gnomon.flows.project import Project
from gnomon.flows.table import TableReader
from gnomon.sources.file import FileReader
from tests.flows.small import PLAN, USER, VISITS, T, visits, write

DEFINITIONS = """
import polars as pl
import gnomon as gn

user = gn.Entity("user", keys={"user": pl.Int64})
plan = gn.FeatureGroup("plan", entity=user, timestamp="at", features=[gn.Feature("name", pl.String)])


@gn.on_demand(inputs=[plan["name"]], returns={"loud": pl.String})
def loud(name: pl.Series) -> pl.Series:
    return name.str.to_uppercase()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "x"\n')
    (tmp_path / "features.py").write_text(DEFINITIONS)
    return tmp_path


def apply_from_file(folder: Path, clock) -> None:
    with gn.Store(folder, clock=clock) as store:
        store.apply(load_definitions(store._project.config))


def test_a_layout_is_made_once_for_one_definition_and_anew_for_another(store):
    project, snapshot = store._project, store.registry.snapshot()
    group = snapshot.group("visits")
    assert project.layout(snapshot, group) is project.layout(snapshot, group)
    more = visits(gn.max("ms"))
    store.apply([more])
    later = store.registry.snapshot()
    assert "ms_max" in project.layout(later, later.group("visits")).by_name


def test_a_registered_layout_has_the_types_found_at_apply_whatever_the_file_holds_now(bare, data):
    path = write(data, "a.parquet", [{"user": 1, "at": T, "x": 1}])
    source = gn.FileSource("a", "a.parquet", timestamp="at")
    bare.apply([gn.FeatureGroup("g", entity=USER, source=source, features=[gn.sum("x")])])
    path.unlink()
    snapshot = bare.registry.snapshot()
    assert bare._project.layout(snapshot, snapshot.group("g")).by_name["x_sum"].dtype == pl.Int64


def test_rows_are_read_from_the_source_or_the_groups_own_table(bare, data):
    write(data, "a.parquet", [{"user": 1, "at": T}])
    source = gn.FileSource("a", "a.parquet", timestamp="at")
    filed = gn.FeatureGroup("g", entity=USER, source=source, features=[gn.count()])
    assert isinstance(bare._project.reader(filed), FileReader)
    assert isinstance(bare._project.reader(PLAN), TableReader)


def test_a_reader_of_a_registered_group_reads_in_the_types_that_it_was_applied_with(bare, data):
    path = write(data, "a.parquet", [{"user": 1, "at": T, "x": 1}])
    source = gn.FileSource("a", "a.parquet", timestamp="at")
    group = gn.FeatureGroup("g", entity=USER, source=source, features=[gn.sum("x")])
    bare.apply([group])
    snapshot = bare.registry.snapshot()
    reader = bare._project.reader(group, bare._project.layout(snapshot, group))
    write(
        data,
        path.name,
        [{"user": 1, "at": T, "x": 1}],
        schema={"user": pl.Int32, "at": pl.Datetime, "x": pl.Int8},
    )
    assert reader.scan(["user", "x"]).collect_schema() == {"user": pl.Int64, "x": pl.Int64}
    assert bare._project.reader(group).scan(["x"]).collect_schema() == {"x": pl.Int8}


def test_the_newest_revision_of_this_process_is_seen_at_once(store):
    before = store._project.recent_snapshot()
    assert store._project.recent_snapshot() is before
    store.apply([gn.FeatureService("s", features=[VISITS])])
    assert store._project.recent_snapshot().revision == before.revision + 1


def test_a_service_that_this_process_has_changed_is_answered_as_changed(store):
    store.apply([gn.FeatureService("s", features=[VISITS["count_1h"]])])
    assert store.get_online_features("s", [{"user": 1}]).names == ("count_1h",)
    store.apply([gn.FeatureService("s", features=[VISITS["count_1h"], PLAN])])
    assert store.get_online_features("s", [{"user": 1}]).names == ("count_1h", "name")


def test_functions_of_a_definitions_file_are_found_by_a_process_that_did_not_apply_them(folder, clock):
    apply_from_file(folder, clock)
    with gn.Store(folder, clock=clock) as store:
        store.insert("plan", [{"user": 1, "at": T, "name": "free"}])
        found = store.get_historical_features([{"user": 1, "event_timestamp": T}], ["loud"])
        assert found.to_polars()["loud"].to_list() == ["FREE"]


def test_a_function_whose_code_has_changed_is_refused_with_both_hashes(folder, clock):
    apply_from_file(folder, clock)
    (folder / "features.py").write_text(DEFINITIONS.replace("uppercase", "lowercase"))
    with (
        gn.Store(folder, clock=clock) as store,
        pytest.raises(DefinitionError, match="not the code that was applied"),
    ):
        store.get_historical_features([{"user": 1, "event_timestamp": T}], ["loud"])


def test_closing_twice_is_fine_and_closing_what_was_never_opened_too(folder):
    project = Project(gn.Store(folder)._project.config)
    project.registry.history()
    project.online.tables()
    project.close()
    project.close()
    Project(project.config).close()


def test_after_closing_nothing_is_opened_again(folder):
    project = Project(gn.Store(folder)._project.config)
    project.close()
    for part in ("registry", "offline", "online", "engine"):
        with pytest.raises(UsageError, match="the store is closed"):
            getattr(project, part)


def test_whoever_does_not_say_who_they_are_has_the_systems_name(folder, monkeypatch):
    monkeypatch.setenv("LOGNAME", "maria")
    config = gn.Store(folder)._project.config
    assert Project(config).author == "maria"
    assert Project(config, author="ana").author == "ana"
