"""Rows as they happen: taken one by one, durable and online when the push returns, and once however often they come."""

from __future__ import annotations

import threading
from datetime import timedelta

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DataError, NotFound, UsageError
from gnomon.events import Pushed, listening
from tests.flows.small import (
    HOUR,
    MINUTE,
    SECOND,
    USER,
    VISITS,
    Clock,
    T,
    ask,
    plan,
    statuses,
    train,
    visit,
    write,
)

SCORES = gn.FeatureGroup(
    "scores",
    entity=USER,
    timestamp="at",
    event_id="id",
    schema={"id": pl.Int64, "x": pl.Int64},
    features=[gn.sum("x", windows=["1d"]), gn.last("x", windows=["1d"])],
)
TOLD = gn.FeatureGroup(
    "told",
    entity=USER,
    timestamp="at",
    known_at="seen",
    event_id="id",
    schema={"id": pl.Int64, "x": pl.Int64},
    features=[gn.sum("x", windows=["1d"])],
)


def score(id: int | None, x: int, at=T - HOUR, user: int = 1):
    return {"user": user, "at": at, "id": id, "x": x}


@pytest.fixture
def scores(bare):
    bare.apply([SCORES, TOLD])
    return bare


def test_an_answer_after_a_push_tells_of_its_rows(store):
    ack = store.push("visits", [visit(1, T - MINUTE, 5), visit(1, T - SECOND, 7), visit(2, T - SECOND, 9)])
    assert (ack.rows, ack.accepted, ack.duplicates, ack.rejected, ack.id, ack.online) == (
        3,
        3,
        0,
        (),
        0,
        True,
    )
    assert str(ack) == "visits@1: 3 of 3 rows taken (commit 0)"
    assert ask(store, [VISITS], [1, 2, 3])["ms_sum_1d"] == [12, 9, None]
    store.push(VISITS, [visit(1, T - SECOND, 8)])
    assert ask(store, [VISITS], [1, 2])["ms_sum_1d"] == [20, 9]


def test_a_pushed_row_is_known_from_its_arrival_on(store, clock):
    store.push("visits", [visit(1, T - HOUR, 5)])
    clock.now = T + MINUTE
    store.push("visits", pl.DataFrame([visit(1, T - HOUR, 6)]))
    questions = [(1, T - SECOND), (1, T), (1, T + MINUTE)]
    assert train(store, ["visits:ms_sum_1d"], questions)["ms_sum_1d"] == [None, 5, 11]
    assert train(store, ["visits:ms_sum_1d"], questions, as_of="latest")["ms_sum_1d"] == [11, 11, 11]


def test_rows_online_are_those_of_training_at_each_time(store, clock):
    for i in range(6):
        clock.now = T + i * MINUTE
        store.push("visits", [visit(1, T - i * HOUR, i), visit(2, T + i * SECOND, 10)])
    times = [T + timedelta(seconds=s) for s in range(0, 400, 7)]
    entities = [{"user": 1 + i % 2} for i in range(len(times))]
    clock.now = T + HOUR
    online = store.get_online_features([VISITS], entities, at=times).to_dict()
    offline = train(store, [VISITS], [(e["user"], t) for e, t in zip(entities, times, strict=True)])
    assert {name: online[name] for name in offline} == offline


def test_the_same_push_again_changes_nothing(store):
    rows = [visit(1, T - MINUTE, 5), visit(1, T - MINUTE, 5)]
    assert store.push("visits", rows).accepted == 2
    again = store.push("visits", rows)
    assert (again.accepted, again.duplicates, again.id) == (0, 2, None)
    assert ask(store, [VISITS], [1])["count_1d"] == [2]
    assert store._project.offline.version("visits@1") == 0


def test_what_was_inserted_counts_once_and_keeps_when_it_was_known(store, clock):
    rows = [visit(1, T - HOUR, 5), visit(1, T - HOUR, 6)]
    store.insert("visits", rows)
    ack = store.push("visits", rows)
    assert (ack.accepted, ack.duplicates) == (0, 2)
    assert train(store, ["visits:ms_sum_1d"], [(1, T - MINUTE)])["ms_sum_1d"] == [11]


