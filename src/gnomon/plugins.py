"""URL → scheme → implementation: which class stands behind each line of gnomon.toml.

Others add schemes with an entry point in the group `gnomon.online`, `gnomon.engine`, `gnomon.offline` or
`gnomon.registry`, named by the scheme. Ours are entry points too, and stand here again so that a source
tree works before it is installed. They win over a package that claims the same scheme: installing something
must not change where data goes.
"""

from __future__ import annotations

import importlib
import re
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal

from gnomon.errors import MissingDependency, NotFound, UsageError, nearest

Kind = Literal["online", "engine", "offline", "registry"]

BUILT_IN: dict[Kind, dict[str, str]] = {
    "online": {
        "bigtable": "gnomon.online.bigtable:BigtableStore [bigtable]",
        "dynamodb": "gnomon.online.dynamodb:DynamoStore [dynamodb]",
        "lmdb": "gnomon.online.lmdb:LmdbStore",
        "memory": "gnomon.online.memory:MemoryStore",
        "postgres": "gnomon.online.postgres:PostgresStore [postgres]",
        "postgresql": "gnomon.online.postgres:PostgresStore [postgres]",
        "redis": "gnomon.online.redis:RedisStore [redis]",
        "rediss": "gnomon.online.redis:RedisStore [redis]",
        "valkey": "gnomon.online.redis:RedisStore [redis]",
        "valkeys": "gnomon.online.redis:RedisStore [redis]",
    },
    "engine": {"local": "gnomon.engines.local:LocalEngine"},
    "offline": {
        "abfs": "gnomon.offline.bucket:BucketStore [arrow]",
        "abfss": "gnomon.offline.bucket:BucketStore [arrow]",
        "az": "gnomon.offline.bucket:BucketStore [arrow]",
        "delta": "gnomon.offline.delta:DeltaStore",
        "gs": "gnomon.offline.bucket:BucketStore [arrow]",
        "s3": "gnomon.offline.bucket:BucketStore [arrow]",
    },
    "registry": {
        "postgresql": "gnomon.registry.backends.postgres:PostgresRegistry [postgres]",
        "sqlite": "gnomon.registry.backends.sqlite:SqliteRegistry",
    },
}
"""Kind → scheme → `module:attribute`, as entry points are written."""

_VARIANTS: dict[Kind, tuple[str, ...]] = {
    "online": ("redis+cluster", "rediss+cluster", "valkey+cluster", "valkeys+cluster")
}
"""What a scheme means with a word behind it, for who looks for it in a list."""

_ROLE: dict[Kind, str] = {
    "online": "online store",
    "engine": "engine",
    "offline": "offline store",
    "registry": "registry",
}
_EXAMPLE: dict[Kind, str] = {
    "online": "lmdb://.gnomon/online",
    "engine": "local",
    "offline": ".gnomon/offline",
    "registry": "sqlite:///.gnomon/registry.db",
}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9.\-]*)(?:\+[A-Za-z0-9_]+)?://")


_CREDENTIALS = re.compile(r"://[^/]*@")


def redacted(url: str) -> str:
    """A URL without the user and the password in it."""
    return _CREDENTIALS.sub("://…@", url)


def scheme(kind: Kind, url: str) -> str:
    """Return what chooses the implementation: `lmdb` of `lmdb://a/b`, `sqlite` of `sqlite+pysqlite:///a.db`.

    A bare word is an engine's scheme, and a bare path means Delta tables there.
    Raises: UsageError if a scheme is needed and `url` has none. The URL is not shown: it may hold a password.
    """
    if match := _URL.match(url):
        return match[1].lower()
    if kind == "engine" and url:
        return url.lower()
    if kind == "offline" and url and "://" not in url:
        return "delta"
    raise UsageError(
        f"the URL of the {_ROLE[kind]} has no scheme", at=f"{kind}.url", hint=f"such as `{_EXAMPLE[kind]}`"
    )


def known(kind: Kind) -> list[str]:
    """Return every scheme that can be resolved: ours and those of installed packages, sorted."""
    return sorted({*BUILT_IN[kind], *(point.name for point in entry_points(group=f"gnomon.{kind}"))})


def resolve(kind: Kind, url: str) -> Any:
    """Return the class (or function) that opens `url`; importing it loads its driver.

    Raises: NotFound if nothing registered the scheme; UsageError if two packages did;
    MissingDependency if the implementation is there and a package that it imports is not.
    """
    name = scheme(kind, url)
    point = _find(kind, name)
    try:
        return point.load()
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if point.module == missing or point.module.startswith(f"{missing}."):
            raise  # the entry point itself is wrong, which no installation mends
        requirement = _requirement(point)
        raise MissingDependency(
            f"the {_ROLE[kind]} `{name}` needs `{missing}`, which is not installed",
            at=f"{kind}.url",
            hint=f"pip install '{requirement}'",
        ) from error


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a package that comes with an extra, at the moment when it is needed.

    `purpose` begins the error: `to_pandas()` gives "to_pandas() needs `pandas`, which is not installed".
    Raises: MissingDependency with the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{purpose} needs `{error.name}`, which is not installed", hint=f"pip install 'gnomon[{extra}]'"
        ) from error


def _find(kind: Kind, name: str) -> EntryPoint:
    group = f"gnomon.{kind}"
    if value := BUILT_IN[kind].get(name):
        return EntryPoint(name, value, group)
    # By value: a package that lies on the path twice is still one.
    found = {point.value: point for point in entry_points(group=group, name=name)}
    if len(found) > 1:
        owners = ", ".join(f"`{_requirement(point)}`" for point in found.values())
        raise UsageError(
            f"more than one package brings the {_ROLE[kind]} `{name}`: {owners}",
            at=f"{kind}.url",
            hint="uninstall all but one",
        )
    for point in found.values():
        return point
    schemes = known(kind)
    listed = "known: " + ", ".join(f"`{one}`" for one in sorted([*schemes, *_VARIANTS.get(kind, ())]))
    close = nearest(name, schemes)
    raise NotFound(
        f"no {_ROLE[kind]} is registered for `{name}`",
        at=f"{kind}.url",
        hint=f"did you mean `{close}`? {listed}" if close else f"{listed}; a package adds one as `{group}`",
    )


def _requirement(point: EntryPoint) -> str:
    """What pip installs to get the implementation with all that it imports: `gnomon[redis]`."""
    package = point.dist.name if point.dist else "gnomon"
    return f"{package}[{','.join(point.extras)}]" if point.extras else package
