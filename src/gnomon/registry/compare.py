"""Compare: two definitions of one name → what differs, property by property, and what each difference does.

The same name must never get another meaning (SEMANTICS §0): a model that was trained with `spend_7d` of
`user_spend@1` gets values of the same meaning for as long as that name exists. So every property has an
effect:

* Breaking, another meaning of an existing name:
    * entity: `keys`
    * source: `timestamp`, `known_at`, `event_id`, `lag`, `query`
    * group: the keys of its entities, `max_age`, `settling_delay`, cached ↔ source ↔ external, another source with
      other times; of a cached group `timestamp`, `known_at`, `event_id`, `lag`, the type of a column in `schema`
    * feature, label: removed (another window is another name), or any of its properties but text; the type of an
      aggregate's result, which comes from the source
    * on-demand: `inputs`, the function's code, an output removed, moved or of another type
    * service: an output removed, moved, or standing for something else
* Same meaning, but the group's online table must be filled or built again:
    * source: `path`, `format`, `options`, `url`, file ↔ SQL; another source that differs in these only
    * group: `online` turned on; other types of raw columns
    * feature: a new one that needs other columns or older rows
* Free:
    * text everywhere; `module`, `qualname` and `timeout` of a function
    * group: `online` turned off, `freshness`, how its external source is reached, columns added to `schema` or removed
      from it, the order of features
    * a new output of an on-demand function or of a service

*Text* is `description`, `owner` and `tags`. `max_age`, `settling_delay` and `default` change values of the
past and so break; so does a `query`, since which rows it gives cannot be told from its text. `path` and `url`
say where rows lie, not what they mean. A `where` or `expr` that is only written differently (spaces,
parentheses) is no change of meaning. The order of a service's outputs is a part of it: a model that is fed by
position would take one column for another. A new output may stand anywhere, so that a group chosen whole can
grow.

Entities and sources have no version: their breaking changes concern the groups that use them, and are told by
`diff`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from gnomon.define.aggregate import Aggregate
from gnomon.define.collect import comparable, own_fields
from gnomon.define.entity import Entity
from gnomon.define.expressions import parse
from gnomon.define.feature import Feature
from gnomon.define.group import FeatureGroup, Selection
from gnomon.define.label import Label
from gnomon.define.ondemand import OnDemand, Request
from gnomon.define.service import FeatureService
from gnomon.define.source import Source
from gnomon.time import show_duration
from gnomon.types import dtype_text

Effect = Literal["free", "moved", "meaning"]
"""What a difference does: nothing, the rows lie elsewhere, or a name means something else."""

_TEXT: dict[str, Effect] = {"description": "free", "owner": "free", "tags": "free"}

EFFECTS: dict[str, dict[str, Effect]] = {
    "entity": {"keys": "meaning", **_TEXT},
    "source": {
        **dict.fromkeys(("timestamp", "known_at", "event_id", "lag", "query"), "meaning"),
        **dict.fromkeys(("path", "format", "options", "url", "type"), "moved"),
        **_TEXT,
    },
    "group": {
        **dict.fromkeys(
            ("max_age", "settling_delay", "timestamp", "known_at", "event_id", "lag"), "meaning"
        ),
        "online": "free",
        "freshness": "free",
        **_TEXT,
    },
    "feature": {
        **dict.fromkeys(("dtype", "expr", "default"), "meaning"),
        "description": "free",
        "tags": "free",
    },
    "aggregate": dict.fromkeys(
        (
            *("function", "column", "expr", "windows", "where", "by", "limit", "offset", "default"),
            *("include_request", "k", "q", "half_life", "ddof", "nulls", "distinct"),
        ),
        "meaning",
    ),
    "label": {"lateness": "meaning"},
    "external": dict.fromkeys(
        ("name", "url", "schema", "timeout", "headers", "open_after", "open_for", "timestamp"), "free"
    ),
    "on_demand": {
        "source_hash": "meaning",
        **dict.fromkeys(("module", "qualname", "timeout"), "free"),
        **_TEXT,
    },
}  # fmt: skip
"""The effect of each property that is compared as a whole; the others have functions of their own below."""

_DURATIONS = frozenset(
    {
        "half_life",
        "max_age",
        "freshness",
        "settling_delay",
        "lag",
        "offset",
        "lateness",
        "timeout",
        "open_for",
    }
)


@dataclass(frozen=True, slots=True)
class Detail:
    """One difference."""

    what: str
    """The property: `max_age`, or ``feature `temp`: dtype``."""
    old: str | None
    """As people read it; None if it was not there."""
    new: str | None
    """None if it is no longer there."""
    effect: Effect = "free"

    def __str__(self) -> str:
        if self.old is None and self.new is None:
            return self.what
        if self.old is None:
            return f"{self.what}: new, {self.new}"
        if self.new is None:
            return f"{self.what}: removed, was {self.old}"
        colon = "" if ":" in self.what else ":"
        return f"{self.what}{colon} {self.old} → {self.new}"


def details(old: Any, new: Any) -> tuple[Detail, ...]:
    """What differs between two definitions of one kind and name. Empty if they mean and say the same."""
    if isinstance(new, FeatureGroup):
        return tuple(_group(old, new))
    if isinstance(new, Source):
        return tuple(source_details(old, new))
    if isinstance(new, Entity):
        return tuple(_properties("entity", old, new))
    if isinstance(new, OnDemand):
        return tuple(_on_demand(old, new))
    return tuple(_service(old, new))


def source_details(old: Source, new: Source) -> Iterator[Detail]:
    """Differences of two sources, their names apart."""
    if type(old) is not type(new):
        yield Detail("type", old.kind, new.kind, "moved")
    yield from _properties("source", old, new)


def summary(feature: Feature | Aggregate | Label) -> str:
    """A feature in a few words: `mean of dep_delay over 1h where cancelled = 0`."""
    if isinstance(feature, Label):
        return f"label: {summary(feature.aggregate)}, from t on"
    if isinstance(feature, Feature):
        return dtype_text(feature.dtype) + (f" = {feature.expr}" if feature.expr is not None else "")
    words = [feature.function]
    if (given := feature.column or feature.expr) is not None:
        words.append(f"of {given}")
    if feature.windows:
        words.append(f"over {', '.join(window.text for window in feature.windows)}")
    if feature.where is not None:
        words.append(f"where {feature.where}")
    if feature.by is not None:
        words.append(f"by {feature.by}")
    return " ".join(words)


def _properties(kind: str, old: Any, new: Any, prefix: str = "") -> Iterator[Detail]:
    """The properties in `EFFECTS` that both have and that differ."""
    mine, other = own_fields(old), own_fields(new)
    for name, effect in EFFECTS[kind].items():
        if name not in mine or name not in other or comparable(mine[name]) == comparable(other[name]):
            continue
        if name in ("expr", "where") and _same_expression(mine[name], other[name], old):
            effect = "free"
        yield Detail(prefix + name, _show(name, mine[name]), _show(name, other[name]), effect)


def _group(old: FeatureGroup, new: FeatureGroup) -> Iterator[Detail]:
    if [e.name for e in old.entities] != [e.name for e in new.entities]:
        effect: Effect = "free" if comparable(old.keys) == comparable(new.keys) else "meaning"
        yield Detail("entity", _show("entity", old.entities), _show("entity", new.entities), effect)
    if old.source_name != new.source_name:
        yield Detail(
            "source", str(old.source_name), str(new.source_name), _source_effect(old.source, new.source)
        )
    if (old.external is None) != (new.external is None):
        yield Detail("external", _external(old), _external(new), "meaning")
    elif old.external is not None:
        yield from _properties("external", old.external, new.external, "external ")
    yield from _properties("group", old, new)
    yield from _schema(dict(old.schema), dict(new.schema))
    yield from _features(_by_name(old), _by_name(new))


def _external(group: FeatureGroup) -> str:
    return "none" if group.external is None else group.external.url


def _source_effect(old: Source | None, new: Source | None) -> Effect:
    if old is None or new is None:
        return "meaning"  # the rows of a cached group are its own
    effects = {detail.effect for detail in source_details(old, new)}
    return "meaning" if "meaning" in effects else "moved" if "moved" in effects else "free"


def _schema(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Detail]:
    for name in {**old, **new}:
        before, after = (dtype_text(of[name]) if name in of else None for of in (old, new))
        if before != after:
            yield Detail(f"schema `{name}`", before, after, "meaning" if before and after else "free")


def _by_name(group: FeatureGroup) -> dict[str, Feature | Aggregate | Label]:
    """Every feature by its output's name, each aggregate with the one window of that output."""
    named: dict[str, Feature | Aggregate | Label] = {}
    for feature in group.features:
        if not isinstance(feature, Aggregate):
            named[feature.name] = feature
        else:
            for name, window in feature.names():
                named[name] = replace(feature, windows=(window,) if window else ())
    return named


