"""The line of gnomon.toml that names a DynamoDB: which tables in it are ours, and where it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gnomon.errors import UsageError
from gnomon.online.url_options import AT, SECONDS, Reader, read_options

_EXAMPLE = "such as `dynamodb://gnomon?region=eu-central-1`"

# A table's name has at most 255 characters; ours go on behind the prefix.
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{3,100}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a URL says. Credentials are found as by every tool of AWS."""

    prefix: str = "gnomon"
    """The name of our table of names, and what the names of all others begin with."""
    region: str | None = None
    """None: as configured for AWS, by its variables or files."""
    endpoint: str | None = None
    """Where the service is, if it is not AWS's own: `http://127.0.0.1:8000`."""
    profile: str | None = None
    """A profile of AWS's configuration."""
    timeout: float = 5.0
    """Seconds to wait for a connection, for each answer, and for a throttled request to be let through."""

    @property
    def shown(self) -> str:
        """The service as errors name it."""
        where = self.endpoint or (f"region {self.region}" if self.region else "the configured region")
        return f"DynamoDB at {where}, tables `{self.prefix}…`"


def parse(url: str) -> Settings:
    """Read `dynamodb://prefix?region=…&endpoint=…&profile=…&timeout=…`.

    `dynamodb://host:port/prefix` is a service at `http://host:port`, such as one for tests.
    Raises: UsageError for what cannot be read; the URL is not shown, for somebody may have put a secret there.
    """
    _, _, rest = url.partition("://")
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError:
        raise UsageError("the URL cannot be read", at=AT, hint=_EXAMPLE) from None
    if "@" in parts.netloc:
        raise UsageError(
            "credentials are no part of the URL",
            at=AT,
            hint="they are found in AWS_ACCESS_KEY_ID and the like, in ~/.aws, or by the machine's role",
        )
    options = read_options(parts.query, _OPTIONS)
    path = parts.path.strip("/")
    prefix = parts.netloc
    if path or port is not None:
        if "endpoint" in options:
            raise UsageError("the URL names two endpoints", at=AT, hint=_EXAMPLE)
        options["endpoint"], prefix = f"http://{parts.netloc}", path
    prefix = prefix or "gnomon"
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(
            f"`{prefix}` cannot begin the names of tables",
            at=AT,
            hint="3 to 100 of the letters A to Z and a to z, digits, `_`, `.` and `-`",
        )
    return Settings(prefix, **options)


def _region(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+", text):
        raise ValueError
    return text


def _endpoint(text: str) -> str:
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname:
        raise ValueError
    return text


def _profile(text: str) -> str:
    if not text:
        raise ValueError
    return text


_OPTIONS: dict[str, Reader] = {
    "region": (_region, "a region's name, such as `eu-central-1`"),
    "endpoint": (_endpoint, "a URL of http or https"),
    "profile": (_profile, "a profile's name"),
    "timeout": SECONDS,
}
