"""Codec: definition ↔ canonical JSON document.

A document holds one definition and names what it refers to: a group its entities and source, a service
`group@version:feature`. Equal definitions have equal text: keys are sorted, nothing is left out, and what has
an order (keys, tags, features) is a list. Decoding is strict and gives objects equal to those that were
declared; only `OnDemand.function` is None until `import_function` finds it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from gnomon.define.aggregate import Aggregate, Window
from gnomon.define.collect import LABELS, Kind, Registered, kind_of, ref_of
from gnomon.define.entity import Entity
from gnomon.define.external import ExternalSource
from gnomon.define.feature import Feature
from gnomon.define.group import FeatureGroup, Selection
from gnomon.define.label import Label
from gnomon.define.ondemand import OnDemand, Request, source_hash
from gnomon.define.service import FeatureService
from gnomon.define.source import FileSource, Source, SQLSource
from gnomon.errors import CorruptValue, DefinitionError, GnomonError, UsageError
from gnomon.registry.values import from_json, to_json
from gnomon.types import DType, as_dtype, dtype_text, parse_dtype

FORMAT = 1
"""The form of documents. A release reads those of every release before it, and refuses those after it."""

Pairs = tuple[tuple[str, str], ...]


class Lookup(Protocol):
    """Finds what a document names; a snapshot does."""

    def entity(self, name: str) -> Entity: ...
    def source(self, name: str) -> Source: ...
    def group(self, name: str) -> FeatureGroup: ...
    def on_demand(self, name: str) -> OnDemand: ...


# -------------------------------------------------------------------------------------------------- documents


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Document(_Strict, frozen=True, kw_only=True):
    format: Literal[1] = 1
    name: str
    description: str
    owner: str
    tags: Pairs


class _Entity(_Document, frozen=True, kw_only=True):
    keys: Pairs


class _Source(_Document, frozen=True, kw_only=True):
    timestamp: str
    known_at: str | None
    event_id: str | None
    lag: int


class _File(_Source, frozen=True, kw_only=True, tag_field="type", tag="file"):
    path: str
    file_format: str | None
    # Left out where there are none, so that documents of before they were there keep their text.
    options: Pairs | msgspec.UnsetType = msgspec.UNSET


class _SQL(_Source, frozen=True, kw_only=True, tag_field="type", tag="sql"):
    url: str
    query: str


class _Column(_Strict, frozen=True, kw_only=True, tag_field="type", tag="column"):
    name: str
    dtype: str
    expr: str | None
    default: Any
    description: str
    tags: Pairs


class _Window(_Strict, frozen=True, kw_only=True):
    length: int
    text: str


class _Aggregate(_Strict, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="aggregate"):
    function: str
    column: str | None
    expr: str | None
    windows: tuple[_Window, ...]
    where: str | None
    limit: int | None
    offset: int
    default: Any
    include_request: bool
    name: str | None
    k: int | None
    ddof: int | None
    nulls: Literal["skip", "keep"]
    distinct: bool
    # Left out where they have their default, so that documents of before they were there keep their text.
    q: float | None = None
    half_life: int | None = None
    by: str | None = None


class _Label(_Strict, frozen=True, kw_only=True, tag_field="type", tag="label"):
    aggregate: _Aggregate
    """Its one window is the label's."""
    name: str
    lateness: int


class _External(_Strict, frozen=True, kw_only=True):
    name: str
    url: str
    schema: Pairs
    timeout: int
    headers: Pairs
    open_after: int
    open_for: int
    timestamp: str


class _Group(_Document, frozen=True, kw_only=True):
    version: int
    entities: tuple[str, ...]
    source: str | None
    features: tuple[_Column | _Aggregate | _Label, ...]
    max_age: int | None
    settling_delay: int
    timestamp: str | None
    known_at: str | None
    event_id: str | None
    lag: int
    schema: Pairs
    online: bool
    columns: Pairs | None
    """The raw columns that it reads, with types, found at apply: a server need not open the source."""
    # Left out where there is none, so that documents of before it was there keep their text.
    freshness: int | msgspec.UnsetType = msgspec.UNSET
    external: _External | msgspec.UnsetType = msgspec.UNSET


class _Selection(_Strict, frozen=True, kw_only=True, tag_field="type", tag="feature"):
    feature: str
    """`group@version:feature`"""
    prefix: str
    keys: Pairs


class _Request(_Strict, frozen=True, kw_only=True, tag_field="type", tag="request"):
    name: str
    dtype: str


class _Function(_Strict, frozen=True, kw_only=True, tag_field="type", tag="on_demand"):
    ref: str


