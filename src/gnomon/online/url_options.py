"""The options of an online store's URL: what stands behind its `?`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from gnomon.errors import UsageError, not_found

AT = "online.url"
"""The line of gnomon.toml that errors name."""

Reader = tuple[Callable[[str], Any], str]
"""How an option is read (it raises ValueError for what cannot be), and what it must be."""


def read_options(query: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Option → value, of those that are given. Raises: UsageError; NotFound, with the nearest, for one that is none."""
    read: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in readers:
            raise not_found("Option", name, readers, at=AT)
        convert, wanted = readers[name]
        try:
            read[name] = convert(text)
        except ValueError:
            raise UsageError(f"the option `{name}` is {wanted}, not `{text}`", at=AT) from None
    return read


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 3600:
        raise ValueError
    return seconds


SECONDS: Reader = (_seconds, "seconds, more than 0 and less than 3600")
