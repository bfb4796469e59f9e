"""Which registry a project opens, and its replica."""

from __future__ import annotations

import pytest

import gnomon as gn
from gnomon import config
from gnomon.errors import UsageError
from gnomon.flows.registries import freshness, open_registry, replicate
from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.testing.registry import contents, new

USER = gn.Entity("user", keys={"user": int})


@pytest.fixture
def project(tmp_path):
    """Write gnomon.toml with these lines under [registry], and read it."""

    def write(*lines: str) -> config.Config:
        (tmp_path / "gnomon.toml").write_text("\n".join(["[registry]", *lines]))
        return config.load(tmp_path)

    return write


def test_registry_without_a_replica_is_the_registry_itself(project):
    registry = open_registry(project())
    assert isinstance(registry.backend, SqliteRegistry)
    assert freshness(registry) is None


@pytest.mark.parametrize("place", ["copies/r.db", "sqlite:///copies/r.db"])
def test_replica_of_gnomon_toml_is_filled_by_reading(project, tmp_path, place):
    chosen = project(f'replica = "{place}"')
    with gn.Store(tmp_path) as store:
        store.apply([USER])
        assert store.registry.get("entity", "user") == USER
        assert freshness(store.registry).revision == 1
    assert contents(SqliteRegistry("sqlite:///copies/r.db", root=tmp_path)).keys() == {"user"}
    assert freshness(open_registry(chosen)).away is None


def test_replica_for_elsewhere_is_made_at_a_path(project, tmp_path):
    open_registry(project()).backend.swap(0, new(a="1"))
    assert replicate(project(), str(tmp_path / "image" / "r.db")).revision == 1
    assert contents(SqliteRegistry(f"sqlite:///{tmp_path}/image/r.db")) == {"a": "1"}


def test_replicating_without_a_place_says_how_to_name_one(project):
    with pytest.raises(UsageError, match="no replica is named") as caught:
        replicate(project())
    assert "--to FILE" in caught.value.hint
