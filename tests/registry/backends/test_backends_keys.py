"""The table of keys: made with the first key, so that registries of earlier releases stay as they are."""

from __future__ import annotations

import sqlite3

import pytest

from gnomon.errors import NotFound, UsageError
from gnomon.registry.backends.copy import SqliteCopy
from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.testing.registry import new, new_key


@pytest.fixture
def registry(tmp_path):
    return SqliteRegistry("sqlite:///registry.db", root=tmp_path)


def tables(tmp_path, file="registry.db"):
    with sqlite3.connect(tmp_path / file) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_registry_without_keys_has_no_table_of_them(registry, tmp_path):
    registry.swap(0, new(a="1"))
    assert registry.api_keys() == ()
    with pytest.raises(NotFound):
        registry.revoke_key("a", 0, "ana")
    assert "gnomon_keys" not in tables(tmp_path)
    registry.add_key(new_key("a"))
    assert "gnomon_keys" in tables(tmp_path)


def test_copy_of_a_registry_keeps_keys_and_takes_none(tmp_path):
    copy = SqliteCopy("sqlite:///copy.db", root=tmp_path)
    copy.keep_keys([new_key("a"), new_key("b")])
    copy.keep_keys([new_key("b"), new_key("c", created=1)])
    assert [key.id for key in copy.api_keys()] == ["b", "c"]
    copy.keep_keys([])
    assert copy.api_keys() == ()
    for change in (lambda: copy.add_key(new_key("a")), lambda: copy.revoke_key("b", 0, "ana")):
        with pytest.raises(UsageError, match="copy of another"):
            change()
