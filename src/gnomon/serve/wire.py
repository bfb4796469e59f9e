"""Wire: requests and answers as they stand in JSON. They are decoded strictly: an unknown field is an error.

How a value of a feature, a key or a request stands in JSON is said in `gnomon.interchange`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gnomon.serve.problems import Refused

Include = Literal["statuses", "event_times", "errors", "types"]


class OnlineRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A question for features: of a service, or of a list."""

    entities: list[dict[str, Any]] | dict[str, list[Any]]
    """One object an entity, or one list a key column."""
    service: str | None = None
    """A service, as `delay_model` or `delay_model@2`."""
    features: list[str] | None = None
    """In the place of a service: `group:feature`, `group@2:feature`, or an on-demand function."""
    request: dict[str, Any] | None = None
    """Values for on-demand functions: one for all entities, or a list with one an entity."""
    at: str | list[str] | None = None
    """Another time than now, as RFC 3339: one for all entities, or one an entity."""
    include: list[Include] = []
    """What to tell beside the values."""
    full_names: bool = False
    """Whether features are named `group__feature`."""


class OnlineError(msgspec.Struct, frozen=True):
    """Why a value could not be computed."""

    row: int
    """Of the answer, from 0."""
    feature: str
    why: str


class OnlineAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What features are worth: one row an entity, in the order asked."""

    features: list[str]
    """The names, in the order of the values in a row."""
    rows: list[list[Any]]
    at: str
    """The instant asked about (the latest, where each entity has its own)."""
    revision: int
    """Of the registry."""
    statuses: list[list[str]] = []
    """NOT_FOUND, EXPIRED, NULL, PRESENT, NOT_READY or ERROR, by row."""
    event_times: list[list[str | None]] = []
    """By row: of the newest visible row of the key."""
    errors: list[OnlineError] = []
    types: list[str] = []
    """By feature: `Float64`, `Datetime(us, UTC)`, `List(Int64)`."""


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a worker is."""

    status: Literal["ok", "starting", "stopping", "failing"]
    revision: int | None = None
    """Of the registry, by which questions are answered."""
    why: str | None = None


def decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """What a body says. Raises: Refused, 400 with the position for what is no JSON, 422 with the path for what
    is another thing than asked for.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        raise Refused(422, "Another form is expected", what, at=path.removesuffix("`") or "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(
            400, "Broken JSON", f"the body is no JSON: {error}", hint="send one JSON object, in UTF-8"
        ) from None
    except RecursionError:
        raise Refused(400, "Broken JSON", "the body is nested too deeply") from None
