"""Keys: API keys are made, told once, kept as digests, listed and revoked.

A key is `gnm_<id>_<secret>`. The secret has 256 random bits, so that nobody finds it by trying, and a fast digest is
as good as a slow one, which passwords need. The id is no secret: lists and logs show it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from gnomon.abc.registry import StoredKey
from gnomon.errors import UsageError
from gnomon.flows.access.grants import Grants
from gnomon.registry.registry import Registry
from gnomon.registry.snapshot import Snapshot
from gnomon.time import show, show_duration

PREFIX = "gnm_"
"""By which a key is told from other tokens, also by scanners that look for secrets in code."""

_ID_BYTES, _SECRET_BYTES = 6, 32
_KEY = re.compile(rf"{PREFIX}([0-9a-f]{{{2 * _ID_BYTES}}})_([0-9a-f]{{{2 * _SECRET_BYTES}}})")
_DOMAIN = b"gnomon api key 1\0"
"""In front of what is digested, so that a digest of another use is never one of a key."""
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made."""

    key: str
    """The key itself. It is kept nowhere: who loses it needs another."""
    stored: StoredKey

    def __str__(self) -> str:
        until = "" if self.stored.expires is None else f", until {show(self.stored.expires)}"
        return f"key {self.stored.id} `{self.stored.name}`: {', '.join(self.stored.grants)}{until}"

    def __repr__(self) -> str:
        return f"NewKey({self.stored.id!r})"  # not the key: a log may get this


def create_key(registry: Registry, grants: Grants, *, name: str = "", lifetime: int | None = None) -> NewKey:
    """Make a key for a project. `lifetime`: how long it is worth something, a duration; None: until it is revoked.

    Raises: UsageError without grants, for a lifetime that is none, or a group that does not exist.
    """
    if not grants.grants:
        raise UsageError(
            "a key without grants would open nothing", hint="give a role: reader, writer or admin"
        )
    if len(name) > _LONGEST_NAME:
        raise UsageError(f"the key's name has {len(name)} characters", hint=f"at most {_LONGEST_NAME}")
    if lifetime is not None and lifetime <= 0:
        raise UsageError(
            f"a key cannot expire after {show_duration(lifetime)}",
            hint="such as 90d; leave it out for no end",
        )
    _check_groups(registry.snapshot(), grants)
    now = registry.clock()
    id = secrets.token_hex(_ID_BYTES)
    key = f"{PREFIX}{id}_{secrets.token_hex(_SECRET_BYTES)}"
    expires = None if lifetime is None else now + lifetime
    stored = StoredKey(id, digest(key), name, grants.texts(), registry.author, now, expires)
    registry.backend.add_key(stored)
    return NewKey(key, stored)


def list_keys(registry: Registry, *, all: bool = False) -> tuple[StoredKey, ...]:
    """The keys that are worth something now, the oldest first; with `all`, also those that were revoked or expired."""
    now = registry.clock()
    return tuple(key for key in registry.backend.api_keys() if all or state_of(key, now) == "valid")


def revoke_key(registry: Registry, id: str) -> StoredKey:
    """Revoke a key for good. `id`: as `list_keys` tells it, or the key itself. Raises: NotFound."""
    given = id_of(id)
    return registry.backend.revoke_key(given or id.strip(), registry.clock(), registry.author)


def state_of(key: StoredKey, now: int) -> str:
    """`valid`, `expired` or `revoked`."""
    if key.revoked is not None:
        return "revoked"
    return "expired" if key.expires is not None and key.expires <= now else "valid"


def id_of(key: str) -> str | None:
    """The id in a key; None for what is no key."""
    match = _KEY.fullmatch(key.strip())
    return None if match is None else match[1]


def digest(key: str) -> str:
    """What of a key is kept."""
    return hashlib.sha256(_DOMAIN + key.encode()).hexdigest()


def fits(key: str, stored: StoredKey) -> bool:
    """Whether a key is the one that was stored, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(digest(key), stored.digest)


def _check_groups(snapshot: Snapshot, grants: Grants) -> None:
    """A grant on a name that is mistyped would open nothing, and only be noticed far away. Raises: NotFound."""
    for grant in sorted(grants.grants):
        if grant.group:
            snapshot.resolve("group", grant.group)
