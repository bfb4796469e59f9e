"""Lookup: keys → online rows → windows at t → on-demand functions → answers.

What a group's table is may change under way (a rebuilt table takes the place of the old one): the store's
epoch is read after the values, and if it has turned, the documents are read again and the question is asked
once more. So an answer is all old or all new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from gnomon.abc.online import OnlineStore
from gnomon.errors import DataError, HorizonError, Unavailable
from gnomon.flows import ondemand
from gnomon.flows.answer import Answered, OnlineFeatures
from gnomon.flows.compiled import Compiled, Flags, Ready, unanswerable
from gnomon.flows.external import Asking, check_now
from gnomon.flows.fields import Fields, own_rows
from gnomon.flows.online import EPOCH, lane_name
from gnomon.flows.project import AnswerSink, Project
from gnomon.flows.proof.log import REQUEST_ID, Logged
from gnomon.flows.question import Columns, Instants, instants, key_columns
from gnomon.flows.request import Step
from gnomon.online.codec import MIN, refuse
from gnomon.online.program import Answers, RequestRows, request_rows
from gnomon.online.statuses import STATUSES
from gnomon.online.tree import Changed, HotAnswers, Place, answer
from gnomon.online.values import encode
from gnomon.plan.keys import Encode, encode_all
from gnomon.plan.normal import lane
from gnomon.types import dtype_text

_NOT_FOUND, _EXPIRED, _NULL, _PRESENT, _NOT_READY, _ERROR = range(len(STATUSES))
_TRIES = 16
_NO_REQUEST = RequestRows()


def lookup(
    project: Project,
    compiled: Compiled,
    entities: Any,
    request: Any,
    at: Any,
    recompile: Callable[[], Compiled],
    *,
    logged: bool = True,
) -> OnlineFeatures:
    """Answer. `logged`: for somebody, so that it goes into the answer log.

    Raises: UsageError or DataError for questions that cannot be right; HorizonError for a t too old.
    """
    store = project.online
    keys, n = key_columns(entities, compiled.keys)
    fields = compiled.needed.read(request, n)
    t = instants(at, n, project.clock)
    seen = t.latest if at is None else None
    encoded: Encoded = {}
    services: Services = {}
    for _ in range(_TRIES):
        try:
            questions = [_question(ready, keys, t, n, encoded) for ready in compiled.ready]
        except HorizonError:
            # The table may have got another by now, which reaches further back.
            if store.get_meta(EPOCH) == compiled.epoch:
                raise
        else:
            if compiled.asks_services:
                _ask_services(questions, keys, t, at, services)
            values, epoch = store.read_many([q.asked for q in questions if q.asked is not None], EPOCH)
            if epoch == compiled.epoch:
                held = iter(values)
                try:
                    answered = [
                        _unread(q, services, n)
                        if q.asked is None
                        else _answered(store, q, next(held), fields, t, n)
                        for q in questions
                    ]
                except Changed:
                    # A hot key was written, or its table has gone, while its leaves were read.
                    continue
                found = _gather(compiled, answered, fields, t, n)
                if logged and project.log is not None and compiled.request.of_service:
                    _note(
                        project.log,
                        found,
                        compiled,
                        questions,
                        values,
                        keys,
                        fields,
                        t,
                        seen or project.clock(),
                    )
                return found
        compiled = recompile()
    raise Unavailable(
        "the online tables change all the time", hint="try again when materialization has ended"
    )


def _note(
    log: AnswerSink,
    found: OnlineFeatures,
    compiled: Compiled,
    questions: list[_Question],
    values: list[list[bytes | None]],
    keys: Columns,
    fields: Fields,
    t: Instants,
    seen: int,
) -> None:
    """Log an answer: by reference, for whoever writes it later."""
    held = iter(values)
    of_jobs = [None if q.asked is None else next(held) for q in questions]
    names = [q.keys for q in questions]
    log.put(Logged(found, compiled, keys, fields, names, of_jobs, t.each, seen, REQUEST_ID.get()))


@dataclass(slots=True)
class _Question:
    """What one group is asked."""

    ready: Ready
    keys: list[bytes]
    refused: Mapping[int, Flags]
    """Output → which rows it cannot answer at their t."""
    asked: tuple[str, list[bytes]] | None
    """The table and the keys to read; None while there is no table that answers."""


Encoded = dict[tuple[tuple[str, ...], tuple[Encode, ...]], list[bytes]]
"""Key columns and their encoders → the keys' bytes: several groups of one entity have the same."""


def _question(ready: Ready, keys: Columns, t: Instants, n: int, encoded: Encoded) -> _Question:
    address = (ready.job.key_columns, ready.encoders)
    names = encoded.get(address)
    if names is None:
        names = encoded[address] = _keys(ready, keys, n)
    refused = unanswerable(ready, t) if n and t.earliest < ready.safe_t else {}
    asked = None if ready.program is None or ready.table is None else (ready.table.name, names)
    return _Question(ready, names, refused, asked)


