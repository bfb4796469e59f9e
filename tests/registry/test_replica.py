"""Replica: it is the registry while that can be reached, and its copy while it cannot."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gnomon.errors import Conflict, NotFound, Unavailable
from gnomon.registry import replica as module
from gnomon.registry.backends.copy import SqliteCopy
from gnomon.registry.backends.postgres import PostgresRegistry
from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.registry.replica import Replica
from gnomon.testing.registry import RegistryBackendTests, contents, new, new_key
from gnomon.time import SECOND


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A busy machine may take its time: only a server that hangs is waited for in vain."""
    short = module.PATIENCE
    monkeypatch.setattr(module, "PATIENCE", 60.0)
    return short


class TestReplicaIsARegistryBackend(RegistryBackendTests):
    @pytest.fixture
    def open(self, tmp_path):
        """Each with its own copy, as servers on two machines."""
        copies = iter(range(100))
        return lambda: made(tmp_path, f"copy{next(copies)}.db")


class TestReplicasThatShareACopyAreOne(RegistryBackendTests):
    @pytest.fixture
    def open(self, tmp_path):
        return lambda: made(tmp_path, "copy.db")


def made(folder, copy="copy.db", primary=None, **options) -> Replica:
    return Replica(
        primary or (lambda: SqliteRegistry("sqlite:///primary.db", root=folder)),
        "the primary",
        SqliteCopy(f"sqlite:///{copy}", root=folder),
        **options,
    )


class Switch:
    """A primary that can be away."""

    def __init__(self, folder):
        self.folder, self.away, self.asked = folder, False, 0

    def __call__(self):
        return self

    def __getattr__(self, name):
        self.asked += 1
        if self.away:
            raise Unavailable("the server is away")
        return getattr(SqliteRegistry("sqlite:///primary.db", root=self.folder), name)


@pytest.fixture
def primary(tmp_path):
    return SqliteRegistry("sqlite:///primary.db", root=tmp_path)


@pytest.fixture
def switch(tmp_path, primary):
    return Switch(tmp_path)


@pytest.fixture
def quick(monkeypatch):
    """Ask again at once whoever was away."""
    monkeypatch.setattr(module, "_PAUSE", 0.0)


# --- a real server ------------------------------------------------------------------------------------------


def test_server_that_is_killed_is_answered_for_and_followed_again(
    tmp_path, postgres_url, postgres_server, quick
):
    backend = made(tmp_path, primary=lambda: PostgresRegistry(postgres_url))
    backend.swap(0, new(a="1"))
    assert contents(backend) == {"a": "1"}
    postgres_server.kill()
    try:
        assert (backend.head(), contents(backend), len(backend.history())) == (1, {"a": "1"}, 1)
        with pytest.raises(Unavailable, match="cannot be reached"):
            backend.swap(1, new(a="2"))
        assert "cannot be reached" in str(backend.freshness())
        # One that is opened only now starts without the server too.
        assert contents(made(tmp_path, primary=lambda: PostgresRegistry(postgres_url))) == {"a": "1"}
        with pytest.raises(Unavailable, match="cannot be reached"):
            made(tmp_path, "new.db", primary=lambda: PostgresRegistry(postgres_url)).head()
    finally:
        postgres_server.start()
    PostgresRegistry(postgres_url).swap(1, new(a="2"))
    assert contents(backend) == {"a": "2"}
    assert backend.freshness().away is None


def test_server_that_hangs_keeps_no_reader_waiting(
    tmp_path, postgres_url, postgres_server, patience, monkeypatch
):
    monkeypatch.setattr(module, "PATIENCE", patience)
    backend = made(tmp_path, primary=lambda: PostgresRegistry(f"{postgres_url}?connect_timeout=3"))
    backend.swap(0, new(a="1"))
    assert backend.head() == 1
    postgres_server.pause()
    try:
        started = time.monotonic()
        assert contents(backend) == {"a": "1"}
        assert time.monotonic() - started < 2  # the server is given up after three
    finally:
        postgres_server.resume()
    backend.close()


# --- following ----------------------------------------------------------------------------------------------


def test_what_others_write_is_seen_at_once(tmp_path, primary):
    backend = made(tmp_path)
    for n in range(3):
        primary.swap(n, new(a=str(n)))
        assert (backend.head(), contents(backend)) == (n + 1, {"a": str(n)})


def test_own_write_is_seen_though_the_registry_goes_away_right_after_it(tmp_path, switch):
    backend = made(tmp_path, primary=switch)
    assert backend.head() == 0
    backend.swap(0, new(a="1"))
    switch.away = True
    assert contents(backend) == {"a": "1"}


