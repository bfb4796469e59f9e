"""Lookup: keys → online rows → windows at t → on-demand functions → answers.

A request is compiled once: its groups to programs of the answering kernel, its keys to encoders. What a group's table is
may change under way (a rebuilt table takes the place of the old one): the store's epoch is read after the values, and if
it has turned, the documents are read again and the question is asked once more. So an answer is all old or all new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from gnomon.abc.online import OnlineStore
from gnomon.errors import ComputeError, DataError, HorizonError, Unavailable, UsageError, nearest
from gnomon.flows import ondemand
from gnomon.flows.online import EPOCH, Table, keys_of, lane_name, read_document
from gnomon.flows.project import Project
from gnomon.flows.request import Job, Request, Step, literal
from gnomon.frames import to_polars
from gnomon.online.codec import MIN, refuse
from gnomon.online.program import STATUSES, Answers, Program, RequestRows, answer, make_program, request_rows
from gnomon.online.values import encode
from gnomon.plan.keys import Encode, part_encoder
from gnomon.plan.layout import NONE, Output
from gnomon.time import ALWAYS, NEVER, instant, show, to_datetime
from gnomon.types import dtype_text

NOT_FOUND, EXPIRED, NULL, PRESENT, NOT_READY, ERROR = STATUSES
_NOT_FOUND, _EXPIRED, _NULL, _PRESENT, _NOT_READY, _ERROR = range(len(STATUSES))
_TRIES = 16

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Ready:
    """A job that can be asked: its table and the program over it."""

    job: Job
    table: Table | None
    program: Program | None
    """Over the outputs that the table has the inputs for."""
    asked: tuple[int, ...]
    """Which of the job's outputs the program answers."""
    encoders: tuple[Encode, ...]
    safe_t: int
    """From this t on every output can be answered; NEVER if one cannot at all."""


@dataclass(frozen=True)
class Compiled:
    """A request over the tables as of an epoch."""

    request: Request
    epoch: bytes | None
    ready: tuple[Ready, ...]
    names: tuple[str, ...]
    keys: frozenset[str]
    places: tuple[tuple[int, int], ...]
    """Where each output column comes from: (job, output), or (-1 - step, output)."""


def compile_request(project: Project, request: Request, full_names: bool) -> Compiled:
    """Read what is true of each group online, and make the programs."""
    epoch = project.online.get_meta(EPOCH)
    ready = tuple(_ready(project.online, job) for job in request.jobs)
    where: dict[str, tuple[int, int]] = {}
    for j, job in enumerate(request.jobs):
        where.update({ident: (j, i) for i, ident in enumerate(job.idents)})
    for s, step in enumerate(request.steps):
        where.update({ident: (-1 - s, i) for i, ident in enumerate(step.idents)})
    return Compiled(
        request,
        epoch,
        ready,
        tuple(request.names(full_names)),
        frozenset(request.key_columns),
        tuple(where[c.ident] for c in request.columns),
    )


def _ready(store: OnlineStore, job: Job) -> Ready:
    layout = job.layout
    last = len(layout.keys) - 1
    encoders = tuple(part_encoder(dtype, i == last) for i, (_, dtype) in enumerate(layout.keys))
    table = read_document(store, layout.ref).live
    if table is None or table.keys != keys_of(layout):
        return Ready(job, None, None, (), encoders, NEVER)
    # A table from before a change of the group may lack lanes, or have them elsewhere: they are found by name.
    place = {name: i for i, (name, _) in enumerate(table.shape.lanes)}
    moved, asked = [], []
    for i, output in enumerate(job.outputs):
        spots = [
            place.get(lane_name(layout.inputs[k])) if k != NONE else NONE
            for k in (output.input, output.where)
        ]
        if None not in spots and table.shape.kind == layout.kind:
            moved.append(_with_inputs(output, *spots))  # type: ignore[arg-type]
            asked.append(i)
    types: list[pl.DataType] = [pl.Null()] * len(place)
    for given in layout.inputs:
        if lane_name(given) in place:
            types[place[lane_name(given)]] = given.dtype
    program = make_program(table.shape.layout(), types, moved, layout.max_age) if moved else None
    safe = [_safe_t(job, table, output) for output in job.outputs]
    whole = len(asked) == len(job.outputs)
    return Ready(job, table, program, tuple(asked), encoders, max(safe) if whole else NEVER)


