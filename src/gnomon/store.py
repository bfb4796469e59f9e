"""Store: the facade. A dozen methods, each a call into `flows/`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from gnomon import config as settings
from gnomon.client.blocking import Client
from gnomon.define.group import FeatureGroup, Selection
from gnomon.define.service import FeatureService
from gnomon.define.source import Source
from gnomon.errors import UsageError, type_of
from gnomon.flows import apply as applying
from gnomon.flows import dataset, training
from gnomon.flows.acks import PushAck
from gnomon.flows.answer import OnlineFeatures
from gnomon.flows.apply import Plan
from gnomon.flows.backfill import backfill
from gnomon.flows.backfilled import BackfillReport
from gnomon.flows.breach import ContractReport, check_contract
from gnomon.flows.compiled import Compiled, compile_request
from gnomon.flows.contract import Contract, make_contract, read_contract
from gnomon.flows.copy import copy
from gnomon.flows.dataset import Dataset
from gnomon.flows.explain import Explanation, explain
from gnomon.flows.freshness import Age, age_of
from gnomon.flows.inputs import Inputs, inputs_of
from gnomon.flows.insert import Commit, insert
from gnomon.flows.lookup import lookup
from gnomon.flows.materialize import Report, materialize
from gnomon.flows.optimize import OptimizeReport, optimize
from gnomon.flows.pin import Pins
from gnomon.flows.project import Project
from gnomon.flows.proof.answers import show_answers
from gnomon.flows.proof.log import Counts
from gnomon.flows.proof.opened import Proof
from gnomon.flows.proof.report import ConsistencyReport
from gnomon.flows.proof.requests import regenerated
from gnomon.flows.push import Pushable, Pushes, pushable, pushes_of
from gnomon.flows.request import Request, resolve_request, served
from gnomon.flows.retract import Ack, readers_of, retract
from gnomon.flows.retrieval import Retrieval
from gnomon.flows.vacuum import VacuumReport, vacuum
from gnomon.flows.warm import warm
from gnomon.frames import to_polars
from gnomon.registry.registry import Registry
from gnomon.registry.snapshot import Snapshot
from gnomon.time import ALWAYS, NEVER, Clock, argument, duration, system_clock


class Store:
    """A project's features: defined, computed, and told.

    `path`: a folder with a gnomon.toml; without one, everything is kept in a temporary folder that goes with
    the object. `registry`, `offline`, `online`, `engine`: URLs in the place of gnomon.toml's. `clock`: tells
    the present instant, in microseconds. Use it as a context manager, or call `close`.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        registry: str | None = None,
        offline: str | None = None,
        online: str | None = None,
        engine: str | None = None,
        author: str | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        _check(path, {"registry": registry, "offline": offline, "online": online, "engine": engine}, clock)
        if path is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="gnomon-", ignore_cleanup_errors=True)
            base = settings.Config(Path(self._temporary.name))
            chosen = settings.with_overrides(
                base, registry=registry, offline=offline, online=online or "memory://", engine=engine
            )
        else:
            root = Path(path).resolve()
            chosen = settings.load(root, registry=registry, offline=offline, online=online, engine=engine)
        self._project = Project(chosen, clock=clock, author=author)
        self._proof = Proof(self._project)
        self._proof.begin()
        self._pins = Pins(self._project)
        self._requests: dict[Any, Request] = {}
        self._compiled: dict[Any, Compiled] = {}
        self._pushes: dict[str, Pushes] = {}

    @staticmethod
    def open(place: str | Path | None = None, **options: Any) -> Store | Client:
        """A project's store, for a folder; a client with the same methods, for the URL of a server.

        `options`: those of `Store` or of `gn.Client`, such as `token=`.
        """
        if isinstance(place, str) and "://" in place:
            return Client(place, **options)
        unknown = options.keys() & _OF_CLIENTS
        if unknown:
            raise UsageError(
                f"`{min(unknown)}` is for a server, and `{place}` is a folder",
                hint="the URL of a server begins with https:// or http://",
            )
        return Store(place, **options)

    def __repr__(self) -> str:
        return f"Store({str(self._project.root)!r}, online={self._project.config.online!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and connections. A second call does nothing."""
        self._project.close()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    @property
    def path(self) -> Path:
        """The project's folder."""
        return self._project.root

    @property
    def in_process(self) -> bool:
        """Whether the online store lies in this process, so that a question waits for no network."""
        return self._project.online.capabilities.in_process

    @property
    def registry(self) -> Registry:
        """Definitions by revision: get, list, at, history, revert."""
        return self._project.registry

    def plan(self, definitions: Any, *, prune: bool = False) -> Plan:
        """What `apply` would change, what breaks, and what must be filled again. Changes nothing."""
        return applying.make_plan(self._project, definitions, prune=prune)

    def apply(self, definitions: Any, *, prune: bool = False, message: str = "") -> Plan:
        """Make one atomic revision of the definitions (a list, or modules): adds and changes; deletes only
        with prune.
        """
        return applying.apply(self._project, definitions, prune=prune, message=message)

    def insert(self, group: FeatureGroup | str, frame: Any = None, *, deletes: Any = None) -> Commit:
        """Commit rows to a cached group: one atomic commit, doing it again changes nothing.

        A row of an id that is there already, with other content, is an update: it counts from the commit on. `deletes`
        names rows that count no more from then on, by key and id (state groups: key and time). A column `__op` in
        `frame` may say `insert`, `update` or `delete` of each row instead.
        """
        snapshot, registered = self._group(group)
        layout = self._project.layout(snapshot, registered)
        return insert(self._project, registered, layout, frame, deletes)

    def push(self, source: Source | FeatureGroup | str, rows: Any) -> PushAck:
        """Take rows as they happen, into a cached group: durable, and readable online, when it returns.

        `rows`: a list of dicts, or a frame. A row that does not fit is rejected by its number and the others count; the
        same push again changes nothing. Rows without a declared known_at are known from their arrival on. Pushes of
        several threads at once share a commit.
        """
        return pushes_of(self._project, self._pushes, source).push(rows)

    def pushable(self, source: Source | FeatureGroup | str) -> Pushable:
        """What rows to `push` must look like: the columns with their types."""
        return pushable(self._project, source)

    def retract(self, source: Source | FeatureGroup | str, ids: Any) -> Ack:
        """Let rows have never been, from now on: those of some ids, under every key, for every group that reads the
        source, or of a group without one.

        `ids`: one, a list, a series, or a frame with the column of ids. Durable, and online, when it returns.
        """
        snapshot = self._project.registry.snapshot()
        name, groups = readers_of(snapshot, source)
        reading = [(group, self._project.layout(snapshot, group)) for group in groups]
        return retract(self._project, name, reading, ids)

    def get_historical_features(
        self,
        spine: Any,
        features: Any,
        *,
        timestamp: str = "event_timestamp",
        as_of: Any = "known",
        full_names: bool = False,
        complete_until: Any = None,
    ) -> Retrieval:
        """The spine with what each feature was worth at each row's time. Lazy.

        `features`: a service, its name, or a list of `"group:feature"` or selections. `as_of`: `"known"`
        (what could have been known at each time), `"served"` (what the online store held then), `"latest"`, or a
        datetime. `complete_until`: until when the
        sources of labels are complete, where that is not their greatest known_at.
        """
        request = self._request(features)
        seen = training.read_past(as_of)
        until = None if complete_until is None else argument(complete_until, "complete_until")
        question = training.check_spine(
            to_polars(spine, "spine"), request, timestamp, seen, full_names, until
        )
        return Retrieval(self._project, question)

    def get_online_features(
        self, features: Any, entities: Any, *, request: Any = None, at: Any = None, full_names: bool = False
    ) -> OnlineFeatures:
        """What each feature is worth now, for each entity, in the order asked.

        `entities`: a list of dicts, a dict of lists, or a frame, with the key columns. `request`: values for
        on-demand functions, one for all or one an entity. `at`: another time than now, one for all or one an
        entity.
        """
        snapshot = self._project.recent_snapshot()
        address = (
            features if isinstance(features, str) else _address(features),
            full_names,
            snapshot.revision,
        )
        compiled = self._compiled.get(address) if address[0] is not None else None

        def compile_again() -> Compiled:
            return self._compile(features, full_names, snapshot)

        return lookup(self._project, compiled or compile_again(), entities, request, at, compile_again)

    def ages(self) -> list[Age]:
        """How old what each group has online is, of the groups that can be asked online."""
        project = self._project
        groups = [group for group in project.recent_snapshot().groups() if group.online]
        return [age_of(project, group.ref, group.freshness) for group in groups]

    def follow(self, snapshot: Snapshot) -> None:
        """Answer online questions by this revision until told of another, instead of looking for the newest.

        For a server, which looks aside and makes ready (`prepare`) what it will be asked.
        """
        self._project.follow(snapshot)

    def prepare(self, features: Any, *, snapshot: Snapshot | None = None, full_names: bool = False) -> Inputs:
        """Make ready what answers a question, by a revision that need not be followed yet; what it must bring.

        No question then waits for a compilation.
        """
        by = self._project.recent_snapshot() if snapshot is None else snapshot
        compiled = self._compile(features, full_names, by)
        warm(self._project, compiled)
        return inputs_of(compiled.request)

    def _compile(self, features: Any, full_names: bool, snapshot: Snapshot) -> Compiled:
        made = compile_request(self._project, self._request(features, snapshot), full_names)
        address = (
            features if isinstance(features, str) else _address(features),
            full_names,
            snapshot.revision,
        )
        _keep(self._compiled, address, made)
        return made

    def materialize(self, groups: Any = None, *, start: Any = None, end: Any = None) -> Report:
        """Bring rows online: of all groups, or some; those with an activation in [start, end) that are not
        there yet.

        Incremental and resumable: doing it again does nothing, a stopped run goes on.
        """
        snapshot, chosen = self._groups(groups)
        layouts = [(group, self._project.layout(snapshot, group)) for group in chosen]
        return materialize(
            self._project,
            layouts,
            **_interval(start, end),
        )

    def backfill(
        self,
        group: FeatureGroup | str,
        start: Any = None,
        end: Any = None,
        *,
        chunk: Any = None,
        workers: int | None = None,
        dry_run: bool = False,
    ) -> BackfillReport:
        """Make a group's online table anew from its source, beside the one that answers, and publish it at the end.

        All that the table holds is read again, and [`start`, `end`) of activations though it began later: after a
        source was corrected in place, or to let a table begin earlier. `chunk`: the length of time that is read at
        once, such as `"30d"` (chosen by the number of rows); `workers`: how many chunks at once (a few, as there
        are processors). A run that was
        stopped goes on when it is run again. `dry_run`: tell rows, room and time, and change nothing.
        """
        snapshot, registered = self._group(group)
        return backfill(
            self._project,
            registered,
            self._project.layout(snapshot, registered),
            **_interval(start, end),
            chunk=None if chunk is None else duration(chunk),
            workers=workers,
            dry_run=dry_run,
        )

    def copy(
        self,
        source: FeatureGroup | str,
        target: FeatureGroup | str,
        columns: Mapping[str, str] | None = None,
    ) -> Commit:
        """Insert the rows of a cached group into another, such as its next version; doing it again adds what is new.

        `columns`: a row expression over the columns of `source` for columns of `target` that are called otherwise, or
        hold something else.
        """
        if columns is not None and not isinstance(columns, Mapping):
            raise UsageError(
                f"`columns` cannot be {type_of(columns)}", hint='such as {"amount": "price * 100"}'
            )
        _, from_group = self._group(source)
        snapshot, to_group = self._group(target)
        return copy(self._project, from_group, to_group, self._project.layout(snapshot, to_group), columns)

    def optimize(self, groups: Any = None) -> OptimizeReport:
        """Rewrite the many small files of cached groups (all, or some) into few, sorted by key and time.

        The rows stay the same, readers and inserts go on, and what is loaded online stays loaded.
        """
        return optimize(self._project, self._cached(groups))

    def vacuum(
        self, groups: Any = None, *, older_than: Any = "7d", dry_run: bool = False, force: bool = False
    ) -> VacuumReport:
        """Remove the files of cached groups (all, or some) that no version of the last `older_than` needs.

        What saved datasets were made from stays, unless `force`. Without groups, days of logged answers go too that
        are older than `[log] keep`. `dry_run`: tell what would go, and remove nothing.
        """
        age = duration(older_than)
        if age < 0:
            raise UsageError(
                f"`older_than` cannot be {older_than!r}", hint='such as "7d"; "0s" is all but the newest'
            )
        report = vacuum(self._project, self._cached(groups), older_than=age, dry_run=dry_run, force=force)
        days = 0 if groups is not None else self._proof.vacuum(dry_run=dry_run)
        return replace(report, answers=days)

    def explain(
        self,
        feature: Selection | str,
        key: Mapping[str, Any] | None = None,
        at: Any = None,
        *,
        as_of: Any = "known",
    ) -> Explanation:
        """Why a feature (`"group:feature"`) has its value for a key at a time (now): the window's edges, and
        each row.
        """
        if key is not None and not isinstance(key, Mapping):
            raise UsageError(
                f"the key cannot be {type_of(key)}",
                at="store.explain",
                hint='give its columns by name: {"user": 1}',
            )
        t = None if at is None else argument(at, "at")
        return explain(self._project, self._request([feature]), key or {}, t, training.read_as_of(as_of))

    def inputs(self, features: Any, *, online: bool = False) -> Inputs:
        """What a question for `features` must bring: key columns and request values, with their types.

        `online`: for an online answer, which leaves out the labels of a service.
        """
        request = self._request(features)
        return inputs_of(served(request) if online else request)

    def contract(self, service: FeatureService | str) -> Contract:
        """What a service promises now, to be kept with a model: `.to_json()`, `.hash`."""
        return make_contract(self._project, self._project.current_snapshot(), service)

    @property
    def pins(self) -> Pins:
        """Contracts that questions may pin by their hash, and whether they hold."""
        return self._pins

    def check_contract(self, contract: Contract | str | Path) -> ContractReport:
        """Whether a contract, or that in a file, still holds: nothing is missing, retyped, redefined or too old.

        What does not hold comes with the revision that broke it, and its author.
        """
        return check_contract(self._project, read_contract(contract))

    def log_answers(self, share: float) -> None:
        """Log the answers about a share of all entities, 0 to 1, where `[log]` of gnomon.toml says nothing of it."""
        self._proof.begin(default=share)

    @property
    def answer_counts(self) -> Counts | None:
        """What became of answers that were to be logged; None if none are."""
        return None if self._proof.log is None else self._proof.log.counts

    def answers(
        self,
        service: FeatureService | str,
        *,
        start: Any = None,
        end: Any = None,
        statuses: bool = False,
    ) -> pl.DataFrame:
        """What was answered for a service and logged, with a `served_at` in [start, end): a row an entity and request.

        Keys, request values and features by name; `statuses`: `<feature>__status` beside each. What waits in this
        process for being logged is written before.
        """
        found = self._proof.read(
            self._service(service),
            **_interval(start, end),
        )
        return show_answers(found, statuses=statuses)

    def verify(
        self,
        service: FeatureService | str,
        *,
        sample: int | None = None,
        start: Any = None,
        end: Any = None,
    ) -> ConsistencyReport:
        """Compute the logged answers of a service again from the offline rows, and compare them bit by bit.

        `sample`: at most so many rows, spread evenly over those with a `served_at` in [start, end). The report's `ok`
        tells whether all are the same.
        """
        if sample is not None and sample < 1:
            raise UsageError(f"a sample of {sample} rows verifies nothing", hint="give 1 or more")
        return self._proof.verify(
            self._service(service),
            sample=sample,
            **_interval(start, end),
        )

    def regenerate(
        self,
        service: FeatureService | str,
        features: Any,
        *,
        start: Any = None,
        end: Any = None,
        full_names: bool = False,
    ) -> Retrieval:
        """What other features were worth for the logged requests of a service: training data for a new definition, as
        it would have been served, without waiting for new requests.

        The spine is what was asked: keys, request values, and `event_timestamp`. Groups that the service did not ask
        are read as of "known".
        """
        answers = self._proof.read(
            self._service(service),
            **_interval(start, end),
        )
        question = regenerated(answers, self._request(features), full_names=full_names)
        return Retrieval(self._project, question)

    def dataset(self, name: str) -> Dataset:
        """A training set saved with `Retrieval.save`."""
        return dataset.open_dataset(self._project, name)

    def _group(self, group: FeatureGroup | str) -> tuple[Snapshot, FeatureGroup]:
        snapshot = self._project.registry.snapshot()
        if not isinstance(group, FeatureGroup | str):
            raise UsageError(f"`{group!r}` is not a feature group", hint="give a gn.FeatureGroup or its name")
        return snapshot, snapshot.group(group if isinstance(group, str) else group.ref)

    def _service(self, service: FeatureService | str) -> str:
        """A service's name with its version. Raises: UsageError for what is none; NotFound."""
        if not isinstance(service, FeatureService | str):
            raise UsageError(f"`{service!r}` is no feature service", hint="give one, or its name")
        name = service if isinstance(service, str) else service.ref
        return self._project.registry.snapshot().service(name).ref

    def _cached(self, groups: Any) -> list[FeatureGroup]:
        """The groups named; without names, all that keep rows of their own."""
        if groups is None:
            return [g for g in self._project.registry.snapshot().groups() if g.source is None]
        return self._groups(groups)[1]

    def _groups(self, groups: Any) -> tuple[Snapshot, list[FeatureGroup]]:
        if groups is None:
            snapshot = self._project.registry.snapshot()
            return snapshot, [g for g in snapshot.groups() if g.online]
        if isinstance(groups, FeatureGroup | str) or not isinstance(groups, Iterable):
            groups = [groups]
        chosen = [self._group(g) for g in groups]
        return self._project.registry.snapshot(), [group for _, group in chosen]

    def _request(self, features: Any, by: Snapshot | None = None) -> Request:
        """The resolved request (by the newest revision), made once for each revision and choice of features."""
        snapshot = self._project.registry.snapshot() if by is None else by
        address = (_address(features), snapshot.revision)
        found = self._requests.get(address) if address[0] is not None else None
        if found is None:
            found = resolve_request(self._project, snapshot, features)
            _keep(self._requests, address, found)
        return found


