"""The project that `gnomon init` writes."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon import config
from gnomon.cli import starter
from gnomon.cli.starter import features
from gnomon.define.collect import collect
from gnomon.errors import UsageError
from gnomon.flows.definitions import load_definitions


def test_data_are_the_same_on_every_machine(tmp_path):
    starter.write(tmp_path / "a")
    starter.write(tmp_path / "b")
    for name in ("orders.csv", "spine.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    lines = (tmp_path / "a" / "orders.csv").read_text().splitlines()
    assert lines[:2] == [
        "order_id,customer,ordered_at,category,amount,items",
        "1001,c14,2025-01-01T09:22:28Z,kitchen,19.76,4",
    ]


def test_data_are_made_up_and_say_so(tmp_path):
    starter.write(tmp_path)
    assert "**made up**" in (tmp_path / "README.md").read_text()
    assert "made up" in (tmp_path / "features.py").read_text()


def test_spine_asks_only_about_times_after_some_orders_and_before_the_example(tmp_path):
    starter.write(tmp_path)
    orders = pl.read_csv(tmp_path / "orders.csv")
    spine = pl.read_csv(tmp_path / "spine.csv")
    assert len(orders) == 300
    assert orders["order_id"].n_unique() == 300
    assert orders["ordered_at"].min() < spine["event_timestamp"].min()
    assert orders["ordered_at"].max() < starter.ASK_AT
    assert set(spine["customer"]) - set(orders["customer"]) == {"c99"}


def test_definitions_are_the_tested_ones(tmp_path):
    starter.write(tmp_path)
    written, tested = collect(load_definitions(config.load(tmp_path))), collect(features)
    assert written.groups == tested.groups
    assert [f.source_hash for f in written.on_demand] == [f.source_hash for f in tested.on_demand]


@pytest.mark.parametrize("name", ["shop", 'a "shop"', "back\\slash", "naïve"])
def test_any_name_of_a_folder_gives_a_readable_project(tmp_path, name):
    starter.write(tmp_path / name)
    assert config.load(tmp_path / name).definitions == "features.py"


def test_file_in_the_place_of_the_folder_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UsageError, match="in use"):
        starter.write(file)
