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
    contract: str | None = None
    """The hash of a contract of the service: the question is refused where it no longer holds."""


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


class PushRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows as they happen."""

    rows: list[dict[str, Any]]
    """Each with every column of the group, null where there is no value."""


class PushRejected(msgspec.Struct, frozen=True):
    """A row that was not taken."""

    row: int
    """Its number among the rows that were sent, from 0."""
    reason: str


class PushAnswer(msgspec.Struct, frozen=True):
    """What became of rows. Those that were accepted are durable, and answers tell of them."""

    accepted: int
    rejected: list[PushRejected]
    duplicates: int
    """Rows whose content was there already."""
    id: int | None
    """The commit that holds them; null if nothing was new."""
    group: str
    """That holds them, as `name@version`."""
    online: bool
    """Whether answers tell of them; false for a group that is not online."""


class HistoricalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A small training set. A large spine comes as Arrow or Parquet, with the rest in the query."""

    spine: list[dict[str, Any]] | dict[str, list[Any]]
    """Rows, or columns: keys, the time, what functions need, and whatever else is to stand beside the features."""
    service: str | None = None
    features: list[str] | None = None
    """In the place of a service."""
    timestamp: str = "event_timestamp"
    """The column of the spine that holds each row's time."""
    as_of: str = "known"
    """`known`, `latest`, `served`, or an instant as RFC 3339."""
    full_names: bool = False
    complete_until: str | None = None
    """Until when the sources of labels are complete."""


class HistoricalAnswer(msgspec.Struct, frozen=True):
    """The spine with its features, in the spine's order."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]


class ObjectSummary(msgspec.Struct, frozen=True):
    """One line of a list."""

    kind: str
    name: str
    """With `@version` where the kind has versions."""
    what: str
    """In a few words: its keys, how many features."""
    owner: str
    description: str


class ObjectList(msgspec.Struct, frozen=True):
    """Objects of one kind, by name."""

    revision: int
    objects: list[ObjectSummary]
    next: str | None
    """What `after` must be for the objects that follow; null at the end."""


class ObjectLine(msgspec.Struct, frozen=True):
    """A feature, an input or an output of an object."""

    name: str
    type: str
    """Empty if not known."""
    how: str
    description: str


class ObjectAnswer(msgspec.Struct, frozen=True):
    """Everything that is told about one object."""

    kind: str
    name: str
    versions: list[str]
    """All versions of the name, oldest first; empty where the kind has none."""
    owner: str
    description: str
    tags: dict[str, str]
    revision: int
    """The revision that last changed it."""
    author: str
    properties: dict[str, str]
    features: list[ObjectLine]
    reads: list[str]
    """Columns, features and request values that it is made from."""
    used_by: list[str]


class FeatureSummary(msgspec.Struct, frozen=True):
    """One feature of a group, or of an on-demand function."""

    name: str
    """As it is asked for: `group@1:feature`."""
    type: str
    how: str
    description: str


class FeatureList(msgspec.Struct, frozen=True):
    """Features of all groups, by name."""

    revision: int
    features: list[FeatureSummary]
    next: str | None


class RevisionAnswer(msgspec.Struct, frozen=True):
    """One revision of the registry."""

    revision: int
    author: str
    time: str
    message: str
    put: list[str]
    """The objects that it added or changed, as `kind:name`."""
    removed: list[str]


class History(msgspec.Struct, frozen=True):
    """Revisions, newest first."""

    revision: int
    """The newest of all."""
    revisions: list[RevisionAnswer]
    next: int | None
    """What `before` must be for the older ones; null at the beginning."""


class RegistryHead(msgspec.Struct, frozen=True):
    """How far the registry is."""

    revision: int
    """The newest; 0 where nothing was applied yet."""


class RegistryDocument(msgspec.Struct, frozen=True):
    """A definition as of a revision."""

    kind: str
    ref: str
    """Its name, with `@version` where the kind has versions."""
    document: str | None
    """As the registry holds it; null: removed."""
    revision: int
    """That put or removed it."""
    author: str


class RegistryDocuments(msgspec.Struct, frozen=True):
    """A revision of the registry, whole."""

    revision: int
    author: str
    time: int
    """Microseconds since 1970-01-01 UTC."""
    message: str
    objects: list[RegistryDocument]


class InputsAnswer(msgspec.Struct, frozen=True):
    """What a question for features must bring, and what it reads."""

    keys: dict[str, str]
    """Key column → type."""
    request: dict[str, str]
    """Request value → type."""
    groups: list[str]
    reads: list[str]
    """The features that are read, as `name@version:feature`."""
    outputs: list[str]
    """What on-demand functions make, as `function@version:output`."""
    revision: int
    waits: bool
    """Whether an online answer may wait for others than the online store."""
