"""Diff: a snapshot and a set of definitions → what applying them would change, break and rebuild.

Which difference is breaking, and which needs the online table of a group rebuilt, stands in `compare`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gnomon.define.collect import KINDS, LABELS, Collected, Kind, Registered
from gnomon.define.group import FeatureGroup
from gnomon.errors import DefinitionError, Problem
from gnomon.plan.layout import Layout, make_layout
from gnomon.registry.codec import encode
from gnomon.registry.compare import Detail, details, source_details
from gnomon.registry.requirements import Requirement, RevisionIs, Unchanged
from gnomon.registry.snapshot import Snapshot
from gnomon.registry.updates import Put, Remove, Update
from gnomon.time import show_duration
from gnomon.types import DType, dtype_text

Action = Literal["add", "change", "remove", "keep", "none"]
"""`keep`: registered, not in the definitions, and left alone. `none`: the same in both."""

Columns = Mapping[str, DType]


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one object."""

    action: Action
    kind: Kind
    ref: str
    details: tuple[Detail, ...] = ()
    """What differs, of a changed object."""
    breaking: tuple[Problem, ...] = ()
    """Why the change is refused under this name and version, each with a hint."""
    rebuild: tuple[str, ...] = ()
    """Why the group's online table must be filled or built again, even if the group itself is unchanged."""
    document: str | None = None
    """The new document of an added or changed object."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.ref,
            "changes": [{"what": d.what, "old": d.old, "new": d.new} for d in self.details],
            "breaking": [{"what": p.what, "hint": p.hint} for p in self.breaking],
            "rebuild": list(self.rebuild),
        }


def diff(
    snapshot: Snapshot, collected: Collected, columns: Mapping[str, Columns], *, prune: bool = False
) -> tuple[Change, ...]:
    """One change for each object that is registered, defined, or both; in the order of kinds, sorted within.

    `columns`: group's `name@version` → the raw columns that it reads, with types, which become a part of its
    document. A group without an entry keeps those that are registered.
    `prune`: whether what is registered and not defined is removed.

    Raises: DefinitionError if a definition cannot be stored. Whether groups fit their columns is not checked.
    """
    defined = {(kind, ref): definition for kind, ref, definition in collected}
    old = _Side.registered(snapshot)
    schemas = {ref: columns.get(ref, old.columns.get(ref)) for kind, ref in defined if kind == "group"}
    new = _Side(defined, schemas)
    stays = _Side(
        {**({} if prune else old.definitions), **defined}, {**({} if prune else old.columns), **schemas}
    )
    changes = []
    for kind in KINDS:
        refs = {ref for side in (old, new) for known, ref in side.definitions if known == kind}
        for ref in sorted(refs, key=_by_version):
            if (kind, ref) in defined:
                changes.append(_defined(kind, ref, snapshot, old, new, stays))
            else:
                rebuild = () if prune or kind != "group" else _rebuild(ref, old, stays)
                changes.append(Change("remove" if prune else "keep", kind, ref, rebuild=rebuild))
    return tuple(changes)


def between(old: Snapshot, new: Snapshot) -> tuple[Change, ...]:
    """What differs from one revision to another, nothing of which is to be judged any more."""
    columns = {ref: found for ref in new.refs("group") if (found := new.columns(ref)) is not None}
    return tuple(
        replace(change, breaking=(), rebuild=())
        for change in diff(old, new.collected(), columns, prune=True)
        if change.action != "none"
    )


def updates_of(changes: Sequence[Change]) -> tuple[Update, ...]:
    """The updates of a commit that makes the changes."""
    updates: list[Update] = []
    for change in changes:
        if change.action == "remove":
            updates.append(Remove(change.kind, change.ref))
        elif change.document is not None:
            updates.append(Put(change.kind, change.ref, change.document))
    return tuple(updates)


def requirements_of(snapshot: Snapshot, changes: Sequence[Change]) -> tuple[Requirement, ...]:
    """What a commit of the changes relies on: that everything defined is as it was in the snapshot.

    Removing, and changing the meaning or place of an entity or source, is judged by who uses it: that relies
    on the whole registry.
    """
    whole = any(
        change.action == "remove"
        or (change.kind in ("entity", "source") and any(d.effect != "free" for d in change.details))
        for change in changes
    )
    if whole:
        return (RevisionIs(snapshot.revision),)
    return tuple(Unchanged(c.kind, c.ref, snapshot.revision) for c in changes if c.action != "keep")


def render(changes: Sequence[Change]) -> str:
    """The changes as people read them: one line an object, and below it what differs and what breaks."""
    lines = [_summary(changes)]
    shown = [c for c in changes if c.action != "none" or c.rebuild or c.breaking]
    width = max((len(LABELS[c.kind]) for c in shown), default=0)
    for change in shown:
        note = "  kept: not in the definitions, removed only by pruning" if change.action == "keep" else ""
        lines.append(f"{_SIGNS[change.action]} {LABELS[change.kind].lower():<{width}}  {change.ref}{note}")
        lines += [f"    {detail}" for detail in change.details]
        lines += [f"    online: {why}" for why in change.rebuild]
        for problem in change.breaking:
            lines.append(f"    breaking: {problem.what}")
            lines.append(f"      hint: {problem.hint}")
    return "\n".join(lines)


_SIGNS: dict[Action, str] = {"add": "+", "change": "~", "remove": "-", "keep": " ", "none": " "}


@dataclass(frozen=True)
class _Side:
    """Definitions with the columns that their groups read."""

    definitions: Mapping[tuple[Kind, str], Registered]
    columns: Mapping[str, Columns | None]

    @classmethod
    def registered(cls, snapshot: Snapshot) -> _Side:
        found = {(kind, ref): definition for kind, ref, definition in snapshot.collected()}
        return cls(found, {ref: snapshot.columns(ref) for ref in snapshot.refs("group")})

    def group(self, ref: str) -> FeatureGroup | None:
        return self.definitions.get(("group", ref))  # type: ignore[return-value]

    def groups(self) -> Iterator[tuple[str, FeatureGroup]]:
        for kind, ref in self.definitions:
            if kind == "group":
                yield ref, self.definitions[kind, ref]  # type: ignore[misc]

    def layout(self, ref: str) -> Layout | None:
        """None without columns, or if they do not fit: whoever reads them has reported that."""
        group, columns = self.group(ref), self.columns.get(ref)
        if group is None or columns is None:
            return None
        try:
            return make_layout(group, columns)
        except DefinitionError:
            return None


def _defined(kind: Kind, ref: str, snapshot: Snapshot, old: _Side, new: _Side, stays: _Side) -> Change:
    definition = new.definitions[kind, ref]
    before = old.definitions.get((kind, ref))
    document = encode(definition, new.columns.get(ref) if kind == "group" else None)
    rebuild = _rebuild(ref, old, stays) if kind == "group" else ()
    if before is None:
        return Change("add", kind, ref, rebuild=rebuild, document=document)
    found = details(before, definition)
    if kind == "group":
        found += tuple(_types(ref, old, new, found))
    if document == snapshot.documents[kind, ref]:
        return Change("none", kind, ref, rebuild=rebuild)
    if not found:
        found = (Detail("written differently, to the same effect", None, None),)
    return Change(
        "change",
        kind,
        ref,
        details=found,
        breaking=tuple(_breaking(kind, ref, found, old, stays)),
        rebuild=rebuild,
        document=document,
    )


def _types(ref: str, old: _Side, new: _Side, found: Sequence[Detail]) -> Iterator[Detail]:
    """Differences that come from other types of the source's columns."""
    before, after = old.layout(ref), new.layout(ref)
    if before is None or after is None:
        return
    known = {detail.what for detail in found}
    for name, output in after.by_name.items():
        was = before.by_name.get(name)
        what = f"feature `{name}`: dtype"
        if was is not None and was.dtype != output.dtype and what not in known:
            yield Detail(what, dtype_text(was.dtype), dtype_text(output.dtype), "meaning")
    columns = dict(before.columns)
    for name, dtype in after.columns:
        if name in columns and columns[name] != dtype:
            yield Detail(f"column `{name}`: dtype", dtype_text(columns[name]), dtype_text(dtype))


