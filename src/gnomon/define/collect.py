"""Collect: a module or a list → every definition in it and behind it, each name once.

A service brings its groups and on-demand functions, those bring the groups of their inputs, and a group
brings its entities and its source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from gnomon.define.base import Definition
from gnomon.define.entity import Entity
from gnomon.define.group import FeatureGroup, Role, Selection
from gnomon.define.ondemand import OnDemand
from gnomon.define.service import FeatureService
from gnomon.define.source import Source
from gnomon.errors import DefinitionError, Problem

Kind = Literal["entity", "source", "group", "on_demand", "service"]
KINDS: tuple[Kind, ...] = ("entity", "source", "group", "on_demand", "service")
"""What has a name of its own. Each kind refers only to kinds before it."""

LABELS: dict[Kind, str] = {
    "entity": "Entity",
    "source": "Source",
    "group": "Feature group",
    "on_demand": "On-demand feature",
    "service": "Feature service",
}
"""The kinds as messages write them."""

Registered = Entity | Source | FeatureGroup | OnDemand | FeatureService
_TYPES: dict[Kind, type] = {
    "entity": Entity,
    "source": Source,
    "group": FeatureGroup,
    "on_demand": OnDemand,
    "service": FeatureService,
}


@dataclass(frozen=True)
class Collected:
    """Definitions, closed under reference. Each tuple is sorted by name and version."""

    entities: tuple[Entity, ...] = ()
    sources: tuple[Source, ...] = ()
    groups: tuple[FeatureGroup, ...] = ()
    on_demand: tuple[OnDemand, ...] = ()
    services: tuple[FeatureService, ...] = ()

    def __iter__(self) -> Iterator[tuple[Kind, str, Registered]]:
        """(kind, ref, definition), each after what it refers to."""
        everything: tuple[tuple[Registered, ...], ...]
        everything = (self.entities, self.sources, self.groups, self.on_demand, self.services)
        for definitions in everything:
            for definition in definitions:
                yield kind_of(definition), ref_of(definition), definition


def collect(definitions: Any) -> Collected:
    """Every definition in `definitions`, and all that they refer to.

    `definitions` is a module, a namespace such as `globals()`, a definition, or a list of these. Of a module,
    every name that does not begin with `_` counts (a notebook keeps old outputs under such names), also lists
    and tuples of definitions. A group in a role brings the group; a selection too.

    Raises: DefinitionError with all problems at once: a name that stands for two different definitions (with
    both places), and what is not a definition.
    """
    collected, problems = collect_with_problems(definitions)
    if problems:
        raise DefinitionError(problems)
    return collected


def collect_with_problems(definitions: Any) -> tuple[Collected, list[Problem]]:
    """What `collect` gives, and what it would raise: of two definitions of one name, the first is there."""
    found = _Found()
    for where, value in _given(definitions, ""):
        found.walk(value, where)
    of: dict[Kind, list[Any]] = {kind: [] for kind in KINDS}
    for (kind, _), (definition, _) in sorted(found.by_ref.items(), key=lambda item: _order(item[1][0])):
        of[kind].append(definition)
    return Collected(*(tuple(of[kind]) for kind in KINDS)), found.problems


def kind_of(definition: Registered) -> Kind:
    return next(kind for kind, type_ in _TYPES.items() if isinstance(definition, type_))


def ref_of(definition: Registered) -> str:
    """The name; with `@version` where the kind has versions."""
    return getattr(definition, "ref", None) or definition.name  # type: ignore[union-attr]


def references(definition: Registered) -> Iterator[tuple[str, Registered]]:
    """What a definition refers to directly, each with its place in the definition."""
    if isinstance(definition, FeatureGroup):
        for i, entity in enumerate(definition.entities):
            yield f"entity[{i}]", entity
        if definition.source is not None:
            yield "source", definition.source
    elif isinstance(definition, OnDemand):
        for i, given in enumerate(definition.inputs):
            if isinstance(given, Selection):
                yield f"inputs[{i}]", given.group
    elif isinstance(definition, FeatureService):
        for i, chosen in enumerate(definition.features):
            yield f"features[{i}]", chosen.group if isinstance(chosen, Selection) else chosen


def comparable(value: Any) -> Any:
    """A value that is equal for equal definitions only.

    Unlike `==` it tells `1`, `1.0` and `True` apart (they are different defaults), takes NaN for equal to
    NaN, and compares what a definition refers to by name: an entity that changed is one difference, not one
    in every group.
    """
    if isinstance(value, Registered):
        return kind_of(value), ref_of(value)
    if isinstance(value, float):
        return "float", value.hex()
    if isinstance(value, list | tuple):
        return type(value).__name__, [comparable(item) for item in value]
    if isinstance(value, Mapping):
        return "mapping", [(comparable(key), comparable(item)) for key, item in value.items()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, {name: comparable(item) for name, item in own_fields(value).items()}
    return type(value).__name__, value


def own_fields(definition: Any) -> dict[str, Any]:
    """The fields that make the definition what it is, by name."""
    return {f.name: getattr(definition, f.name) for f in dataclasses.fields(definition) if f.compare}


def differing(a: Registered, b: Registered) -> list[str]:
    """The names of the fields in which two definitions differ."""
    if type(a) is not type(b):
        return ["type"]
    mine, other = own_fields(a), own_fields(b)
    return [name for name in mine if comparable(mine[name]) != comparable(other[name])]


class _Found:
    """The definitions found so far, and where."""

    def __init__(self) -> None:
        self.by_ref: dict[tuple[Kind, str], tuple[Registered, str]] = {}
        self.problems: list[Problem] = []
        self._seen: dict[int, Any] = {}

    def walk(self, value: Any, where: str) -> None:
        if isinstance(value, Role | Selection):
            value = value.group
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if not isinstance(value, Registered):
            self.problems.append(Problem(f"`{value!r}` is not a definition", where, _hint(value)))
            return
        key = (kind_of(value), ref_of(value))
        before, place = self.by_ref.setdefault(key, (value, where))
        if fields := differing(before, value):
            self.problems.append(_twice(key, fields, place, where))
        for at, other in references(value):
            self.walk(other, f"{where}.{at}")


def _given(definitions: Any, where: str) -> Iterator[tuple[str, Any]]:
    """What was given, one by one, each with its place."""
    if isinstance(definitions, ModuleType):
        yield from _namespace(vars(definitions), definitions.__name__)
    elif isinstance(definitions, Mapping):
        yield from _namespace(definitions, where)
    elif isinstance(definitions, Iterable) and not isinstance(definitions, Definition | str | bytes):
        for i, value in enumerate(definitions):
            yield from _given(value, f"{where}[{i}]")
    else:
        yield where or getattr(definitions, "name", "definitions"), definitions


def _namespace(names: Mapping[str, Any], module: str) -> Iterator[tuple[str, Any]]:
    prefix = "" if module in ("", "__main__") else f"{module}."
    wanted = Registered | Role | Selection
    for name, value in list(names.items()):
        if name.startswith("_"):
            continue
        if isinstance(value, wanted):
            yield f"{prefix}{name}", value
        elif isinstance(value, list | tuple):
            for i, item in enumerate(value):
                if isinstance(item, wanted):
                    yield f"{prefix}{name}[{i}]", item


def _twice(key: tuple[Kind, str], fields: list[str], first: str, second: str) -> Problem:
    kind, ref = key
    other = "another name or `version`" if "@" in ref else "another name"
    listed = ", ".join(f"`{field}`" for field in fields)
    return Problem(
        f"{LABELS[kind]} `{ref}` is defined in two ways, at `{first}` and at `{second}`, "
        f"which differ in {listed}",
        second,
        f"give one of them {other}; in a notebook, run the cells that still use the older one again",
    )


def _hint(value: Any) -> str:
    if isinstance(value, Definition):
        return "features, aggregates and requests are declared inside a group or an on-demand function"
    return "give a module, or a list of entities, sources, groups, on-demand functions and services"


def _order(definition: Registered) -> tuple[str, int]:
    return definition.name, getattr(definition, "version", 1)  # type: ignore[union-attr]