def _features(
    old: Mapping[str, Feature | Aggregate | Label], new: Mapping[str, Feature | Aggregate | Label]
) -> Iterator[Detail]:
    for name, was in old.items():
        now = new.get(name)
        if now is None:
            yield Detail(f"feature `{name}`", summary(was), None, "meaning")
        elif type(was) is not type(now):
            yield Detail(f"feature `{name}`", summary(was), summary(now), "meaning")
        else:
            yield from _feature(was, now, f"feature `{name}`: ")
    for name, added in new.items():
        if name not in old:
            yield Detail(f"feature `{name}`", None, summary(added))
    yield from _order("order of features", old, new, "free")


def _feature(old: Any, new: Any, prefix: str) -> Iterator[Detail]:
    """Differences of two features of one name and type."""
    if isinstance(new, Label):
        yield from _feature(old.aggregate, new.aggregate, prefix)
        yield from _properties("label", old, new, prefix)
    else:
        yield from _properties("feature" if isinstance(new, Feature) else "aggregate", old, new, prefix)


def _on_demand(old: OnDemand, new: OnDemand) -> Iterator[Detail]:
    mine, other = ([_target(given) for given in function.inputs] for function in (old, new))
    if mine != other:
        yield Detail("inputs", ", ".join(mine), ", ".join(other), "meaning")
    before, after = ({name: dtype_text(dtype) for name, dtype in f.returns} for f in (old, new))
    yield from _outputs(before, after)
    yield from _properties("on_demand", old, new)


