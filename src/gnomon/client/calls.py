"""Calls: each method of a client → what is sent, and how the answer is read."""

from __future__ import annotations

from typing import Any

from gnomon.client.answers import INCLUDE, read_online
from gnomon.client.call import ARROW, JSON, Call
from gnomon.client.question import encode, entities_of, features_of, instants_of, request_of
from gnomon.flows.answer import OnlineFeatures

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
