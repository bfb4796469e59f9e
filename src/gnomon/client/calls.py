"""Calls: each method of a client → what is sent, and how the answer is read."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from gnomon.client.answers import INCLUDE, read_inputs, read_online, read_push
from gnomon.client.call import ARROW, JSON, Call
from gnomon.client.contract import ServedContract, read_contract
from gnomon.client.question import (
    encode,
    entities_of,
    features_of,
    group_of,
    instants_of,
    names_of,
    request_of,
    rows_of,
    stream_of,
)
from gnomon.client.training import Training, read_training
from gnomon.errors import UsageError
from gnomon.flows.acks import PushAck
from gnomon.flows.answer import OnlineFeatures
from gnomon.flows.inputs import Inputs
from gnomon.frames import to_polars
from gnomon.time import argument, show

MANY = 64
"""Entities from which an answer is asked for as Arrow: measured, with 20 features, both cost the same there."""


def online(features: Any, entities: Any, request: Any, at: Any, full_names: bool) -> Call[OnlineFeatures]:
    """`get_online_features`."""
    given, n = entities_of(entities)
    document = {
        **features_of(features),
        "entities": given,
        "request": request_of(request, n),
        "at": instants_of(at),
        "full_names": bool(full_names),
        "include": INCLUDE,
    }
    return Call(
        "POST",
        "/v1/online-features",
        read_online,
        encode({name: value for name, value in document.items() if value is not None}),
        accept=ARROW if n >= MANY else JSON,
    )


def historical(
    spine: Any, features: Any, timestamp: str, as_of: Any, full_names: bool, complete_until: Any
) -> Call[Training]:
    """`get_historical_features`."""
    frame = to_polars(spine, "spine")
    params = [
        *names_of(features),
        ("timestamp", str(timestamp)),
        ("as_of", as_of if isinstance(as_of, str) else show(argument(as_of, "as_of"))),
        ("full_names", "true" if full_names else "false"),
    ]
    if complete_until is not None:
        params.append(("complete_until", show(argument(complete_until, "complete_until"))))
    return Call(
        "POST",
        "/v1/historical-features",
        lambda reply: read_training(reply, frame),
        stream_of(frame, "spine"),
        ARROW,
        ARROW,
        tuple(params),
        long=True,
    )


def push(source: Any, rows: Any) -> Call[PushAck]:
    """`push`: a list of dicts as JSON, in which each row may be wrong alone; a frame as Arrow, in its types."""
    path = f"/v1/push/{quote(group_of(source), safe='@')}"
    if isinstance(rows, list):
        n, body, media = len(rows), encode({"rows": rows_of(rows)}), JSON
    else:
        frame = to_polars(rows, "rows")
        n, body, media = len(frame), stream_of(frame, "rows"), ARROW
    return Call("POST", path, lambda reply: read_push(reply, n), body, media)


def inputs(features: Any, online: bool) -> Call[Inputs]:
    """`inputs`."""
    params = (*names_of(features), ("online", "true" if online else "false"))
    return Call("GET", "/v1/inputs", read_inputs, params=params)


def contract(service: Any) -> Call[ServedContract]:
    """`contract`."""
    name = features_of(service).get("service")
    if name is None:
        raise UsageError("a contract is one of a service", hint="give a service, or its name")
    return Call("GET", f"/v1/services/{quote(name, safe='@')}/contract", read_contract)