def _service(old: FeatureService, new: FeatureService) -> Iterator[Detail]:
    before, after = (
        {
            chosen.name if isinstance(chosen, OnDemand) else chosen.full_name: _target(chosen)
            for chosen in service.features
        }
        for service in (old, new)
    )
    yield from _outputs(before, after)
    for name in _TEXT:
        if comparable(getattr(old, name)) != comparable(getattr(new, name)):
            yield Detail(name, _show(name, getattr(old, name)), _show(name, getattr(new, name)))


def _outputs(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Detail]:
    for name in {**old, **new}:
        before, after = old.get(name), new.get(name)
        if before != after:
            yield Detail(f"output `{name}`", before, after, "free" if before is None else "meaning")
    yield from _order("order of outputs", old, new, "meaning")


def _order(what: str, old: Mapping[str, Any], new: Mapping[str, Any], effect: Effect) -> Iterator[Detail]:
    """Whether the names that both have stand in another order."""
    before, after = [name for name in old if name in new], [name for name in new if name in old]
    if before != after:
        yield Detail(what, ", ".join(before), ", ".join(after), effect)


def _target(chosen: Selection | Request | OnDemand) -> str:
    """What an input or output stands for: `weather@1:temp as dest_temp by origin=dest`."""
    if isinstance(chosen, OnDemand):
        return chosen.ref
    if isinstance(chosen, Request):
        return f"{chosen.name} {dtype_text(chosen.dtype)} of the request"
    text = f"{chosen.group.ref}:{chosen.feature}"
    if chosen.prefix:
        text += f" as {chosen.name}"
    if chosen.keys:
        text += " by " + ", ".join(f"{key}={column}" for key, column in chosen.keys)
    return text


def _same_expression(old: str | None, new: str | None, feature: Any) -> bool:
    """Whether two texts are one expression; of a column's feature none means the column of its name."""
    trees = []
    for text in (old, new):
        if text is not None:
            trees.append(parse(text))
        elif isinstance(feature, Feature):
            trees.append(pl.col(feature.name))
        else:
            return False
    return trees[0].meta.eq(trees[1])


def _show(name: str, value: Any) -> str:
    """A property's value as people read it."""
    if value is None or isinstance(value, bool):
        return str(value)
    if name in _DURATIONS:
        return show_duration(value) if value else "0"
    if isinstance(value, pl.DataType):
        return dtype_text(value)
    if name in ("keys", "schema"):
        return "{" + ", ".join(f"{key}: {dtype_text(dtype)}" for key, dtype in value) + "}"
    if name in ("tags", "headers"):
        return "{" + ", ".join(f"{key}: {text}" for key, text in value) + "}"
    if name == "windows":
        return ", ".join(window.text for window in value) or "all rows"
    if name == "entity":
        return ", ".join(entity.name for entity in value) or "none"
    if name == "default" or value == "":
        return repr(value)
    return str(value)