def _check(path: object, urls: Mapping[str, object], clock: object) -> None:
    """Raises: UsageError for arguments of a store that cannot be right, before anything is opened."""
    if path is not None and (not isinstance(path, str | Path) or "\0" in str(path)):
        raise UsageError(
            f"`{path!r}` is no project's folder",
            hint="give a path; gnomon.Store() without one works in a temporary folder",
        )
    for name, url in urls.items():
        if url is not None and not isinstance(url, str):
            raise UsageError(
                f"`{name}` must be a URL, found {url!r}", hint="as it would stand in gnomon.toml"
            )
    if not callable(clock):
        raise UsageError(
            f"`clock` must be a function, found {clock!r}", hint="it returns microseconds since 1970 UTC"
        )


def _address(features: Any) -> Any:
    """What tells one choice of features from others; None if nothing does."""
    if isinstance(features, FeatureService):
        return features.ref
    chosen = tuple(features) if isinstance(features, list) else features
    try:
        hash(chosen)
    except TypeError:
        return None
    return chosen


def _keep(cache: dict[Any, Any], address: tuple[Any, ...], made: Any) -> None:
    if address[0] is None:
        return
    if len(cache) > _CACHED:
        cache.clear()
    cache[address] = made


def _interval(start: Any, end: Any) -> dict[str, int]:
    """The arguments of [start, end), in µs: without a bound from always on, for ever."""
    return {
        "start": ALWAYS if start is None else argument(start, "start"),
        "end": NEVER if end is None else argument(end, "end"),
    }


_CACHED = 256
_OF_CLIENTS = frozenset(
    {"connections", "headers", "retries", "timeout", "token", "training_timeout", "verify"}
)

__all__ = ["Ack", "Commit", "Dataset", "Plan", "Retrieval", "Store"]
