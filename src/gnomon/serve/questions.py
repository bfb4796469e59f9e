"""Questions: choices of features that are asked for, with how their keys and values stand in JSON.

What belongs to a choice is made once for each revision of the registry, ahead for every service, so that no
request pays for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gnomon import interchange as values
from gnomon.errors import DataError, GnomonError
from gnomon.flows.inputs import Inputs
from gnomon.registry.snapshot import Snapshot
from gnomon.serve.access import Principal
from gnomon.serve.answers import Form
from gnomon.store import Store
from gnomon.types import DType

_log = logging.getLogger(__name__)

_KEPT = 256
"""Choices beside services that are remembered."""

Address = tuple[str | tuple[str, ...], bool]
"""A service's name or the features, and whether they are named in full."""


@dataclass(slots=True, eq=False)
class Question:
    """A choice of features, by one revision."""

    features: str | list[str]
    full_names: bool
    groups: tuple[str, ...]
    """That are read, as `name@version`."""
    reads: tuple[str, ...]
    """Their features, as `name@version:feature`."""
    outputs: tuple[str, ...]
    """What on-demand functions make of them, as `function@version:output`."""
    label: str
    """In metrics and logs: a service's name, or `features`."""
    keys: Mapping[str, values.Convert]
    """Key columns that are not in JSON as they are in Python."""
    request: Mapping[str, values.Convert]
    """Request values, the same."""
    types: Mapping[str, DType] = field(repr=False)
    """Of key columns and request values."""
    inputs: Inputs = field(repr=False)
    waits: bool = False
    """Whether answering may wait for others than the online store."""
    form: Form | None = field(default=None, repr=False)
    """How its answers are written, once there was one."""
    asked: int = 0
    """About how often it was answered."""


class Questions:
    """The choices that a worker knows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[Address, Question] = {}
        self.revision: int | None = None

    def find(self, features: str | list[str], full_names: bool) -> Question:
        """What belongs to a choice. Raises: what `Store.prepare` raises, such as NotFound."""
        address = (features if isinstance(features, str) else tuple(features), full_names)
        found = self._known.get(address)
        if found is None:
            found = self._make(features, full_names, None)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[address] = found
        return found

    def allowed(self, principal: Principal, features: str | list[str], full_names: bool) -> Question:
        """The same, for somebody who may read it all. Raises: Denied, for what he may not."""
        return principal.reading(features, lambda: self.find(features, full_names))

    def prepare(self, snapshot: Snapshot) -> tuple[int, dict[Address, Question]]:
        """What will be known by a revision: all its services, and what was asked for so far. May take long.

        A service that cannot be answered by it is left out, so that the others can; who asks for it is told why.
        """
        addresses: dict[Address, None] = {(ref, False): None for ref in snapshot.refs("service")}
        addresses.update(dict.fromkeys(self._known))
        known: dict[Address, Question] = {}
        for features, full_names in addresses:
            chosen = features if isinstance(features, str) else list(features)
            try:
                known[features, full_names] = self._make(chosen, full_names, snapshot)
            except GnomonError as error:
                _log.warning("`%s` cannot be answered by revision %d: %s", features, snapshot.revision, error)
        return snapshot.revision, known

    def swap(self, prepared: tuple[int, dict[Address, Question]]) -> None:
        """Know what was prepared, and nothing else."""
        self.revision, self._known = prepared

    def _make(self, features: str | list[str], full_names: bool, snapshot: Snapshot | None) -> Question:
        inputs = self._store.prepare(features, snapshot=snapshot, full_names=full_names)
        return Question(
            features,
            full_names,
            inputs.groups,
            inputs.reads,
            inputs.outputs,
            features if isinstance(features, str) and ":" not in features else "features",
            _readers(inputs.keys),
            _readers(inputs.request),
            {**inputs.request, **inputs.keys},
            inputs,
            inputs.waits,
        )


def _readers(types: Mapping[str, DType]) -> dict[str, values.Convert]:
    made = {name: values.reader(dtype) for name, dtype in types.items()}
    return {name: read for name, read in made.items() if read is not None}


Entities = list[dict[str, Any]] | dict[str, list[Any]]


def read_entities(question: Question, given: Entities) -> Entities:
    """The entities with keys as Python has them. Raises: DataError naming column and row."""
    if not question.keys:
        return given
    if isinstance(given, dict):
        return {name: _column(question, name, column) for name, column in given.items()}
    rows = [dict(row) for row in given]
    for name in question.keys:
        here = [i for i, row in enumerate(rows) if name in row]
        read = values.read_column(
            [rows[i][name] for i in here],
            question.keys[name],
            f"the key column `{name}`",
            question.types[name],
        )
        for i, value in zip(here, read, strict=True):
            rows[i][name] = value
    return rows


def _column(question: Question, name: str, column: list[Any]) -> list[Any]:
    read = question.keys.get(name)
    if read is None:
        return column
    return values.read_column(column, read, f"the key column `{name}`", question.types[name])


def read_request(question: Question, given: Mapping[str, Any] | None, n: int) -> dict[str, Any] | None:
    """Request values as Python has them: of each one for all `n` entities, or a list of one an entity."""
    if given is None or not question.request:
        return None if given is None else dict(given)
    made = dict(given)
    for name, read in question.request.items():
        if name in made:
            each = isinstance(made[name], list)
            column = values.read_column(
                made[name] if each else [made[name]],
                read,
                f"the request value `{name}`",
                question.types[name],
            )
            made[name] = column if each else column[0]
    return made


def count(entities: Entities) -> int:
    """How many entities there are. Raises: DataError where columns differ in length."""
    if isinstance(entities, list):
        return len(entities)
    lengths: Sequence[int] = [len(column) for column in entities.values()]
    if len(set(lengths)) > 1:
        shown = ", ".join(f"{name}: {len(column)}" for name, column in entities.items())
        raise DataError(f"the entity columns differ in length ({shown})", at="$.entities")
    return lengths[0] if lengths else 0
