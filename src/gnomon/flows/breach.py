"""Breach: a contract and the registry → what no longer holds, since which revision, and by whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any, Literal

from gnomon.abc.registry import Address, Revision
from gnomon.errors import NotFound, counted
from gnomon.flows.contract import Contract, FrozenFeature, make_contract
from gnomon.flows.freshness import age_of
from gnomon.flows.project import Project
from gnomon.registry import diff
from gnomon.registry.snapshot import Snapshot
from gnomon.time import show, show_duration

Why = Literal["missing", "retyped", "redefined", "stale"]


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing that a contract promises and that is not so."""

    why: Why
    what: str
    """The object: ``feature `temp` ``."""
    was: str
    """What the contract says."""
    now: str | None
    """What is found; None if there is nothing."""
    revision: int | None = None
    """The revision that broke it; None if none did: rows that are too old, a service that never was."""
    author: str | None = None
    time: int | None = None
    """Of that revision; an instant."""
    message: str = ""
    details: tuple[str, ...] = ()
    """What that revision changed of the object, property by property."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "why": self.why,
            "what": self.what,
            "was": self.was,
            "now": self.now,
            "revision": self.revision,
            "author": self.author,
            "time": None if self.time is None else show(self.time),
            "message": self.message,
            "details": list(self.details),
        }

    def __str__(self) -> str:
        found = "is missing" if self.now is None else f"is {self.now}"
        text = f"{self.why}: {self.what} was {self.was}, {found}"
        if self.revision is not None:
            note = f": {self.message}" if self.message else ""
            text += f"; since revision {self.revision} by {self.author}{note}"
        return "\n".join([text, *(f"  {detail}" for detail in self.details)])


@dataclass(frozen=True)
class ContractReport:
    """Whether a contract holds."""

    contract: Contract
    revision: int
    """The registry's, that it was compared with."""
    breaches: tuple[Breach, ...]

    @property
    def holds(self) -> bool:
        return not self.breaches

    def to_dict(self) -> dict[str, Any]:
        return {
            "service": self.contract.service,
            "contract": self.contract.hash,
            "revision": self.revision,
            "holds": self.holds,
            "breaches": [breach.to_dict() for breach in self.breaches],
        }

    def __str__(self) -> str:
        head = f"contract {self.contract.hash[:12]} of {self.contract.service}"
        if self.holds:
            return f"{head}: holds at revision {self.revision}"
        broken = counted(len(self.breaches), "broken promise")
        return "\n".join([f"{head}: {broken} at revision {self.revision}", *map(str, self.breaches)])


def check_contract(
    project: Project, contract: Contract, *, snapshot: Snapshot | None = None, stale: bool = True
) -> ContractReport:
    """Compare a contract with a revision (the newest), and, if `stale`, the age of its groups' rows with its promise.

    More outputs than it names break nothing. Raises: what reading the registry, or the online store, raises.
    """
    snapshot = project.registry.snapshot() if snapshot is None else snapshot
    found = list(differences(contract, _current(project, snapshot, contract)))
    if found:
        found = list(_blamed(project, snapshot, contract, found))
    if stale:
        found += _stale(project, snapshot, contract)
    return ContractReport(contract, snapshot.revision, tuple(found))


def differences(was: Contract, now: Contract | None) -> Iterator[Breach]:
    """What a contract promises that another of the same service does not. Without dates and authors.

    `now`: None if there is no such service.
    """
    if now is None:
        yield Breach("missing", f"service `{was.service}`", counted(len(was.features), "feature"), None)
        return
    yield from _compared("entity", was.entities, now.entities)
    yield from _compared("group", was.groups, now.groups)
    yield from _compared("on-demand function", was.functions, now.functions)
    moved = {f.name for part in (was.functions, now.functions) for f in part}
    current = {feature.full_name: feature for feature in now.features}
    for feature in was.features:
        yield from _feature(feature, current.get(feature.full_name), moved)
    order = [f.full_name for f in was.features if f.full_name in current]
    promised = set(order)
    found = [f.full_name for f in now.features if f.full_name in promised]
    if order != found:
        yield Breach("redefined", "the order of features", ", ".join(order), ", ".join(found))
    yield from _request(was, now)


def _compared(kind: str, was: Iterable[Any], now: Iterable[Any]) -> Iterator[Breach]:
    """Objects with a name and a hash."""
    current = {one.name: one.definition for one in now}
    for one in was:
        found = current.get(one.name)
        if found is None:
            yield Breach("missing", f"{kind} `{one.name}`", f"defined as {one.definition[:12]}", None)
        elif found != one.definition:
            yield Breach(
                "redefined",
                f"{kind} `{one.name}`",
                f"defined as {one.definition[:12]}",
                f"defined as {found[:12]}",
            )


def _feature(was: FrozenFeature, now: FrozenFeature | None, functions: set[str]) -> Iterator[Breach]:
    what = f"feature `{was.full_name}`"
    if now is None:
        yield Breach("missing", what, f"{was.of} {was.dtype}", None)
        return
    if (was.of, was.keys) != (now.of, now.keys):
        yield Breach("redefined", what, _stands_for(was), _stands_for(now))
    if was.dtype != now.dtype:
        yield Breach("retyped", what, was.dtype, now.dtype)
    if was.default != now.default:
        yield Breach("redefined", f"the default of {what}", repr(was.default), repr(now.default))
    # An output of a function changes with the function, which is told of once. What was told of already is not again.
    of_function = was.of.partition(":")[0] in functions
    told = was.dtype != now.dtype or was.default != now.default or (was.of, was.keys) != (now.of, now.keys)
    if was.definition != now.definition and not of_function and not told:
        yield Breach(
            "redefined", what, f"defined as {was.definition[:12]}", f"defined as {now.definition[:12]}"
        )


