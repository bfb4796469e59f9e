"""SqliteRegistry: URLs, what is stored, and what goes wrong. Its contract is in tests/conformance."""

from __future__ import annotations

import os
import sqlite3

import pytest

from gnomon.abc.registry import NewRevision
from gnomon.errors import CorruptValue, Unavailable, UsageError
from gnomon.registry.backends import sql
from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.testing.registry import contents, new


def test_relative_path_is_taken_from_the_root_and_its_folder_is_made(tmp_path):
    registry = SqliteRegistry("sqlite:///.gnomon/registry.db", root=tmp_path)
    assert (tmp_path / ".gnomon" / "registry.db").exists()
    assert str(tmp_path) in repr(registry)


def test_absolute_path_stays(tmp_path):
    SqliteRegistry(f"sqlite:///{tmp_path}/r.db", root="elsewhere").swap(0, new(a="1"))
    assert contents(SqliteRegistry(f"sqlite+pysqlite:///{tmp_path}/r.db")) == {"a": "1"}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "registry.db", "nosuch://x/y"])
def test_url_that_cannot_be_used_is_refused_with_an_example(url):
    with pytest.raises(UsageError) as caught:
        SqliteRegistry(url)
    assert caught.value.at == "registry.url"
    assert "sqlite:///.gnomon/registry.db" in (caught.value.hint or "")


def test_file_that_is_no_database_is_corrupt(tmp_path):
    (tmp_path / "r.db").write_text("not a database " * 100)
    with pytest.raises(CorruptValue, match="not a database"):
        SqliteRegistry("sqlite:///r.db", root=tmp_path)


def test_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="folder cannot be made"):
        SqliteRegistry("sqlite:///file/r.db", root=tmp_path)


def test_path_that_is_a_folder_is_unavailable(tmp_path):
    (tmp_path / "r.db").mkdir()
    with pytest.raises(Unavailable, match="unable to open"):
        SqliteRegistry("sqlite:///r.db", root=tmp_path)


def test_lock_that_is_not_let_go_is_unavailable_and_reading_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sql, "WAIT_SECONDS", 0.05)
    registry = SqliteRegistry("sqlite:///r.db", root=tmp_path)
    registry.swap(0, new(a="1"))
    other = sqlite3.connect(tmp_path / "r.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        registry.swap(1, new(a="2"))
    assert contents(registry) == {"a": "1"}
    other.close()
    registry.swap(1, new(a="2"))


def test_revision_stores_only_what_it_changes(tmp_path):
    registry = SqliteRegistry("sqlite:///r.db", root=tmp_path)
    registry.swap(0, NewRevision("ana", 0, "", {("entity", f"e{i}"): "{}" for i in range(50)}))
    registry.swap(1, NewRevision("ana", 0, "", {("entity", "e1"): None, ("entity", "e2"): "{2}"}))
    with sqlite3.connect(tmp_path / "r.db") as connection:
        rows = connection.execute(
            "SELECT ref, document FROM gnomon_documents WHERE revision = 2 ORDER BY ref"
        )
        assert rows.fetchall() == [("e1", None), ("e2", "{2}")]


def test_write_survives_a_power_cut_by_its_settings(tmp_path):
    registry = SqliteRegistry("sqlite:///r.db", root=tmp_path)
    with registry._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_registry_works_in_a_forked_child(tmp_path):
    registry = SqliteRegistry("sqlite:///r.db", root=tmp_path)
    registry.swap(0, new(a="1"))
    child = os.fork()
    if child == 0:
        registry.swap(1, new(a="2"))
        os._exit(0 if contents(registry) == {"a": "2"} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert contents(registry) == {"a": "2"}
