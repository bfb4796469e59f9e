"""Grants: what somebody may do, as short texts.

reader                  read every group            each role holds those before it:
writer                  push to every source        reader < writer < admin
admin                   everything but pii
reader:airport_weather  the same for one group, in all its versions; `airport_weather@2` for one version
pii, pii:customers      read what is tagged `pii`, where a role lets read the rest
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self, get_args

from gnomon.errors import UsageError, nearest

Role = Literal["reader", "writer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each holds those before it."""
PII: Literal["pii"] = "pii"
"""No role holds it, also not `admin`: whoever runs a server need not read about persons."""

_KNOWN = (*ROLES, PII)
_EVERY = ""
"""In the place of a group's name: all groups."""


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One thing that somebody may do."""

    what: str
    """A role, or `pii`."""
    group: str = _EVERY
    """`name` or `name@version`; empty for the whole project."""

    @classmethod
    def read(cls, text: str) -> Self:
        """`reader`, `writer:airport_weather`, `pii:customers@2`. Raises: UsageError."""
        what, colon, group = text.strip().partition(":")
        if what not in _KNOWN:
            close = nearest(what, _KNOWN)
            raise UsageError(
                f"`{text}` is not a grant",
                hint=f"did you mean `{close}{colon}{group}`?"
                if close
                else f"write one of {', '.join(_KNOWN)}, or with a group: reader:airport_weather",
            )
        if colon and (not group or ":" in group or group != group.strip()):
            raise UsageError(f"the grant `{text}` names no group", hint="such as reader:airport_weather")
        return cls(what, group)

    def __str__(self) -> str:
        return f"{self.what}:{self.group}" if self.group else self.what


@dataclass(frozen=True)
class Grants:
    """All that somebody may do. Equal grants, whoever has them, are equal and hash equally."""

    grants: frozenset[Grant] = frozenset()

    @classmethod
    def read(cls, texts: Iterable[str]) -> Self:
        """Raises: UsageError for a text that is no grant."""
        return cls(frozenset(map(Grant.read, texts)))

    def __str__(self) -> str:
        return ", ".join(map(str, sorted(self.grants))) or "nothing"

    def texts(self) -> tuple[str, ...]:
        """The grants as texts, sorted."""
        return tuple(map(str, sorted(self.grants)))

    def allow(self, what: Role | Literal["pii"], group: str | None = None) -> bool:
        """Whether `what` may be done with a group, `name` or `name@version`; without one, with the whole project."""
        held = self._held[what]
        if _EVERY in held:
            return True
        return group is not None and (group in held or group.partition("@")[0] in held)

    def allow_somewhere(self, what: Role) -> bool:
        """Whether `what` may be done with at least one group."""
        return bool(self._held[what])

    @cached_property
    def _held(self) -> dict[str, frozenset[str]]:
        """What → the groups where it is held, by that grant or by a role above it."""
        above: dict[str, tuple[str, ...]] = {role: ROLES[i:] for i, role in enumerate(ROLES)}
        above[PII] = (PII,)
        return {
            what: frozenset(grant.group for grant in self.grants if grant.what in holding)
            for what, holding in above.items()
        }


EVERYTHING = Grants(frozenset({Grant("admin"), Grant(PII)}))
"""What everybody may where nobody is asked who he is."""


def grants_of(roles: Iterable[str], groups: Iterable[str] = (), *, pii: bool = False) -> Grants:
    """Each role for each group, or for the whole project if no group is named. Raises: UsageError."""
    where = [f":{group}" for group in groups] or [""]
    wanted = [*roles, *([PII] if pii else [])]
    for role in wanted:
        if role not in _KNOWN:
            close = nearest(role, ROLES)
            raise UsageError(
                f"`{role}` is not a role",
                hint=f"did you mean `{close}`?" if close else f"known: {', '.join(ROLES)}",
            )
    return Grants.read(f"{role}{end}" for role in wanted for end in where)