class _OnDemand(_Document, frozen=True, kw_only=True):
    version: int
    inputs: tuple[_Selection | _Request, ...]
    returns: Pairs
    module: str
    qualname: str
    source_hash: str
    # Left out where there is none, so that documents of before it was there keep their text.
    timeout: int | msgspec.UnsetType = msgspec.UNSET


class _Service(_Document, frozen=True, kw_only=True):
    version: int
    features: tuple[_Selection | _Function, ...]


class _Head(msgspec.Struct):
    format: int


_DOCUMENTS: dict[Kind, Any] = {
    "entity": _Entity,
    "source": _File | _SQL,
    "group": _Group,
    "on_demand": _OnDemand,
    "service": _Service,
}


# ----------------------------------------------------------------------------------------------------- encode


def encode(definition: Registered, columns: Mapping[str, Any] | None = None) -> str:
    """The canonical document of a definition; of a group with its raw `columns`, name → type.

    Raises: DefinitionError for what JSON cannot hold, such as a tag that is not text.
    """
    kind = kind_of(definition)
    where = f"{LABELS[kind].lower()} {ref_of(definition)}"
    common: dict[str, Any] = {
        "name": ref_of(definition).partition("@")[0],
        "description": definition.description,
        "owner": definition.owner,
        "tags": definition.tags,
    }
    document: _Document
    if isinstance(definition, Entity):
        document = _Entity(**common, keys=_types(definition.keys))
    elif isinstance(definition, Source):
        document = _encode_source(definition, common)
    elif isinstance(definition, FeatureGroup):
        document = _encode_group(definition, common, columns, where)
    elif isinstance(definition, OnDemand):
        document = _OnDemand(
            **common,
            version=definition.version,
            inputs=tuple(_encode_input(given) for given in definition.inputs),
            returns=_types(definition.returns),
            module=definition.module,
            qualname=definition.qualname,
            source_hash=definition.source_hash,
            timeout=msgspec.UNSET if definition.timeout is None else definition.timeout,
        )
    else:
        document = _Service(
            **common,
            version=definition.version,
            features=tuple(
                _Function(ref=chosen.ref) if isinstance(chosen, OnDemand) else _encode_selection(chosen)
                for chosen in definition.features
            ),
        )
    try:
        text = msgspec.json.encode(document, order="sorted")
        # Python's own constructors do not check types; what cannot be read back must not be written.
        msgspec.json.decode(text, type=_DOCUMENTS[kind])
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        what, at = _place(str(error))
        raise DefinitionError(f"{where} cannot be stored: {what}", at=at) from None
    return text.decode()


def _encode_source(source: Source, common: dict[str, Any]) -> _File | _SQL:
    times: dict[str, Any] = {
        "timestamp": source.timestamp,
        "known_at": source.known_at,
        "event_id": source.event_id,
        "lag": source.lag,
    }
    if isinstance(source, FileSource):
        options = tuple(dict(source.options).items()) or msgspec.UNSET
        return _File(**common, **times, path=source.path, file_format=source.format, options=options)
    if isinstance(source, SQLSource):
        return _SQL(**common, **times, url=source.url, query=source.query)
    raise DefinitionError(
        f"a source cannot be of type {type(source).__name__}", hint="use gn.FileSource or gn.SQLSource"
    )


def _encode_group(
    group: FeatureGroup, common: dict[str, Any], columns: Mapping[str, Any] | None, where: str
) -> _Group:
    return _Group(
        **common,
        version=group.version,
        entities=tuple(entity.name for entity in group.entities),
        source=group.source_name,
        features=tuple(_encode_feature(f, f"{where}.features[{i}]") for i, f in enumerate(group.features)),
        max_age=group.max_age,
        settling_delay=group.settling_delay,
        timestamp=group.timestamp,
        known_at=group.known_at,
        event_id=group.event_id,
        lag=group.lag,
        schema=_types(group.schema),
        online=group.online,
        columns=None if columns is None else _types(sorted(columns.items())),
        freshness=msgspec.UNSET if group.freshness is None else group.freshness,
        external=msgspec.UNSET if group.external is None else _encode_external(group.external),
    )


def _encode_external(external: ExternalSource) -> _External:
    fields = {name: getattr(external, name) for name in _External.__struct_fields__}
    return _External(**fields | {"schema": _types(external.schema)})


def _decode_external(document: _External) -> ExternalSource:
    fields = {name: getattr(document, name) for name in document.__struct_fields__}
    return ExternalSource(**fields | {"schema": _parse(document.schema, "external.schema")})


