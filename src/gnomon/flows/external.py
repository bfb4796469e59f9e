"""External: keys → the service of a group → values, and rows that keep what was answered.

A service that fails, or takes too long, fails no question: its features have the status ERROR, and their defaults. What
was served is kept whatever it was: the answer, and a row of nulls where there was none. So a training set that asks
about the same instant sees what was served then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from gnomon.define.external import ExternalSource
from gnomon.define.group import FeatureGroup
from gnomon.errors import DataError, Unavailable, UsageError, counted
from gnomon.events import Asked, emit
from gnomon.flows.answer import Answered
from gnomon.flows.hands import Hands
from gnomon.flows.insert import insert
from gnomon.flows.project import Project
from gnomon.flows.recorder import Recorder
from gnomon.flows.request import Job, with_default
from gnomon.flows.table import INSTANT, declared_columns
from gnomon.online.statuses import STATUSES
from gnomon.plan.layout import Layout
from gnomon.plan.normal import lane, normalise
from gnomon.plugins import require
from gnomon.sources.breaker import Breaker
from gnomon.time import ALWAYS, SECOND, show_duration, stopwatch

MOST = 32
"""Requests to one service at a time, of one process."""

_NOT_FOUND, _NULL, _PRESENT, _ERROR = map(STATUSES.index, ("NOT_FOUND", "NULL", "PRESENT", "ERROR"))


Rows = Callable[[], pl.DataFrame]
"""Waits for the rows of a service."""


class _Resting(Unavailable):
    """The service was not asked, for it keeps failing."""


class Asker:
    """Asks the service of a group, for as long as the project is open. Thread-safe."""

    def __init__(
        self, group: FeatureGroup, layout: Layout, external: ExternalSource, recorder: Recorder
    ) -> None:
        self.group = group
        self.layout = layout
        self.external = external
        self._recorder = recorder
        columns = {
            name: dtype
            for name, dtype in declared_columns(group).items()
            if name not in (*layout.key_names, layout.timestamp)
        }
        found = require(
            "gnomon.sources.external", extra="client", purpose=f"external source `{external.name}`"
        )
        self._service = found.ExternalService(external, columns)
        self._known: str = found.KNOWN
        self._nothing = pl.DataFrame(schema={**columns, self._known: pl.Boolean()})
        self._breaker = Breaker(external.open_after, external.open_for / SECOND)
        self._hands = Hands(f"gnomon {external.name}", MOST)

    def close(self) -> None:
        self._hands.close()
        self._service.close()

    def start(self, names: Sequence[bytes], keys: Mapping[str, list[Any]], t: int) -> Asking:
        """Begin to ask about some keys at `t`, about each once.

        names: what tells keys apart, by row; keys: the values of each key column, by row.
        """
        place: dict[bytes, int] = {}
        first: list[int] = []
        for i, name in enumerate(names):
            if place.setdefault(name, len(place)) == len(first):
                first.append(i)
        rows = [place[name] for name in names]
        columns = {name: [values[i] for i in first] for name, values in keys.items()}
        asked = pl.DataFrame(
            [pl.Series(name, columns[name], dtype=dtype) for name, dtype in self.layout.keys]
            + [pl.Series(self.layout.timestamp, [t] * len(first), dtype=pl.Int64).cast(INSTANT)]
        )
        wanted = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        # A group without keys has one answer for all.
        return Asking(asked, rows, t, stopwatch(), self._begin(wanted or [{}] * len(first)))

    def answer(self, asking: Asking, job: Job) -> Answered:
        """What the service said of a job's outputs; it is kept in the background."""
        rows, failure = self._outcome(asking)
        kept = asking.asked.hstack(rows.drop(self._known))
        normal = self._evaluated(kept)
        if len(kept):
            self._recorder.put(self.group, self.layout, kept)
        emit(Asked(self.external.name, len(kept), asking.elapsed(), failure))
        if failure:
            status = [_ERROR] * len(kept)
        else:
            status = [_PRESENT if known else _NOT_FOUND for known in rows[self._known]]
        columns: list[list[Any]] = []
        codes: list[list[int]] = []
        for output in job.outputs:
            column = normal[lane(output.input)]
            values = with_default(column, output).to_list()
            nulls = column.is_null().to_list()
            of_keys = [
                _NULL if null and code == _PRESENT else code for null, code in zip(nulls, status, strict=True)
            ]
            columns.append([values[i] for i in asking.rows])
            codes.append([of_keys[i] for i in asking.rows])
        times = [asking.t if status[i] == _PRESENT else ALWAYS for i in asking.rows]
        reasons: Mapping[int, str] = dict.fromkeys(range(len(asking.rows)), failure) if failure else {}
        return Answered(columns, lambda: codes, lambda: times, lambda: [reasons] * len(columns))

    def _begin(self, keys: list[dict[str, Any]]) -> Rows:
        """Ask, unless the service keeps failing. Nothing is raised before somebody waits."""
        if not keys:
            return self._nothing.clear
        pause = self._breaker.wait()
        if pause:
            times = counted(self._breaker.failures, "time")
            return _raising(
                _Resting(
                    f"external source `{self.external.name}` was not asked: it failed {times} in a row",
                    hint=f"it is asked again in {pause:.1f} s",
                )
            )
        try:
            return self._hands.start(partial(self._service.ask, keys), self.external.timeout / SECOND)
        except TimeoutError as error:
            return _raising(error)

    def _outcome(self, asking: Asking) -> tuple[pl.DataFrame, str]:
        """The rows, one a key, and why there are none: then all are null."""
        try:
            rows = asking.wait()
            self._evaluated(asking.asked.hstack(rows.drop(self._known)))
        except _Resting as error:
            failure = str(error)
        except TimeoutError as error:
            failure = (
                f"external source `{self.external.name}` {error}\n\n"
                f"hint: its timeout is {show_duration(self.external.timeout)}"
            )
            self._breaker.failed()
        except (Unavailable, DataError) as error:
            failure = str(error)
            self._breaker.failed()
        else:
            self._breaker.succeeded()
            return rows, ""
        return self._nothing.clear(len(asking.asked)), failure

    def _evaluated(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The group's columns, as training makes them of the same rows. Raises: DataError if one cannot be made."""
        try:
            return normalise(rows.lazy(), self.layout).collect()
        except pl.exceptions.PolarsError as error:
            first = str(error).split("\n", maxsplit=1)[0]
            raise DataError(
                f"external source `{self.external.name}` answered what the features of `{self.group.ref}` cannot be "
                f"made of: {first}"
            ) from None


@dataclass(frozen=True, slots=True)
class Asking:
    """A question that a service is answering."""

    asked: pl.DataFrame
    """The keys, each once, and when they were asked about."""
    rows: list[int]
    """By row of the question: which of the keys it is about."""
    t: int
    elapsed: Callable[[], float]
    wait: Rows


def asker(project: Project, group: FeatureGroup, layout: Layout) -> Asker:
    """Who asks the service of a group; one for each project and definition."""
    external = group.external
    assert external is not None

    def record(of: FeatureGroup, its: Layout, rows: pl.DataFrame) -> None:
        insert(project, of, its, rows)

    recorder = project.own("recorder", lambda: Recorder(record))
    return project.own((group.ref, external, layout.types), lambda: Asker(group, layout, external, recorder))


def check_now(group: FeatureGroup, at: object) -> None:
    """Raises: UsageError for a question about another time than now."""
    if at is not None:
        raise UsageError(
            f"group `{group.ref}` is asked of an external source, which knows only what is now",
            hint="leave out `at`; get_historical_features tells what was served at any time",
        )


def _raising(error: Exception) -> Rows:
    def wait() -> pl.DataFrame:
        raise error

    return wait
