"""`GET /v1/services/{name}/contract`, and the contracts that questions pin."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gnomon.errors import UsageError
from gnomon.flows.contract import Contract
from gnomon.serve.access import Principal
from gnomon.serve.openapi import JSON, Operation, Parameter
from gnomon.serve.served import Served

HEADER = b"gnomon-contract"

PARAMETER = Parameter(
    "Gnomon-Contract",
    "The hash of a contract of the service, where the body has none: the question is refused with 409 where it no "
    "longer holds, and told what changed, since which revision, and by whom.",
    place="header",
)


def routes(served: Served) -> list[Operation]:
    async def contract(request: Request) -> Response:
        principal: Principal = request.state.principal
        name = request.path_params["name"]
        with principal.looking("read", f"`{name}`"):
            made = await served.run(served.store.contract, name)
        principal.require("read", [group.name for group in made.groups], behind=f"`{name}`", values=False)
        return Response(made.to_json(), media_type=JSON, headers={"etag": f'"{made.hash}"'})

    return [
        Operation(
            "GET",
            "/v1/services/{name}/contract",
            contract,
            "What a service promises: to be kept with a model, and pinned by its hash",
            answer=Contract,
            action="read",
            tag="services",
        )
    ]


async def require(served: Served, service: str | None, pinned: str) -> None:
    """Refuse a question that pins a contract that does not hold.

    Raises: UsageError for a question without a service; what `Pins.require` raises.
    """
    if service is None:
        raise UsageError(
            "a contract is one of a service, and features are asked for by a list",
            at="$.contract",
            hint='ask for "service": "name"',
        )
    if not served.store.pins.holds(service, pinned):
        await served.run(served.store.pins.require, service, pinned)
