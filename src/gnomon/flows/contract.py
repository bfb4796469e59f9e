"""Contract: a service → what a model relies on, frozen: names, versions, types, defaults, and what each name means.

What gives a name its meaning is kept as a hash of a canonical JSON document of everything that can change a value.
Description, owner, tags, and where rows lie (`path`, `url`) change none. What was promised of freshness stands in the
contract as it was declared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import msgspec

from gnomon.define.entity import Entity
from gnomon.define.group import FeatureGroup, Selection
from gnomon.define.ondemand import OnDemand, Request
from gnomon.define.service import FeatureService
from gnomon.define.source import SQLSource
from gnomon.errors import NotFound, UsageError
from gnomon.flows.project import Project
from gnomon.flows.request import service_named
from gnomon.plan.layout import NONE, Layout, Output
from gnomon.registry.snapshot import Snapshot
from gnomon.registry.values import to_json
from gnomon.types import as_dtype, dtype_text

FORMAT = 1
"""The form of contracts. A release reads those of every release before it, and refuses those after it."""


class _Frozen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class FrozenFeature(_Frozen, frozen=True, kw_only=True):
    """One output of the service."""

    name: str
    full_name: str
    of: str
    """`group@version:feature`, or `function@version:output`."""
    dtype: str
    default: Any
    """As the registry writes defaults: `{"decimal": "1.50"}`."""
    keys: dict[str, str]
    """Entity key → the column of the question that it is read from, where they differ."""
    definition: str
    """Hash of how it is computed from its group's rows; of an on-demand output, that of its function."""


class FrozenKey(_Frozen, frozen=True, kw_only=True):
    """A column that a question must bring: of a key, or of the request."""

    name: str
    dtype: str


class FrozenEntity(_Frozen, frozen=True, kw_only=True):
    name: str
    keys: tuple[FrozenKey, ...]
    definition: str


class FrozenGroup(_Frozen, frozen=True, kw_only=True):
    name: str
    """With its version."""
    definition: str
    """Hash of which rows it has and when they count: keys, times, `max_age`, `settling_delay`, the source's query."""
    freshness: int | None
    """Microseconds that the newest row online may be old; None: nothing is promised."""


class FrozenFunction(_Frozen, frozen=True, kw_only=True):
    name: str
    """With its version."""
    source_hash: str
    definition: str
    """Hash of its code, inputs and outputs."""


class Contract(_Frozen, frozen=True, kw_only=True):
    """What a service promised at some revision."""

    format: Literal[1] = 1
    service: str
    """With its version."""
    revision: int
    """The registry's newest when the contract was made; no part of the hash."""
    hash: str = ""
    """Of everything but the revision: equal contracts promise the same."""
    keys: tuple[FrozenKey, ...]
    request: tuple[FrozenKey, ...]
    features: tuple[FrozenFeature, ...]
    """In the service's order, which is a part of the promise."""
    entities: tuple[FrozenEntity, ...]
    groups: tuple[FrozenGroup, ...]
    functions: tuple[FrozenFunction, ...]

    def to_json(self) -> str:
        """As a file holds it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"


def make_contract(project: Project, snapshot: Snapshot, service: str | FeatureService) -> Contract:
    """The contract of a service as of a snapshot. No code of on-demand functions is loaded.

    Raises: NotFound with the nearest name.
    """
    name = service.ref if isinstance(service, FeatureService) else service
    return _Maker(project, snapshot, service_named(snapshot, name)).make()


def read_contract(given: Contract | str | Path) -> Contract:
    """A contract from its file.

    Raises: NotFound if there is no such file; UsageError for one that is no contract, with the place, that was written
    by a later release, or that was changed by hand.
    """
    if isinstance(given, Contract):
        return given
    path = Path(given)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file `{path}`", hint="`gnomon contract export` writes one") from None
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror}") from None
    return decode_contract(raw, str(path))


def decode_contract(raw: bytes, name: str) -> Contract:
    """A contract from its text; `name` stands in messages. Raises: UsageError, as `read_contract` does."""
    hint = "`gnomon contract export SERVICE > FILE` writes a contract"
    try:
        head = msgspec.json.decode(raw, type=_Head)
        if head.format > FORMAT:
            raise UsageError(
                f"`{name}` is a contract of format {head.format}, this release reads up to {FORMAT}",
                hint="use the release of gnomon that wrote it, or a later one",
            )
        contract = msgspec.json.decode(raw, type=Contract)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        what, _, place = str(error).partition(" - at `$")
        at = name + (f": {place.rstrip('`').lstrip('.')}" if place else "")
        raise UsageError(f"`{name}` is no contract: {what}", at=at, hint=hint) from None
    if contract.hash != _hash_of(contract):
        raise UsageError(
            f"`{name}` says hash {contract.hash}, but what it holds has {_hash_of(contract)}",
            at=f"{name}: hash",
            hint="a contract is not edited: export it again",
        )
    return contract


class _Head(msgspec.Struct):
    format: int


def _hash_of(contract: Contract) -> str:
    return digest(msgspec.to_builtins(msgspec.structs.replace(contract, revision=0, hash="")))


def digest(document: Any) -> str:
    """Of JSON with sorted keys; 32 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(document, order="sorted")).hexdigest()[:32]