def _encode_feature(feature: Feature | Aggregate | Label, at: str) -> _Column | _Aggregate | _Label:
    if isinstance(feature, Label):
        return _Label(
            aggregate=_encode_aggregate(feature.aggregate, at), name=feature.name, lateness=feature.lateness
        )
    if isinstance(feature, Aggregate):
        return _encode_aggregate(feature, at)
    return _Column(
        name=feature.name,
        dtype=dtype_text(feature.dtype),
        expr=feature.expr,
        default=to_json(feature.default, f"{at}.default"),
        description=feature.description,
        tags=feature.tags,  # type: ignore[arg-type]
    )


def _encode_aggregate(feature: Aggregate, at: str) -> _Aggregate:
    return _Aggregate(
        function=feature.function,
        column=feature.column,
        expr=feature.expr,
        windows=tuple(_Window(length=w.length, text=w.text) for w in feature.windows),
        where=feature.where,
        limit=feature.limit,
        offset=feature.offset,
        default=to_json(feature.default, f"{at}.default"),
        include_request=feature.include_request,
        name=feature.name,
        k=feature.k,
        ddof=feature.ddof,
        nulls=feature.nulls,
        distinct=feature.distinct,
        q=feature.q,
        half_life=feature.half_life,
        by=feature.by,
    )


def _encode_selection(chosen: Selection) -> _Selection:
    return _Selection(
        feature=f"{chosen.group.ref}:{chosen.feature}", prefix=chosen.prefix, keys=tuple(chosen.keys)
    )


def _encode_input(given: Selection | Request) -> _Selection | _Request:
    if isinstance(given, Selection):
        return _encode_selection(given)
    return _Request(name=given.name, dtype=dtype_text(given.dtype))


def _types(named: Any) -> Pairs:
    return tuple((name, dtype_text(as_dtype(dtype))) for name, dtype in named)


# ----------------------------------------------------------------------------------------------------- decode


def decode(kind: Kind, text: str, lookup: Lookup) -> Any:
    """The definition of a document; `lookup` finds what it names.

    Raises: CorruptValue with the path for a document that is not of its form; UsageError for one of a later
    format; NotFound if something that it names is missing.
    """
    document = _read(kind, text)
    common = {
        "description": document.description,
        "owner": document.owner,
        "tags": document.tags,
    }
    match document:
        case _Entity():
            return Entity(document.name, _parse(document.keys, "keys"), **common)
        case _File():
            return FileSource(
                document.name,
                document.path,
                format=document.file_format,
                options=() if document.options is msgspec.UNSET else document.options,
                **_times(document),
                **common,
            )
        case _SQL():
            return SQLSource(
                document.name, url=document.url, query=document.query, **_times(document), **common
            )
        case _Group():
            external = None if document.external is msgspec.UNSET else _decode_external(document.external)
            return FeatureGroup(
                document.name,
                entity=tuple(lookup.entity(name) for name in document.entities),
                source=external if document.source is None else lookup.source(document.source),
                features=[_decode_feature(f, f"features[{i}]") for i, f in enumerate(document.features)],
                version=document.version,
                max_age=document.max_age,
                settling_delay=document.settling_delay,
                timestamp=document.timestamp if external is None else None,
                known_at=document.known_at,
                event_id=document.event_id,
                lag=document.lag,
                schema=_parse(document.schema, "schema"),
                online=document.online,
                freshness=None if document.freshness is msgspec.UNSET else document.freshness,
                **common,
            )
        case _OnDemand():
            return OnDemand(
                name=document.name,
                inputs=tuple(
                    Request(given.name, _dtype(given.dtype, f"inputs[{i}].dtype"))
                    if isinstance(given, _Request)
                    else _decode_selection(given, lookup, f"inputs[{i}].feature")
                    for i, given in enumerate(document.inputs)
                ),
                returns=_parse(document.returns, "returns"),
                module=document.module,
                qualname=document.qualname,
                source_hash=document.source_hash,
                version=document.version,
                timeout=None if document.timeout is msgspec.UNSET else document.timeout,
                **common,
            )
        case _Service():
            return FeatureService(
                document.name,
                features=[
                    lookup.on_demand(chosen.ref)
                    if isinstance(chosen, _Function)
                    else _decode_selection(chosen, lookup, f"features[{i}].feature")
                    for i, chosen in enumerate(document.features)
                ],
                version=document.version,
                **common,
            )
    raise AssertionError(kind)


def columns_of_document(text: str) -> dict[str, DType] | None:
    """The raw columns that a group's document holds, with their types; None if it was stored without."""
    columns = _read("group", text).columns
    return None if columns is None else dict(_parse(columns, "columns"))


