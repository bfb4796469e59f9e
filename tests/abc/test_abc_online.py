"""What every online store checks before it does anything."""

from __future__ import annotations

import pytest

from gnomon.abc.online import NAME_BYTES, check_distinct, check_merged, check_name
from gnomon.errors import UsageError


def test_names_are_measured_in_bytes() -> None:
    assert check_name("table", "é" * 127) == "é".encode() * 127
    for name in ("", "é" * 128, "x" * (NAME_BYTES + 1)):
        with pytest.raises(UsageError, match="table"):
            check_name("table", name)


def test_a_repeated_key_is_named() -> None:
    check_distinct([b"a", b"b"])
    check_distinct([])
    with pytest.raises(ValueError, match="b'again'"):
        check_distinct([b"a", b"again", b"b", b"again"])


def test_merge_answers_for_each_key() -> None:
    check_merged([b"1", None], 2)
    with pytest.raises(ValueError, match="3 values for 2 keys"):
        check_merged([b"1", None, b"2"], 2)
