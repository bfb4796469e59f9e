"""While definitions are loaded, a wrong one does not hide the next."""

from pathlib import Path

import pytest

import gnomon as gn
from gnomon.config import Config
from gnomon.define.base import all_at_once
from gnomon.errors import DefinitionError
from gnomon.flows.definitions import load_definitions

USER = gn.Entity("user", keys={"user": int})
WRONG = """
import gnomon as gn
user = gn.Entity("user", keys={"user": float})
a = gn.FeatureGroup("a", entity=user, timestamp="t", version=0, schema={"x": float}, features=[gn.sum("x")])
b = gn.FeatureGroup("b", entity=user, timestamp="t", schema={"x": float}, features=[gn.sum("x", windows=["0h"])])
s = gn.FeatureService("s", features=[a["x_sum"], b["nope"]])
"""


def test_a_wrong_definition_alone_is_refused_at_once():
    with pytest.raises(DefinitionError, match="version 0"):
        gn.FeatureGroup("a", entity=USER, timestamp="t", version=0, features=[gn.count()])


def test_within_the_block_problems_are_gathered():
    with all_at_once() as problems:
        gn.FeatureGroup("a", entity=USER, timestamp="t", version=0, features=[gn.count()])
        gn.FeatureGroup("b", entity=USER, timestamp="t", version=-1, features=[gn.count()])
    assert [p.at for p in problems] == ["group a.version", "group b.version"]


def test_after_the_block_a_wrong_definition_is_refused_again():
    with all_at_once():
        pass
    with pytest.raises(DefinitionError):
        gn.Entity("user", keys={"user": float})


def test_a_file_of_definitions_tells_all_its_mistakes(tmp_path: Path):
    (tmp_path / "features.py").write_text(WRONG)
    with pytest.raises(DefinitionError) as raised:
        load_definitions(Config(tmp_path))
    text = str(raised.value)
    for part in ("a key cannot be of type Float64", "version 0", "window `0h`", "`nope` not found"):
        assert part in text


def test_one_plan_tells_of_a_name_used_twice_and_of_a_missing_file():
    lost = gn.FileSource("lost", path="nowhere.csv", timestamp="t")
    first = gn.FeatureGroup("a", entity=USER, timestamp="t", features=[gn.count()])
    second = gn.FeatureGroup("a", entity=USER, timestamp="t", features=[gn.count(windows=["1h"])])
    missing = gn.FeatureGroup("c", entity=USER, source=lost, features=[gn.count()])
    with gn.Store() as store, pytest.raises(DefinitionError) as raised:
        store.plan([first, second, missing])
    assert len(raised.value.problems) >= 2
    assert "nothing to read" in str(raised.value)


def test_planning_another_body_leaves_the_applied_function_in_use(tmp_path: Path):
    def module(body: str) -> dict:
        file = tmp_path / f"m{len(body)}.py"
        file.write_text(
            "import gnomon as gn\n"
            '@gn.on_demand(inputs=[gn.Request("x", float)], returns={"y": float})\n'
            f"def y(x):\n    return {body}\n"
        )
        import importlib.util

        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None and spec.loader is not None  # noqa: PT018
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return {"y": made.y}

    with gn.Store() as store:
        store.apply(module("x * 2"))
        assert not store.plan(module("x * 20")).ok
        spine = {"x": [1.5], "event_timestamp": ["2026-01-01"]}
        assert store.get_historical_features(spine, ["y"]).to_polars()["y"].to_list() == [3.0]
