"""Request: what is asked for, resolved — which groups, in which roles, which functions after them, in which
order.

The same request serves a training set and an online answer; it is made once and cached by the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import polars as pl

from gnomon.define.expressions import columns_of
from gnomon.define.group import FeatureGroup, Role, Selection
from gnomon.define.label import MATURE
from gnomon.define.ondemand import OnDemand
from gnomon.define.ondemand import Request as RequestField
from gnomon.define.service import FeatureService
from gnomon.errors import REGISTERING, NotFound, UsageError, counted, not_found
from gnomon.flows.hands import Hands
from gnomon.flows.project import Project
from gnomon.plan.keys import as_key
from gnomon.plan.layout import Layout, Output
from gnomon.plan.normal import key
from gnomon.registry.snapshot import Snapshot
from gnomon.types import DType

Ident = str
"""What a value is called inside a request: unique, whatever it is called outside."""

Part = Literal["feature", "label", "mature"]
"""What a column is in a training set; `mature` tells of a label whether its window is over."""


@dataclass(frozen=True)
class Job:
    """Features, or labels, of one group for one choice of key columns."""

    group: FeatureGroup
    layout: Layout
    key_columns: tuple[str, ...]
    """The columns of the spine that hold the key, in the order of the group's keys."""
    outputs: tuple[Output, ...]
    idents: tuple[Ident, ...]

    def keys_of(self, spine: pl.DataFrame) -> pl.DataFrame:
        """The keys of a spine's rows, as `__k0 …` in the entity's types."""
        return spine.select(
            as_key(pl.col(column), spine.schema[column], dtype).alias(key(i))
            for i, (column, (_, dtype)) in enumerate(zip(self.key_columns, self.layout.keys, strict=True))
        )

    @cached_property
    def request_columns(self) -> tuple[str, ...]:
        """Source columns that the request's own row must bring (`include_request`)."""
        names: set[str] = set()
        for output in self.outputs:
            if output.include_request:
                for i in output.inputs:
                    made = self.layout.inputs[i]
                    names.update([made.column] if made.column is not None else columns_of(made.expr or ""))
        return tuple(sorted(names))

    @cached_property
    def request_inputs(self) -> tuple[int, ...]:
        """Inputs that are evaluated on the request's own row."""
        return tuple(sorted({i for o in self.outputs if o.include_request for i in o.inputs}))


@dataclass(frozen=True)
class Step:
    """An on-demand function and where its inputs come from."""

    on_demand: OnDemand
    function: Callable[..., Any]
    inputs: tuple[tuple[str, Ident | None, DType], ...]
    """(input name, ident of the feature or None for a request field, type)."""
    idents: tuple[Ident, ...]
    hands: Hands | None = None
    """Who calls it online, where it has a timeout."""


@dataclass(frozen=True)
class Column:
    """One output, in the order asked."""

    ident: Ident
    name: str
    full_name: str
    dtype: DType
    described: str
    """Names it in messages: `group:feature`."""
    part: Part = "feature"


@dataclass(frozen=True)
class Request:
    """Everything that answering needs to know."""

    revision: int
    jobs: tuple[Job, ...]
    steps: tuple[Step, ...]
    columns: tuple[Column, ...]
    fields: tuple[tuple[str, DType], ...]
    """Request values that on-demand functions need."""
    label: str
    """The service's name, or the number of features."""
    of_service: bool = False

    def names(self, full_names: bool, taken: Iterable[str] = ()) -> list[str]:
        """The output names.

        Raises: UsageError that names both, if a name is used twice.
        """
        owners = dict.fromkeys(taken, "a column of the spine")
        idents: dict[str, Ident] = {}
        chosen = []
        for column in self.columns:
            name = column.full_name if full_names else column.name
            if name in owners:
                raise UsageError(
                    f"the output name `{name}` is used twice: by {owners[name]} and by `{column.described}`",
                    hint=f"`{column.described}` is asked for twice: leave one out, or use group.renamed(prefix=…)"
                    if idents.get(name) == column.ident
                    else "ask with full_names=True, which gives group__feature, or use group.renamed(prefix=…)"
                    if not full_names
                    else "use group.renamed(prefix=…), or rename the column of the spine",
                )
            owners[name], idents[name] = f"`{column.described}`", column.ident
            chosen.append(name)
        return chosen

    @property
    def key_columns(self) -> dict[str, DType]:
        """The key columns that a question must bring, with their types."""
        return {
            column: dtype
            for job in self.jobs
            for column, (_, dtype) in zip(job.key_columns, job.layout.keys, strict=True)
        }


