"""FeatureGroup: features of one entity from one source, computed and stored together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, Never, TypedDict, Unpack

from gnomon.define.aggregate import Aggregate
from gnomon.define.base import Definition, Problems, complain, hashed_once, pairs, put, tags_of, version_of
from gnomon.define.entity import Entity
from gnomon.define.external import ExternalSource
from gnomon.define.feature import Feature
from gnomon.define.label import MATURE, Label
from gnomon.define.source import Source
from gnomon.errors import nearest, not_found
from gnomon.time import duration
from gnomon.types import as_dtype


class _Later(TypedDict, total=False):
    """Arguments of a later release. They are known by name, so that whoever gives one learns more than that."""

    expectations: Never
    policy: Never
    schedule: Never


def _refuse(argument: str, problems: Problems) -> None:
    """Tell of an argument that groups do not have, or not yet."""
    if argument in _Later.__annotations__:
        problems.add(
            f"`{argument}` is not in this release",
            at=argument,
            hint="it comes with a later one: see `Not here yet` in the README",
        )
        return
    known = [*(f.name for f in fields(FeatureGroup) if f.name not in ("entities", "external")), "entity"]
    close = nearest(argument, known)
    problems.add(
        f"a group has no argument `{argument}`",
        hint=f"did you mean `{close}`?" if close else f"known: {', '.join(sorted(known))}",
    )


@hashed_once
@dataclass(frozen=True, repr=False, init=False)
class FeatureGroup(Definition):
    """Features of one entity (or of several together) from one source.

    A *state group* has `gn.Feature` columns: the newest row counts. An *event group* has aggregates over
    windows, and labels, which look forward. Without `source` the group is *cached*: the store keeps its rows,
    written by `insert`; it then declares `timestamp`, `known_at`, `event_id`, `lag` itself, and in `schema` the
    columns that only aggregates or expressions use. With a source, `schema` tells types that its values do not
    tell: of columns without a value, of a source without rows, of text that looks like numbers. With a
    `gn.ExternalSource` a state group is asked of that service online, and keeps the answers as its rows.

    Raises: DefinitionError with all problems at once.
    """

    name: str
    entities: tuple[Entity, ...]
    features: tuple[Feature | Aggregate | Label, ...]
    source: Source | None = None
    version: int = 1
    max_age: int | None = None
    """Microseconds; state groups: how old the newest row may be."""
    settling_delay: int = 0
    """Microseconds by which t is moved back on every path."""
    timestamp: str | None = None
    known_at: str | None = None
    event_id: str | None = None
    lag: int = 0
    external: ExternalSource | None = None
    """The service that is asked in the place of an online table; what it says becomes the rows of the group."""
    schema: tuple[tuple[str, Any], ...] = ()
    online: bool = True
    description: str = ""
    owner: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    freshness: int | None = None
    """Microseconds; how old the newest row online may become before the group counts as stale. Changes no value."""

    def __init__(
        self,
        name: str,
        *,
        entity: Entity | Sequence[Entity] = (),
        features: Sequence[Feature | Aggregate | Label],
        source: Source | ExternalSource | None = None,
        version: int = 1,
        max_age: str | timedelta | int | None = None,
        settling_delay: str | timedelta | int = 0,
        timestamp: str | None = None,
        known_at: str | None = None,
        event_id: str | None = None,
        lag: str | timedelta | int = 0,
        schema: Mapping[str, Any] | tuple[tuple[str, Any], ...] = (),
        online: bool = True,
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
        freshness: str | timedelta | int | None = None,
        **_others: Unpack[_Later],
    ) -> None:
        problems = Problems(f"group {name}")
        for other in _others:
            _refuse(other, problems)
        problems.name(name)
        version_of(version, problems)
        lengths = {}
        durations = {
            "max_age": max_age,
            "settling_delay": settling_delay,
            "lag": lag,
            "freshness": freshness,
        }
        for field, value in durations.items():
            lengths[field] = None if value is None else problems.attempt(duration, value, at=field)
            if (lengths[field] or 0) < 0:
                problems.add(f"`{field}` cannot be negative", at=field)
        external = None
        if isinstance(source, ExternalSource):
            if timestamp is not None:
                problems.add(f"`timestamp` belongs to the source `{source.name}`", at="timestamp")
            external, timestamp = source, source.timestamp
            schema = dict(external.schema) | dict(pairs(schema, "schema", problems))
        types = [
            (column, problems.attempt(as_dtype, dtype, at=f"schema[{column}]"))
            for column, dtype in pairs(schema, "schema", problems)
        ]
        put(
            self,
            name=name,
            entities=tuple(entity) if isinstance(entity, list | tuple) else (entity,),
            features=(features,) if isinstance(features, Declared) else tuple(features),
            source=None if external is not None else source,
            external=external,
            version=version,
            max_age=lengths["max_age"],
            settling_delay=lengths["settling_delay"] or 0,
            timestamp=timestamp,
            known_at=known_at,
            event_id=event_id,
            lag=lengths["lag"] or 0,
            schema=tuple(types),
            online=bool(online) and external is None and not _is_labels(features),
            description=description,
            owner=owner,
            tags=tags_of(tags, problems),
            freshness=lengths["freshness"],
        )
        self._check(problems)
        problems.done()

    def _check(self, problems: Problems) -> None:
        for i, entity in enumerate(self.entities):
            if not isinstance(entity, Entity):
                problems.add(f"`{entity!r}` is not an Entity", at=f"entity[{i}]")
        for i, feature in enumerate(self.features):
            if not isinstance(feature, Declared):
                problems.add(
                    f"`{feature!r}` is not a feature",
                    at=f"features[{i}]",
                    hint="use gn.Feature, an aggregate such as gn.count, or gn.label",
                )
        if self.source is not None and not isinstance(self.source, Source):
            problems.add(
                f"`{self.source!r}` is not a Source",
                at="source",
                hint="use a gn.FileSource, gn.SQLSource or gn.ExternalSource",
            )
        if problems.found:
            return
        columns = [f for f in self.features if isinstance(f, Feature)]
        if not self.features:
            problems.add("a group needs at least one feature", at="features")
        if 0 < len(columns) < len(self.features):
            problems.add(
                "a group has either columns or aggregates, not both",
                at="features",
                hint="make two groups on the same source",
            )
        if self.kind == "event" and self.max_age is not None:
            problems.add("`max_age` is for state groups", at="max_age", hint="give the aggregates `windows`")
        if self.freshness is not None and not self.online:
            problems.add(
                "`freshness` is for groups that are kept online",
                at="freshness",
                hint="it is measured at the rows online; leave it out, or out `online=False`",
            )
        if self.source is None:
            if not self.timestamp:
                problems.add("a group without a source must name its `timestamp` column", at="timestamp")
            if self.known_at is not None and self.lag:
                problems.add("`known_at` and `lag` exclude each other", at="lag")
        else:
            for field in ("timestamp", "known_at", "event_id", "lag"):
                if getattr(self, field):
                    problems.add(f"`{field}` belongs to the source `{self.source_name}`", at=field)
        if self.external is not None:
            self._check_external(problems)
        self._check_names(problems)
        for i, feature in enumerate(self.features):
            if isinstance(feature, Aggregate) and feature.include_request and self.settling_delay:
                problems.add(
                    "`include_request` and `settling_delay` exclude each other",
                    at=f"features[{i}].include_request",
                )

    def _check_external(self, problems: Problems) -> None:
        """A service knows what is now: no windows over its rows, and no other times."""
        if self.kind == "event":
            problems.add(
                "a group of an external source has columns only", at="features", hint="use gn.Feature"
            )
        for field in ("settling_delay", "known_at", "event_id", "lag"):
            if getattr(self, field):
                problems.add(f"`{field}` has no meaning for an external source, which is asked now", at=field)

        if self.timestamp in dict(self.schema):
            problems.add(f"`{self.timestamp}` is the instant of asking, and has its type", at="schema")

    def _check_names(self, problems: Problems) -> None:
        taken: dict[str, str] = {}
        for key in self.key_names:
            if key in taken:
                problems.add(f"the key column `{key}` stands in two entities", at="entity")
            taken[key] = "a key column"
        if self.timestamp_column:
            taken[self.timestamp_column] = "the time column"
        for i, feature in enumerate(self.features):
            for name in _outputs(feature):
                if name in taken:
                    problems.add(
                        f"`{name}` is also {taken[name]}",
                        at=f"features[{i}]",
                        hint="give it another name"
                        if not isinstance(feature, Aggregate)
                        else f'give it another name: name="{feature.base_name}_2"',
                    )
                taken.setdefault(name, f"features[{i}]")

    @property
    def kind(self) -> Literal["state", "event"]:
        return "event" if any(isinstance(f, Aggregate | Label) for f in self.features) else "state"

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def keys(self) -> tuple[tuple[str, Any], ...]:
        """Key columns and types, of all entities in order."""
        return tuple(key for entity in self.entities for key in entity.keys)  # type: ignore[misc]

    @property
    def key_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.keys)

    @property
    def source_name(self) -> str | None:
        return getattr(self.source, "name", None)

    @property
    def timestamp_column(self) -> str | None:
        return self.source.timestamp if self.source is not None else self.timestamp

    @property
    def known_at_column(self) -> str | None:
        return self.source.known_at if self.source is not None else self.known_at

    @property
    def event_id_column(self) -> str | None:
        return self.source.event_id if self.source is not None else self.event_id

    @property
    def known_lag(self) -> int:
        """How long after its event time a row is known, where no known_at column is declared. Microseconds."""
        return int(self.source.lag) if self.source is not None else self.lag  # type: ignore[arg-type]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of all its features, in order; labels are none."""
        return tuple(n for f in self.features if not isinstance(f, Label) for n in _outputs(f))

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of all its labels, in order."""
        return tuple(f.name for f in self.features if isinstance(f, Label))

    def __getitem__(self, feature: str) -> Selection:
        """Select one feature or label. Raises: NotFound with the nearest name."""
        return _select(self, feature, "", ())

    def __iter__(self) -> Iterator[Selection]:
        """Every feature; labels are asked for by name, so that none gets among the features unnoticed."""
        return (self[name] for name in self.feature_names)

    def renamed(self, prefix: str = "", keys: Mapping[str, str] | None = None) -> Role:
        """The group in another role of the same spine: outputs get `prefix`, keys are read from other
        columns.

        `keys` maps the entity's key to the spine's column: `keys={"origin": "dest"}`.
        """
        return Role(self, prefix, tuple((keys or {}).items()))


Declared = Feature | Aggregate | Label


def _outputs(feature: Feature | Aggregate | Label) -> list[str]:
    """The names of the columns that it makes."""
    if isinstance(feature, Aggregate):
        return [name for name, _ in feature.names()]
    return [feature.name, feature.name + MATURE] if isinstance(feature, Label) else [feature.name]


def _is_labels(features: Any) -> bool:
    """Whether there are labels and nothing else, so that there is nothing to keep online."""
    given = features if isinstance(features, list | tuple) else [features]
    return bool(given) and all(isinstance(f, Label) for f in given)


def _select(group: FeatureGroup, feature: str, prefix: str, keys: tuple[tuple[str, str], ...]) -> Selection:
    known = (*group.feature_names, *group.label_names)
    if feature not in known:
        complain(not_found("Feature", str(feature), known, at=f"group {group.name}"))
    return Selection(group, feature, prefix, keys)


@dataclass(frozen=True, repr=False)
class Role(Definition):
    """A group under another prefix and with other key columns; made by `FeatureGroup.renamed`."""

    group: FeatureGroup
    prefix: str = ""
    keys: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        problems = Problems(f"group {self.group.name}.renamed")
        for key, _ in self.keys:
            if key not in self.group.key_names:
                problems.add(
                    f"`{key}` is not a key of `{self.group.name}`",
                    at="keys",
                    hint=f"its keys: {', '.join(self.group.key_names) or 'none'}",
                )
        problems.done()

    def __getitem__(self, feature: str) -> Selection:
        return _select(self.group, feature, self.prefix, self.keys)

    def __iter__(self) -> Iterator[Selection]:
        return (self[name] for name in self.group.feature_names)


@hashed_once
@dataclass(frozen=True, repr=False)
class Selection(Definition):
    """One feature of a group, in a role; made by `group["feature"]`."""

    group: FeatureGroup
    feature: str
    prefix: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    """(entity key, spine column) pairs that differ from the entity's own names."""

    def __repr__(self) -> str:
        return f"Selection({self.group.ref}:{self.feature}{f' as {self.name}' if self.prefix else ''})"

    @property
    def is_label(self) -> bool:
        """Whether it looks forward from t."""
        return self.feature in self.group.label_names

    @property
    def name(self) -> str:
        """The output's name: prefix and feature."""
        return self.prefix + self.feature

    @property
    def full_name(self) -> str:
        """`group__feature`, with the prefix in front; without one, the columns that keys are read from instead."""
        role = self.prefix or "".join(f"{column}_" for _, column in self.keys)
        return f"{role}{self.group.name}__{self.feature}"
