"""The line of gnomon.toml that names a Redis: where it is, who asks, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from gnomon.errors import UsageError
from gnomon.online.url_options import AT, SECONDS, Reader, read_options

_PORT = 6379

SHARDS, CLUSTER_SHARDS = 1, 16
"""Parts of each table where the URL does not say, on one server and in a cluster."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a URL says."""

    hosts: tuple[tuple[str, int], ...]
    """Host and port. Of a cluster, some of its nodes; else one."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    cluster: bool = False
    tls: bool = False
    ca: str | None = None
    """A file with the authorities to trust, in the place of the system's."""
    certificate: str | None = None
    """A file with our own certificate and its key, for servers that ask for one."""
    prefix: str = "gnomon"
    """What the names of all keys in the server begin with."""
    timeout: float = 5.0
    """Seconds to wait for a connection, and for each answer."""
    shards: int = SHARDS
    """Parts that each table is cut into, so that a cluster can spread them."""

    @property
    def shown(self) -> str:
        """The servers as errors name them, without user and password."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"Redis cluster at {hosts}" if self.cluster else f"Redis at {hosts}/{self.database}"


def parse(url: str, root: Path) -> Settings:
    """Read `redis://user:password@host:port/database?prefix=…&timeout=…`.

    `rediss` is TLS. `redis+cluster://host,host` is a cluster. `valkey` means the same as `redis`. Paths begin at
    `root`.
    Raises: UsageError for what cannot be read; the URL is not shown, for it may hold a password.
    """
    scheme, _, rest = url.partition("://")
    name, _, kind = scheme.lower().partition("+")
    if kind not in ("", "cluster"):
        raise UsageError(
            f"`{name}+{kind}` is no kind of Redis", at=AT, hint="write `redis` or `redis+cluster`"
        )
    parts = urlsplit(f"//{rest}")
    cluster = kind == "cluster"
    hosts = _hosts(parts.netloc.rpartition("@")[2])
    if len(hosts) > 1 and not cluster:
        raise UsageError("only a cluster has several hosts", at=AT, hint="write `redis+cluster://host,host`")
    username, password = _credentials(parts)
    tls = name in ("rediss", "valkeys")
    options = read_options(parts.query, _options(root))
    if not tls and {"ca", "certificate"} & options.keys():
        raise UsageError("`ca` and `certificate` are for TLS", at=AT, hint="write `rediss://`")
    return Settings(
        hosts=hosts,
        username=username,
        password=password,
        database=_database(parts.path, cluster),
        cluster=cluster,
        tls=tls,
        **{"shards": CLUSTER_SHARDS if cluster else SHARDS, **options},
    )


def _hosts(text: str) -> tuple[tuple[str, int], ...]:
    found = []
    for one in text.split(","):
        try:
            split = urlsplit(f"//{one}")
            host, port = split.hostname, split.port or _PORT
        except ValueError:
            raise UsageError(f"`{one}` is no host and port", at=AT, hint="such as `127.0.0.1:6379`") from None
        if not host:
            raise UsageError("the URL names no host", at=AT, hint="such as `redis://127.0.0.1:6379/0`")
        found.append((host, port))
    return tuple(found)


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    """User and password: `user:password@`, `:password@`."""
    given = parts.netloc.rpartition("@")[0]
    username, _, password = given.partition(":")
    return unquote(username) or None, unquote(password) or None


def _database(path: str, cluster: bool) -> int:
    text = path.strip("/")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise UsageError(
            f"the database `{text}` is no number", at=AT, hint="such as `redis://127.0.0.1:6379/0`"
        )
    if cluster and int(text):
        raise UsageError("a cluster has the database 0 only", at=AT)
    return int(text)


def _prefix(text: str) -> str:
    # Braces decide in a cluster where a key lies, which is our affair; spaces are no part of names people type.
    if not text or set(text) & set("{} \t\r\n"):
        raise ValueError
    return text


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 4096:
        raise ValueError
    return count


def _file(root: Path, text: str) -> str:
    return str(root / text)


def _options(root: Path) -> dict[str, Reader]:
    """What may be given. Files are those of the project's folder."""
    file: Reader = (partial(_file, root), "a path")
    return {
        "prefix": (_prefix, "text without spaces and braces"),
        "timeout": SECONDS,
        "shards": (_count, "a whole number from 1 to 4096"),
        "ca": file,
        "certificate": file,
    }
