"""Pii: which features tell of persons, from tags and lineage.

    @pii on a source    all its columns, or those that the tag's value names
    @pii on a group     all its features
    @pii on a feature   it
    ↓                   the columns that these are made from
    ↓                   every feature made from such a column, and every on-demand output made from such a feature

So a column that is tagged once stays protected under another name, in another group, behind an expression.
"""

from __future__ import annotations

from typing import Any

from gnomon.define.aggregate import Aggregate
from gnomon.define.collect import Collected, ref_of
from gnomon.define.feature import Feature
from gnomon.define.label import Label
from gnomon.define.source import FileSource, Source, SQLSource
from gnomon.registry.lineage import Lineage, Node, Via, lineage

TAG = "pii"
"""As in `tags={"pii": "yes"}`; a source may name columns instead: `tags={"pii": "email, phone"}`."""

_NO = frozenset({"", "no", "false", "0"})
_YES = frozenset({"yes", "true", "1"})
_REVEALS: frozenset[Via] = frozenset({"value", "filter", "category"})
"""What a feature tells of a column: its values, or which rows meet a condition on it. The key is what the asker brings,
times and ids only choose rows."""


def pii_features(collected: Collected) -> frozenset[str]:
    """Names of all that tells of persons: `group@1:name` of features and labels, `function@1:name` of outputs."""
    made = lineage(collected)
    tagged = _tagged_features(collected)
    columns = {
        edge.source
        for edge in made.edges
        if edge.source.kind == "column"
        and ((edge.target.name in tagged and edge.via == "value") or _is_tagged(edge.source, collected))
    }
    columns = _same_places(made, columns, collected)
    derived = _made_from(made, columns) | _made_from(made, _nodes(made, tagged))
    return frozenset(tagged | derived) | tagged_outputs(collected)


def tagged_outputs(collected: Collected) -> frozenset[str]:
    """Outputs of on-demand functions that are tagged themselves, whatever they are made from: `function@1:output`."""
    return frozenset(
        f"{function.ref}:{name}"
        for function in collected.on_demand
        if _says(function.tags)
        for name, _ in function.returns
    )


def _tagged_features(collected: Collected) -> set[str]:
    """Features whose own tag, or whose group's, says so."""
    found: set[str] = set()
    for group in collected.groups:
        whole = _says(group.tags)
        for feature in group.features:
            if whole or (isinstance(feature, Feature) and _says(feature.tags)):
                found.update(f"{group.ref}:{name}" for name in _names(feature))
    return found


def _names(feature: Feature | Aggregate | Label) -> list[str]:
    return [name for name, _ in feature.names()] if isinstance(feature, Aggregate) else [feature.name]


def _is_tagged(column: Node, collected: Collected) -> bool:
    """Whether a column's source is tagged as a whole, or with the column's name."""
    for source in collected.sources:
        value = dict(source.tags).get(TAG, "").strip()
        name = column.name.removeprefix(f"{ref_of(source)}.")
        if name == column.name or value.lower() in _NO:
            continue
        if value.lower() in _YES or name in (one.strip() for one in value.split(",")):
            return True
    return False


def _same_places(made: Lineage, columns: set[Node], collected: Collected) -> set[Node]:
    """The columns, and those of the same name in other sources that read the same file, table or query."""
    places = {ref_of(source): _place(source) for source in collected.sources}

    def address(node: Node) -> tuple[Any, str]:
        for name, place in places.items():
            column = node.name.removeprefix(f"{name}.")
            if column != node.name:
                return place, column
        return None, node.name  # of a cached group, which is a place of its own

    addresses = {address(node) for node in columns}
    return {node for node in made.nodes if node.kind == "column" and address(node) in addresses}


def _place(source: Source) -> Any:
    """What tells the rows of a source from others, whatever time they are read by."""
    if isinstance(source, FileSource):
        return source.path
    return (source.url, source.query) if isinstance(source, SQLSource) else ref_of(source)


def _says(tags: Any) -> bool:
    return dict(tags).get(TAG, "").strip().lower() not in _NO


def _nodes(made: Lineage, names: set[str]) -> set[Node]:
    return {node for node in made.nodes if node.name in names}


def _made_from(made: Lineage, nodes: set[Node]) -> set[str]:
    """Names of the features and outputs that reveal something of the nodes."""
    found: set[str] = set()
    for node in nodes:
        for reached in made.downstream(node.name, via=_REVEALS):
            if reached.kind in ("feature", "on_demand"):
                found.add(reached.name)
    return found