def _with_inputs(output: Output, given: int, where: int) -> Output:
    return replace(output, input=given, where=where)


def _safe_t(job: Job, table: Table, output: Output) -> int:
    """The earliest t at which the table answers an output."""
    delay = job.layout.settling_delay
    if table.horizon == ALWAYS and table.start == ALWAYS:
        return ALWAYS
    if job.layout.kind == "state":
        reach = job.layout.max_age
        filled = (
            ALWAYS if table.start == ALWAYS else (NEVER if reach is None else table.start + reach + delay)
        )
        return max(filled, ALWAYS if table.horizon == ALWAYS else table.horizon + delay)
    if output.span is None:
        return NEVER
    return max(table.horizon, table.start) + output.span + delay


@dataclass
class OnlineFeatures:
    """Answers, one a question, in the order asked."""

    names: tuple[str, ...]
    revision: int
    at: int
    """The instant asked about (the latest, where each question has its own)."""
    _columns: list[list[Any]]
    _codes: list[list[int]]
    """[feature][row] positions in STATUSES."""
    _times: list[Any]
    """[feature] an array or list of event times by row; MIN for none."""
    _dtypes: tuple[pl.DataType, ...]
    errors: dict[tuple[int, str], str] = field(default_factory=dict)
    """(row, feature) → why it could not be computed."""

    def __len__(self) -> int:
        return len(self._columns[0]) if self._columns else 0

    def __repr__(self) -> str:
        return f"OnlineFeatures({len(self)} rows × {len(self.names)} features at {show(self.at)})"

    def to_dict(self) -> dict[str, list[Any]]:
        """Name → values, in the order asked."""
        return dict(zip(self.names, self._columns, strict=True))

    def to_polars(self) -> pl.DataFrame:
        """One row a question, in the features' types."""
        columns = zip(self.names, self._columns, self._dtypes, strict=True)
        return pl.DataFrame([pl.Series(n, c, dtype=d, strict=False) for n, c, d in columns])

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """Rows × features as float64, NaN for null. Raises: UsageError for a feature that is no number."""
        frame = self.to_polars()
        wrong = [n for n, d in frame.schema.items() if not (d.is_numeric() or isinstance(d, pl.Boolean))]
        if wrong:
            raise UsageError(
                f"feature `{wrong[0]}` is no number", hint="to_dict() and to_polars() give every type"
            )
        return frame.select(pl.all().cast(pl.Float64).fill_null(float("nan"))).to_numpy()

    @cached_property
    def statuses(self) -> list[list[str]]:
        """By row, in feature order: NOT_FOUND, EXPIRED, NULL, PRESENT, NOT_READY or ERROR."""
        return [[STATUSES[code] for code in row] for row in zip(*self._codes, strict=True)]

    @cached_property
    def event_times(self) -> list[list[Any]]:
        """By row, in feature order: the event time of the key's newest visible row (UTC), None if there is none."""
        shown = [[None if t == MIN else to_datetime(int(t)) for t in times] for times in self._times]
        return [list(row) for row in zip(*shown, strict=True)]


def lookup(
    project: Project,
    compiled: Compiled,
    entities: Any,
    request: Any,
    at: Any,
    recompile: Callable[[], Compiled],
) -> OnlineFeatures:
    """Answer. Raises: UsageError or DataError for questions that cannot be right; HorizonError for a t too old."""
    keys, n = _columns(entities, compiled)
    fields = _fields(compiled, request, n)
    t, latest = _instants(project, at, n)
    for _ in range(_TRIES):
        answered = [_ask(project.online, ready, keys, fields, t, n) for ready in compiled.ready]
        if project.online.get_meta(EPOCH) == compiled.epoch:
            return _gather(compiled, answered, fields, latest, n)
        compiled = recompile()
    raise Unavailable(
        "the online tables change all the time", hint="try again when materialization has ended"
    )


# --- questions ----------------------------------------------------------------------------------------------------------


