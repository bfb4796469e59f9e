"""Opened: the answer log of a project, by its settings."""

from __future__ import annotations

from functools import cached_property

from gnomon import plugins
from gnomon.abc.offline import OfflineStore
from gnomon.config import FILE_NAME
from gnomon.flows.project import Project
from gnomon.flows.proof.answers import Answers, AnswerTables, read_answers, remove_answers
from gnomon.flows.proof.log import AnswerLog
from gnomon.flows.proof.report import ConsistencyReport
from gnomon.flows.proof.settings import LogSettings, read_log_settings
from gnomon.flows.proof.verify import verify
from gnomon.time import ALWAYS, NEVER, SECOND


class Proof:
    """What a project logs, and what it has logged. Opens nothing before it is asked."""

    def __init__(self, project: Project) -> None:
        self.project = project

    @cached_property
    def settings(self) -> LogSettings:
        return read_log_settings(self.project.config.log, str(self.project.root / FILE_NAME))

    @cached_property
    def store(self) -> OfflineStore:
        """Where answers lie."""
        url = self.settings.url
        # What reaches the buckets of sources reaches this one.
        options = dict(self.project.config.storage) if "://" in url else None
        store: OfflineStore = plugins.resolve("offline", url).from_url(
            url, root=self.project.root, options=options
        )
        return store

    @cached_property
    def _tables(self) -> AnswerTables:
        return AnswerTables(self.project, self.store)

    def read(self, service: str, *, start: int = ALWAYS, end: int = NEVER) -> list[Answers]:
        """What was logged of a service (`name@version`) in [start, end), with what still waited in this process."""
        if self.log is not None:
            self.log.flush()
        return read_answers(self.project, self.store, service, start=start, end=end)

    def verify(self, service: str, *, sample: int | None, start: int, end: int) -> ConsistencyReport:
        """Compare what was logged of a service with what is computed again."""
        return verify(self.project, service, self.read(service, start=start, end=end), sample=sample)

    def vacuum(self, *, dry_run: bool = False) -> int:
        """Remove days of answers that are older than `keep`; how many went, or would go."""
        before = self.project.clock() - self.settings.keep
        return len(remove_answers(self.store, before, dry_run=dry_run))

    @property
    def log(self) -> AnswerLog | None:
        """The log that takes answers; None if nothing is logged."""
        log = self.project.log
        return log if isinstance(log, AnswerLog) else None

    def begin(self, *, default: float = 0.0) -> AnswerLog | None:
        """Log answers from now on: as gnomon.toml says, and where it says nothing the share `default` of entities."""
        sample = default if self.settings.sample is None else self.settings.sample
        if sample <= 0 or self.log is not None:
            return self.log
        log = AnswerLog(
            lambda batch: self._tables.encode(log, batch),
            self._tables.write,
            sample=sample,
            every=self.settings.every / SECOND,
            buffer=self.settings.buffer,
        )
        self.project.log = log
        return log
