"""Describe: a name → what the registry holds under it: properties, features, what is made from what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from gnomon.define.aggregate import Aggregate
from gnomon.define.collect import KINDS, LABELS, Kind, Registered, kind_of, ref_of, references
from gnomon.define.entity import Entity
from gnomon.define.feature import Feature
from gnomon.define.group import FeatureGroup, Selection
from gnomon.define.label import Label
from gnomon.define.ondemand import OnDemand
from gnomon.define.service import FeatureService
from gnomon.define.source import FileSource, Source, SQLSource
from gnomon.errors import REGISTERING, DefinitionError, counted, not_found
from gnomon.plan.layout import make_layout
from gnomon.plugins import redacted
from gnomon.registry.lineage import Lineage, lineage
from gnomon.registry.snapshot import Snapshot
from gnomon.time import duration, show_duration
from gnomon.types import dtype_text


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of a list."""

    kind: Kind
    name: str
    """With `@version` where the kind has versions."""
    what: str
    """In a few words: its keys, how many features."""
    owner: str
    description: str

    def to_dict(self) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self))


@dataclass(frozen=True, slots=True)
class Line:
    """A feature, an input or an output of what is described."""

    name: str
    type: str
    """Empty if not known."""
    how: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """Everything that is told about one object."""

    kind: Kind
    name: str
    versions: tuple[str, ...]
    """All versions of the name, oldest first; empty where the kind has none."""
    owner: str
    description: str
    tags: tuple[tuple[str, str], ...]
    revision: int
    """The revision that last changed it."""
    author: str
    properties: tuple[tuple[str, str], ...]
    features: tuple[Line, ...]
    reads: tuple[str, ...]
    """Columns, features and request values that it is made from."""
    used_by: tuple[str, ...]
    """What is made from it, or refers to it."""

    @property
    def label(self) -> str:
        return LABELS[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        document = dict(msgspec.to_builtins(self))
        document["tags"] = dict(self.tags)
        document["properties"] = dict(self.properties)
        return document


def summaries(snapshot: Snapshot, kind: Kind | None = None) -> list[Summary]:
    """All objects, or those of one kind, in the order of kinds."""
    kinds = KINDS if kind is None else (kind,)
    return [
        Summary(one, ref_of(d), _what(d), d.owner, d.description) for one in kinds for d in snapshot.list(one)
    ]


def describe(snapshot: Snapshot, name: str) -> list[Description]:
    """All objects of a name (two kinds may share one); of `group:feature`, the group with that feature alone.

    Raises: NotFound with the nearest name of all kinds.
    """
    bare, colon, feature = name.partition(":")
    found = [(kind, ref) for kind in KINDS for ref in _versions(snapshot, kind, bare)[-1:]]
    if colon:
        found = [(kind, ref) for kind, ref in found if kind == "group"]
    if not found:
        raise not_found("Object", bare, _names(snapshot, "group" if colon else None), first=REGISTERING)
    made_from = lineage(snapshot.collected())
    return [_describe(snapshot, made_from, kind, ref, feature) for kind, ref in found]


def _versions(snapshot: Snapshot, kind: Kind, name: str) -> list[str]:
    """Full names that `name` may stand for, oldest first."""
    return [ref for ref in snapshot.refs(kind) if ref == name or ref.partition("@")[0] == name]


def _names(snapshot: Snapshot, kind: Kind | None) -> set[str]:
    kinds = KINDS if kind is None else (kind,)
    return {ref.partition("@")[0] for one in kinds for ref in snapshot.refs(one)}


def _describe(snapshot: Snapshot, made_from: Lineage, kind: Kind, ref: str, feature: str) -> Description:
    definition = snapshot.get(kind, ref)
    stamp = snapshot.changed[kind, ref]
    lines = tuple(_lines(snapshot, definition))
    if feature:
        lines = tuple(line for line in lines if line.name == definition[feature].feature)
    return Description(
        kind=kind,
        name=ref,
        versions=tuple(_versions(snapshot, kind, ref.partition("@")[0])) if "@" in ref else (),
        owner=definition.owner,
        description=definition.description,
        tags=tuple(definition.tags),
        revision=stamp.revision,
        author=stamp.author,
        properties=tuple(_properties(definition)),
        features=lines,
        reads=_related(made_from, definition, [line.name for line in lines], upstream=True),
        used_by=_users(snapshot, made_from, definition, [line.name for line in lines]),
    )


def _what(definition: Registered) -> str:
    if isinstance(definition, Entity):
        return f"key {', '.join(definition.key_names) or 'none (global)'}"
    if isinstance(definition, FileSource):
        return definition.path
    if isinstance(definition, SQLSource):
        return f"query on {redacted(definition.url)}"
    if isinstance(definition, FeatureGroup):
        place = f"on {definition.source_name}" if definition.source is not None else "cached"
        if definition.external is not None:
            place = f"asked of {definition.external.name}"
        labels = f", {counted(n, 'label')}" if (n := len(definition.label_names)) else ""
        return f"{definition.kind} group {place}, {counted(len(definition.feature_names), 'feature')}{labels}"
    if isinstance(definition, OnDemand):
        return f"{', '.join(name for name, _ in definition.returns)} from {', '.join(definition.input_names)}"
    if isinstance(definition, FeatureService):
        forward = sum(isinstance(one, Selection) and one.is_label for one in definition.features)
        features = counted(len(definition.features) - forward, "feature")
        return features + (f", {counted(forward, 'label')}" if forward else "")
    return definition.kind


def _properties(definition: Registered) -> Iterator[tuple[str, str]]:
    """What is set, with what it is set to."""
    if isinstance(definition, Entity):
        yield "keys", _columns(definition.keys) or "none"
    elif isinstance(definition, Source):
        if isinstance(definition, FileSource):
            yield "path", definition.path
            if definition.options:
                yield (
                    "options",
                    ", ".join(f"{name}={text}" for name, text in dict(definition.options).items()),
                )
        elif isinstance(definition, SQLSource):
            yield "database", redacted(definition.url)
            yield "query", definition.query
        yield from _times(
            definition.timestamp, definition.known_at, definition.event_id, duration(definition.lag)
        )
    elif isinstance(definition, FeatureGroup):
        yield from _of_group(definition)
    elif isinstance(definition, OnDemand):
        yield "function", f"{definition.module}.{definition.qualname} ({definition.source_hash})"
        if definition.timeout is not None:
            yield "timeout", show_duration(definition.timeout)


def _home(group: FeatureGroup) -> Iterator[tuple[str, str]]:
    external = group.external
    if external is None:
        yield "source", group.source_name or "none: rows are inserted"
        return
    yield "external source", f"{external.name}, {redacted(external.url)}"
    yield "timeout", show_duration(external.timeout)
    yield (
        "when it fails",
        f"not asked for {show_duration(external.open_for)} after {external.open_after} in a row",
    )


def _of_group(group: FeatureGroup) -> Iterator[tuple[str, str]]:
    yield "kind", "state: the newest row" if group.kind == "state" else "event: windows over rows"
    entities = ", ".join(entity.name for entity in group.entities) or "global"
    yield "entity", f"{entities} ({_columns(group.keys) or 'no key'})"
    yield from _home(group)
    yield from _times(
        group.timestamp_column or "", group.known_at_column, group.event_id_column, group.known_lag
    )
    if group.max_age is not None:
        yield "max age", show_duration(group.max_age)
    if group.settling_delay:
        yield "settling delay", show_duration(group.settling_delay)
    if group.external is None:
        yield "online", "yes" if group.online else "no"
    if group.freshness is not None:
        yield "freshness", show_duration(group.freshness)


def _columns(named: Any) -> str:
    return ", ".join(f"{name}: {dtype_text(dtype)}" for name, dtype in named)


def _times(timestamp: str, known_at: str | None, event_id: str | None, lag: int) -> Iterator[tuple[str, str]]:
    yield "timestamp", timestamp
    if known_at is not None:
        yield "known at", known_at
    if lag:
        yield "lag", show_duration(lag)
    if event_id is not None:
        yield "event id", event_id


def _lines(snapshot: Snapshot, definition: Registered) -> Iterator[Line]:
    if isinstance(definition, FeatureGroup):
        types = _types(snapshot, definition)
        for feature in definition.features:
            if isinstance(feature, Feature):
                how = f"newest {feature.expr or feature.name}" + _default(feature.default)
                yield Line(feature.name, dtype_text(feature.dtype), how, feature.description)
            elif isinstance(feature, Label):
                yield Line(feature.name, types.get(feature.name, ""), _label(feature))
            else:
                for name, window in feature.names():
                    when = f"in {window.text}" if window is not None else "of all rows before"
                    yield Line(name, types.get(name, ""), _aggregate(feature, when))
    elif isinstance(definition, OnDemand):
        for name, returned in definition.returns:
            yield Line(name, dtype_text(returned), f"from {', '.join(definition.input_names)}")
    elif isinstance(definition, FeatureService):
        for chosen in definition.features:
            if isinstance(chosen, Selection):
                known = _types(snapshot, chosen.group).get(chosen.feature, "")
                kind = ", label" if chosen.is_label else ""
                yield Line(chosen.name, known, f"{chosen.group.ref}:{chosen.feature}{_role(chosen)}{kind}")
            else:
                for name, returned in chosen.returns:
                    yield Line(name, dtype_text(returned), f"on demand by {chosen.ref}")


def _types(snapshot: Snapshot, group: FeatureGroup) -> dict[str, str]:
    """Feature → type, as of the columns that were found when the group was applied."""
    try:
        layout = make_layout(group, snapshot.columns(group.name, group.version) or {})
    except DefinitionError:  # stored without columns
        return {}
    return {name: dtype_text(output.dtype) for name, output in layout.by_name.items()}


def _label(given: Label) -> str:
    late = f" and {show_duration(given.lateness)} more" if given.lateness else ""
    forward = _aggregate(given.aggregate, f"in the next {given.window.text}")
    return f"label: {forward}, once the source is complete up to then{late}"


def _aggregate(given: Aggregate, when: str) -> str:
    of = given.column or (f"({given.expr})" if given.expr else "")
    details = [
        f"k={given.k}" if given.k is not None else "",
        f"q={given.q:g}" if given.q is not None else "",
        f"half_life={show_duration(given.half_life)}" if given.half_life is not None else "",
        f"ddof={given.ddof}" if given.ddof is not None else "",
    ]
    details += ["distinct" if given.distinct else "", "nulls kept" if given.nulls == "keep" else ""]
    text = f"{given.function}({', '.join(part for part in (of, *details) if part)})"
    if given.where:
        text += f" where {given.where}"
    if given.by:
        text += f" by {given.by}"
    text += f" {when}"
    if given.offset:
        text += f", ending {show_duration(given.offset)} before"
    if given.limit is not None:
        text += f", newest {given.limit}"
    if given.include_request:
        text += ", with the request's own row"
    return text + _default(given.default)


def _default(value: Any) -> str:
    return "" if value is None else f", else {value!r}"


def _role(chosen: Selection) -> str:
    return "".join(f", {key} from {column}" for key, column in chosen.keys)


def _related(
    made_from: Lineage, definition: Registered, features: list[str], *, upstream: bool
) -> tuple[str, ...]:
    """Names of the nodes above or below the object's own."""
    own = _nodes(made_from, definition, features)
    step = made_from.upstream if upstream else made_from.downstream
    return tuple(sorted({node.name for name in own for node in step(name)} - set(own)))


def _nodes(made_from: Lineage, definition: Registered, features: list[str]) -> list[str]:
    """The names that an object has in the lineage."""
    if isinstance(definition, FeatureGroup | OnDemand):
        wanted = {f"{definition.ref}:{name}" for name in features}
    elif isinstance(definition, FeatureService):
        wanted = {definition.ref}
    elif isinstance(definition, Source):
        home = f"{ref_of(definition)}."
        wanted = {
            node.name for node in made_from.nodes if node.kind == "column" and node.name.startswith(home)
        }
    else:
        return []
    return [node.name for node in made_from.nodes if node.name in wanted]


def _users(
    snapshot: Snapshot, made_from: Lineage, definition: Registered, features: list[str]
) -> tuple[str, ...]:
    """What is made from it; for entities, who refers to them."""
    if not isinstance(definition, Entity):
        return _related(made_from, definition, features, upstream=False)
    mine = (kind_of(definition), definition.name)
    return tuple(
        ref
        for _, ref, other in snapshot.collected()
        if any((kind_of(used), ref_of(used)) == mine for _, used in references(other))
    )