def _stands_for(feature: FrozenFeature) -> str:
    roles = ", ".join(f"{key} from {column}" for key, column in feature.keys.items())
    return feature.of + (f" ({roles})" if roles else "")


def _request(was: Contract, now: Contract) -> Iterator[Breach]:
    """Columns that questions must bring: one that is needed anew refuses those that are asked today."""
    for kind, before, after in (("key", was.keys, now.keys), ("request value", was.request, now.request)):
        known = {column.name: column.dtype for column in before}
        for column in after:
            what = f"{kind} `{column.name}`"
            promised = known.get(column.name)
            if promised is None:
                yield Breach("redefined", what, "not asked for", f"asked for as {column.dtype}")
            elif promised != column.dtype:
                yield Breach("retyped", what, promised, column.dtype)


# --- Who broke it ------------------------------------------------------------------------------------------------


def _current(project: Project, snapshot: Snapshot, contract: Contract) -> Contract | None:
    try:
        return make_contract(project, snapshot, contract.service)
    except NotFound:
        return None


def _blamed(
    project: Project, head: Snapshot, contract: Contract, found: Iterable[Breach]
) -> Iterator[Breach]:
    """Each breach with the revision from which on it has been there without a break."""
    past = _Past(project, head, contract)
    for breach in found:
        revision, before, after = past.broken_by((breach.why, breach.what))
        if revision is None:
            yield breach
            continue
        yield replace(
            breach,
            revision=revision.number,
            author=revision.author,
            time=revision.time,
            message=revision.message,
            details=_details(breach, before, after, contract),
        )


class _Past:
    """The breaches of a contract at every revision that touched what it depends on, the newest first."""

    def __init__(self, project: Project, head: Snapshot, contract: Contract) -> None:
        self.project = project
        self.contract = contract
        self._states: list[tuple[Revision, Snapshot, set[tuple[Why, str]]]] = []
        self._snapshot: Snapshot | None = head

    @cached_property
    def _revisions(self) -> Mapping[int, Revision]:
        return {revision.number: revision for revision in self.project.registry.history()}

    def broken_by(self, breach: tuple[Why, str]) -> tuple[Revision | None, Snapshot, Snapshot]:
        """The first revision of the latest run of those that have the breach, with the snapshots around it.

        None for what has been missing ever since: nobody took it away.
        """
        for i in count():
            state, before = self._state(i), self._state(i + 1)
            if state is None or (before is None and breach[0] == "missing"):
                break
            if before is None or breach not in before[2]:
                revision, snapshot, _ = state
                return revision, self.project.registry.at(revision.number - 1), snapshot
        return None, Snapshot(), Snapshot()

    def _state(self, i: int) -> tuple[Revision, Snapshot, set[tuple[Why, str]]] | None:
        """The i-th newest revision that may have changed something; None when history is used up."""
        while len(self._states) <= i:
            if self._snapshot is None:
                return None
            snapshot = self._snapshot
            relied_on = addresses(self.contract, snapshot)
            number = snapshot.revision
            while number and not relied_on & {*self._revisions[number].put, *self._revisions[number].removed}:
                number -= 1
            if not number:
                self._snapshot = None
                return None
            current = _current(self.project, snapshot, self.contract)
            broken = {(one.why, one.what) for one in differences(self.contract, current)}
            self._states.append((self._revisions[number], snapshot, broken))
            self._snapshot = self.project.registry.at(number - 1)
        return self._states[i]


def addresses(contract: Contract, snapshot: Snapshot) -> set[Address]:
    """Everything that a contract depends on: what it names, what the service names now, and the groups' sources."""
    found: set[Address] = {("service", contract.service)}
    found |= {("entity", entity.name) for entity in contract.entities}
    found |= {("group", group.name) for group in contract.groups}
    found |= {("on_demand", function.name) for function in contract.functions}
    for kind, ref in tuple(found):
        if kind == "group" and (kind, ref) in snapshot.documents:
            source = snapshot.group(ref).source_name
            found |= {("source", source)} if source is not None else set()
    return found


def _details(breach: Breach, before: Snapshot, after: Snapshot, contract: Contract) -> tuple[str, ...]:
    """What a revision changed of the object that is broken, and of what it is made of."""
    named = breach.what.rpartition("`")[0].rpartition("`")[2]
    feature = next((f for f in contract.features if f.full_name == named), None)
    ref = named if feature is None else feature.of.partition(":")[0]
    wanted = {ref}
    if ("group", ref) in after.documents:
        group = after.group(ref)
        wanted |= {group.source_name or "", *(entity.name for entity in group.entities)}
    return tuple(
        f"{change.ref}: {detail}"
        for change in diff.between(before, after)
        if change.ref in wanted
        for detail in change.details
        if detail.effect != "free" and (feature is None or _concerns(detail.what, feature))
    )


def _concerns(what: str, feature: FrozenFeature) -> bool:
    """Whether a changed property is the feature's, or the whole group's."""
    return not what.startswith("feature `") or what.startswith(f"feature `{feature.of.partition(':')[2]}`")


# --- Staleness ---------------------------------------------------------------------------------------------------


def _stale(project: Project, snapshot: Snapshot, contract: Contract) -> Iterator[Breach]:
    for group in contract.groups:
        if group.freshness is None or ("group", group.name) not in snapshot.documents:
            continue
        age = age_of(project, group.name, group.freshness)
        if age.is_stale:
            promised = f"promised to be at most {show_duration(group.freshness)} old"
            yield Breach("stale", f"group `{group.name}`", promised, str(age))
