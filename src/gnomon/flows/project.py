"""Project: what all flows share — where things are kept, who asks, and what time it is."""

from __future__ import annotations

import getpass
import threading
from collections.abc import Callable, Hashable, Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from gnomon import plugins
from gnomon.abc.engine import Engine
from gnomon.abc.offline import OfflineStore
from gnomon.abc.online import OnlineStore
from gnomon.abc.source import SourceReader
from gnomon.config import Config
from gnomon.define.collect import collect
from gnomon.define.group import FeatureGroup
from gnomon.define.ondemand import OnDemand
from gnomon.errors import UsageError
from gnomon.flows.definitions import has_definitions, load_definitions
from gnomon.flows.hands import Hands
from gnomon.flows.journal import Journal, where_of
from gnomon.flows.registries import open_registry
from gnomon.flows.table import TableReader, was_filled
from gnomon.online.wrappers.cache import CachedStore
from gnomon.plan.layout import Layout, make_layout
from gnomon.registry.codec import import_function
from gnomon.registry.registry import Registry
from gnomon.registry.snapshot import Snapshot
from gnomon.sources.kinds import open_source
from gnomon.time import Clock, monotonic, system_clock


class Closing(Protocol):
    """What can be closed."""

    def close(self) -> None: ...


Owned = TypeVar("Owned", bound=Closing)

_LOOK_EVERY = 1.0
"""Seconds."""


class AnswerSink(Protocol):
    """What takes the answers that are to be logged."""

    def put(self, answer: Any) -> None: ...

    def close(self) -> None: ...