def _columns(entities: Any, compiled: Compiled) -> tuple[Columns, int]:
    """The key columns as lists. Raises: DataError naming row and column."""
    wanted = compiled.keys
    if isinstance(entities, list):
        for row in entities:
            if not isinstance(row, dict) or row.keys() != wanted:
                raise _wrong_row(entities, wanted)
        return {name: [row[name] for row in entities] for name in wanted}, len(entities)
    if isinstance(entities, Mapping):
        columns = {name: list(values) for name, values in entities.items()}
    else:
        frame = to_polars(entities, "entities")
        columns = {name: frame[name].to_list() for name in frame.columns}
    _check_fields(columns, wanted, "entities")
    sizes = {len(values) for values in columns.values()}
    if len(sizes) > 1:
        shown = ", ".join(f"{name}: {len(values)}" for name, values in columns.items())
        raise DataError(f"the entity columns differ in length ({shown})")
    if not wanted:
        raise DataError(
            "these features have no keys", hint="ask with entities=[{}], one empty dict an answer"
        )
    return columns, sizes.pop()


def _wrong_row(rows: Sequence[Any], wanted: Iterable[str]) -> DataError:
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            return DataError(
                f"entity row {i} is a {type(row).__name__}, not a dict", hint='such as {"user": 1}'
            )
        try:
            _check_fields(row, wanted, f"entity row {i}")
        except DataError as error:
            return error
    return DataError("the entities cannot be read")


def _check_fields(given: Iterable[str], wanted: Iterable[str], where: str) -> None:
    missing, unknown = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing:
        close = nearest(missing[0], unknown)
        raise DataError(
            f"{where}: the key column `{missing[0]}` is missing",
            hint=f"did you mean it by `{close}`?" if close else f"keys: {', '.join(sorted(wanted))}",
        )
    if unknown:
        raise DataError(
            f"{where}: unknown field `{unknown[0]}`", hint=f"keys: {', '.join(sorted(wanted)) or 'none'}"
        )


def _fields(compiled: Compiled, given: Any, n: int) -> dict[str, pl.Series]:
    """The request's values as columns. A single value stands for all rows."""
    needed: dict[str, list[str]] = {}
    types: dict[str, pl.DataType | None] = {}
    for step in compiled.request.steps:
        for name, ident, dtype in step.inputs:
            if ident is None:
                needed.setdefault(name, []).append(f"on-demand function `{step.on_demand.name}`")
                types[name] = dtype
    for job in compiled.request.jobs:
        raw = dict(job.layout.columns)
        for name in job.request_columns:
            needed.setdefault(name, []).append(f"group `{job.layout.name}` (include_request)")
            types.setdefault(name, raw[name])
    if not needed and given is None:
        return {}
    values = _request_values(given, n)
    for name, users in needed.items():
        if name not in values:
            raise DataError(
                f"{users[0]} needs the request value `{name}`",
                hint=f'request={{"{name}": …}}, one value or one a row',
            )
    for name in values:
        if name not in needed:
            close = nearest(name, needed)
            raise DataError(
                f"unknown request value `{name}`",
                hint=f"did you mean `{close}`?" if close else f"needed: {', '.join(needed) or 'none'}",
            )
    return {name: _field(name, values[name], types[name], n) for name in needed}


def _request_values(given: Any, n: int) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    frame = to_polars(given, "request")
    if len(frame) != n:
        raise DataError(f"the request has {len(frame)} rows for {n} entities")
    return {name: frame[name] for name in frame.columns}