def test_an_older_row_does_not_replace_a_newer_one(store):
    store.push("plan", [plan(1, T - MINUTE, "new")])
    store.push("plan", [plan(1, T - HOUR, "old"), plan(2, T - MINUTE, "new"), plan(2, T - HOUR, "old")])
    assert ask(store, ["plan:name"], [1, 2])["name"] == ["new", "new"]


def test_a_later_push_of_one_time_is_the_correction(store, clock):
    store.push("plan", [plan(1, T - HOUR, "z")])
    clock.now = T + SECOND
    store.push("plan", [plan(1, T - HOUR, "a")])
    assert ask(store, ["plan:name"], [1])["name"] == ["a"]
    assert train(store, ["plan:name"], [(1, T), (1, T + SECOND)])["name"] == ["z", "a"]
    # What was there comes back by no push: it says nothing new.
    assert store.push("plan", [plan(1, T - HOUR, "z")]).duplicates == 1
    assert ask(store, ["plan:name"], [1])["name"] == ["a"]


def test_a_correction_counts_though_the_clock_went_back(store, clock):
    store.push("plan", [plan(1, T - HOUR, "z")])
    clock.now = T - MINUTE
    store.push("plan", [plan(1, T - HOUR, "a")])
    clock.now = T + MINUTE
    assert ask(store, ["plan:name"], [1])["name"] == ["a"]


def test_a_null_over_a_value_is_null(store):
    store.push("plan", [plan(1, T - HOUR, "z")])
    store.push("plan", [plan(1, T - MINUTE, None)])
    assert ask(store, ["plan:name"], [1])["name"] == [None]
    assert statuses(store, ["plan:name"], [1]) == [["NULL"]]


def test_rows_that_do_not_fit_are_rejected_one_by_one(store):
    rows = [
        visit(1, T - MINUTE, 1),
        {"user": 1, "at": T},
        {**visit(1, T), "mss": 4},
        visit(1, T, "x"),  # type: ignore[arg-type]
        visit(None, T),
        visit(1, None),
        {**visit(1, T), "at": "yesterday"},
        {**visit(1, T), "user": 2**70},
        [1, 2],
        visit(2, T - MINUTE, None),
        {**visit(3, T), "at": "2026-01-10T11:59:00Z"},
    ]
    ack = store.push("visits", rows)
    assert (ack.rows, ack.accepted, ack.duplicates) == (11, 3, 0)
    reasons = {one.row: one.reason for one in ack.rejected}
    assert list(reasons) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert reasons[1].startswith("`ms` is missing")
    assert reasons[2] == "group `visits` has no column `mss`, did you mean `ms`?"
    assert reasons[3] == "column `ms` of group `visits` is Int64, found String"
    assert reasons[4] == "`user` is null, and names the row"
    assert "`yesterday` is no time" in reasons[6]
    assert reasons[8] == "a row is a dict of values by column, found a list"
    assert ask(store, [VISITS], [1, 2, 3])["count_1d"] == [1, 1, 1]


def test_a_frame_of_other_columns_is_refused_as_a_whole(store):
    with pytest.raises(DataError, match="`ms`"):
        store.push("visits", pl.DataFrame({"user": [1], "at": [T]}))
    with pytest.raises(DataError, match="is Int64, found String"):
        store.push("visits", pl.DataFrame([visit(1, T)]).with_columns(ms=pl.lit("a")))


def test_values_of_a_frame_are_rejected_row_by_row(store):
    frame = pl.DataFrame({"user": [1, 2, 3], "at": ["2026-01-10", "soon", None], "ms": [1, 2, 3]})
    ack = store.push("visits", frame)
    assert (ack.accepted, [r.row for r in ack.rejected]) == (1, [1, 2])


@pytest.mark.parametrize("nothing", [[], {}, pl.DataFrame()])
def test_nothing_is_fine(store, nothing):
    ack = store.push("visits", nothing)
    assert (ack.rows, ack.accepted, ack.id, ack.rejected) == (0, 0, None, ())


def test_an_id_with_other_content_is_an_update(scores, clock):
    scores.push("scores", [score(1, 10), score(2, 20)])
    clock.now = T + SECOND
    scores.push("scores", [score(1, 11)])
    assert ask(scores, [SCORES], [1])["x_sum_1d"] == [31]
    assert train(scores, ["scores:x_sum_1d"], [(1, T), (1, T + SECOND)])["x_sum_1d"] == [30, 31]
    assert scores.push("scores", [score(1, 10)]).duplicates == 1
    assert ask(scores, [SCORES], [1])["x_sum_1d"] == [31]


