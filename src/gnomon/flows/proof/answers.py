"""Answers as they are kept: a table for each service and day, a row an entity and request.

    k__…      the entity's keys                     r__…      request values
    v__…      values, in the features' own types    s__…      their statuses, as codes
    at        t                                     seen      when the store was read
    tables    by group: which table answered        counters  by group: the version counter of the value read
    revision, definitions, kernels: by what the answer was computed        request: the request's id

Groups stand in the order of the request that the service is at the revision. Days are those of `seen`, in UTC, so that
old answers go a table at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import msgspec
import numpy as np
import polars as pl

from gnomon.abc.offline import OfflineStore
from gnomon.errors import UsageError
from gnomon.flows.answer import states_of
from gnomon.flows.compiled import Compiled
from gnomon.flows.fields import needed_fields
from gnomon.flows.project import Project
from gnomon.flows.proof.log import AnswerLog, Logged, Rows
from gnomon.flows.request import Request, resolve_request, served
from gnomon.kernels._jit import kernel_key
from gnomon.online.index import is_index, tail_of
from gnomon.online.statuses import STATUSES
from gnomon.registry.snapshot import Snapshot
from gnomon.time import DAY, to_datetime
from gnomon.types import DType

INSTANT = pl.Datetime("us", "UTC")
_STATUS = dict(enumerate(STATUSES))
_COUNTER = slice(16, 24)
"""Where the version counter stands in a value: `gnomon.kernels.rows`."""

META: dict[str, DType] = {
    "at": INSTANT,
    "seen": INSTANT,
    "request": pl.String(),
    "revision": pl.Int64(),
    "definitions": pl.String(),
    "kernels": pl.String(),
    "tables": pl.List(pl.String()),
    "counters": pl.List(pl.Int64()),
}


@dataclass(frozen=True)
class Columns:
    """What answers to a request look like in the log."""

    request: Request

    @cached_property
    def names(self) -> list[str]:
        """The features' names: as asked, or in full where two would be the same."""
        try:
            return self.request.names(False)
        except UsageError:
            return self.request.names(True)

    @cached_property
    def keys(self) -> dict[str, DType]:
        return dict(self.request.key_columns)

    @cached_property
    def fields(self) -> dict[str, DType]:
        """Request values; of one that is wanted in several types, the first."""
        found: dict[str, DType] = {}
        for want in needed_fields(self.request).wants:
            found.setdefault(want.name, want.dtype)
        return found

    @cached_property
    def features(self) -> dict[str, DType]:
        return {name: c.dtype for name, c in zip(self.names, self.request.columns, strict=True)}

    @cached_property
    def schema(self) -> dict[str, DType]:
        """Of the rows as they are kept."""
        return (
            META
            | {f"k__{name}": dtype for name, dtype in self.keys.items()}
            | {f"r__{name}": dtype for name, dtype in self.fields.items()}
            | {f"v__{name}": dtype for name, dtype in self.features.items()}
            | {f"s__{name}": pl.Int8() for name in self.features}
        )


def definitions_of(snapshot: Snapshot, request: Request) -> str:
    """JSON: each group and function of a request, with a hash of how it is defined."""
    refs = [("group", job.layout.ref) for job in request.jobs]
    refs += [("on_demand", step.on_demand.ref) for step in request.steps]
    hashes = {}
    for kind, ref in dict.fromkeys(refs):
        document = snapshot.documents.get((kind, ref), "")
        hashes[f"{kind}:{ref}"] = hashlib.sha256(document.encode()).hexdigest()[:16]
    return msgspec.json.encode(hashes).decode()


# ---------------------------------------------------------------------------------------------------- writing