def _field(name: str, values: Any, dtype: Any, n: int) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.cast(dtype).alias(name)
    if not isinstance(values, list | tuple | np.ndarray):
        values = [values] * n
    if len(values) != n:
        raise DataError(f"the request value `{name}` has {len(values)} entries for {n} entities")
    try:
        return pl.Series(name, values, dtype=dtype, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        pass
    for i, value in enumerate(values):
        try:
            literal(value, dtype)
        except UsageError:
            raise DataError(
                f"the request value `{name}` of row {i} is {value!r}, of type {type(value).__name__}",
                hint=f"it must be {dtype_text(dtype)}",
            ) from None
    return pl.Series(name, values, dtype=dtype, strict=False)


def _instants(project: Project, at: Any, n: int) -> tuple[np.ndarray[Any, Any], int]:
    """t of each row, and the latest."""
    if at is None:
        now = project.clock()
        return np.full(n, now), now
    if isinstance(at, list | tuple | np.ndarray | pl.Series):
        each = [instant(value) for value in at]
        if len(each) != n:
            raise DataError(
                f"`at` has {len(each)} times for {n} entities", hint="give one time, or one an entity"
            )
        return np.array(each, np.int64), max(each, default=0)
    one = instant(at)
    return np.full(n, one), one


# --- answers ------------------------------------------------------------------------------------------------------------


@dataclass
class Answered:
    """What one job gave: by output, values, status codes and event times."""

    columns: list[list[Any]]
    codes: list[list[int]]
    times: list[int]
    reasons: dict[int, str]
    """Row → why its value could not be read."""


def _ask(
    store: OnlineStore,
    ready: Ready,
    keys: Columns,
    fields: Mapping[str, pl.Series],
    t: np.ndarray[Any, Any],
    n: int,
) -> Answered:
    job, size = ready.job, len(ready.job.outputs)
    names = _keys(ready, keys, n)
    refused: frozenset[int] = frozenset()
    if n and (ready.table is None or int(t.min()) < ready.safe_t):
        refused = _unanswerable(ready, int(t.min()))
    if ready.program is None or len(refused) == size:
        return Answered([[None] * n] * size, [[_NOT_READY] * n] * size, [MIN] * n, {})
    assert ready.table is not None
    own = _own_rows(ready, fields, n) if ready.program.takes_request else RequestRows()
    delay = job.layout.settling_delay
    found = answer(ready.program, store.read(ready.table.name, names), t - delay if delay else t, own)
    made, codes = found.columns(), found.statuses.tolist()
    columns: list[list[Any]]
    if len(ready.asked) == size and not refused:
        columns, statuses = made, codes
    else:
        columns, statuses = [[None] * n] * size, [[_NOT_READY] * n] * size
        for i, output in enumerate(ready.asked):
            if output not in refused:
                columns[output], statuses[output] = made[i], codes[i]
    return Answered(columns, statuses, found.event_times.tolist(), _reasons(ready, found, names))


def _keys(ready: Ready, keys: Columns, n: int) -> list[bytes]:
    columns = [keys[name] for name in ready.job.key_columns]
    encoders = ready.encoders
    if len(columns) == 1:
        encode_one = encoders[0]
        try:
            return [encode_one(value) for value in keys[ready.job.key_columns[0]]]
        except (TypeError, ValueError):
            raise _wrong_key(ready, keys) from None
    if not columns:
        return [b""] * n
    try:
        return [
            b"".join([encode_part(value) for encode_part, value in zip(encoders, row, strict=True)])
            for row in zip(*columns, strict=True)
        ]
    except (TypeError, ValueError):
        raise _wrong_key(ready, keys) from None


def _wrong_key(ready: Ready, keys: Columns) -> DataError:
    for name, encoder, (_, dtype) in zip(
        ready.job.key_columns, ready.encoders, ready.job.layout.keys, strict=True
    ):
        for i, value in enumerate(keys[name]):
            if value is None:
                return DataError(
                    f"the key column `{name}` is null in row {i}", hint="every question needs its whole key"
                )
            try:
                encoder(value)
            except (TypeError, ValueError):
                return DataError(
                    f"the key column `{name}` is {dtype_text(dtype)}, row {i} has {value!r} of type {type(value).__name__}",
                    hint="5 and '5' are different keys; convert the value",
                )
    return DataError("the keys cannot be read")


def _unanswerable(ready: Ready, t: int) -> frozenset[int]:
    """Outputs that are not ready at t. Raises: HorizonError where t is merely too old."""
    job, table = ready.job, ready.table
    if table is None:
        return frozenset(range(len(job.outputs)))
    unready = {i for i in range(len(job.outputs)) if i not in ready.asked}
    for i, output in enumerate(job.outputs):
        safe = _safe_t(job, table, output)
        if t >= safe or i in unready:
            continue
        span = 0 if job.layout.kind == "state" else output.span
        kept = table.span is None or (span is not None and span + job.layout.settling_delay <= table.span)
        back = table.horizon if job.layout.kind == "state" else table.horizon + (span or 0)
        if kept and table.horizon != ALWAYS and t < back + job.layout.settling_delay:
            raise HorizonError(
                f"t = {show(t)} is before the horizon of group `{job.layout.name}`: `{output.name}` can be answered from "
                f"{show(safe)} on; rows are kept back to {show(table.horizon)}",
                hint="get_historical_features answers any time; `slack` in gnomon.toml keeps online rows for longer",
            )
        unready.add(i)
    return frozenset(unready)


def _own_rows(ready: Ready, fields: Mapping[str, pl.Series], n: int) -> RequestRows:
    """The request's own row, evaluated as the source's rows were."""
    assert ready.program is not None and ready.table is not None
    inputs = ready.job.layout.inputs
    frame = pl.DataFrame({name: fields[name] for name in ready.job.request_columns})
    place = {name: i for i, (name, _) in enumerate(ready.table.shape.lanes)}
    lanes: list[Any] = [None] * len(place)
    for i in ready.job.request_inputs:
        at = place.get(lane_name(inputs[i]))
        if at is not None:
            lanes[at] = encode(frame.select(inputs[i].evaluate().alias("x")).to_series())
    return request_rows(lanes, n)


def _reasons(ready: Ready, found: Answers, names: Sequence[bytes]) -> dict[int, str]:
    if not found.errors.any():
        return {}
    table = ready.table.name if ready.table is not None else ""
    return {
        int(row): str(refuse(int(found.errors[row]), f"{table}, key {names[row]!r}"))
        for row in np.flatnonzero(found.errors)
    }


def _gather(
    compiled: Compiled, answered: list[Answered], fields: Mapping[str, pl.Series], latest: int, n: int
) -> OnlineFeatures:
    request = compiled.request
    errors: dict[tuple[int, str], str] = {}
    for ready, given in zip(compiled.ready, answered, strict=True):
        for i, output in enumerate(ready.job.outputs):
            if output.default is not None:
                given.columns[i] = [
                    output.default if value is None and code in (_NOT_FOUND, _EXPIRED, _NULL) else value
                    for value, code in zip(given.columns[i], given.codes[i], strict=True)
                ]
    steps = [_step(compiled, step, answered, fields, n) for step in request.steps]
    everything = [*((a.columns, a.codes, [a.times] * len(a.columns)) for a in answered)]
    columns, codes, times = [], [], []
    for column, (source, i) in zip(request.columns, compiled.places, strict=True):
        if source >= 0:
            values, statuses, moments = everything[source]
            given = answered[source]
            if given.reasons:
                errors.update({(row, column.name): why for row, why in given.reasons.items()})
            columns.append(values[i])
            codes.append(statuses[i])
            times.append(moments[i])
        else:
            made = steps[-1 - source]
            columns.append(made.columns[i])
            codes.append(made.codes[i])
            times.append(made.times)
            errors.update({(row, column.name): why for row, why in made.reasons.items()})
    dtypes = tuple(c.dtype for c in request.columns)
    return OnlineFeatures(compiled.names, request.revision, latest, columns, codes, times, dtypes, errors)


def _step(
    compiled: Compiled, step: Step, answered: list[Answered], fields: Mapping[str, pl.Series], n: int
) -> Answered:
    """Call an on-demand function: whole, and where that fails one by one, so that only what fails is ERROR."""
    inputs: dict[str, pl.Series] = {}
    unready = [False] * n
    times = [MIN] * n
    for name, ident, dtype in step.inputs:
        if ident is None:
            inputs[name] = fields[name].cast(dtype).alias(name)
            continue
        j, i = next(
            (j, job.idents.index(ident)) for j, job in enumerate(compiled.request.jobs) if ident in job.idents
        )
        given = answered[j]
        inputs[name] = pl.Series(name, given.columns[i], dtype=dtype, strict=False)
        unready = [u or code in (_NOT_READY, _ERROR) for u, code in zip(unready, given.codes[i], strict=True)]
        times = [max(a, b) for a, b in zip(times, given.times, strict=True)]
    reasons: dict[int, str] = {}
    try:
        made = [c.to_list() for c in ondemand.call(step.on_demand, step.function, inputs, n)]
    except ComputeError:
        made = [[None] * n for _ in step.idents]
        for row in range(n):
            try:
                one = {name: column.slice(row, 1) for name, column in inputs.items()}
                for place, column in enumerate(ondemand.call(step.on_demand, step.function, one, 1)):
                    made[place][row] = column[0]
            except ComputeError as error:
                reasons[row] = str(error)
    codes = []
    for values in made:
        codes.append(
            [
                _ERROR if row in reasons else _NOT_READY if wait else _NULL if value is None else _PRESENT
                for row, (value, wait) in enumerate(zip(values, unready, strict=True))
            ]
        )
        for row, wait in enumerate(unready):
            if wait:
                values[row] = None
    return Answered(made, codes, times, reasons)
