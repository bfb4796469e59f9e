"""Lineage: source column → feature → on-demand output → service, read off the definitions.

Nothing is declared for it: the columns come from the expressions, the rest from what refers to what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from gnomon.define.aggregate import Aggregate
from gnomon.define.collect import Collected
from gnomon.define.expressions import columns_of
from gnomon.define.feature import Feature
from gnomon.define.group import FeatureGroup, Selection
from gnomon.define.label import Label
from gnomon.define.ondemand import OnDemand
from gnomon.errors import not_found

NodeKind = Literal["column", "request", "feature", "on_demand", "service"]
Via = Literal["value", "filter", "category", "key", "time", "id"]
"""What a column is to a feature: its value, a condition, what it is taken by, the key, a time or the event id."""


@dataclass(frozen=True, slots=True, order=True)
class Node:
    kind: NodeKind
    name: str
    """`source.column` (`group@1.column` if cached), `group@1:feature`, `function@1:output`, `service@1`."""


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """`target` is made from `source`."""

    source: Node
    target: Node
    via: Via = "value"


@dataclass(frozen=True)
class Lineage:
    """What is made from what, in both directions."""

    edges: tuple[Edge, ...]

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(sorted({node for edge in self.edges for node in (edge.source, edge.target)}))

    def upstream(self, name: str, *, via: frozenset[Via] | None = None) -> tuple[Node, ...]:
        """Everything that the node is made from, directly or not, sorted. `via`: only along such edges.

        Raises: NotFound with the nearest name.
        """
        return self._reach(name, self._into, lambda edge: edge.source, via)

    def downstream(self, name: str, *, via: frozenset[Via] | None = None) -> tuple[Node, ...]:
        """Everything that is made from the node, directly or not, sorted. Raises: NotFound."""
        return self._reach(name, self._out_of, lambda edge: edge.target, via)

    def to_dict(self) -> dict[str, Any]:
        """Nodes and edges for JSON."""
        return {
            "nodes": [{"kind": node.kind, "name": node.name} for node in self.nodes],
            "edges": [{"from": e.source.name, "to": e.target.name, "via": e.via} for e in self.edges],
        }

    @cached_property
    def _into(self) -> dict[Node, list[Edge]]:
        return _grouped(self.edges, lambda edge: edge.target)

    @cached_property
    def _out_of(self) -> dict[Node, list[Edge]]:
        return _grouped(self.edges, lambda edge: edge.source)

    def _reach(
        self,
        name: str,
        steps: dict[Node, list[Edge]],
        end: Callable[[Edge], Node],
        via: frozenset[Via] | None,
    ) -> tuple[Node, ...]:
        start = [node for node in self.nodes if node.name == name]
        if not start:
            raise not_found("Column, feature or service", name, {node.name for node in self.nodes})
        found: set[Node] = set()
        todo = start
        while todo:
            edges = [e for e in steps.get(todo.pop(), []) if via is None or e.via in via]
            fresh = {end(edge) for edge in edges} - found
            found |= fresh
            todo.extend(fresh)
        return tuple(sorted(found))


def lineage(collected: Collected) -> Lineage:
    """The lineage of all definitions: `lineage(snapshot.collected())`."""
    edges: set[Edge] = set()
    for group in collected.groups:
        edges.update(_of_group(group))
    for function in collected.on_demand:
        edges.update(_of_function(function))
    for service in collected.services:
        target = Node("service", service.ref)
        for chosen in service.features:
            if isinstance(chosen, OnDemand):
                edges.update(Edge(output, target) for output in _outputs(chosen))
            else:
                edges.add(Edge(_feature(chosen), target))
    return Lineage(tuple(sorted(edges)))


def columns_read(feature: Feature | Aggregate | Label) -> Iterator[tuple[str, Via]]:
    """The raw columns that a feature reads from a row, and what they are to it."""
    if isinstance(feature, Label):
        feature = feature.aggregate
    column = feature.name if isinstance(feature, Feature) and feature.expr is None else None
    column = feature.column if isinstance(feature, Aggregate) else column
    if column is not None:
        yield column, "value"
    if feature.expr is not None:
        for name in columns_of(feature.expr):
            yield name, "value"
    if isinstance(feature, Aggregate) and feature.where is not None:
        for name in columns_of(feature.where):
            yield name, "filter"
    if isinstance(feature, Aggregate) and feature.by is not None:
        yield feature.by, "category"


def _of_group(group: FeatureGroup) -> Iterator[Edge]:
    home = group.external.name if group.external is not None else group.source_name or group.ref
    shared: list[tuple[str | None, Via]] = [(key, "key") for key in group.key_names]
    shared += [
        (group.timestamp_column, "time"),
        (group.known_at_column, "time"),
        (group.event_id_column, "id"),
    ]
    for feature in group.features:
        read = [*columns_read(feature), *((column, via) for column, via in shared if column is not None)]
        names = [name for name, _ in feature.names()] if isinstance(feature, Aggregate) else [feature.name]
        for name in names:
            target = Node("feature", f"{group.ref}:{name}")
            for column, via in read:
                yield Edge(Node("column", f"{home}.{column}"), target, via)


def _of_function(function: OnDemand) -> Iterator[Edge]:
    for given in function.inputs:
        source = _feature(given) if isinstance(given, Selection) else Node("request", given.name)
        for output in _outputs(function):
            yield Edge(source, output)


def _feature(chosen: Selection) -> Node:
    return Node("feature", f"{chosen.group.ref}:{chosen.feature}")


def _outputs(function: OnDemand) -> list[Node]:
    return [Node("on_demand", f"{function.ref}:{name}") for name, _ in function.returns]


def _grouped(edges: tuple[Edge, ...], key: Callable[[Edge], Node]) -> dict[Node, list[Edge]]:
    grouped: dict[Node, list[Edge]] = {}
    for edge in edges:
        grouped.setdefault(key(edge), []).append(edge)
    return grouped
