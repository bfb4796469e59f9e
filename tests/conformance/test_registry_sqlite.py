"""SqliteRegistry over SQLite is a registry backend."""

from __future__ import annotations

import pytest

from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.testing.registry import RegistryBackendTests


class TestSqlite(RegistryBackendTests):
    @pytest.fixture
    def open(self, tmp_path):
        return lambda: SqliteRegistry("sqlite:///deep/folder/registry.db", root=tmp_path)
