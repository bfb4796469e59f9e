"""A store asked through its public surface, for random cases."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

import gnomon as gn
from gnomon.define.aggregate import Aggregate
from gnomon.define.expressions import columns_of
from gnomon.testing.reference import Answered, online
from gnomon.testing.strategies import Case, Row
from gnomon.time import ALWAYS, DAY, instant

LATER = DAY
"""When everything is loaded: after all random times."""


def request_columns(group: gn.FeatureGroup) -> list[str]:
    """The columns of the request's own row that the group needs."""
    found: set[str] = set()
    for feature in group.features:
        if isinstance(feature, Aggregate) and feature.include_request:
            found.update(name for name in (feature.column, feature.by) if name is not None)
            for text in (feature.expr, feature.where):
                found.update(columns_of(text) if text is not None else [])
    return sorted(found)


def rows_of(case: Case, rows: Sequence[Row]) -> pl.DataFrame:
    return pl.DataFrame([{c: row.get(c) for c in case.schema} for row in rows], schema=case.schema)


def filled(case: Case, *, cuts: Sequence[int] = (), online: str = "memory://") -> gn.Store:
    """A store with the rows, inserted and brought online batch by batch, in steps of time cut at `cuts`."""
    store = gn.Store(online=online, clock=lambda: LATER)
    _fill(store, case, cuts)
    return store


def _fill(store: gn.Store, case: Case, cuts: Sequence[int], start: int = ALWAYS) -> None:
    store.apply([case.group])
    for batch in case.batches:
        store.insert(case.group, rows_of(case, batch))
        for cut in sorted(c for c in cuts if c > start):
            store.materialize(start=start, end=cut)
        store.materialize(start=start)


@contextmanager
def cut_short(case: Case, slack: str, cuts: Sequence[int] = (), start: int = ALWAYS) -> Iterator[gn.Store]:
    """A store with the rows, as `filled` makes one, that keeps them online for `slack` beyond the windows, from
    `start` on.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "gnomon.toml").write_text(f'[online]\nslack = "{slack}"\n')
        with gn.Store(folder, online="memory://", clock=lambda: LATER) as store:
            _fill(store, case, cuts, start)
            yield store


def asked(store: gn.Store, case: Case) -> list[Answered]:
    """The online answers, one a question, each at its own time."""
    names = case.group.feature_names
    fields = request_columns(case.group)
    found = store.get_online_features(
        [case.group],
        [{name: row[name] for name in case.group.key_names} for row in case.spine],
        request={name: [row[name] for row in case.spine] for name in fields} or None,
        at=[row["event_timestamp"] for row in case.spine],
    )
    values = found.to_dict()
    return [
        Answered(
            {name: values[name][i] for name in names},
            dict(zip(names, found.statuses[i], strict=True)),
            None if found.event_times[i][0] is None else instant(found.event_times[i][0]),
        )
        for i in range(len(case.spine))
    ]


def expected(case: Case) -> list[Answered]:
    answers: list[Any] = []
    for row in case.spine:
        answers += online(
            case.group,
            keys=[row],
            at=row["event_timestamp"],
            batches=case.batches,
            request=[row],
            schema=case.schema,
        )
    return answers
