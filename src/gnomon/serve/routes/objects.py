"""`GET /v1/groups` and the like: what the registry holds, now or as of a revision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gnomon.define.collect import Kind
from gnomon.errors import NotFound, UsageError
from gnomon.flows.describe import Description, describe, summaries
from gnomon.registry.snapshot import Snapshot
from gnomon.serve import wire
from gnomon.serve.access import Visible
from gnomon.serve.openapi import JSON, Handler, Operation, Parameter
from gnomon.serve.served import Served
from gnomon.time import show

_encode = msgspec.json.Encoder().encode

_KINDS: dict[str, Kind] = {
    "entities": "entity",
    "sources": "source",
    "groups": "group",
    "on-demand": "on_demand",
    "services": "service",
}
"""How a kind is called in a path."""
_FEW, _MANY = 100, 1000

_REVISION = Parameter("revision", "As of an earlier revision of the registry", type=int)
_PAGE = (
    Parameter("limit", f"How many at most: {_FEW} if not said, {_MANY:,} at most", type=int),
    Parameter("after", "Only those whose names come after this one"),
)

T = TypeVar("T")
Find = Callable[[Snapshot, Request], Any]


def routes(served: Served) -> list[Operation]:
    """One list and one description for each kind, all features, and the history."""

    def by_revision(find: Find) -> Handler:
        async def handler(request: Request) -> Response:
            revision = _number(request, "revision", least=0)
            snapshot = await served.run(_snapshot, served, revision)
            tag = f'"r{snapshot.revision}"'
            headers = {
                "etag": tag,
                "cache-control": "private, no-cache",
                "gnomon-revision": str(snapshot.revision),
            }
            if tag in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
            found = await served.run(find, snapshot, request)
            return Response(_encode(found), headers=headers, media_type=JSON)

        return handler

    made = []
    for plural, kind in _KINDS.items():
        made += [
            Operation(
                "GET",
                f"/v1/{plural}",
                by_revision(_lister(kind)),
                f"The {plural} that are registered",
                answer=wire.ObjectList,
                action="read",
                tag="registry",
                parameters=(_REVISION, *_PAGE),
                refusals=(404,),
            ),
            Operation(
                "GET",
                f"/v1/{plural}/{{name}}",
                by_revision(_describer(kind)),
                f"One of the {plural}: its properties, its features, what it is made from and what is made from it",
                answer=wire.ObjectAnswer,
                action="read",
                tag="registry",
                description="Without a version in the name, the newest.",
                parameters=(_REVISION,),
            ),
        ]
    made.append(
        Operation(
            "GET",
            "/v1/features",
            by_revision(_features),
            "All features, as they are asked for",
            answer=wire.FeatureList,
            action="read",
            tag="registry",
            parameters=(_REVISION, *_PAGE),
            refusals=(404,),
        )
    )
    made.append(
        Operation(
            "GET",
            "/v1/registry/history",
            _history(served),
            "The revisions of the registry, newest first",
            answer=wire.History,
            action="read",
            tag="registry",
            parameters=(_PAGE[0], Parameter("before", "Only revisions before this one", type=int)),
        )
    )
    return made


def _snapshot(served: Served, revision: int | None) -> Snapshot:
    registry = served.store.registry
    return registry.snapshot() if revision is None else registry.at(revision)


def _lister(kind: Kind) -> Find:
    def find(snapshot: Snapshot, request: Request) -> wire.ObjectList:
        visible = Visible(request.state.principal, snapshot)
        shown = [one for one in summaries(snapshot, kind) if visible.shows(kind, one.name)]
        page, after = _page(shown, lambda one: one.name, request)
        objects = [
            wire.ObjectSummary(one.kind, one.name, one.what, one.owner, one.description) for one in page
        ]
        return wire.ObjectList(snapshot.revision, objects, after)

    return find


def _describer(kind: Kind) -> Find:
    def find(snapshot: Snapshot, request: Request) -> wire.ObjectAnswer:
        principal, name = request.state.principal, request.path_params["name"]
        visible = Visible(principal, snapshot)
        if kind == "group":
            principal.require("read", (name,), values=False)
        with principal.looking("read", f"`{name}`"):
            ref = snapshot.resolve(kind, name)
            if not visible.shows(kind, ref):
                raise NotFound(f"`{ref}` is not there for everybody")
        found = next((one for one in describe(snapshot, ref) if one.kind == kind), None)
        if found is None:
            raise NotFound(f"`{ref}` is not there in revision {snapshot.revision}")
        return _told(found, visible)

    return find


def _told(found: Description, visible: Visible) -> wire.ObjectAnswer:
    return wire.ObjectAnswer(
        kind=found.kind,
        name=found.name,
        versions=list(found.versions),
        owner=found.owner,
        description=found.description,
        tags=dict(found.tags),
        revision=found.revision,
        author=found.author,
        properties=dict(found.properties),
        features=[wire.ObjectLine(one.name, one.type, one.how, one.description) for one in found.features],
        reads=visible.related(found.reads),
        used_by=visible.related(found.used_by),
    )


def _features(snapshot: Snapshot, request: Request) -> wire.FeatureList:
    visible = Visible(request.state.principal, snapshot)
    everything = [
        wire.FeatureSummary(f"{ref}:{line.name}", line.type, line.how, line.description)
        for ref in snapshot.refs("group")
        if visible.shows("group", ref)
        for one in describe(snapshot, ref)
        if one.kind == "group"
        for line in one.features
    ]
    page, after = _page(everything, lambda one: one.name, request)
    return wire.FeatureList(snapshot.revision, page, after)


def _history(served: Served) -> Handler:
    async def handler(request: Request) -> Response:
        request.state.principal.require("read", ())  # a revision names whatever it changed
        limit = _limit(request)
        before = _number(request, "before", least=1)
        revisions = await served.run(served.store.registry.history)
        older = [one for one in reversed(revisions) if before is None or one.number < before]
        page = [
            wire.RevisionAnswer(
                one.number,
                one.author,
                show(one.time),
                one.message,
                [f"{kind}:{ref}" for kind, ref in one.put],
                [f"{kind}:{ref}" for kind, ref in one.removed],
            )
            for one in older[:limit]
        ]
        newest = max((one.number for one in revisions), default=0)
        answer = wire.History(newest, page, page[-1].revision if len(older) > limit else None)
        return Response(_encode(answer), media_type=JSON)

    return handler


def _page(everything: Sequence[T], name: Callable[[T], str], request: Request) -> tuple[list[T], str | None]:
    """Some of a list by name, and after which the rest come; None where there is no rest."""
    limit, after = _limit(request), request.query_params.get("after")
    rest = sorted((one for one in everything if after is None or name(one) > after), key=name)
    return rest[:limit], name(rest[limit - 1]) if len(rest) > limit else None


def _limit(request: Request) -> int:
    return min(_MANY, _number(request, "limit", least=1) or _FEW)


def _number(request: Request, name: str, *, least: int) -> int | None:
    """A parameter as a whole number. Raises: UsageError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19) or int(text) < least:
        raise UsageError(f"`{name}` is `{text}`", at="query", hint=f"a whole number of at least {least}")
    return int(text)