def resolve_request(project: Project, snapshot: Snapshot, features: Any) -> Request:
    """Resolve a service, its name, or a list of features (`"group:feature"`, `"group@2:feature"`,
    selections, functions).

    Raises: NotFound with the nearest name.
    """
    chosen, label, of_service = _chosen(snapshot, features)
    builder = _Builder(project, snapshot)
    columns: list[Column] = []
    for one in chosen:
        columns.extend(builder.add(one))
    return Request(
        revision=snapshot.revision,
        jobs=builder.jobs(),
        steps=tuple(builder.steps.values()),
        columns=tuple(columns),
        fields=tuple(builder.fields.items()),
        label=label,
        of_service=of_service,
    )


def served(request: Request) -> Request:
    """What of a request can be asked online: all but the labels of a service, which lie in the future of t.

    Raises: UsageError for a label that is asked for by name, and where nothing remains.
    """
    labels = [column for column in request.columns if column.part == "label"]
    if not labels:
        return request
    if not request.of_service or not any(column.part == "feature" for column in request.columns):
        raise UsageError(
            f"`{labels[0].described}` is a label: it looks forward from t, and cannot be known online",
            hint="ask for it in a training set: get_historical_features; of a service, labels are left out online",
        )
    return replace(
        request,
        jobs=tuple(job for job in request.jobs if not job.layout.forward),
        columns=tuple(column for column in request.columns if column.part == "feature"),
    )


def _chosen(snapshot: Snapshot, features: Any) -> tuple[Sequence[Selection | OnDemand], str, bool]:
    """What is asked for, what it is called, and whether it is a service."""
    if isinstance(features, FeatureService):
        features = features.ref
    if isinstance(features, str) and ":" not in features:
        service = service_named(snapshot, features)
        return service.features, service.ref, True
    if isinstance(features, str | Selection | OnDemand | FeatureGroup | Role):
        features = [features]
    if not isinstance(features, Iterable):
        raise UsageError(
            f"`{features!r}` is no choice of features",
            hint='give a service, its name, or a list of "group:feature"',
        )
    chosen: list[Selection | OnDemand] = []
    for one in features:
        chosen.extend(_registered(snapshot, one))
    if not chosen:
        raise UsageError(
            "no features asked for", hint='give a service, its name, or a list of "group:feature"'
        )
    return chosen, counted(len(chosen), "feature"), False


def service_named(snapshot: Snapshot, name: str) -> FeatureService:
    """A service by name. Raises: NotFound, which tells what else has that name."""
    try:
        return snapshot.service(name)
    except NotFound as error:
        bare = name.partition("@")[0]
        for group in snapshot.groups():
            if group.name == bare:
                raise NotFound(
                    f"`{name}` is a feature group, not a service",
                    hint=f"ask for its features: `{bare}:{(*group.feature_names, *group.label_names)[0]}`",
                ) from None
        if any(ref.partition("@")[0] == bare for ref in snapshot.refs("on_demand")):
            raise NotFound(
                f"`{name}` is an on-demand feature, not a service", hint=f'ask for it in a list: ["{name}"]'
            ) from None
        raise error


def _registered(snapshot: Snapshot, one: Any) -> list[Selection | OnDemand]:
    """What the registry holds under the name of what was asked."""
    if isinstance(one, FeatureService):
        return list(snapshot.service(one.ref).features)
    if isinstance(one, OnDemand):
        return [snapshot.on_demand(one.ref)]
    if isinstance(one, Selection):
        group = snapshot.group(one.group.ref)
        return [Selection(group, group[one.feature].feature, one.prefix, one.keys)]
    if isinstance(one, FeatureGroup):
        return list(snapshot.group(one.ref))
    if isinstance(one, Role):
        return list(Role(snapshot.group(one.group.ref), one.prefix, one.keys))
    if isinstance(one, str):
        name, colon, feature = one.partition(":")
        if colon:
            return [snapshot.group(name)[feature]]
        functions = snapshot.refs("on_demand")
        if any(ref == name or ref.partition("@")[0] == name for ref in functions):
            return [snapshot.on_demand(name)]
        for group in snapshot.groups():
            if one in (group.name, group.ref):
                raise NotFound(
                    f"`{one}` is a feature group, not a feature",
                    hint=f"give the group itself, or name its features: "
                    f'"{one}:{(*group.feature_names, *group.label_names)[0]}"',
                )
        known = [f"{g.name}:{f}" for g in snapshot.groups() for f in (*g.feature_names, *g.label_names)]
        raise not_found("Feature", one, known, first=REGISTERING)
    raise UsageError(f"`{one!r}` is not a feature", hint='write "group:feature", or give group["feature"]')


