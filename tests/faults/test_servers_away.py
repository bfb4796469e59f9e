"""The server of the online store dies while rows are brought to it: it is told, nothing is lost, nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gnomon as gn
from gnomon import events
from gnomon.errors import GnomonError, Stopped, Unavailable
from tests.faults import scene
from tests.servers import Server
from tests.stores import online_url

SERVERS = ("valkey", "postgres")


def all_answers(store: gn.Store) -> Any:
    return {(g.ref, at): scene.answers(store, g, at) for g in scene.GROUPS for at in scene.TIMES}


def fill(store: gn.Store) -> None:
    for name in (
        "apply",
        "insert spend 0",
        "insert orders 0",
        "materialize",
        "insert spend 1",
        "insert orders 1",
    ):
        scene.OPERATIONS[name](store)


def expected(folder: Path) -> Any:
    scene.create(folder)
    with scene.open_store(folder, "memory://") as store:
        fill(store)
        store.materialize()
        return all_answers(store)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("steps", [0, 1, 3, 6])
def test_a_run_whose_server_dies_under_way_stops_and_goes_on_when_it_is_back(
    name: str, steps: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, server = online_url(name, request, tmp_path), request.getfixturevalue(f"{name}_server")
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
    want = expected(tmp_path / "one")
    scene.create(tmp_path / "two")
    with scene.open_store(tmp_path / "two", url) as store:
        fill(store)
        error = _materialize_and_kill_after(store, server, steps)
        assert isinstance(error, Stopped | Unavailable)
        assert str(server.port) in str(error)
        assert error.hint
        server.start()
        store.materialize()
        assert all_answers(store) == want
        assert sum(group.rows for group in store.materialize().groups) == 0


def _materialize_and_kill_after(store: gn.Store, server: Server, steps: int) -> GnomonError:
    """Kill the server when so many steps of a run are complete, and return what the run says."""
    seen = 0

    def count(event: events.Event) -> None:
        nonlocal seen
        if isinstance(event, events.Step):
            seen += 1
            if seen == steps:
                server.kill()

    if steps == 0:
        server.kill()
    with events.listening(count), pytest.raises(GnomonError) as caught:
        store.materialize()
    assert seen >= steps
    return caught.value


@pytest.mark.parametrize("name", SERVERS)
def test_answers_are_unavailable_while_the_server_is_away_and_right_again_after(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, server = online_url(name, request, tmp_path), request.getfixturevalue(f"{name}_server")
    scene.create(tmp_path)
    with scene.open_store(tmp_path, url) as store:
        fill(store)
        before = all_answers(store)
        server.kill()
        with pytest.raises(Unavailable, match=str(server.port)):
            all_answers(store)
        spine = {"user": [1], "event_timestamp": [scene.NOON]}
        assert len(store.get_historical_features(spine, [scene.spend]).to_polars()) == 1
        server.start()
        assert all_answers(store) == before
