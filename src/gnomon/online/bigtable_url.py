"""The line of gnomon.toml that names a Bigtable: its instance, and the table in it that is ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gnomon.errors import UsageError, not_found

_AT = "online.url"
_EXAMPLE = "such as `bigtable://project/instance/gnomon`"

_PROJECT = re.compile(r"[a-z][a-z0-9.:-]{4,61}[a-z0-9]")
_INSTANCE = re.compile(r"[a-z][a-z0-9-]{4,31}[a-z0-9]")
_TABLE = re.compile(r"[A-Za-z0-9_.-]{1,50}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a URL says. Credentials are found as by every tool of Google Cloud."""

    project: str
    instance: str
    table: str = "gnomon"
    """The one table of the instance that holds everything of ours."""
    app_profile: str | None = None
    """How requests are routed. It must lead all of them to one cluster, which alone promises what we rely on."""
    timeout: float = 10.0
    """Seconds to wait for an answer, with the times that a request is made again."""

    @property
    def shown(self) -> str:
        """The table as errors name it."""
        return f"Bigtable at {self.project}/{self.instance}/{self.table}"


def parse(url: str) -> Settings:
    """Read `bigtable://project/instance/table?app_profile=…&timeout=…`; without a table it is `gnomon`.

    Raises: UsageError for what cannot be read.
    """
    _, _, rest = url.partition("://")
    parts = urlsplit(f"//{rest}")
    instance, _, table = parts.path.strip("/").partition("/")
    for what, name, form in (
        ("a project", parts.netloc, _PROJECT),
        ("an instance", instance, _INSTANCE),
        ("a table", table or "gnomon", _TABLE),
    ):
        if not form.fullmatch(name):
            raise UsageError(f"`{name}` is no name of {what} of Bigtable", at=_AT, hint=_EXAMPLE)
    return Settings(parts.netloc, instance, table or "gnomon", **_options(parts.query))


def _profile(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise ValueError
    return text


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 3600:
        raise ValueError
    return seconds


_OPTIONS: dict[str, tuple[Callable[[str], Any], str]] = {
    "app_profile": (_profile, "the name of a profile"),
    "timeout": (_seconds, "seconds, more than 0 and less than 3600"),
}
"""Option → how it is read, and what it must be."""


def _options(query: str) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise not_found("Option", name, _OPTIONS, at=_AT)
        convert, wanted = _OPTIONS[name]
        try:
            read[name] = convert(text)
        except ValueError:
            raise UsageError(f"the option `{name}` is {wanted}, not `{text}`", at=_AT) from None
    return read
