"""Every case file, by the plain reference, the local engine and every online store."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon import errors
from gnomon.errors import GnomonError
from gnomon.testing.reference import same
from tests.cases import legs
from tests.cases.case import FOLDER, Case, load
from tests.stores import online_url

CASES = [load(path) for path in sorted(FOLDER.rglob("*.toml"))]


def asked(leg: str, kind: str) -> list:
    """The cases that a leg can be asked."""
    chosen = [c for c in CASES if not c.only or leg in c.only or kind in c.only]
    return [pytest.param(leg, case, id=f"{case.name}-{leg}") for case in chosen]


def expect_error(case: Case, leg: legs.Leg, folder: Path) -> None:
    """What the case says must be raised; a flow that it stopped half-way tells it as its cause."""
    assert case.error is not None
    with pytest.raises(GnomonError) as raised:
        list(leg(case, folder))
    error = raised.value.__cause__ if isinstance(raised.value, errors.Stopped) else raised.value
    assert type(error) is getattr(errors, case.error.type)
    assert case.error.says in str(error)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES])
def test_the_reference_gives_what_the_case_wants(case: Case, tmp_path: Path) -> None:
    if case.error is not None and case.error.type != "ComputeError":
        expect_error(case, legs.reference, tmp_path)
        return
    for ask, answers in legs.reference(case, tmp_path):
        if case.error is not None:
            assert legs.overflows(answers)
            continue
        assert same(answers, list(ask.want)), f"\n got {answers}\nwant {list(ask.want)}"


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES if not c.error and not c.only])
def test_the_reference_gives_the_statuses_that_the_case_wants(case: Case) -> None:
    for ask in case.asks:
        if ask.as_of != "known":
            continue
        answers = legs.expected_online(case, ask)
        assert same([a.values for a in answers], list(ask.want))
        if ask.statuses is not None:
            assert [a.statuses for a in answers] == list(ask.statuses)
        if ask.event_times is not None:
            assert [a.event_time for a in answers] == list(ask.event_times)


@pytest.mark.parametrize(("leg", "case"), [p for leg in legs.TRAINING for p in asked(leg, "training")])
def test_training(leg: str, case: Case, tmp_path: Path) -> None:
    if case.error is not None:
        expect_error(case, legs.TRAINING[leg], tmp_path)
        return
    for ask, answers in legs.TRAINING[leg](case, tmp_path):
        assert same(answers, list(ask.want)), f"\n got {answers}\nwant {list(ask.want)}"


@pytest.mark.parametrize(("leg", "case"), [p for leg in legs.ONLINE for p in asked(leg, "online")])
def test_online(leg: str, case: Case, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    way = legs.ONLINE[leg]
    way = way.at(online_url(way.store, request, tmp_path))
    if case.error is not None and case.error.type != "ComputeError":
        expect_error(case, way, tmp_path)
        return
    for ask, answers in way(case, tmp_path):
        want = legs.expected_online(case, ask)
        assert same([a.values for a in answers], [a.values for a in want])
        assert [a.statuses for a in answers] == [a.statuses for a in want]
        assert [a.event_time for a in answers] == [a.event_time for a in want]
