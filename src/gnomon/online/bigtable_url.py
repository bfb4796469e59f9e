"""The line of gnomon.toml that names a Bigtable: its instance, and the table in it that is ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gnomon.errors import UsageError
from gnomon.online.url_options import AT, SECONDS, Reader, read_options

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
            raise UsageError(f"`{name}` is no name of {what} of Bigtable", at=AT, hint=_EXAMPLE)
    return Settings(parts.netloc, instance, table or "gnomon", **read_options(parts.query, _OPTIONS))


def _profile(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise ValueError
    return text


_OPTIONS: dict[str, Reader] = {
    "app_profile": (_profile, "the name of a profile"),
    "timeout": SECONDS,
}