def _breaking(kind: Kind, ref: str, found: Sequence[Detail], old: _Side, stays: _Side) -> Iterator[Problem]:
    meaning = [detail for detail in found if detail.effect == "meaning"]
    if not meaning:
        return
    what = f"{LABELS[kind]} `{ref}`"
    if kind in ("group", "on_demand", "service"):
        last = max(_versions(kind, ref.partition("@")[0], old, stays))
        for detail in meaning:
            yield Problem(
                f"{what}: {detail}; {_harm(detail)}",
                ref,
                f"raise `version` to {last + 1}; `{ref}` then stays as it is for those who use it",
            )
        return
    users = [
        user
        for user, group in old.groups()
        if _uses(group, kind, ref) and _uses(stays.group(user), kind, ref)
    ]
    if users:
        listed = ", ".join(f"`{user}`" for user in users)
        for detail in meaning:
            yield Problem(
                f"{what}: {detail}; this gives the features of {listed} another meaning",
                ref,
                f"declare the changed {kind} under another name, and raise `version` of its groups",
            )


def _harm(detail: Detail) -> str:
    if detail.new is None:
        return "this takes away a name that may be in use"
    return "this gives an existing name another meaning"


def _versions(kind: Kind, name: str, *sides: _Side) -> Iterator[int]:
    for side in sides:
        for known, ref in side.definitions:
            if known == kind and ref.startswith(f"{name}@"):
                yield _by_version(ref)[1]


