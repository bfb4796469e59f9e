"""Legs: the ways in which a case is answered. All must give what the case file wants, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

import gnomon as gn
from gnomon.engines import local
from gnomon.online.sealing import Sizes
from gnomon.testing.reference import OVERFLOW, Answered, historical, online
from gnomon.time import instant
from tests.cases.case import Ask, Case, Row
from tests.online.hot import few_rows_are_many

Answers = list[dict[str, Any]]
Leg = Callable[[Case, Path], Iterator[tuple[Ask, Answers]]]

LATER = 1_000_000
"""Microseconds between a question and the run that loads what it may see."""


def reference(case: Case, folder: Path) -> Iterator[tuple[Ask, Answers]]:
    """The plain reference."""
    for ask in case.asks:
        yield (
            ask,
            historical(
                case.group,
                batches=case.batches,
                spine=ask.spine,
                as_of=ask.as_of,
                timestamp="t",
                schema=case.schema,
            ),
        )


def files(case: Case, folder: Path) -> Iterator[tuple[Ask, Answers]]:
    """The local engine over Parquet files read in place, one a batch."""
    group = _in_place(case, folder)
    for i in range(len(case.batches)):
        _write_file(case, folder, i)
    with gn.Store() as store:
        store.apply([group])
        yield from _trained(store, case, group)


def _in_place(case: Case, folder: Path) -> gn.FeatureGroup:
    """The case's group over a folder of files, of which there is an empty one."""
    (folder / "data").mkdir()
    case.table([]).write_parquet(folder / "data" / "empty.parquet")
    declared = case.group
    return case.in_place(
        gn.FileSource(
            "rows",
            str(folder / "data"),
            format="parquet",
            timestamp="t",
            known_at=declared.known_at,
            event_id=declared.event_id,
            lag=declared.lag,
        )
    )


def _write_file(case: Case, folder: Path, i: int) -> None:
    case.table(case.batches[i]).write_parquet(folder / "data" / f"{i}.parquet")


def table(case: Case, folder: Path) -> Iterator[tuple[Ask, Answers]]:
    """The local engine over a cached group, batch by batch inserted."""
    with gn.Store() as store:
        store.apply([case.group])
        for batch in case.batches:
            store.insert(case.group, case.table(batch))
        yield from _trained(store, case, case.group)


def backwards(case: Case, folder: Path) -> Iterator[tuple[Ask, Answers]]:
    """The same rows in the opposite order of arrival."""
    with gn.Store() as store:
        store.apply([case.group])
        for batch in reversed(case.batches):
            store.insert(case.group, case.table(batch).reverse())
        yield from _trained(store, case, case.group)


def parts(case: Case, folder: Path) -> Iterator[tuple[Ask, Answers]]:
    """The local engine with so little memory that it cuts the keys into parts, two a row."""
    with pytest.MonkeyPatch.context() as patch, gn.Store(engine="local://?memory=1KB") as store:
        patch.setattr(local, "_WORKING", 2000)
        store.apply([case.group])
        for batch in case.batches:
            store.insert(case.group, case.table(batch))
        yield from _trained(store, case, case.group)


def _trained(store: gn.Store, case: Case, group: gn.FeatureGroup) -> Iterator[tuple[Ask, Answers]]:
    types = {output.name: output.dtype for output in case.layout.outputs}
    for ask in case.asks:
        spine = case.spine(ask)
        found = store.get_historical_features(spine, [group], timestamp="t", as_of=ask.as_of).to_polars()
        assert found.select(spine.columns).equals(spine), "the spine's own columns come back as they were"
        assert dict(found.select(list(types)).schema) == types
        yield ask, found.select(list(types)).to_dicts()


