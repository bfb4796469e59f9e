"""What the online store held is told by the journal: training as of "served" is what was answered then, to the bit."""

from __future__ import annotations

import random
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, Gone, UsageError
from gnomon.events import Event, Step, listening
from tests.flows.small import DAY, HOUR, MINUTE, USER, Clock, T, ask, train, visit, write

ORDERS = gn.FeatureGroup(
    "orders",
    entity=USER,
    timestamp="at",
    event_id="order",
    schema={"order": pl.Int64, "amount": pl.Float64},
    features=[
        gn.count(windows=["2h", "1d"]),
        gn.sum("amount", windows=["1d"]),
        gn.last("amount"),
        gn.last_k("amount", 2, windows=["1d"]),
    ],
)
LIMIT = gn.FeatureGroup(
    "limit",
    entity=USER,
    timestamp="at",
    max_age="12h",
    features=[gn.Feature("limit", pl.Float64, default=-1.0)],
)
ALL = [f"orders:{name}" for name in ORDERS.feature_names] + ["limit:limit"]
USERS = [1, 2, 3]


def order(number: int, user: int, at: datetime, amount: float | None) -> dict[str, Any]:
    return {"order": number, "user": user, "at": at, "amount": amount}


def limit(user: int, at: datetime, value: float | None) -> dict[str, Any]:
    return {"user": user, "at": at, "limit": value}


class Witness:
    """Asks the online store from time to time, and later asks training for the same."""

    def __init__(self, store: gn.Store, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.asked: list[tuple[int, datetime]] = []
        self.told: dict[str, list[Any]] = {}

    def look(self) -> None:
        """Ask now; between two looks the clock must have moved, as it does between two writes."""
        for name, values in ask(self.store, ALL, USERS).items():
            self.told.setdefault(name, []).extend(values)
        self.asked += [(user, self.clock.now) for user in USERS]

    def check(self) -> None:
        assert train(self.store, ALL, self.asked, as_of="served") == self.told


@pytest.fixture
def shop(bare: gn.Store) -> gn.Store:
    bare.apply([ORDERS, LIMIT])
    return bare


@pytest.fixture
def witness(shop: gn.Store, clock: Clock) -> Witness:
    return Witness(shop, clock)


def test_rows_count_from_the_write_that_brought_them(shop: gn.Store, clock: Clock, witness: Witness) -> None:
    shop.insert("orders", [order(1, 1, T - HOUR, 1.5)])
    shop.materialize()
    clock.now = T + HOUR
    witness.look()
    shop.insert("orders", [order(2, 1, T - 2 * HOUR, 2.5)])
    witness.look()
    clock.now += MINUTE
    shop.materialize()
    clock.now += MINUTE
    witness.look()
    witness.check()
    late = train(shop, ["orders:count_1d"], [(1, T + HOUR)], as_of="known")
    assert late == {"count_1d": [2]}, "known does not know of arrival"


def test_before_the_first_publication_nothing_was_ready(shop: gn.Store, clock: Clock) -> None:
    shop.insert("limit", [limit(1, T - HOUR, 3.0)])
    shop.materialize()
    assert train(shop, ["limit:limit"], [(1, T - MINUTE), (1, T), (2, T)], as_of="served") == {
        "limit": [None, 3.0, -1.0]
    }


def test_updates_deletes_and_retractions_count_from_their_writes(
    shop: gn.Store, clock: Clock, witness: Witness
) -> None:
    shop.insert(
        "orders", [order(1, 1, T - HOUR, 1.0), order(2, 1, T - MINUTE, 2.0), order(3, 2, T - HOUR, 3.0)]
    )
    shop.insert("limit", [limit(1, T - HOUR, 5.0)])
    shop.materialize()
    for change in (
        lambda: shop.insert("orders", [order(2, 1, T - MINUTE, 9.0)]),
        lambda: shop.insert("orders", deletes=[{"user": 1, "order": 1}]),
        lambda: shop.insert("limit", deletes=[{"user": 1, "at": T - HOUR}]),
    ):
        clock.now += MINUTE
        witness.look()
        change()
        clock.now += MINUTE
        witness.look()
        clock.now += MINUTE
        shop.materialize()
    clock.now += MINUTE
    witness.look()
    clock.now += MINUTE
    shop.retract("orders", [3])
    clock.now += MINUTE
    witness.look()
    witness.check()


def test_rewritten_and_rebuilt_tables_change_nothing(shop: gn.Store, clock: Clock, witness: Witness) -> None:
    for i in range(3):
        shop.insert("orders", [order(i, 1, clock.now - HOUR, float(i))])
        shop.materialize()
        clock.now += HOUR
        witness.look()
        clock.now += MINUTE
    shop.optimize()
    clock.now += MINUTE
    shop.materialize()
    witness.look()
    shop.insert("orders", [order(7, 1, clock.now - HOUR, 7.0)])
    clock.now += MINUTE
    witness.look()
    clock.now += MINUTE
    shop.backfill("orders")
    clock.now += MINUTE
    witness.look()
    witness.check()


def test_a_vacuum_that_blurs_the_past_is_told(shop: gn.Store, clock: Clock) -> None:
    for i in range(2):
        shop.insert("orders", [order(i, 1, T - HOUR, 1.0)])
        shop.materialize()
        clock.now += HOUR
    shop.optimize()
    shop.vacuum(older_than="0s")
    assert train(shop, ["orders:count_1d"], [(1, clock.now)], as_of="served") == {"count_1d": [2]}
    with pytest.raises(Gone, match="which rows were online"):
        train(shop, ["orders:count_1d"], [(1, T + MINUTE)], as_of="served")


def test_a_writer_that_is_killed_and_run_again_leaves_the_second_end(
    shop: gn.Store, clock: Clock, witness: Witness
) -> None:
    shop.insert("orders", [order(1, 1, T - HOUR, 1.0)])
    shop.materialize()
    clock.now += MINUTE
    shop.insert("orders", [order(2, 2, T - HOUR, 1.0)])

    def kill(event: Event) -> None:
        if isinstance(event, Step) and event.flow == "materialize" and event.step == "horizon":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listening(kill):
        shop.materialize("orders")
    witness.look()
    clock.now += MINUTE
    shop.materialize()
    clock.now += MINUTE
    witness.look()
    witness.check()


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 12))])
def test_whatever_is_written_in_whatever_order(
    shop: gn.Store, clock: Clock, witness: Witness, seed: int
) -> None:
    chance = random.Random(seed)
    for step in range(14):
        for _ in range(chance.randint(1, 3)):
            at = clock.now - chance.choice([MINUTE, HOUR, 3 * HOUR, DAY, 3 * DAY])
            match chance.randrange(6):
                case 0 | 1:
                    rows = [
                        order(
                            chance.randrange(12), chance.choice(USERS), at, chance.choice([1e16, 1.0, -1e16])
                        )
                    ]
                    shop.insert("orders", rows)
                case 2:
                    shop.insert("limit", [limit(chance.choice(USERS), at, chance.choice([None, 1.0, 2.0]))])
                case 3:
                    shop.insert(
                        "orders", deletes=[{"user": chance.choice(USERS), "order": chance.randrange(12)}]
                    )
                case 4:
                    shop.retract("orders", [chance.randrange(12)])
                case 5:
                    chance.choice([shop.optimize, lambda: shop.backfill("orders"), lambda: None])()
            clock.now += MINUTE
        if step == 0 or chance.random() < 0.6:
            shop.materialize()
            clock.now += MINUTE
        witness.look()
        clock.now += chance.choice([MINUTE, HOUR, DAY])
    witness.check()


