"""Roles: who asks, and the one place that decides whether he may.

    principal.require("read", refs)      every `group@1`, or `group@1:feature`, that a request touches

A refusal names the grants that are missing for what the caller named himself, and never a group that he did not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol, TypeVar

from gnomon.errors import NotFound, UsageError
from gnomon.flows.access.grants import EVERYTHING, PII, Grant, Grants, Role
from gnomon.serve.problems import Refused

Action = Literal["read", "write", "admin"]

_ROLES: dict[Action, Role] = {"read": "reader", "write": "writer", "admin": "admin"}
"""What an action needs."""


class Denied(Refused):
    """A call that somebody may not make. What an audit log is told is more than what he is."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        hint: str | None = None,
        why: str = "",
        retry_after: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """`why`: for the audit log; `detail` if not given."""
        super().__init__(status, title, detail, hint=hint, retry_after=retry_after, headers=headers)
        self.why = why or detail


class Policy:
    """What the definitions say about access. Replaced as a whole with each revision."""

    __slots__ = ("_groups", "_pii", "_tagged")

    def __init__(self, pii: Iterable[str] | None = (), tagged: Iterable[str] = ()) -> None:
        """`pii`: the features that tell of persons, as `gnomon.registry.pii` finds them; None: each may. `tagged`:
        outputs of on-demand functions that do, whatever they are made from.
        """
        self._pii = None if pii is None else frozenset(pii)
        self._groups = frozenset(name.partition(":")[0] for name in self._pii or ())
        self._tagged = frozenset(tagged)

    def is_pii(self, ref: str) -> bool:
        """Whether a feature tells of persons; of a group, whether one of its features does."""
        return self._pii is None or (ref in self._pii if ":" in ref else ref in self._groups)

    def is_tagged(self, output: str) -> bool:
        """Whether what an on-demand function makes tells of persons, though its inputs need not."""
        return output in self._tagged


class Read(Protocol):
    """What a question reads."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Features, as `name@version:feature`."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """What on-demand functions make of them, as `function@version:output`."""


R = TypeVar("R", bound=Read)

OPEN = Policy()
"""Nothing tells of persons: where nobody is asked who he is."""
CLOSED = Policy(None)
"""Everything may: as long as no definitions were read."""


class Principal:
    """Who asks: made for each request, and told everything that the request touches."""

    __slots__ = ("_policy", "grants", "name", "touched")

    def __init__(self, name: str, grants: Grants, policy: Policy = OPEN) -> None:
        self.name = name
        """What the logs call it: `key 3f…`, `oidc ana`."""
        self.grants = grants
        self.touched: set[str] = set()
        """The groups that were asked about, `name@version`."""
        self._policy = policy

    @property
    def open(self) -> bool:
        """Whether it may do everything, so that nothing needs to be looked at."""
        return self.grants is EVERYTHING

    def may(self, action: Action, group: str) -> bool:
        """Whether it may do `action` with a group: for lists, which leave out what it may not see."""
        return self.grants.allow(_ROLES[action], group)

    def may_everywhere(self, action: Action) -> bool:
        """Whether it may do `action` with the whole project."""
        return self.grants.allow(_ROLES[action])

    def may_somewhere(self, action: Action) -> bool:
        """Whether there is anything with which it may do `action`."""
        return self.grants.allow_somewhere(_ROLES[action])

    def require(
        self,
        action: Action,
        refs: Iterable[str],
        *,
        outputs: Iterable[str] = (),
        behind: str | None = None,
        values: bool = True,
    ) -> None:
        """Raises: Denied, 403, unless `action` may be done with all of `refs`.

        `refs`: groups (`name@version`), or features of them (`group@1:feature`). Of a group alone, every feature is
        meant; without any, the whole project. `outputs`: what on-demand functions make of them (`function@1:output`),
        which needs no grant but `pii` where the function itself has that tag. `behind`: what the caller named, such
        as a service, if he did not name the groups. `values`: whether values are told, and not only what is defined,
        so that `pii` matters.
        """
        refs = tuple(refs)
        self.touched.update(ref.partition(":")[0] for ref in refs)
        if self.open:
            return
        missing = {*self._missing(action, refs, values)}
        for output in outputs:
            function = output.partition(":")[0]
            if self._policy.is_tagged(output) and not self.grants.allow(PII, function):
                missing.add(Grant(PII, function.partition("@")[0]))
        if missing:
            raise self._denied(tuple(sorted(missing)), behind)

    def reading(self, features: str | Sequence[str], find: Callable[[], R]) -> R:
        """What `find` finds of features, or of a service, as they are named, if all that it reads may be read.

        Raises: Denied, alike for what does not exist and for what may not be seen; what `find` raises.
        """
        if self.open:
            return find()
        named = [features] if isinstance(features, str) else features
        groups = tuple(dict.fromkeys(name.partition(":")[0] for name in named if ":" in name))
        if groups:
            self.require("read", groups, values=False)
        # Services and on-demand features name no group: those behind them are known when they were found.
        others = ", ".join(f"`{name}`" for name in named if ":" not in name)
        with self.looking("read", others or None):
            found = find()
        self.require("read", found.reads, outputs=found.outputs, behind=others or None)
        return found

    @contextmanager
    def looking(self, action: Action, behind: str | None) -> Iterator[None]:
        """Around looking for something by its name: whoever may not see everything does not learn what is there.

        Messages and hints would name what is near, or lies elsewhere under that name. `behind`: what is looked for,
        if he might not see it; None: he may.
        """
        try:
            yield
        except UsageError as error:
            if self.may_everywhere(action):
                raise
            if behind is not None:
                raise self._hidden(behind, f"{self.name}: {error.what}") from None
            if isinstance(error, NotFound):
                raise NotFound("something that is asked for does not exist", at=error.at) from None
            raise

    def _missing(self, action: Action, refs: tuple[str, ...], values: bool) -> tuple[Grant, ...]:
        """The grants that would be needed, sorted. None for reading what no group stands behind."""
        role = _ROLES[action]
        if not refs:
            return () if self.grants.allow(role) else (Grant(role),)
        missing = set()
        for ref in refs:
            group = ref.partition(":")[0]
            if not self.grants.allow(role, group):
                missing.add(Grant(role, group.partition("@")[0]))
            if values and action == "read" and self._policy.is_pii(ref) and not self.grants.allow(PII, group):
                missing.add(Grant(PII, group.partition("@")[0]))
        return tuple(sorted(missing))

    def _denied(self, missing: tuple[Grant, ...], behind: str | None) -> Denied:
        told = ", ".join(f"`{grant}`" for grant in missing)
        why = f"{self.name} lacks {', '.join(map(str, missing))}"
        if behind is not None and not all(self.grants.allow("reader", grant.group) for grant in missing):
            return self._hidden(behind, why)
        return Denied(
            403,
            "A grant is missing",
            f"these credentials do not have {told}",
            hint="`gnomon key create` makes a key with it; for tokens, [serve.oidc.grants] says what claims allow",
            why=why,
        )

    def _hidden(self, behind: str, why: str) -> Denied:
        """What is told of something that may not be seen, whether it is there or not."""
        return Denied(
            403,
            "A grant is missing",
            f"{behind} does not exist, or needs grants that these credentials do not have",
            hint="whoever runs the server sees in `gnomon audit` which ones",
            why=why,
        )


def anybody() -> Principal:
    """Who asks where nobody is asked who he is."""
    return Principal("anybody", EVERYTHING)
