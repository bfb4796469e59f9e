"""External sources as declared: what is wrong is told at once, and what is right is kept and compared."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import BreakingChange, DefinitionError
from gnomon.registry.lineage import lineage
from tests.flows.small import USER

FX = gn.ExternalSource(
    "fx", "https://fx.example/rates", schema={"mid": float}, timeout="30ms", headers={"x-key": "${FX_KEY}"}
)


def rates(source: gn.ExternalSource = FX, **options: object) -> gn.FeatureGroup:
    return gn.FeatureGroup(
        "rates", entity=USER, source=source, features=[gn.Feature("twice", float, expr="mid * 2")], **options
    )


@pytest.fixture
def bare():
    with gn.Store() as store:
        yield store


def test_all_mistakes_are_told_at_once():
    with pytest.raises(DefinitionError) as caught:
        gn.ExternalSource(
            "f x", "fx.example", timeout=0, open_after=0, headers={"authorization": "Bearer abc"}
        )
    text = str(caught.value)
    for what in ("is not the URL of a service", "`timeout` must be longer", "`open_after` cannot be 0"):
        assert what in text
    assert "the header `authorization` would be kept in the registry as it is" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timestamp": "at"}, "`timestamp` belongs to the source `fx`"),
        ({"settling_delay": "1h"}, "`settling_delay` has no meaning for an external source"),
        ({"known_at": "seen"}, "`known_at` has no meaning"),
        ({"schema": {"asked_at": pl.Date}}, "`asked_at` is the instant of asking, and has its type"),
    ],
)
def test_a_group_of_one_has_no_times_of_its_own(options, message):
    with pytest.raises(DefinitionError, match=message):
        rates(**options)


def test_a_group_of_one_has_no_windows():
    with pytest.raises(DefinitionError, match="has columns only"):
        gn.FeatureGroup("g", entity=USER, source=FX, features=[gn.count(windows=["1h"])])


def test_it_keeps_its_rows_and_nothing_of_it_is_loaded_online():
    group = rates()
    assert (group.source, group.external, group.timestamp, group.online) == (None, FX, "asked_at", False)
    assert group.schema == (("mid", pl.Float64()),)


def test_it_is_read_from_the_registry_as_it_was_declared(bare):
    bare.apply([rates()])
    assert bare.registry.get("group", "rates") == rates()
    assert not bare.plan([rates()]).has_changes


def test_how_it_is_reached_may_change_and_whether_it_is_external_may_not(bare):
    bare.apply([rates()])
    moved = gn.ExternalSource("fx", "https://other.example/", schema={"mid": float}, timeout="50ms")
    plan = bare.plan([rates(moved)])
    assert plan.ok
    assert "external timeout: 30ms → 50ms" in str(plan)
    cached = gn.FeatureGroup(
        "rates", entity=USER, timestamp="asked_at", schema={"mid": float}, online=False,
        features=[gn.Feature("twice", float, expr="mid * 2")],
    )  # fmt: skip
    with pytest.raises(BreakingChange, match=r"external: https://fx.example/rates → none"):
        bare.apply([cached])


def test_lineage_names_the_service(bare):
    bare.apply([rates()])
    nodes = lineage(bare.registry.snapshot().collected()).nodes
    assert {"fx.user", "fx.mid", "fx.asked_at"} <= {node.name for node in nodes}
