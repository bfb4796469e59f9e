"""Leaks: features that may know what a label of the same training set shall foretell.

By the windows alone none can: a feature ends before t, a label begins at t. What is told here goes round them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from gnomon.define.collect import comparable, own_fields
from gnomon.define.expressions import columns_of
from gnomon.define.group import FeatureGroup, Selection
from gnomon.define.ondemand import OnDemand, Request
from gnomon.define.service import FeatureService
from gnomon.engines.resolve import AsOf
from gnomon.errors import counted
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, telling
from gnomon.flows.request import Job
from gnomon.plan.layout import Layout
from gnomon.plan.normal import micros

_NOT_PLACE = frozenset({"name", "timestamp", "known_at", "event_id", "lag", "description", "owner", "tags"})


def declared_leaks(jobs: Sequence[Job], fields: Iterable[str] = (), as_of: AsOf = "known") -> Iterator[str]:
    """Leaks that the definitions tell of. `fields`: request values that functions take from the spine."""
    labels = [job for job in jobs if job.layout.forward]
    features = [job for job in jobs if not job.layout.forward]
    if not labels:
        return
    made_of = {column: f"`{_names(job)}`" for job in labels for column in _values(job)}
    for name in sorted(set(fields) & made_of.keys()):
        yield (
            f"the request value `{name}` has the name of a column that the label {made_of[name]} is made of: "
            "it must be known at t"
        )
    for job in features:
        if as_of != "known" and (job.layout.known_at is not None or job.layout.lag):
            yield (
                f"`{job.layout.ref}` as of later sees rows that became known after t, in the windows of labels too: "
                'as_of="known" does not'
            )
        own = [output.name for output in job.outputs if output.include_request]
        for label in labels:
            if own and _same_rows(job.group, label.group):
                yield (
                    f"`{own[0]}` counts the request's own row, at t, and so does the label `{_names(label)}`, "
                    "if the source has it"
                )


def leaks_of_rows(project: Project, jobs: Sequence[Job]) -> Iterator[str]:
    """Leaks that the rows tell of: a feature that reads by one time what a label reads by a later one.

    Such a row counts for the feature from its earlier time on, with values that came about at its later time, when
    it counts for the label. Reads the two time columns, where a feature and a label read one column of one place.
    """
    for job in jobs:
        if job.layout.forward or job.layout.known_at is not None:
            continue
        for label in (other for other in jobs if other.layout.forward):
            shared = sorted(_values(job) & _values(label))
            if not shared or job.layout.timestamp == label.layout.timestamp:
                continue
            if _place(job.group) != _place(label.group):
                continue
            n = _earlier_rows(project, job, label.layout.timestamp)
            if n:
                yield (
                    f"`{job.layout.ref}` reads `{shared[0]}` by `{job.layout.timestamp}`, the label "
                    f"`{_names(label)}` by `{label.layout.timestamp}`, which is later in {counted(n, 'row')}: there "
                    "the feature knows the value before it came about; give its source the later time, or a known_at"
                )


def _earlier_rows(project: Project, job: Job, other: str) -> int:
    """How many rows of a group have a time before that of another column."""
    reader = project.reader(job.group, job.layout)
    with telling(job.layout.ref, Origin(reader, job.layout, reader.parts())):
        rows = reader.scan([job.layout.timestamp, other])
        schema = rows.collect_schema()
        mine, later = (micros(pl.col(name), schema[name]) for name in (job.layout.timestamp, other))
        return int(rows.select((mine + job.layout.lag < later).sum()).collect(engine="streaming").item())


def _names(job: Job) -> str:
    return job.outputs[0].name


def _values(job: Job) -> set[str]:
    """The raw columns that a job's outputs are made of."""
    used = {i for output in job.outputs for i in output.inputs}
    made = [job.layout.inputs[i] for i in used]
    return {c for m in made for c in ([m.column] if m.column is not None else columns_of(m.expr or ""))}


def _same_rows(a: FeatureGroup, b: FeatureGroup) -> bool:
    """Whether two groups read the same rows at the same times."""
    return _place(a) == _place(b) and a.timestamp_column == b.timestamp_column


def _place(group: FeatureGroup) -> Any:
    """Where a group's rows lie, whatever the source is called."""
    if group.source is None:
        return group.ref
    fields = {name: value for name, value in own_fields(group.source).items() if name not in _NOT_PLACE}
    return type(group.source).__name__, comparable(fields)


def leaks_of_service(service: FeatureService, layouts: Mapping[str, Layout]) -> list[str]:
    """`declared_leaks` of a service, before it is registered. `layouts`: by group."""
    functions = [one for one in service.features if isinstance(one, OnDemand)]
    inputs = [given for function in functions for given in function.inputs]
    chosen = [one for one in (*service.features, *inputs) if isinstance(one, Selection)]
    fields = [given.name for given in inputs if isinstance(given, Request)]
    return list(dict.fromkeys(declared_leaks([_job(one, layouts[one.group.ref]) for one in chosen], fields)))


def _job(one: Selection, layout: Layout) -> Job:
    read = layout.labels if one.is_label and layout.labels is not None else layout
    return Job(one.group, read, read.key_names, (layout.by_name[one.feature],), (one.feature,))