def test_ids_of_one_time_order_whatever_order_they_are_pushed_in(scores):
    scores.push("scores", [score(2, 20)])
    scores.push("scores", [score(1, 10)])
    assert ask(scores, [SCORES], [1])["x_last_1d"] == [20]


def test_two_contents_of_one_id_in_one_push_are_no_choice(scores):
    ack = scores.push("scores", [score(1, 10), score(1, 11), score(None, 4), score(2, 5)])
    assert (ack.accepted, [r.row for r in ack.rejected]) == (2, [1, 2])
    assert "is not unique" in ack.rejected[0].reason
    assert ask(scores, [SCORES], [1])["x_sum_1d"] == [15]


def test_a_declared_known_at_says_itself_when_a_row_is_known(scores, clock):
    row = {**score(1, 10), "seen": T + MINUTE}
    assert scores.push("told", [row]).accepted == 1
    clash = scores.push("told", [{**row, "x": 11}])
    assert (clash.accepted, len(clash.rejected)) == (0, 1)
    later = scores.push("told", [{**row, "x": 12, "seen": T + HOUR}])
    assert later.accepted == 1
    assert train(scores, ["told:x_sum_1d"], [(1, T), (1, T + MINUTE), (1, T + HOUR)])["x_sum_1d"] == [
        None,
        10,
        12,
    ]
    clock.now = T + HOUR
    assert ask(scores, [TOLD], [1])["x_sum_1d"] == [12]


def test_what_was_retracted_counts_again_when_it_is_pushed_later(scores, clock):
    scores.push("scores", [score(1, 10), score(2, 1)])
    clock.now = T + SECOND
    scores.retract("scores", [1])
    assert ask(scores, [SCORES], [1])["x_sum_1d"] == [1]
    clock.now = T + 2 * SECOND
    assert scores.push("scores", [score(1, 10)]).duplicates == 1
    assert ask(scores, [SCORES], [1])["x_sum_1d"] == [1]
    scores.push("scores", [score(1, 12)])
    assert ask(scores, [SCORES], [1])["x_sum_1d"] == [13]


def test_a_row_older_than_the_horizon_is_in_training_and_not_online(bare, clock):
    config = bare.path / "gnomon.toml"
    assert not config.exists()
    bare.apply([VISITS])
    told: list[Pushed] = []
    bare.push("visits", [visit(1, T, 1)])
    with listening(lambda e: told.append(e) if isinstance(e, Pushed) else None):
        bare.push("visits", [visit(1, T - timedelta(days=30), 5)])
    assert [event.late for event in told] == [1]
    assert train(bare, ["visits:ms_sum_1d"], [(1, T - timedelta(days=29, hours=12))], as_of="latest") == {
        "ms_sum_1d": [5]
    }


def test_pushes_move_the_horizon_on_and_a_row_of_2099_does_not(store, clock):
    store.push("visits", [visit(1, T - MINUTE, 1)])
    clock.now = T + timedelta(days=30)
    store.push("visits", [visit(1, clock.now - SECOND, 2), visit(1, T + timedelta(days=27_000), 3)])
    with pytest.raises(gn.GnomonError, match="horizon"):
        store.get_online_features([VISITS], [{"user": 1}], at=T)
    assert ask(store, [VISITS], [1])["ms_sum_1d"] == [2]


def test_materialize_after_pushes_changes_no_answer(store, clock):
    for i in range(5):
        clock.now = T + i * SECOND
        store.push("visits", [visit(1 + i % 2, T - i * MINUTE, i)])
    before = ask(store, [VISITS], [1, 2])
    store.materialize()
    assert ask(store, [VISITS], [1, 2]) == before
    store.optimize(["visits"])
    store.push("visits", [visit(1, T, 100)])
    assert ask(store, [VISITS], [1])["ms_sum_1d"] == [before["ms_sum_1d"][0] + 100]
    assert store.push("visits", [visit(1, T, 100)]).duplicates == 1