class OnlineLeg:
    """An online store: insert a batch and materialize, batch by batch, then ask.

    `store`: its name in `tests.stores`; `at` says where it is.
    `live`: before each question, what is known by then is materialized; else everything is, before the first.
    `in_place`: batches are files in the place of inserts.
    `leaves`: of all keys with more than two rows, some lie in leaves.
    """

    def __init__(
        self, store: str, *, live: bool, in_place: bool = False, leaves: bool = False, url: str = ""
    ) -> None:
        self.store = store
        self.url = url
        self.live = live
        self.in_place = in_place
        self.leaves = leaves

    def at(self, url: str) -> OnlineLeg:
        """The same leg over a store at `url`."""
        return OnlineLeg(self.store, live=self.live, in_place=self.in_place, leaves=self.leaves, url=url)

    def __call__(self, case: Case, folder: Path) -> Iterator[tuple[Ask, list[Answered]]]:
        now = -LATER
        with self._sizes(), gn.Store(online=self.url, clock=lambda: now) as store:
            group = _in_place(case, folder) if self.in_place else case.group
            store.apply([group])
            for i, batch in enumerate(case.batches):
                if self.in_place:
                    _write_file(case, folder, i)
                else:
                    store.insert(group, case.table(batch))
                now = _start(case) if self.live else _end(case)
                store.materialize()
            for ask in case.asks:
                if ask.as_of != "known":
                    continue
                answers: dict[int, Answered] = {}
                for t, places in _by_time(ask).items():
                    if self.live:
                        now = max(now, t + LATER)
                        store.materialize()
                    found = _asked(store, group, [ask.spine[i] for i in places], t)
                    answers.update(zip(places, found, strict=True))
                yield ask, [answers[i] for i in range(len(ask.spine))]

    def _sizes(self) -> AbstractContextManager[None]:
        return few_rows_are_many(Sizes(leaf=2, tail=1)) if self.leaves else nullcontext()


def _asked(store: gn.Store, group: gn.FeatureGroup, rows: Sequence[Row], t: int) -> list[Answered]:
    names, keys = group.feature_names, group.key_names
    fields = {name for row in rows for name in row} - {*keys, "t"}
    found = store.get_online_features(
        [group],
        [{name: row.get(name) for name in keys} for row in rows],
        request={name: [row.get(name) for row in rows] for name in sorted(fields)} or None,
        at=t,
    )
    values = found.to_dict()
    return [
        Answered(
            {name: values[name][i] for name in names},
            dict(zip(names, found.statuses[i], strict=True)),
            _only(found.event_times[i]),
        )
        for i in range(len(rows))
    ]


def _only(times: Sequence[Any]) -> int | None:
    """The event time, which is that of the key's newest row for all features of a group."""
    assert len(set(times)) == 1
    return None if times[0] is None else instant(times[0])


def _by_time(ask: Ask) -> dict[int, list[int]]:
    """The questions of each time, times ascending."""
    found: dict[int, list[int]] = {}
    for i in sorted(range(len(ask.spine)), key=lambda i: _t(ask, i)):
        found.setdefault(_t(ask, i), []).append(i)
    return found


def _t(ask: Ask, i: int) -> int:
    return instant(ask.spine[i]["t"])


def _start(case: Case) -> int:
    return min(_t(ask, i) for ask in case.asks for i in range(len(ask.spine))) + LATER


def _end(case: Case) -> int:
    """After all questions, and after all that is known by then."""
    return max(_t(ask, i) for ask in case.asks for i in range(len(ask.spine))) + LATER


def expected_online(case: Case, ask: Ask) -> list[Answered]:
    """The reference's answers with their statuses and event times."""
    found = []
    for row in ask.spine:
        found += online(
            case.group, keys=[row], at=row["t"], batches=case.batches, request=[row], schema=case.schema
        )
    return found


def overflows(answers: Answers) -> bool:
    return any(value is OVERFLOW for row in answers for value in row.values())


TRAINING: dict[str, Leg] = {"files": files, "table": table, "backwards": backwards, "parts": parts}
ONLINE: dict[str, OnlineLeg] = {
    "memory": OnlineLeg("memory", live=True),
    "memory, asked later": OnlineLeg("memory", live=False),
    "memory, from files": OnlineLeg("memory", live=True, in_place=True),
    "memory, in leaves": OnlineLeg("memory", live=True, leaves=True),
    "lmdb": OnlineLeg("lmdb", live=True),
    "lmdb, asked later": OnlineLeg("lmdb", live=False),
    "valkey": OnlineLeg("valkey", live=True),
    "postgres": OnlineLeg("postgres", live=True),
}
