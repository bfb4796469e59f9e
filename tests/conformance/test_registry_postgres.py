"""PostgresRegistry is a registry backend."""

from __future__ import annotations

import pytest

from gnomon.registry.backends.postgres import PostgresRegistry
from gnomon.testing.registry import RegistryBackendTests


class TestPostgres(RegistryBackendTests):
    @pytest.fixture
    def open(self, postgres_url):
        return lambda: PostgresRegistry(f"{postgres_url}?schema=features")
