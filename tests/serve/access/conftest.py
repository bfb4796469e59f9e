"""An issuer of tokens that tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.access.issuer import Issuer, issuing


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as one:
        yield one
