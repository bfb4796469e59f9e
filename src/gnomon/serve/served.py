"""Served: what one worker has — the store, its limits, its counts — and what it does beside answering.

Beside: it looks for new revisions of the registry, makes ready what they are asked for, and only then answers by
them; and it lets the other workers know what it has counted.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import TypeVar

from gnomon.errors import GnomonError
from gnomon.flows.contract import read_contract
from gnomon.registry.snapshot import Snapshot
from gnomon.serve import problems
from gnomon.serve.access import Access
from gnomon.serve.limits import Patience
from gnomon.serve.log import AccessLog
from gnomon.serve.metrics import Metrics
from gnomon.serve.questions import Questions
from gnomon.serve.settings import Settings
from gnomon.store import Store
from gnomon.time import SECOND

R = TypeVar("R")

_log = logging.getLogger(__name__)

_AGES_EVERY = 15.0
"""Seconds between looks at how new what is online is."""

_WAITING = 4
"""How many times as many calls as there are threads may wait for one."""


class Served:
    """What a worker has. Made, used and closed on its event loop."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        access: Access | None = None,
        log: AccessLog | None = None,
        folder: Path | None = None,
    ) -> None:
        """`access`: None lets everybody do everything. `folder`: where the workers of a server leave what they have
        counted.
        """
        self.store = store
        self.settings = settings
        self.access = Access() if access is None else access
        self.log = AccessLog(None) if log is None else log
        self.metrics = Metrics(folder, in_flight=lambda: self.in_flight)
        self.patience = Patience(settings.timeout)
        self.in_flight = 0
        """Requests being answered."""
        self.ready = False
        self.stopping = False
        self.why = ""
        """Why it is not ready."""
        self.questions = Questions(store)
        self.in_process = store.in_process
        self._contracts = [read_contract(path) for path in settings.contracts]
        for contract in self._contracts:
            store.pins.know(contract)
        self._pool = ThreadPoolExecutor(settings.pool, thread_name_prefix="gnomon-serve")
        self._waiting = 0
        self._beside: list[asyncio.Task[None]] = []

    async def run(self, work: Callable[..., R], *arguments: object, seconds: float | None = None) -> R:
        """Do blocking work in a thread, and wait for it no longer than a request may take, or so many seconds.

        Raises: Refused, 503 where too much waits already, 504 where it took too long: the thread then goes on, but
                nobody waits for it; what `work` raises.
        """
        if self._waiting >= self.settings.pool * (1 + _WAITING):
            raise problems.busy("too many requests wait for a store")
        self._waiting += 1
        # In the request's context: what is logged there tells the request's id.
        future = self._pool.submit(copy_context().run, work, *arguments)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._ended))
        loop = asyncio.get_running_loop()
        limit = self.settings.timeout if seconds is None else seconds
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), limit)
        except TimeoutError:
            raise problems.took_too_long(limit) from None

    def _ended(self) -> None:
        self._waiting -= 1

    async def start(self) -> None:
        """Make ready for the first request."""
        await self._look()
        beside = (self._look_for_ever(), self._publish(), self._sweep(), self._tell_ages())
        self._beside = [asyncio.create_task(one) for one in beside]
        # What is here by now stays: the collector need not look at it again with every answer that waits to be logged.
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Let go of everything, after the last request."""
        self.stopping = True
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await asyncio.to_thread(self.log.close)
        await asyncio.to_thread(self.access.close)
        self.metrics.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.store.close()

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.settings.look_every)
            try:
                await self._look()
            except Exception:  # noqa: BLE001 - a mistake of ours or of a user's module: the old revision goes on, and so do looks
                self.metrics.count("gnomon_reloads", "failed")
                _log.exception("the newest revision cannot be taken over")

    async def _look(self) -> None:
        """Take over the newest revision, if it is another. What fails is told, and tried again at the next look."""
        loop = asyncio.get_running_loop()
        try:
            snapshot = await loop.run_in_executor(self._pool, self._newest)
            if snapshot is not None:
                await loop.run_in_executor(self._pool, self._require_contracts, snapshot)
                known = await loop.run_in_executor(self._pool, self.questions.prepare, snapshot)
                policy = await loop.run_in_executor(self._pool, self.access.follow, snapshot)
                self.access.take(policy)  # first: what is newly protected must not be answered in between
                self.store.follow(snapshot)
                self.questions.swap(known)
                self.metrics.set("gnomon_revision", to=float(snapshot.revision))
                self.metrics.count("gnomon_reloads", "taken over")
                _log.info("answering by revision %d", snapshot.revision)
            self.ready, self.why = True, ""
        except GnomonError as error:
            # By the old revision, if there is one, it goes on answering.
            self.ready = self.questions.revision is not None
            if self.why != str(error):
                self.why = str(error)
                self.metrics.count("gnomon_reloads", "failed")
                _log.error("the newest revision cannot be taken over: %s", error)

    def _newest(self) -> Snapshot | None:
        """The newest revision, if it is not the one that is answered by."""
        snapshot = self.store.registry.snapshot()
        return None if snapshot.revision == self.questions.revision else snapshot

    def _tell_log(self) -> None:
        counts = self.store.answer_counts
        if counts is not None:
            self.metrics.set("gnomon_answers_logged", "written", to=float(counts.answers))
            self.metrics.set("gnomon_answers_logged", "dropped", to=float(counts.dropped))
            self.metrics.set("gnomon_answers_logged", "failed", to=float(counts.failed))

    def _require_contracts(self, snapshot: Snapshot) -> None:
        """Raises: BrokenContract, for a revision that breaks a contract of the settings."""
        for contract in self._contracts:
            self.store.pins.require(contract.service, contract.hash, snapshot)

    async def _publish(self) -> None:
        while True:
            self._tell_log()
            self.metrics.set("gnomon_audit_lost", to=float(self.access.lost))
            self.metrics.publish()
            await asyncio.sleep(1.0)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self.patience.seconds / 4))
            self.patience.sweep()

    async def _tell_ages(self) -> None:
        """Tell how new what each group has online is. While the store is away, what was told last stays."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                for age in await loop.run_in_executor(self._pool, self.store.ages):
                    if age.newest is not None:
                        newest = age.newest / SECOND
                        self.metrics.set("gnomon_group_event_time_seconds", age.group, to=newest)
            except GnomonError as error:
                _log.warning("the age of what is online cannot be told: %s", error)
            await asyncio.sleep(_AGES_EVERY)
