"""`[log]` of gnomon.toml."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.errors import DataError
from gnomon.flows.proof.settings import LogSettings, read_log_settings
from gnomon.time import DAY, SECOND


def test_what_is_not_said_is_as_documented() -> None:
    assert read_log_settings({}, "gnomon.toml") == LogSettings()
    assert LogSettings().sample is None


def test_every_key_is_read() -> None:
    given = {"url": "s3://b/answers", "sample": 1, "every": "2s", "buffer": 5, "keep": "7d"}
    assert read_log_settings(given, "gnomon.toml") == LogSettings(
        "s3://b/answers", 1.0, 2 * SECOND, 5, 7 * DAY
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sample", 1.5),
        ("sample", True),
        ("sample", "all"),
        ("every", 10),
        ("every", "0s"),
        ("buffer", 0),
        ("buffer", 1.5),
        ("url", ""),
        ("keep", "a month"),
        ("sampel", 1),
    ],
)
def test_what_cannot_be_right_names_the_key(key: str, value: Any) -> None:
    with pytest.raises(DataError, match=key) as error:
        read_log_settings({key: value}, "gnomon.toml")
    if key == "sampel":
        assert error.value.hint == "did you mean `sample`?"
