"""Apply: definitions → checked against their sources → the difference to the registry → one atomic revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gnomon.abc.source import SourceReader
from gnomon.define.collect import Collected, collect, collect_with_problems
from gnomon.define.group import FeatureGroup, Selection
from gnomon.define.label import MATURE
from gnomon.define.ondemand import OnDemand
from gnomon.errors import BreakingChange, DefinitionError, GnomonError, Gone, Problem, counted
from gnomon.events import Applied, Step, emit
from gnomon.flows import ondemand
from gnomon.flows.forget import forget_removed, set_aside
from gnomon.flows.leaks import leaks_of_service
from gnomon.flows.markup import preformatted
from gnomon.flows.project import Project
from gnomon.plan.layout import NONE, Layout, filled_in, make_layout
from gnomon.plan.normal import raw_columns
from gnomon.registry.diff import Change, diff, render, requirements_of, updates_of
from gnomon.registry.snapshot import Snapshot
from gnomon.sources.sql import SQLReader
from gnomon.types import DType

_ROW_BYTES = 24
"""Of a row's time and id, in an online value."""


@dataclass(frozen=True)
class Plan:
    """What an apply would do. Prints well; `ok` tells whether it may."""

    changes: tuple[Change, ...]
    base: int
    """The revision that it was compared with."""
    revision: int | None = None
    """The revision that it made, once applied."""
    snapshot: Snapshot = field(default_factory=Snapshot, repr=False)
    notes: tuple[str, ...] = ()
    """What it will cost, where that is more than one might think."""

    @property
    def has_changes(self) -> bool:
        """Whether applying would make a new revision."""
        return any(c.action in ("add", "change", "remove") for c in self.changes)

    @property
    def breaking(self) -> tuple[Problem, ...]:
        """Why it would be refused."""
        return tuple(p for c in self.changes for p in c.breaking)

    @property
    def ok(self) -> bool:
        return not self.breaking

    @property
    def rebuild(self) -> dict[str, tuple[str, ...]]:
        """Groups whose online rows must be filled again, and why."""
        return {c.ref: c.rebuild for c in self.changes if c.rebuild}

    def __str__(self) -> str:
        head = (
            f"revision {self.revision}"
            if self.revision is not None
            else f"compared with revision {self.base}"
        )
        notes = "".join(f"\nnote: {note}" for note in self.notes)
        return f"{render(self.changes)}{notes}\n({head})"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return preformatted(str(self))

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "base": self.base,
            "revision": self.revision,
            "ok": self.ok,
            "changes": [c.to_dict() for c in self.changes],
            "notes": list(self.notes),
        }


def make_plan(project: Project, definitions: Any, *, prune: bool = False) -> Plan:
    """Check definitions and compare them with the registry.

    Raises: DefinitionError with all problems of all definitions at once: missing files and columns, wrong
            types, names that collide, functions that depend on other rows.
    """
    collected, problems = collect_with_problems(definitions)
    snapshot = project.registry.snapshot()
    layouts: dict[str, Layout] = {}
    columns: dict[str, Mapping[str, DType]] = {}
    for group in collected.groups:
        try:
            layout = make_layout(group, source_schema(project, snapshot, group))
        except GnomonError as error:
            problems.extend(_located(error, group))
            continue
        layouts[group.ref] = layout
        columns[group.ref] = dict(layout.types)
    for on_demand in collected.on_demand:
        problems.extend(_probed(on_demand, layouts))
    problems.extend(_collisions(collected))
    if problems:
        raise DefinitionError(problems)
    project.saw(collected.on_demand)
    changes = diff(snapshot, collected, columns, prune=prune)
    touched = {(c.kind, c.ref) for c in changes if c.action in ("add", "change")}
    notes = [
        f"`{service.ref}` may leak: {leak}"
        for service in collected.services
        if ("service", service.ref) in touched
        for leak in leaks_of_service(service, layouts)
    ]
    notes += [
        note
        for group in collected.groups
        if ("group", group.ref) in touched and group.online
        for note in _costs(project.reader(group, layouts[group.ref]), layouts[group.ref])
    ]
    return Plan(changes, snapshot.revision, snapshot=snapshot, notes=tuple(notes))