class _Maker:
    """Freezes what a service refers to; what is shared, once, in the order of its first use."""

    def __init__(self, project: Project, snapshot: Snapshot, service: FeatureService) -> None:
        self.project = project
        self.snapshot = snapshot
        self.service = service
        self.keys: dict[str, str] = {}
        self.request: dict[str, str] = {}
        self.entities: dict[str, FrozenEntity] = {}
        self.groups: dict[str, FrozenGroup] = {}
        self.functions: dict[str, FrozenFunction] = {}

    def make(self) -> Contract:
        features = tuple(self._features())
        contract = Contract(
            service=self.service.ref,
            revision=self.snapshot.revision,
            keys=_columns(self.keys),
            request=_columns(self.request),
            features=features,
            entities=tuple(self.entities.values()),
            groups=tuple(self.groups.values()),
            functions=tuple(self.functions.values()),
        )
        return msgspec.structs.replace(contract, hash=_hash_of(contract))

    def _features(self) -> Iterable[FrozenFeature]:
        for chosen in self.service.features:
            if isinstance(chosen, Selection):
                layout, output = self._use(chosen)
                yield FrozenFeature(
                    name=chosen.name,
                    full_name=chosen.full_name,
                    of=f"{chosen.group.ref}:{chosen.feature}",
                    dtype=dtype_text(output.dtype),
                    default=to_json(output.default, chosen.full_name),
                    keys=dict(chosen.keys),
                    definition=digest(_computed(layout, output, is_label=chosen.is_label)),
                )
            else:
                definition = self._function(chosen)
                for name, dtype in chosen.returns:
                    yield FrozenFeature(
                        name=name,
                        full_name=name,
                        of=f"{chosen.ref}:{name}",
                        dtype=dtype_text(dtype),
                        default=None,
                        keys={},
                        definition=definition,
                    )

    def _use(self, chosen: Selection) -> tuple[Layout, Output]:
        """Note a feature's group, entities, and the columns that it needs of a question."""
        group = chosen.group
        layout = self.project.layout(self.snapshot, group)
        if group.ref not in self.groups:
            definition = digest(_rows(group, layout))
            self.groups[group.ref] = FrozenGroup(
                name=group.ref, definition=definition, freshness=group.freshness
            )
        for entity in group.entities:
            self.entities.setdefault(entity.name, _entity(entity))
        renamed = dict(chosen.keys)
        for key, dtype in layout.keys:
            self.keys.setdefault(renamed.get(key, key), dtype_text(dtype))
        output = layout.by_name[chosen.feature]
        if output.include_request:
            raw = dict(layout.columns)
            for name in _own_row(layout, output):
                self.request.setdefault(name, dtype_text(raw[name]))
        return layout, output

    def _function(self, function: OnDemand) -> str:
        if function.ref not in self.functions:
            inputs: list[Any] = []
            for given in function.inputs:
                if isinstance(given, Request):
                    self.request.setdefault(given.name, dtype_text(as_dtype(given.dtype)))
                    inputs.append(["request", given.name, dtype_text(as_dtype(given.dtype))])
                else:
                    layout, output = self._use(given)
                    computed = _computed(layout, output, is_label=False)
                    inputs.append([given.name, f"{given.group.ref}:{given.feature}", given.keys, computed])
            document = {
                "source": function.source_hash,
                "inputs": inputs,
                "returns": [(name, dtype_text(dtype)) for name, dtype in function.returns],
            }
            self.functions[function.ref] = FrozenFunction(
                name=function.ref, source_hash=function.source_hash, definition=digest(document)
            )
        return self.functions[function.ref].definition


def _columns(named: dict[str, str]) -> tuple[FrozenKey, ...]:
    return tuple(FrozenKey(name=name, dtype=dtype) for name, dtype in sorted(named.items()))


def _entity(entity: Entity) -> FrozenEntity:
    keys = tuple(
        FrozenKey(name=name, dtype=dtype_text(as_dtype(dtype))) for name, dtype in dict(entity.keys).items()
    )
    return FrozenEntity(name=entity.name, keys=keys, definition=digest([(k.name, k.dtype) for k in keys]))


def _rows(group: FeatureGroup, layout: Layout) -> dict[str, Any]:
    """Which rows a group has, and when they count."""
    document = {
        "kind": layout.kind,
        "keys": [(name, dtype_text(dtype)) for name, dtype in layout.keys],
        "timestamp": layout.timestamp,
        "known_at": layout.known_at,
        "event_id": layout.event_id,
        "lag": layout.lag,
        "max_age": layout.max_age,
        "settling_delay": layout.settling_delay,
        "cached": layout.cached,
        "query": group.source.query if isinstance(group.source, SQLSource) else None,
    }
    return document | ({"external": True} if group.external is not None else {})


def _computed(layout: Layout, output: Output, *, is_label: bool) -> dict[str, Any]:
    """How a feature is computed from its group's rows. What is read is a column's name, or an expression."""
    home = layout.labels if is_label and layout.labels is not None else layout

    def read(position: int) -> Any:
        given = None if position == NONE else home.inputs[position]
        return given and (given.column if given.expr is None else {"expr": _words(given.expr)})

    # What has its default is left out, so that a property that comes with a later release changes no hash of before it.
    given = {f.name: getattr(output, f.name) for f in fields(output) if getattr(output, f.name) != f.default}
    document = given | {
        "dtype": dtype_text(output.dtype),
        "input": read(output.input),
        "where": read(output.where),
        "by": read(output.by),
        "default": to_json(output.default, output.name),
    }
    return document | ({"label": True} if is_label else {})


def _own_row(layout: Layout, output: Output) -> list[str]:
    """The raw columns that the request's own row brings for an output."""
    names: set[str] = set()
    for position in output.inputs:
        made = layout.inputs[position]
        names.update([made.column] if made.column is not None else [name for name, _ in made.reads])
    return sorted(names)


_TEXT_OR_SPACE = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|\s+""")


def _words(expression: str) -> str:
    """An expression with one space wherever there are some outside of quotes: how it is laid out means nothing."""
    return _TEXT_OR_SPACE.sub(lambda found: found[1] or " ", expression).strip()