def test_a_changed_group_is_brought_online_by_the_next_push(store):
    store.push("visits", [visit(1, T - MINUTE, 5)])
    more = gn.FeatureGroup(
        "visits", entity=USER, timestamp="at", schema={"ms": pl.Int64},
        features=[*VISITS.features, gn.max("ms", windows=["1d"])],
    )  # fmt: skip
    store.apply([more])
    store.push("visits", [visit(1, T - SECOND, 3)])
    assert ask(store, [more], [1])["ms_max_1d"] == [5]


def test_a_group_that_is_not_online_keeps_its_rows(bare):
    kept = gn.FeatureGroup(
        "kept", entity=USER, timestamp="at", schema={"ms": pl.Int64}, features=[gn.sum("ms")], online=False
    )
    bare.apply([kept])
    ack = bare.push(kept, [visit(1, T - MINUTE, 4)])
    assert (ack.accepted, ack.online) == (1, False)
    assert train(bare, [kept], [(1, T)])["ms_sum"] == [4]


def test_pushes_at_once_share_commits_and_lose_nothing(store):
    n, acks = 24, []
    start = threading.Barrier(n)

    def work(i: int) -> None:
        start.wait()
        acks.append(
            store.push(
                "visits", [visit(i % 3, T - (i + 1) * SECOND, 1), visit(9, T - HOUR, i // 2), {"user": 1}]
            )
        )

    store.push("visits", [visit(1, T - MINUTE, 0)])
    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(acks) == n
    # Each row of user 9 comes twice, from two pushes: it is one row.
    assert sum(ack.accepted for ack in acks) == n + n // 2
    assert sum(ack.duplicates for ack in acks) == n // 2
    assert all(len(ack.rejected) == 1 for ack in acks)
    assert ask(store, [VISITS], [0, 1, 2, 9])["count_1d"] == [n // 3, n // 3 + 1, n // 3, n // 2]
    assert store._project.offline.version("visits@1") < n


def test_versions_of_one_row_pushed_at_once_are_all_kept(scores):
    n, acks = 12, []
    scores.push("scores", [score(0, 0)])

    def work(i: int) -> None:
        acks.append(scores.push("scores", [score(7, i)]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ack.accepted for ack in acks) == n
    assert not any(ack.rejected for ack in acks)


def test_what_cannot_be_pushed_into_says_what_can(bare, data):
    write(data, "data/v.parquet", [visit(1, T)])
    source = gn.FileSource("v", "data/v.parquet", timestamp="at")
    bare.apply([gn.FeatureGroup("in_place", entity=USER, source=source, features=[gn.count()])])
    for target in ("in_place", "v", source):
        with pytest.raises(UsageError, match="in place") as refused:
            bare.push(target, [])
        assert "without `source=`" in str(refused.value)
    with pytest.raises(NotFound):
        bare.push("nothing", [])
    with pytest.raises(UsageError, match="an int"):
        bare.push(3, [])  # type: ignore[arg-type]


def test_two_stores_of_one_project_see_each_others_pushes(tmp_path):
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "two"\n')
    clock = Clock()
    with gn.Store(tmp_path, clock=clock) as one, gn.Store(tmp_path, clock=clock) as two:
        one.apply([VISITS])
        for i in range(4):
            store, other = (one, two) if i % 2 else (two, one)
            store.push("visits", [visit(1, T - (i + 1) * MINUTE, 1)])
            assert ask(other, [VISITS], [1])["count_1d"] == [i + 1]
            assert other.push("visits", [visit(1, T - (i + 1) * MINUTE, 1)]).duplicates == 1


def test_what_pushes_brought_online_is_told_as_served(store, clock):
    """The journal tells of each push when its rows were there: the online answers of then, recomputed."""
    served, questions = [], []
    for i in range(5):
        clock.now = T + i * MINUTE
        store.push("visits", [visit(1, clock.now - HOUR, i + 1), visit(2, clock.now - SECOND, 1)])
        clock.now += SECOND
        served.append([ask(store, ["visits:ms_sum_1d"], [user])["ms_sum_1d"][0] for user in (1, 2)])
        questions += [(1, clock.now), (2, clock.now)]
    assert served == [[1, 1], [3, 2], [6, 3], [10, 4], [15, 5]]
    told = train(store, ["visits:ms_sum_1d"], questions, as_of="served")["ms_sum_1d"]
    assert told == [value for pair in served for value in pair]
    store.materialize()
    assert train(store, ["visits:ms_sum_1d"], questions, as_of="served")["ms_sum_1d"] == told