def apply(project: Project, definitions: Any, *, prune: bool = False, message: str = "") -> Plan:
    """Make a plan and carry it out in one revision.

    Raises: what `make_plan` raises; BreakingChange with every change that needs a new version; Conflict if
            somebody else changed the same objects in between.
    """
    plan = make_plan(project, definitions, prune=prune)
    if plan.breaking:
        raise BreakingChange(plan.breaking)
    emit(Step("apply", "", "plan"))
    new, notes = plan.snapshot, plan.notes
    if plan.has_changes:
        added = {c.ref for c in plan.changes if c.kind == "group" and c.action == "add"}
        made = [group for group in collect(definitions).groups if group.ref in added]
        if any(("group", ref) in plan.snapshot.changed for ref in added):
            # What a killed apply left of the removed group must not answer for the one that is made anew.
            forget_removed(project)
        for ref, version in set_aside(project, plan.snapshot, made).items():
            notes = (
                *notes,
                f"`{ref}` begins empty; version {version} of its table keeps the rows of the group removed before",
            )
            emit(Step("apply", ref, "set aside"))
        new = project.registry.commit(
            requirements_of(plan.snapshot, plan.changes), updates_of(plan.changes), message
        )
        emit(Step("apply", "", "commit"))
        emit(Applied(new.revision, sum(c.action != "none" for c in plan.changes)))
    if prune:
        # Without changes too: whoever removed groups may have been stopped before this.
        forget_removed(project)
        emit(Step("apply", "", "forget"))
    return Plan(plan.changes, plan.base, new.revision, new, notes)


def source_schema(project: Project, snapshot: Snapshot, group: FeatureGroup) -> Mapping[str, DType]:
    """The columns of a group's source with their types; what it does not tell any more, as it was applied.

    Raises: DataError if the source cannot be read.
    """
    applied = snapshot.columns(group.ref) if ("group", group.ref) in snapshot.documents else None
    found = project.reader(group, may_be_empty=applied is not None).schema()
    return filled_in(found, applied or {})


def _costs(reader: SourceReader, layout: Layout) -> Iterator[str]:
    """What keeping a group online costs beyond what its windows need."""
    try:
        parts = reader.parts()
    except Gone:
        return  # told where rows are read; definitions can be changed without them
    if any(not part.etag for part in parts):
        yield (
            f"`{layout.ref}` reads {reader.describe()}, which does not tell what has changed: "
            "each materialization reads it whole and builds the online table anew"
        )
    if isinstance(reader, SQLReader):
        yield f"`{layout.ref}` asks the database for {reader.asks(raw_columns(layout))}"
    endless = [o.name for o in layout.outputs if layout.kind == "event" and o.window == NONE]
    if endless:
        rows = reader.expected_rows()
        each = _ROW_BYTES + 8 * len(layout.inputs)
        size = f": {counted(rows, 'row')}, about {rows * each / 1e6:,.0f} MB" if rows > 0 else ""
        yield (
            f"`{layout.ref}` keeps all rows online{size}, because {', '.join(f'`{n}`' for n in endless[:3])}"
            f"{' and others' if len(endless) > 3 else ''} {'have' if len(endless) > 1 else 'has'} no window"
        )


def _located(error: GnomonError, group: FeatureGroup) -> Iterator[Problem]:
    for problem in error.problems:
        where = problem.at or ""
        at = (
            where
            if where.startswith(f"group {group.name}")
            else f"group {group.name}" + (f": {where}" if where else "")
        )
        yield Problem(problem.what, at, problem.hint)


def _probed(on_demand: OnDemand, layouts: Mapping[str, Layout]) -> Iterator[Problem]:
    if on_demand.function is None:
        return
    types: dict[str, DType] = {}
    for given in on_demand.inputs:
        if isinstance(given, Selection):
            layout = layouts.get(given.group.ref)
            if layout is None:
                return  # its group has problems of its own
            types[given.name] = layout.by_name[given.feature].dtype
        else:
            types[given.name] = given.dtype
    try:
        ondemand.probe(on_demand, on_demand.function, types)
    except DefinitionError as error:
        yield from error.problems


def _collisions(collected: Collected) -> Iterator[Problem]:
    """Outputs of one service that have the same name."""
    for service in collected.services:
        owners: dict[str, str] = {}
        for i, one in enumerate(service.features):
            if isinstance(one, Selection):
                ends = ("", MATURE) if one.is_label else ("",)
                names, owner = [one.name + end for end in ends], f"{one.group.ref}:{one.feature}"
            else:
                names, owner = [name for name, _ in one.returns], one.ref
            for name in names:
                if name in owners:
                    yield Problem(
                        f"the output name `{name}` is used twice: by `{owners[name]}` and by `{owner}`",
                        f"service {service.name}.features[{i}]",
                        "give one of them a prefix: group.renamed(prefix=…); lists of features can be asked for with "
                        "full_names=True",
                    )
                owners.setdefault(name, owner)