Services = dict[tuple[str, tuple[str, ...]], Asking]
"""Group and key columns → what its external source is answering."""


def _ask_services(
    questions: list[_Question], keys: Columns, t: Instants, at: Any, services: Services
) -> None:
    """Begin to ask the external sources, each once, so that they answer while the store is read."""
    for question in questions:
        job, asker = question.ready.job, question.ready.asker
        address = (job.group.ref, job.key_columns)
        if asker is not None and address not in services:
            check_now(job.group, at)
            own = {
                name: keys[column] for (name, _), column in zip(job.layout.keys, job.key_columns, strict=True)
            }
            services[address] = asker.start(question.keys, own, t.latest)


def _unread(question: _Question, services: Services, n: int) -> Answered:
    """The answers of a group without a table: what its external source says, or that it is not ready."""
    ready = question.ready
    if ready.asker is not None:
        job = ready.job
        return ready.asker.answer(services[job.group.ref, job.key_columns], job)
    size = len(ready.job.outputs)
    codes, times = [[_NOT_READY] * n] * size, [MIN] * n
    return Answered([[None] * n for _ in range(size)], lambda: codes, lambda: times, lambda: [{}] * size)


def _answered(
    store: OnlineStore, question: _Question, values: list[bytes | None], fields: Fields, t: Instants, n: int
) -> Answered:
    """The answers of one group, from its stored values."""
    ready, names, refused = question.ready, question.keys, question.refused
    assert ready.program is not None
    assert ready.table is not None
    size = len(ready.job.outputs)
    own = _own_rows(ready, fields, n) if ready.program.takes_request else _NO_REQUEST
    delay = ready.job.layout.settling_delay
    place = Place(store, ready.table.name, names)
    found = answer(ready.program, values, t.each - delay if delay else t.each, own, place)
    columns = found.columns()
    if refused or len(ready.asked) < size:
        columns = _spread(ready, refused, columns, None, n)

    def status_codes() -> list[list[int]]:
        return _spread(ready, refused, found.statuses.tolist(), _NOT_READY, n)

    if ready.defaults:
        given = status_codes()
        for i, default in ready.defaults:
            columns[i] = [
                default if value is None and code < _PRESENT else value
                for value, code in zip(columns[i], given[i], strict=True)
            ]

    def reasons() -> list[Mapping[int, str]]:
        return _reasons(ready, found, names, status_codes())

    plain = not refused and ready.asked == tuple(range(size))
    states = (lambda: found.statuses) if plain else None
    return Answered(columns, status_codes, found.event_times.tolist, reasons, states)


def _spread(
    ready: Ready, refused: Mapping[int, Flags], given: list[list[Any]], missing: Any, n: int
) -> list[list[Any]]:
    """What the program gave, by the job's outputs; `missing` where it was not asked, or that is refused."""
    spread = [[missing] * n for _ in ready.job.outputs]
    for column, i in zip(given, ready.asked, strict=True):
        spread[i] = column
        if i in refused:
            flags = refused[i].tolist()
            spread[i] = [missing if out else value for value, out in zip(column, flags, strict=True)]
    return spread


def _keys(ready: Ready, keys: Columns, n: int) -> list[bytes]:
    columns, encoders = ready.job.key_columns, ready.encoders
    try:
        if len(encoders) == 1:
            return encode_all(encoders[0], keys[columns[0]])
        if not encoders:
            return [b""] * n
        parts = [
            encode_all(encode_part, keys[name]) for encode_part, name in zip(encoders, columns, strict=True)
        ]
        return list(map(b"".join, zip(*parts, strict=True)))
    except (TypeError, ValueError):
        raise _wrong_key(ready, keys) from None


def _wrong_key(ready: Ready, keys: Columns) -> DataError:
    named = zip(ready.job.key_columns, ready.encoders, ready.job.layout.keys, strict=True)
    for name, encoder, (_, dtype) in named:
        for i, value in enumerate(keys[name]):
            if value is None:
                return DataError(
                    f"the key column `{name}` is null in row {i}", hint="every question needs its whole key"
                )
            try:
                encoder(value)
            except ValueError as error:
                return DataError(
                    f"the key column `{name}` has {value!r} in row {i}, which is {error}",
                    hint=f"no key of type {dtype_text(dtype)} has this value",
                )
            except TypeError:
                return DataError(
                    f"the key column `{name}` is {dtype_text(dtype)}, "
                    f"row {i} has {value!r} of type {type(value).__name__}",
                    hint="5 and '5' are different keys; convert the value",
                )
    return DataError("the keys cannot be read")