# ------------------------------------------------------------------------------------------- sources in place


@pytest.fixture
def files(bare: gn.Store, data: Path) -> tuple[gn.Store, Path]:
    write(data, "clicks/a.parquet", [visit(1, T - HOUR), visit(1, T - HOUR), visit(2, T - HOUR)])
    source = gn.FileSource("clicks", path="clicks", timestamp="at")
    bare.apply([gn.FeatureGroup("clicks", entity=USER, source=source, features=[gn.count(windows=["1d"])])])
    return bare, data


def test_rows_of_files_count_once_however_often_they_are_delivered(
    files: tuple[gn.Store, Path], clock: Clock
) -> None:
    store, data = files
    store.materialize()
    clock.now += HOUR
    write(data, "clicks/b.parquet", [visit(1, T - HOUR), visit(2, T + MINUTE)])
    store.materialize()
    questions = [(user, T + moment) for moment in (30 * MINUTE, 2 * HOUR) for user in (1, 2)]
    assert train(store, ["clicks:count_1d"], questions, as_of="served") == {"count_1d": [2, 1, 2, 2]}


def test_a_file_that_was_rewritten_is_named(files: tuple[gn.Store, Path], clock: Clock) -> None:
    store, data = files
    store.materialize()
    clock.now += HOUR
    write(data, "clicks/a.parquet", [visit(1, T - MINUTE)])
    with pytest.raises(Gone, match=r"a\.parquet` was rewritten since"):
        train(store, ["clicks:count_1d"], [(1, T + MINUTE)], as_of="served")
    store.materialize()
    assert train(store, ["clicks:count_1d"], [(1, clock.now), (2, clock.now)], as_of="served") == {
        "count_1d": [1, 0]
    }


def test_what_was_never_online_is_refused(bare: gn.Store) -> None:
    bare.apply(
        [ORDERS, gn.FeatureGroup("quiet", entity=USER, timestamp="at", online=False, features=[gn.count()])]
    )
    with pytest.raises(DataError, match="the journal tells nothing of group `orders@1`"):
        train(bare, ["orders:count_1d"], [(1, T)], as_of="served")
    with pytest.raises(UsageError, match="not kept online"):
        train(bare, ["quiet:count"], [(1, T)], as_of="served")


def test_each_online_store_has_its_own_past(tmp_path: Path, clock: Clock) -> None:
    """Two online stores of one project: what one holds says nothing of the other."""
    (tmp_path / "gnomon.toml").write_text('[online]\nurl = "lmdb://one"\n')
    with gn.Store(tmp_path, clock=clock) as one, gn.Store(tmp_path, clock=clock, online="lmdb://two") as two:
        one.apply([LIMIT])
        one.insert("limit", [limit(1, T - HOUR, 1.0)])
        one.materialize()
        one.insert("limit", [limit(1, T - MINUTE, 2.0)])
        clock.now += MINUTE
        two.materialize()
        clock.now += MINUTE
        questions = [(1, clock.now)]
        assert train(one, ["limit:limit"], questions, as_of="served") == {"limit": [1.0]}
        assert train(two, ["limit:limit"], questions, as_of="served") == {"limit": [2.0]}
        assert ask(one, ["limit:limit"], [1]) == {"limit": [1.0]}
