"""The demo's proof: it holds on real flights, and a fault in how values are written or kept turns it red."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gnomon.demo import ask, data
from gnomon.demo.run import NOW, Outcome, prove, spine_of, write_project
from gnomon.flows import load as flow
from gnomon.online.arrays import WordColumn
from gnomon.store import Store
from tests.stores import online_url

KEYS = [pl.col(key).is_not_null() for key in ask.KEYS]


@pytest.fixture(scope="module")
def flights(tmp_path_factory) -> Path:
    """The demo's data, prepared once."""
    folder = tmp_path_factory.mktemp("flights")
    data.prepare(folder / "data")
    return folder


@pytest.fixture
def project(flights, tmp_path) -> Path:
    shutil.copytree(flights / "data", tmp_path / "data")
    write_project(tmp_path)
    return tmp_path


def questions(folder: Path) -> pl.DataFrame:
    recent = pl.col("event_timestamp").is_between(NOW - pl.duration(hours=6), NOW, closed="left")
    return spine_of(folder).filter(recent & pl.all_horizontal(KEYS))


def training(store: Store, asked: pl.DataFrame) -> pl.DataFrame:
    return store.get_historical_features(asked, ask.SERVICE).to_polars()


def test_a_fresh_process_answers_with_the_training_sets_bits(project):
    asked = questions(project)
    with Store(project) as store:
        write_project(project).apply_to(store)
        store.materialize(end=NOW)
        offline = training(store, asked)
    result = prove(project, asked, offline)
    assert result.values == len(asked) * 28 > 5_000
    assert result.differ == 0
    assert str(result).endswith("0 differ")


@pytest.mark.parametrize("name", ["valkey", "postgres"])
def test_a_fresh_process_answers_with_the_same_bits_through_a_server(project, name, request):
    asked = questions(project)
    url = online_url(name, request, project)
    with Store(project, online=url) as store:
        write_project(project).apply_to(store)
        store.materialize(end=NOW)
        offline = training(store, asked)
    result = prove(project, asked, offline, through=url)
    assert result.values == len(asked) * 28 > 5_000
    assert result.differ == 0


def test_the_demo_agrees_only_if_every_store_the_log_and_the_server_do():
    good, bad = {"values": 9, "differ": 0}, {"values": 9, "differ": 1}
    sound = {"verified": {"ok": True}, "http": {"differ": []}}
    assert Outcome("", compared=good, **sound).agrees
    assert Outcome("", compared=good, through={"Redis": good}, **sound).agrees
    assert not Outcome("", compared=good, through={"Redis": good, "PostgreSQL": bad}, **sound).agrees
    assert not Outcome("", compared=bad, through={"Redis": good}, **sound).agrees
    assert not Outcome("", compared=good, **(sound | {"verified": {"ok": False}})).agrees
    assert not Outcome("", compared=good, **(sound | {"http": {"differ": ["temp"]}})).agrees
    assert not Outcome("", compared=good).agrees
    assert not Outcome("").agrees


def test_a_fault_in_the_codec_is_found(project, monkeypatch):
    encode = flow.encode

    def faulty(column: pl.Series):
        made = encode(column)
        if isinstance(made, WordColumn) and column.dtype == pl.Float64 and len(made):
            words = made.words.copy()
            words[-1] ^= 1  # the last bit of one value a lane
            return WordColumn(words, made.width, made.valid)
        return made

    asked = questions(project)
    with Store(project) as store:
        write_project(project).apply_to(store)
        monkeypatch.setattr(flow, "encode", faulty)
        store.materialize(end=NOW)
        monkeypatch.undo()
        offline = training(store, asked)
    result = prove(project, asked, offline)
    assert result.differ > 0
    assert "online" in (result.first or "")


def test_a_byte_that_rots_in_the_store_is_an_error_and_no_value(project):
    asked = questions(project)
    with Store(project, online="lmdb://.gnomon/online") as store:
        write_project(project).apply_to(store)
        store.materialize(end=NOW)
        offline = training(store, asked)
        online = store._project.online
        table = next(t for t in online.tables() if t.startswith("airport_weather"))
        for key, value in list(online.scan(table)):
            spoilt = np.frombuffer(value, np.uint8).copy()
            spoilt[-9] ^= 1
            online.load(table, [(key, spoilt.tobytes())])
    result = prove(project, asked, offline)
    assert result.differ == 6 * len(asked)
    assert "ERROR" in (result.first or "")
