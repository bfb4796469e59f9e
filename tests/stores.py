"""The online stores that tests go through, by name, and a fresh one of each."""

from __future__ import annotations

from pathlib import Path

import pytest

ONLINE = ("memory", "lmdb", "valkey", "postgres", "bigtable")
"""Every kind there is, but for DynamoDB, whose stand-in takes too long for all of this: it has the conformance class.
Redis and Valkey are one of ours, whose conformance is tried on both."""


def online_url(name: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of an online store that holds nothing; its server runs, or the test is skipped."""
    match name:
        case "memory":
            return "memory://"
        case "lmdb":
            return f"lmdb://{folder}/online"
        case _:
            url: str = request.getfixturevalue(f"{name}_url")
            return url
