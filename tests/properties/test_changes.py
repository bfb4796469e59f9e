"""Inserts, updates, deletes and retractions in any order equal the reference: training and online (CASES 40, 40a)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import gnomon as gn
from gnomon.errors import ComputeError
from gnomon.flows.online import read_document
from gnomon.testing.reference import OVERFLOW, Answered, historical, online, same
from gnomon.testing.reference_changes import Insert, Retract, read_changes
from gnomon.testing.strategies import Case, Row, event_cases, state_cases
from gnomon.time import DAY, instant
from tests.properties.stores import asked, rows_of

SECOND = 1_000_000
LATER = DAY
Happening = Insert | Retract


@dataclass(frozen=True)
class Told:
    """A case, and what is done to its group, instants rising."""

    case: Case
    done: tuple[Happening, ...]

    @property
    def versions(self) -> Any:
        return read_changes(self.case.group, self.done, self.case.schema)


@st.composite
def told(draw: st.DrawFn) -> Told:
    """A group whose rows have names, and changes of them between, before and after the questions."""
    case = draw(st.one_of(event_cases(nulls=False, ids=True, requests=False), state_cases(nulls=False)))
    return Told(case, tuple(draw(happenings(case))))


@st.composite
def happenings(draw: st.DrawFn, case: Case) -> list[Happening]:
    group, rows = case.group, list(case.rows)
    done: list[Happening] = []
    at = draw(st.integers(-4, 5)) * SECOND
    while rows or draw(st.integers(0, 3)):
        kind = draw(st.sampled_from(["rows", "rows", "both", "deletes", "retract"]))
        if kind == "retract" and group.event_id is not None:
            ids = [row["id"] for row in case.rows] or [_unknown(group)]
            chosen = draw(st.lists(st.sampled_from([*ids, _unknown(group)]), min_size=1, max_size=2))
            done.append(Retract(at, chosen))
        else:
            taken = _take(group, rows, draw(st.integers(1, 6))) if kind in ("rows", "both") else []
            deletes: list[Row] = []
            if kind != "rows" and case.rows:
                deletes = [
                    _name(group, row) for row in draw(st.lists(st.sampled_from(case.rows), max_size=3))
                ]
            done.append(Insert(at, taken, deletes, draw(st.integers(0, 4)) == 0))
        at += draw(st.sampled_from([1, SECOND, 3 * SECOND]))
        if len(done) > 8:
            break
    return done


def _take(group: gn.FeatureGroup, rows: list[Row], n: int) -> list[Row]:
    """The next rows, each name once: two contents under one in one insert are an error."""
    taken, names, left = [], set(), []
    for row in rows:
        name = tuple(_name(group, row).values())
        if len(taken) < n and name not in names:
            taken.append(row)
        else:
            left.append(row)
        names.add(name)
    rows[:] = left
    return taken


def _name(group: gn.FeatureGroup, row: Row) -> Row:
    named = group.timestamp if group.kind == "state" else group.event_id
    return {name: row[name] for name in (*group.key_names, str(named))}


def _unknown(group: gn.FeatureGroup) -> Any:
    return 99 if dict(group.schema)["id"].is_integer() else "never"


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


def perform(store: gn.Store, clock: Clock, what: Told, loads: Sequence[bool] = ()) -> None:
    """Do all of it. `loads`: after which steps to materialize."""
    group, case = what.case.group, what.case
    clock.now = what.done[0].at if what.done else 0
    store.apply([group])
    for i, step in enumerate(what.done):
        clock.now = step.at
        if isinstance(step, Retract):
            store.retract(group, list(step.ids))
        else:
            rows = rows_of(case, step.rows)
            if step.update:
                rows = rows.with_columns(pl.lit("update").alias("__op"))
            store.insert(group, rows, deletes=_deletes(case, step) if step.deletes else None)
        if i < len(loads) and loads[i]:
            store.materialize()
    clock.now = LATER
    store.materialize()


def _deletes(case: Case, step: Insert) -> pl.DataFrame:
    names = list(step.deletes[0])
    return pl.DataFrame(
        [tuple(row.values()) for row in step.deletes], {n: case.schema[n] for n in names}, orient="row"
    )


def trained(store: gn.Store, case: Case, as_of: Any) -> Any:
    spine = pl.DataFrame(
        [{name: row[name] for name in (*case.group.key_names, "event_timestamp")} for row in case.spine],
        schema=dict(case.group.keys) | {"event_timestamp": pl.Datetime("us", "UTC")},
    )
    try:
        found = store.get_historical_features(spine, [case.group], as_of=as_of).to_polars()
    except ComputeError:
        return OVERFLOW
    return found.select(case.group.feature_names).to_dicts()


def check_training(store: gn.Store, what: Told, as_of: Any) -> None:
    want = historical(
        what.case.group, spine=what.case.spine, versions=what.versions, as_of=as_of, schema=what.case.schema
    )
    got = trained(store, what.case, as_of)
    if any(value is OVERFLOW for row in want for value in row.values()):
        assert got is OVERFLOW
    else:
        assert same(got, want), f"\n got {got}\nwant {want}"


def check_online(store: gn.Store, what: Told) -> None:
    case = what.case
    want: list[Answered] = []
    for row in case.spine:
        want += online(
            case.group,
            keys=[row],
            at=row["event_timestamp"],
            versions=what.versions,
            request=[row],
            schema=case.schema,
        )
    for got, one in zip(asked(store, case), want, strict=True):
        assert same(got.values, one.values), f"\n got {got.values}\nwant {one.values}"
        assert (got.statuses, got.event_time) == (one.statuses, one.event_time)


@given(told(), st.lists(st.booleans(), max_size=9), st.integers(-3, 20))
@settings(max_examples=60)
def test_changes_in_any_order_equal_the_reference(what: Told, loads: list[bool], at: int) -> None:
    clock = Clock()
    with gn.Store(clock=clock) as store:
        perform(store, clock, what, loads)
        for as_of in ("known", "latest", what.case.spine[0]["event_timestamp"] + timedelta(seconds=at)):
            check_training(store, what, as_of)
        check_online(store, what)


@given(told(), st.lists(st.booleans(), max_size=9))
@settings(max_examples=15)
def test_changes_in_a_durable_store_equal_the_reference(what: Told, loads: list[bool]) -> None:
    clock = Clock()
    with gn.Store(clock=clock, online="lmdb://online") as store:
        perform(store, clock, what, loads)
        check_online(store, what)


@given(told(), st.lists(st.booleans(), max_size=9), st.sampled_from(["0s", "1us", "5s"]))
@settings(max_examples=40)
def test_what_was_let_go_comes_back_where_it_is_needed(what: Told, loads: list[bool], slack: str) -> None:
    """Questions from the horizon on are answered as if nothing had ever been let go."""
    clock = Clock()
    with TemporaryDirectory() as folder:
        Path(folder, "gnomon.toml").write_text(f'[online]\nslack = "{slack}"\n')
        with gn.Store(folder, clock=clock, online="memory://") as store:
            perform(store, clock, what, loads)
            first = _first_question(store, what.case.group)
            spine = tuple(row for row in what.case.spine if instant(row["event_timestamp"]) >= first)
            if spine:
                check_online(store, Told(Case(what.case.group, what.case.batches, spine), what.done))


def _first_question(store: gn.Store, group: gn.FeatureGroup) -> int:
    live = read_document(store._project.online, group.ref).live
    assert live is not None
    return live.horizon + (live.span or 0)


@given(told(), st.data())
@settings(max_examples=25)
def test_rows_that_are_gone_have_never_been(what: Told, data: st.DataObject) -> None:
    """A store that never had the rows gives the same bits from the moment on."""
    case, group = what.case, what.case.group
    whole = [
        row
        for row in case.rows
        if all(v is not None for v in _name(group, row).values()) and row["t"] is not None
    ]
    if not whole:
        return
    gone = data.draw(st.lists(st.sampled_from(whole), min_size=1, max_size=4))
    names = {tuple(_name(group, row).values()) for row in gone}
    left = [row for row in case.rows if tuple(_name(group, row).values()) not in names]
    spine = tuple(
        {**row, "event_timestamp": row["event_timestamp"] + timedelta(hours=1)} for row in case.spine
    )
    later = Case(group, case.batches, spine)
    answers = []
    for rows, deletes in ((case.rows, [_name(group, row) for row in gone]), (left, [])):
        clock = Clock()
        with gn.Store(clock=clock) as store:
            steps: list[Happening] = []
            remaining = list(rows)
            while remaining:
                steps.append(Insert(-100 * SECOND + len(steps), _take(group, remaining, 20)))
            perform(store, clock, Told(later, (*steps, Insert(30 * SECOND, (), deletes))))
            answers.append((trained(store, later, "known"), [a.values for a in asked(store, later)]))
    assert same(answers[0][1], answers[1][1])
    assert answers[0][0] is answers[1][0] or same(answers[0][0], answers[1][0])