class AnswerTables:
    """The tables of the log of a project."""

    def __init__(self, project: Project, store: OfflineStore) -> None:
        self.project = project
        self.store = store
        self._told: dict[int, str] = {}

    def encode(self, log: AnswerLog, batch: Sequence[Logged]) -> list[Rows]:
        """Answers of services as rows for tables. Raises: what reading the registry raises."""
        groups: dict[tuple[int, int], list[Logged]] = {}
        for one in batch:
            groups.setdefault((id(one.compiled), one.seen // DAY), []).append(one)
        made = []
        for (_, day), of_one in groups.items():
            request = of_one[0].compiled.request
            frame = encode(of_one, self._definitions(request))
            frame = frame if log.takes_all else frame.filter(_sampled(log, of_one))
            if len(frame):
                made.append((table_name(request.label, day), frame))
        return made

    def write(self, rows: Sequence[Rows]) -> int:
        """Append rows to their tables, and return how many. Raises: Unavailable."""
        alike: dict[tuple[str, str], list[pl.DataFrame]] = {}
        for table, frame in rows:
            alike.setdefault((table, repr(frame.schema)), []).append(frame)
        for (table, _), frames in alike.items():
            self.store.append(table, pl.concat(frames))
        return sum(len(frame) for _, frame in rows)

    def _definitions(self, request: Request) -> str:
        found = self._told.get(request.revision)
        if found is None:
            found = definitions_of(self.project.registry.at(request.revision), request)
            self._told[request.revision] = found
        return found


def table_name(service: str, day: int) -> str:
    """day: since 1970, of UTC."""
    return f"{service}-{to_datetime(day * DAY):%Y%m%d}"


def _sampled(log: AnswerLog, batch: Sequence[Logged]) -> pl.Series:
    return pl.Series(
        [log.is_sampled(one.names, i) for one in batch for i in range(len(one.t))], dtype=pl.Boolean
    )


def encode(batch: Sequence[Logged], definitions: str) -> pl.DataFrame:
    """Answers to one compiled request as rows of the log."""
    compiled = batch[0].compiled
    columns = Columns(compiled.request)
    sizes = [len(one.t) for one in batch]
    n = sum(sizes)
    made: dict[str, pl.Series] = {
        "at": pl.Series(np.concatenate([one.t for one in batch])).cast(INSTANT),
        "seen": pl.Series(np.repeat([one.seen for one in batch], sizes)).cast(INSTANT),
        "request": pl.Series(list(_repeated([one.request for one in batch], sizes)), dtype=pl.String),
        "revision": pl.Series([compiled.request.revision], dtype=pl.Int64).new_from_index(0, n),
        "definitions": pl.Series([definitions]).new_from_index(0, n),
        "kernels": pl.Series([kernel_key()]).new_from_index(0, n),
        "tables": pl.Series([_tables(compiled)], dtype=pl.List(pl.String)).new_from_index(0, n),
        "counters": _counters(batch),
    }
    for name, dtype in columns.keys.items():
        given = list(chain.from_iterable(one.keys[name] for one in batch))
        made[f"k__{name}"] = pl.Series(given, dtype=dtype, strict=False)
    for name, dtype in columns.fields.items():
        made[f"r__{name}"] = pl.concat([one.fields[name, dtype] for one in batch])
    values = [list(one.found.to_dict().values()) for one in batch]
    codes = states_of([one.found for one in batch]).astype(np.int8)
    for i, (name, dtype) in enumerate(columns.features.items()):
        of_all = list(chain.from_iterable(one[i] for one in values))
        made[f"v__{name}"] = pl.Series(of_all, dtype=dtype, strict=False)
        made[f"s__{name}"] = pl.Series(codes[i])
    return pl.DataFrame({name: made[name].alias(name) for name in columns.schema})


def _repeated(values: Sequence[str], sizes: Sequence[int]) -> Iterable[str]:
    return chain.from_iterable([value] * size for value, size in zip(values, sizes, strict=True))


def _tables(compiled: Compiled) -> list[str]:
    """The identity of each job's table; empty where there is none."""
    return [
        "" if ready.table is None or ready.program is None else ready.table.identity or ready.table.name
        for ready in compiled.ready
    ]


def _counters(batch: Sequence[Logged]) -> pl.Series:
    """[n]: the version counters of the values of each job."""
    jobs = []
    for j in range(len(batch[0].compiled.ready)):
        of_job: list[int] = []
        for one in batch:
            values = one.values[j]
            of_job += [0] * len(one.t) if values is None else [counter(value) for value in values]
        jobs.append(of_job)
    return pl.Series(np.ascontiguousarray(np.array(jobs, np.int64).T)).arr.to_list()


def counter(value: bytes | None) -> int:
    """The version counter of a stored value, 0 for none."""
    if not value:
        return 0
    rows = tail_of(value) if is_index(value) else value
    return int.from_bytes(rows[_COUNTER], "little")


# ---------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Answers:
    """Logged answers to one service as it was at one revision."""

    revision: int
    columns: Columns
    frame: pl.DataFrame
    """As `Columns.schema` tells."""


def read_answers(
    project: Project, store: OfflineStore, service: str, *, start: int, end: int
) -> list[Answers]:
    """What was logged of a service (`name@version`) with `seen` in [start, end), by revision.

    Raises: NotFound for a revision that the registry does not have.
    """
    found: dict[int, list[pl.LazyFrame]] = {}
    columns: dict[int, Columns] = {}
    inside = (pl.col("seen").to_physical() >= start) & (pl.col("seen").to_physical() < end)
    for table in days_of(store, service):
        revisions = store.scan(table, {"revision": pl.Int64(), "seen": INSTANT}).filter(inside)
        for revision in revisions.select("revision").unique().collect()["revision"].sort().to_list():
            if revision not in columns:
                snapshot = project.registry.at(revision)
                columns[revision] = Columns(served(resolve_request(project, snapshot, service)))
            rows = store.scan(table, columns[revision].schema)
            found.setdefault(revision, []).append(rows.filter(inside & (pl.col("revision") == revision)))
    return [Answers(r, columns[r], pl.concat(found[r]).collect()) for r in sorted(found)]


def days_of(store: OfflineStore, service: str) -> list[str]:
    """The tables of a service, by day."""
    return [table for table in store.tables() if table.rpartition("-")[0] == service]


def remove_answers(store: OfflineStore, before: int, *, dry_run: bool = False) -> list[str]:
    """Remove the days of all services that ended before an instant; the tables that went, or would go."""
    day = f"{to_datetime(before):%Y%m%d}"
    old = [table for table in store.tables() if table.rpartition("-")[2] < day]
    for table in old if not dry_run else ():
        store.drop(table)
    return old


def show_answers(answers: Sequence[Answers], *, statuses: bool) -> pl.DataFrame:
    """Logged answers as people read them: a row each, features by name."""
    frames = []
    for one in answers:
        c = one.columns
        frames.append(
            one.frame.select(
                pl.col("request").alias("request_id"),
                pl.col("at").alias("event_timestamp"),
                pl.col("seen").alias("served_at"),
                "revision",
                *(pl.col(f"k__{name}").alias(name) for name in c.keys),
                *(pl.col(f"r__{name}").alias(name) for name in c.fields if name not in c.keys),
                *(pl.col(f"v__{name}").alias(name) for name in c.features),
                *(
                    pl.col(f"s__{name}")
                    .replace_strict(_STATUS, return_dtype=pl.String)
                    .alias(f"{name}__status")
                    for name in (c.features if statuses else ())
                ),
            )
        )
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