def test_write_on_an_old_base_is_a_conflict_of_the_registry(tmp_path, primary):
    backend = made(tmp_path)
    assert backend.head() == 0
    primary.swap(0, new(a="1"))
    with pytest.raises(Conflict):
        backend.swap(0, new(a="2"))


def test_registry_that_is_away_is_not_asked_all_the_time(tmp_path, primary, switch):
    primary.swap(0, new(a="1"))
    backend = made(tmp_path, primary=switch)
    assert backend.head() == 1
    switch.away, switch.asked = True, 0
    for _ in range(5):
        assert backend.head() == 1
    assert switch.asked == 1


def test_outage_is_told_once_and_so_is_its_end(tmp_path, primary, switch, quick, caplog):
    now = [10 * SECOND]
    primary.swap(0, new(a="1"))
    backend = made(tmp_path, primary=switch, clock=lambda: now[0])
    with caplog.at_level(logging.WARNING, "gnomon"):
        backend.head()
        switch.away, now[0] = True, 100 * SECOND
        backend.head()
        backend.head()
        switch.away = False
        backend.head()
    assert [record.getMessage() for record in caplog.records] == [
        "the server is away; answers are as of revision 1, compared 90s ago",
        "the registry at the primary answers again",
    ]


def test_age_is_that_of_the_last_comparison_also_for_another_process(tmp_path, primary, switch):
    now = [10 * SECOND]
    primary.swap(0, new(a="1"))
    backend = made(tmp_path, primary=switch, clock=lambda: now[0])
    backend.head()
    assert backend.freshness() == module.Freshness(1, 10 * SECOND, None)
    now[0] = 60 * SECOND
    backend.head()
    switch.away = True
    other = made(tmp_path, primary=switch, clock=lambda: now[0])
    other.head()
    assert other.freshness() == module.Freshness(1, 60 * SECOND, "the server is away")


def test_revision_that_the_copy_has_not_is_asked_for_and_never_denied(tmp_path, primary, switch):
    primary.swap(0, new(a="1"))
    backend = made(tmp_path, primary=switch)
    assert backend.head() == 1
    with pytest.raises(NotFound):
        backend.load(2)
    switch.away = True
    with pytest.raises(Unavailable):
        backend.load(2)


def test_registry_put_back_from_a_backup_is_followed(tmp_path, primary, switch, quick):
    primary.swap(0, new(a="1"))
    primary.swap(1, new(a="2"))
    backend = made(tmp_path, primary=switch)
    assert contents(backend) == {"a": "2"}
    switch.away = True
    backend.head()
    (tmp_path / "primary.db").unlink()
    for leftover in tmp_path.glob("primary.db-*"):
        leftover.unlink()
    again = SqliteRegistry("sqlite:///primary.db", root=tmp_path)
    again.swap(0, new(a="1"))
    again.swap(1, new(b="other"))
    switch.away = False
    assert contents(backend) == {"a": "1", "b": "other"}
    assert backend.changes() == again.changes()


def test_replicating_makes_sure_of_the_history_and_tells_how_new_it_is(tmp_path, primary, switch):
    primary.swap(0, new(a="1"))
    backend = made(tmp_path, primary=switch, clock=lambda: 5 * SECOND)
    assert str(backend.replicate()) == "revision 1, compared 1970-01-01T00:00:05.000000Z"
    switch.away = True
    with pytest.raises(Unavailable):
        backend.replicate()


def test_many_processes_with_one_copy_bring_each_revision_once(tmp_path, primary):
    for n in range(20):
        primary.swap(n, new(a=str(n)))
    start = threading.Barrier(8)

    def read(_: int) -> dict[str, str]:
        backend = made(tmp_path)
        start.wait()
        return contents(backend)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [{"a": "19"}] * 8
    assert SqliteRegistry("sqlite:///copy.db", root=tmp_path).changes() == primary.changes()


# --- keys ---------------------------------------------------------------------------------------------------


def test_keys_of_the_last_time_are_told_while_the_registry_is_away(tmp_path, primary, switch):
    primary.add_key(new_key("a"))
    primary.add_key(new_key("b"))
    replica = made(tmp_path, primary=switch)
    assert [key.id for key in replica.api_keys()] == ["a", "b"]
    primary.revoke_key("b", 5, "ana")
    switch.away = True
    assert [(key.id, key.revoked) for key in replica.api_keys()] == [("a", None), ("b", None)]
    with pytest.raises(Unavailable):
        replica.revoke_key("a", 6, "ana")
    switch.away = False
    assert [(key.id, key.revoked) for key in replica.api_keys()] == [("a", None), ("b", 5)]
    replica.close()
    switch.away = True
    again = made(tmp_path, primary=switch)
    assert [(key.id, key.revoked) for key in again.api_keys()] == [("a", None), ("b", 5)]
    switch.away = False
    again.close()