def _own_rows(ready: Ready, fields: Fields, n: int) -> RequestRows:
    """The request's own rows, in the lanes of the table."""
    assert ready.table is not None
    rows = own_rows(ready.job, fields, n)
    place = {name: i for i, (name, _) in enumerate(ready.table.shape.lanes)}
    lanes: list[Any] = [None] * len(place)
    for i in ready.job.request_inputs:
        at = place.get(lane_name(ready.job.layout.inputs[i]))
        if at is not None:
            lanes[at] = encode(rows[lane(i)])
    return request_rows(lanes, n)


def _reasons(
    ready: Ready, found: Answers | HotAnswers, names: list[bytes], codes: list[list[int]]
) -> list[Mapping[int, str]]:
    """By output: why the rows with status ERROR could not be computed."""
    table = ready.table.name if ready.table is not None else ""
    unreadable = {
        int(row): str(refuse(int(found.errors[row]), f"{table}, key {names[row]!r}"))
        for row in np.flatnonzero(found.errors)
    }
    by_output: list[Mapping[int, str]] = []
    for output, of_rows in zip(ready.job.outputs, codes, strict=True):
        overflow = f"`{output.name}` cannot be computed: the {output.function} does not fit {output.dtype}"
        failed = [row for row, code in enumerate(of_rows) if code == _ERROR]
        by_output.append({row: unreadable.get(row, overflow) for row in failed})
    return by_output


def _gather(
    compiled: Compiled, answered: list[Answered], fields: Fields, t: Instants, n: int
) -> OnlineFeatures:
    """The columns in the order asked."""
    names, revision = compiled.names, compiled.request.revision
    if compiled.direct:
        one = answered[0]
        size = len(one.columns)
        return OnlineFeatures(
            names, revision, t.latest, one.columns, compiled.dtypes, [one] * size, compiled.straight
        )
    steps = [_step(compiled, step, answered, fields, n) for step in compiled.request.steps]
    sources = [answered[j] if j >= 0 else steps[-1 - j] for j, _ in compiled.places]
    outputs = [i for _, i in compiled.places]
    columns = [given.columns[i] for given, i in zip(sources, outputs, strict=True)]
    return OnlineFeatures(names, revision, t.latest, columns, compiled.dtypes, sources, outputs)


def _step(compiled: Compiled, step: Step, answered: list[Answered], fields: Fields, n: int) -> Answered:
    """Call an on-demand function; what fails is ERROR, and so is what an input that is one makes impossible."""
    inputs: dict[str, pl.Series] = {}
    sources: list[tuple[str, Answered, int]] = []
    for name, ident, dtype in step.inputs:
        if ident is None:
            inputs[name] = fields[name, dtype]
        else:
            j, i = compiled.where[ident]
            sources.append((name, answered[j], i))
            inputs[name] = pl.Series(name, answered[j].columns[i], dtype=dtype, strict=False)
    reasons: dict[int, str] = {}
    unready = [False] * n
    for name, given, i in sources:
        if None in given.columns[i]:
            codes = given.codes()[i]
            unready = [a or code >= _NOT_READY for a, code in zip(unready, codes, strict=True)]
            failed = given.reasons()[i] if _ERROR in codes else {}
            reasons.update({row: f"the input `{name}` is an error: {why}" for row, why in failed.items()})
    made = _called(step, inputs, [row for row in range(n) if not unready[row]], n, reasons)

    def status_codes() -> list[list[int]]:
        return [
            [
                _ERROR if row in reasons else _NOT_READY if wait else _NULL if value is None else _PRESENT
                for row, (value, wait) in enumerate(zip(values, unready, strict=True))
            ]
            for values in made
        ]

    def times() -> list[int]:
        return (
            [max(row) for row in zip(*(g.times() for _, g, _ in sources), strict=True)]
            if sources
            else [MIN] * n
        )

    return Answered(made, status_codes, times, lambda: [reasons] * len(made))


def _called(
    step: Step, inputs: Mapping[str, pl.Series], rows: list[int], n: int, reasons: dict[int, str]
) -> list[list[Any]]:
    """The function's values of `rows`, None for the others: of what is not ready it knows nothing."""
    whole = len(rows) == n
    given = inputs if whole else {name: column.gather(rows) for name, column in inputs.items()}
    found = ondemand.call_by_row(step.on_demand, step.function, given, len(rows), step.hands)
    reasons.update({rows[i]: why for i, why in found.reasons.items()})
    if whole:
        return found.columns
    made: list[list[Any]] = [[None] * n for _ in found.columns]
    for values, of_rows in zip(made, found.columns, strict=True):
        for row, value in zip(rows, of_rows, strict=True):
            values[row] = value
    return made
