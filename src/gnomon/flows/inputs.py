"""Inputs: what a question for features must bring, with types, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gnomon.types import DType

if TYPE_CHECKING:  # a client of a server tells inputs too, and resolves nothing
    from gnomon.flows.request import Request


@dataclass(frozen=True, slots=True)
class Inputs:
    """The columns of a spine, or of the entities and the request of an online question."""

    keys: dict[str, DType]
    request: dict[str, DType]
    """For on-demand functions, and for aggregates with `include_request`."""
    groups: tuple[str, ...]
    """The groups that are read, as `name@version`."""
    reads: tuple[str, ...]
    """The features that are read, as `name@version:feature`, also for on-demand functions."""
    outputs: tuple[str, ...]
    """What on-demand functions make, as `function@version:output`."""
    revision: int
    """Of the registry, by which this is so."""
    waits: bool = False
    """Whether an online answer may wait for others than the online store: a service, or a function with a timeout."""


def inputs_of(request: Request) -> Inputs:
    """What a resolved request asks for."""
    values = dict(request.fields)
    for job in request.jobs:
        raw = dict(job.layout.columns)
        for name in job.request_columns:
            values.setdefault(name, raw[name])
    return Inputs(
        request.key_columns,
        values,
        tuple(dict.fromkeys(job.group.ref for job in request.jobs)),
        tuple(dict.fromkeys(f"{job.group.ref}:{one.name}" for job in request.jobs for one in job.outputs)),
        tuple(f"{step.on_demand.ref}:{name}" for step in request.steps for name, _ in step.on_demand.returns),
        request.revision,
        any(job.group.external is not None for job in request.jobs)
        or any(step.hands is not None for step in request.steps),
    )
