"""`gnomon verify` and `gnomon regenerate`."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import gnomon as gn
from gnomon.cli.main import main
from tests.flows.proof.shop import SHOP, fill, serve, share
from tests.flows.small import Clock
from tests.flows.test_held import LIMIT, ORDERS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clock = Clock()
    (tmp_path / "gnomon.toml").write_text("[log]\nsample = 1\n")
    with gn.Store(tmp_path, clock=clock, author="ana") as store:
        store.apply([ORDERS, LIMIT, gn.FeatureService("rows", features=[ORDERS, LIMIT]), share, SHOP])
        fill(store, clock)
        serve(store)
        store.get_online_features("rows", [{"user": 1}])
    return tmp_path


def test_verify_tells_that_all_is_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "rows", "--project", str(folder)]) == 0
    assert "0 mismatches of 6 values in 1 row" in capsys.readouterr().out


def test_verify_exits_with_1_on_a_mismatch(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = next((folder / ".gnomon/offline/limit@1").glob("*.parquet"))
    rows = pl.read_parquet(file)
    rows.with_columns(pl.lit(6.0).alias("limit")).write_parquet(file)
    assert main(["verify", "rows", "--project", str(folder), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["mismatches"] == 1
    assert document["examples"][0]["feature"] == "limit"


def test_regenerate_writes_training_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "new.parquet"
    command = [
        "regenerate",
        "rows",
        "--features",
        "orders:count_2h",
        "--out",
        str(out),
        "--project",
        str(folder),
    ]
    assert main(command) == 0
    assert "1 request × 1 feature" in capsys.readouterr().out
    assert pl.read_parquet(out)["count_2h"].to_list() == [2]


def test_what_was_never_logged_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with gn.Store(folder) as store:
        store.apply([LIMIT, gn.FeatureService("quiet", features=[LIMIT])])
    out = str(folder / "x.parquet")
    assert main(["regenerate", "quiet", "-f", "limit:limit", "-o", out, "--project", str(folder)]) == 2
    assert "no answers of this service were logged" in capsys.readouterr().err