class _Builder:
    """Gathers jobs and steps while features are added; shared parts are entered once."""

    def __init__(self, project: Project, snapshot: Snapshot) -> None:
        self.project = project
        self.snapshot = snapshot
        self.steps: dict[str, Step] = {}
        self.fields: dict[str, DType] = {}
        self._jobs: dict[tuple[str, tuple[str, ...], bool], dict[Ident, Output]] = {}
        self._groups: dict[str, tuple[FeatureGroup, Layout]] = {}

    def jobs(self) -> tuple[Job, ...]:
        made = []
        for (ref, keys, forward), outputs in self._jobs.items():
            group, layout = self._groups[ref]
            chosen = layout.labels if forward else layout
            assert chosen is not None
            made.append(Job(group, chosen, keys, tuple(outputs.values()), tuple(outputs)))
        return tuple(made)

    def add(self, one: Selection | OnDemand) -> list[Column]:
        if isinstance(one, Selection):
            ident, output = self._feature(one)
            role = f" by {', '.join(column for _, column in one.keys)}" if one.keys else ""
            described = f"{one.group.ref}:{one.feature}{role}" + (f" (as {one.name})" if one.prefix else "")
            if not one.is_label:
                return [Column(ident, one.name, one.full_name, output.dtype, described)]
            names = one.name + MATURE, one.full_name + MATURE
            return [
                Column(ident, one.name, one.full_name, output.dtype, described, "label"),
                Column(ident + MATURE, *names, pl.Boolean(), f"{described}, whether it is mature", "mature"),
            ]
        step = self._step(one)
        return [
            Column(ident, name, name, dtype, f"{one.ref}:{name}")
            for ident, (name, dtype) in zip(step.idents, one.returns, strict=True)
        ]

    def _feature(self, one: Selection) -> tuple[Ident, Output]:
        group = one.group
        if group.ref not in self._groups:
            self._groups[group.ref] = (group, self.project.layout(self.snapshot, group))
        layout = self._groups[group.ref][1]
        renamed = dict(one.keys)
        keys = tuple(renamed.get(name, name) for name in layout.key_names)
        ident = f"{group.ref}:{one.feature}[{','.join(keys)}]"
        output = layout.by_name[one.feature]
        self._jobs.setdefault((group.ref, keys, one.is_label), {})[ident] = output
        return ident, output

    def _step(self, on_demand: OnDemand) -> Step:
        known = self.steps.get(on_demand.ref)
        if known is not None:
            return known
        inputs: list[tuple[str, Ident | None, DType]] = []
        for given in on_demand.inputs:
            if isinstance(given, RequestField):
                self._field(given)
                inputs.append((given.name, None, given.dtype))
            else:
                ident, output = self._feature(given)
                inputs.append((given.name, ident, output.dtype))
        step = Step(
            on_demand,
            self.project.function(on_demand),
            tuple(inputs),
            tuple(f"{on_demand.ref}:{name}" for name, _ in on_demand.returns),
            None if on_demand.timeout is None else self.project.hands(on_demand.ref),
        )
        self.steps[on_demand.ref] = step
        return step

    def _field(self, given: RequestField) -> None:
        other = self.fields.setdefault(given.name, given.dtype)
        if other != given.dtype:
            raise UsageError(
                f"the request field `{given.name}` is asked for as {other} and as {given.dtype}",
                hint="give both functions the same type",
            )


def literal(value: Any, dtype: DType) -> pl.Series:
    """One value of a type. Raises: UsageError if it does not fit."""
    try:
        return pl.Series([value], dtype=dtype, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        raise UsageError(f"`{value!r}` is not of type {dtype}") from None


def with_default(column: pl.Series, output: Output) -> pl.Series:
    """The group's last step: a default takes the place of null."""
    if output.default is None or not column.null_count():
        return column
    default = literal(output.default, output.dtype)
    return pl.select(pl.lit(column).fill_null(pl.lit(default).first()).alias(column.name)).to_series()