def _uses(group: FeatureGroup | None, kind: Kind, name: str) -> bool:
    if group is None:
        return False
    return group.source_name == name if kind == "source" else any(e.name == name for e in group.entities)


def _rebuild(ref: str, old: _Side, stays: _Side) -> tuple[str, ...]:
    """Why the group's online table must be filled or built again."""
    group, before = stays.group(ref), old.group(ref)
    if group is None or not group.online:
        return ()
    if before is None:
        return ("new, to be filled",)
    if not before.online:
        return ("was not kept online so far, to be filled",)
    reasons = list(_moved(before, group, stays))
    was, now = old.layout(ref), stays.layout(ref)
    if now is None:
        added = [name for name in group.feature_names if name not in before.feature_names]
        reasons += [f"new feature `{name}`" for name in added]
    elif was is None:
        reasons.append("what its rows were made of is not known")
    else:
        reasons += _rows(was, now)
    return tuple(reasons)


def _moved(before: FeatureGroup, group: FeatureGroup, stays: _Side) -> Iterator[str]:
    """What differs in the place that the rows come from."""
    after = stays.definitions.get(("source", group.source_name or ""))
    if before.source is None or after is None:
        return
    for detail in source_details(before.source, after):  # type: ignore[arg-type]
        if detail.effect != "free":
            yield f"`{detail.what}` of the source `{group.source_name}` changed"


def _rows(was: Layout, now: Layout) -> Iterator[str]:
    """What differs in the rows that are kept online."""
    had = {(i.text, dtype_text(i.dtype)) for i in was.inputs}
    added = [f"`{i.text}`" for i in now.inputs if (i.text, dtype_text(i.dtype)) not in had]
    if added:
        yield f"new in its rows: {', '.join(added)}"
    elif was.row_digest != now.row_digest:
        yield "its rows are made of other columns, or of the same in another order"
    if was.span is not None and (now.span is None or now.span > was.span):
        far = "without bound" if now.span is None else show_duration(now.span)
        yield f"looks back {far}, so far {show_duration(was.span)}"


def _summary(changes: Sequence[Change]) -> str:
    count = Counter(change.action for change in changes)
    parts = [f"{count[a]} to {a}" for a in ("add", "change", "remove") if count[a]]
    text = ", ".join(parts) or "nothing to change"
    if count["none"]:
        text += f", {count['none']} unchanged"
    broken = sum(bool(change.breaking) for change in changes)
    return text + (f"; {broken} breaking" if broken else "")


def _by_version(ref: str) -> tuple[str, int]:
    name, _, version = ref.partition("@")
    return name, int(version) if version else 0