def _read(kind: Kind, text: str) -> Any:
    try:
        found = msgspec.json.decode(text, type=_Head).format
        if found > FORMAT:
            raise UsageError(
                f"the registry holds documents of format {found}, this release reads up to {FORMAT}",
                hint="use the release of gnomon that the registry was last changed with, or a later one",
            )
        return msgspec.json.decode(text, type=_DOCUMENTS[kind])
    except msgspec.MsgspecError as error:
        what, at = _place(str(error))
        raise CorruptValue(f"the document cannot be read: {what}", at=at) from None


def _place(message: str) -> tuple[str, str | None]:
    """What msgspec says, and the path that it ends with."""
    what, _, path = message.partition(" - at `$.")
    return what, path.rstrip("`") or None


def _times(document: _Source) -> dict[str, Any]:
    return {
        "timestamp": document.timestamp,
        "known_at": document.known_at,
        "event_id": document.event_id,
        "lag": document.lag,
    }


def _decode_feature(document: _Column | _Aggregate | _Label, at: str) -> Feature | Aggregate | Label:
    if isinstance(document, _Label):
        return Label(_decode_aggregate(document.aggregate, at), document.name, document.lateness)
    if isinstance(document, _Aggregate):
        return _decode_aggregate(document, at)
    return Feature(
        document.name,
        _dtype(document.dtype, f"{at}.dtype"),
        document.expr,
        from_json(document.default, f"{at}.default"),
        document.description,
        document.tags,
    )


def _decode_aggregate(document: _Aggregate, at: str) -> Aggregate:
    default = from_json(document.default, f"{at}.default")
    fields = {name: getattr(document, name) for name in document.__struct_fields__}
    windows = tuple(Window(w.length, w.text) for w in document.windows)
    return Aggregate(**fields | {"default": default, "windows": windows})


def _decode_selection(document: _Selection, lookup: Lookup, at: str) -> Selection:
    ref, colon, feature = document.feature.partition(":")
    if not colon:
        raise CorruptValue(f"`{document.feature}` is not `group@version:feature`", at=at)
    chosen = lookup.group(ref)[feature]
    return Selection(chosen.group, feature, document.prefix, document.keys)


def _parse(named: Pairs, at: str) -> tuple[tuple[str, DType], ...]:
    return tuple((name, _dtype(text, f"{at}[{name}]")) for name, text in named)


def _dtype(text: str, at: str) -> DType:
    try:
        return parse_dtype(text)
    except (UsageError, ValueError, IndexError) as error:
        what = error.what if isinstance(error, GnomonError) else f"`{text}` is not a type"
        raise CorruptValue(what, at=at) from None


# -------------------------------------------------------------------------------------------------- functions


def import_function(
    on_demand: OnDemand, functions: Mapping[str, Callable[..., Any]] | None = None
) -> Callable[..., Any]:
    """The Python function of an on-demand feature that was read from the registry, checked to be the same
    code.

    `functions`, name or `name@version` → function or OnDemand, is looked at first: for functions of a
    notebook, or of a file of definitions that cannot be imported by name.

    Raises: DefinitionError if the function cannot be found, or its code is not the code that was applied.
    """
    known = functions or {}
    found: Any = known.get(on_demand.ref) or known.get(on_demand.name) or _imported(on_demand)
    function: Any = found.function if isinstance(found, OnDemand) else found
    if (here := source_hash(function)) != on_demand.source_hash:
        raise DefinitionError(
            f"the code of the on-demand feature `{on_demand.ref}` is not the code that was applied: "
            f"{on_demand.source_hash} in the registry, {here} in `{on_demand.module}.{on_demand.qualname}`",
            hint="install the code that was applied, or apply this code under a higher `version`",
        )
    return function  # type: ignore[no-any-return]


def _imported(on_demand: OnDemand) -> Any:
    hint = "make the module importable where the features are computed, or apply the definitions there again"
    what = f"the function of the on-demand feature `{on_demand.ref}` cannot be found"
    place = f"{on_demand.module}.{on_demand.qualname}"
    if on_demand.module == "__main__":
        raise DefinitionError(
            f"{what}: it was defined in a notebook or script",
            at=place,
            hint="define it in a module, or apply the definitions in this process",
        )
    try:
        found: Any = importlib.import_module(on_demand.module)
        for part in on_demand.qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise DefinitionError(f"{what}: {error}", at=place, hint=hint) from None
    if not callable(found) or (isinstance(found, OnDemand) and found.function is None):
        raise DefinitionError(f"{what}: `{place}` is not a function", at=place, hint=hint)
    return found
