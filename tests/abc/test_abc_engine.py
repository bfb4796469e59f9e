"""The seam of engines: bringing rows of the same keys together is all that an engine must do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon import plugins
from gnomon.abc.engine import Engine, PartFunction
from gnomon.time import to_datetime


class Plain(Engine):
    """Everything is one part, and nothing is done that need not be."""

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        return cls()

    def run(
        self,
        rows: pl.LazyFrame,
        questions: pl.DataFrame,
        keys: Sequence[str],
        work: PartFunction,
        *,
        expected_rows: int = -1,
    ) -> pl.DataFrame:
        return work(rows.collect(), questions)


@pytest.mark.parametrize("missing", sorted(Engine.__abstractmethods__))
def test_an_engine_that_leaves_out_a_promise_cannot_be_made(missing):
    with pytest.raises(TypeError, match=missing):
        type("Partly", (Plain,), {missing: getattr(Engine, missing)})()


def test_fetching_rows_by_number_is_left_to_those_that_can():
    frame = pl.LazyFrame({"k": [1]})
    assert (
        Plain().newest(frame, frame, [pl.col("k")], frame.collect(), lambda rows, asked: np.array([0]))
        is None
    )


def test_an_engine_that_only_brings_rows_together_computes_training_sets(tmp_path, monkeypatch):
    """The same as the local engine, whose way to newest rows is another."""
    monkeypatch.setitem(plugins.BUILT_IN["engine"], "plain", f"{__name__}:Plain")
    rows = pl.DataFrame(
        {"k": [1, 2, 1], "t": [to_datetime(s * 10**6) for s in (1, 2, 3)], "x": [0.5, None, 1.5]}
    )
    rows.write_parquet(tmp_path / "rows.parquet")
    source = gn.FileSource("rows", "rows.parquet", timestamp="t")
    entity = gn.Entity("e", keys={"k": int})
    groups = [
        gn.FeatureGroup(
            "state", entity=entity, source=source, features=[gn.Feature("x", float)], max_age="5s"
        ),
        gn.FeatureGroup("events", entity=entity, source=source, features=[gn.count(), gn.sum("x")]),
    ]
    spine = pl.DataFrame(
        {"k": [2, 1, 1, 3], "event_timestamp": [to_datetime(s * 10**6) for s in (9, 2, 4, 4)]}
    )
    made = []
    for engine in ("local", "plain"):
        (tmp_path / "gnomon.toml").write_text(f'[online]\nurl = "memory://"\n[engine]\nurl = "{engine}"')
        with gn.Store(tmp_path, clock=lambda: 10**9) as store:
            store.apply(groups)
            made.append(store.get_historical_features(spine, groups).to_polars())
    assert made[0].equals(made[1])
    assert made[0]["x"].to_list() == [None, 0.5, 1.5, None]