class Project:
    """Opens each store on first use, and closes what it opened."""

    def __init__(self, config: Config, *, clock: Clock = system_clock, author: str | None = None) -> None:
        self.config = config
        self.clock = clock
        self.author = author or _user()
        self.functions: dict[tuple[str, str], OnDemand] = {}
        """On-demand functions that this process has seen, by `name@version` and the hash of their code: a notebook
        that tries another body still has the one that was applied.
        """
        self.log: AnswerSink | None = None
        """Where answers are logged; None: nowhere."""
        self.closed = False
        self._recent: Snapshot | None = None
        self._looked = 0.0
        self._followed: Snapshot | None = None
        self._layouts: dict[str, Layout] = {}
        self._imported: dict[tuple[str, str], Callable[..., Any]] = {}
        self._owned: dict[Hashable, Closing] = {}
        self._owning = threading.Lock()

    @property
    def root(self) -> Path:
        return self.config.root

    @cached_property
    def registry(self) -> Registry:
        self.require_open()
        return open_registry(self.config, clock=self.clock, author=self.author)

    @cached_property
    def offline(self) -> OfflineStore:
        self.require_open()
        url, options = self.config.offline, dict(self.config.offline_options)
        store: OfflineStore = plugins.resolve("offline", url).from_url(url, root=self.root, options=options)
        return store

    @cached_property
    def journal(self) -> Journal:
        """What the online store held, and when."""
        return Journal(lambda: self.offline, self.clock, where_of(self.config.online))

    @cached_property
    def online(self) -> OnlineStore:
        self.require_open()
        store: OnlineStore = plugins.resolve("online", self.config.online).from_url(
            self.config.online, root=self.root
        )
        return store if self.config.cache is None else CachedStore(store, self.config.cache)

    @cached_property
    def engine(self) -> Engine:
        self.require_open()
        url = self.config.engine
        engine: Engine = plugins.resolve("engine", url).from_url(url, root=self.root)
        return engine

    def recent_snapshot(self) -> Snapshot:
        """The newest revision that this process knows, looked for at most once a second: for the online path.

        Where a revision is followed, that one.
        """
        if self._followed is not None:
            return self._followed
        now = monotonic()
        if (
            self._recent is None
            or now - self._looked > _LOOK_EVERY
            or self._recent is not self.registry.newest
        ):
            self._recent, self._looked = self.registry.snapshot(), now
        return self._recent

    def current_snapshot(self) -> Snapshot:
        """The revision that is followed; the newest where none is."""
        return self.registry.snapshot() if self._followed is None else self._followed

    def follow(self, snapshot: Snapshot) -> None:
        """Answer online by this revision, until told of another: a server looks for new ones aside, so that no
        question waits for that.
        """
        self._followed = snapshot

    def layout(self, snapshot: Snapshot, group: FeatureGroup) -> Layout:
        """The layout of a registered group, from the columns that were found when it was applied."""
        document = snapshot.documents["group", group.ref]
        sources = snapshot.documents.get(("source", group.source_name or ""), "")
        entities = [snapshot.documents["entity", entity.name] for entity in group.entities]
        text = "\0".join([document, sources, *entities])
        layout = self._layouts.get(text)
        if layout is None:
            columns = snapshot.columns(group.name, group.version) or {}
            layout = self._layouts[text] = make_layout(group, columns)
        return layout

    def reader(
        self, group: FeatureGroup, layout: Layout | None = None, *, may_be_empty: bool = False
    ) -> SourceReader:
        """Reads the rows of a group: from its source, or from its own table if it is cached.

        With the layout of a registered group, in the types that it was applied with; else as the source is now.
        """
        if group.source is None:
            return TableReader(
                self.offline, group, filled=partial(was_filled, self.root, self.offline, group)
            )
        return open_source(
            group.source,
            self.root,
            dict(group.schema if layout is None else layout.types),
            may_be_empty=may_be_empty or layout is not None,
            storage=dict(self.config.storage),
        )

    def function(self, on_demand: OnDemand) -> Callable[..., Any]:
        """The code of a registered on-demand feature.

        Raises: an error that names both hashes, if this process has other code than was registered.
        """
        address = (on_demand.ref, on_demand.source_hash)
        if address not in self._imported:
            if address not in self.functions and has_definitions(self.config):
                # A file of definitions is no importable module: load it as `apply` does.
                self.saw(collect(load_definitions(self.config)).on_demand)
            known = [o for (ref, _), o in self.functions.items() if ref == on_demand.ref]
            found = self.functions.get(address) or (known[-1] if known else None)
            self._imported[address] = import_function(on_demand, {on_demand.ref: found} if found else {})
        return self._imported[address]

    def hands(self, ref: str) -> Hands:
        """Who calls the function of an on-demand feature that has a timeout: threads of its own, so that one that
        hangs takes none from the others.
        """
        return self.own(("hands", ref), lambda: Hands(f"gnomon {ref}"))

    def own(self, what: Hashable, make: Callable[[], Owned]) -> Owned:
        """What a flow keeps for as long as the project is open: made once, and closed with it."""
        with self._owning:
            if what not in self._owned:
                self.require_open()
                self._owned[what] = make()
            return cast(Owned, self._owned[what])

    def saw(self, functions: Iterable[OnDemand]) -> None:
        """Remember functions whose code is at hand."""
        self.functions.update({(o.ref, o.source_hash): o for o in functions if o.function is not None})

    def require_open(self) -> None:
        """Raises: UsageError after `close`."""
        if self.closed:
            raise UsageError("the store is closed", hint="use it within its `with` block, or open it again")

    def close(self) -> None:
        """Let go of everything that was opened. What answers wait for being kept are written before."""
        if self.log is not None:
            self.log.close()
            self.log = None
        with self._owning:
            owned, self._owned = list(self._owned.values()), {}
        # The newest first, and before the stores: what was made later may use what was there, up to its end.
        for one in reversed(owned):
            one.close()
        self.closed = True
        opened = [self.__dict__.pop(name, None) for name in ("online", "registry", "offline", "engine")]
        if opened[0] is not None:
            opened[0].close()
        if opened[1] is not None:
            opened[1].backend.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
