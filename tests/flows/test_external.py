"""External sources: asked when their features are wanted, waited for only so long, and remembered for training."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import UsageError
from gnomon.events import AnswersKept, Asked, listening
from tests.flows.small import HOUR, MINUTE, PLAN, SECOND, US, USER, Clock, T, plan
from tests.services import Service, serving

LONG = "30s"
"""A timeout that no sound answer needs, however slow the machine."""


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        service.answer = lambda keys: [{"score": k["user"] / 2, "grade": "a"} for k in keys]
        yield service


def scores(service: Service, *features: gn.Feature, timeout: str = LONG, **options: Any) -> gn.FeatureGroup:
    source = gn.ExternalSource("bureau", service.url, timeout=timeout, **options)
    chosen = features or (gn.Feature("score", float, default=-1.0), gn.Feature("grade", str))
    return gn.FeatureGroup("scores", entity=USER, source=source, features=list(chosen))


def ask(store: gn.Store, features: Any, *users: int) -> Any:
    return store.get_online_features(features, [{"user": u} for u in users])


def kept(store: gn.Store) -> None:
    """Have what was answered become rows now."""
    store._project.own("recorder", lambda: pytest.fail("nothing was asked")).flush()


def train(store: gn.Store, features: Any, *questions: tuple[int, datetime]) -> dict[str, list[Any]]:
    spine = pl.DataFrame(
        questions, schema={"user": pl.Int64, "event_timestamp": pl.Datetime("us", "UTC")}, orient="row"
    )
    frame = store.get_historical_features(spine, features).to_polars()
    return frame.drop("user", "event_timestamp").to_dict(as_series=False)


def test_features_are_what_the_service_says_now_asked_once_for_each_key(bare, service):
    group = scores(service)
    bare.apply([group])
    found = ask(bare, list(group), 4, 2, 4)
    assert found.to_dict() == {"score": [2.0, 1.0, 2.0], "grade": ["a", "a", "a"]}
    assert found.statuses == [["PRESENT", "PRESENT"]] * 3
    assert found.event_times == [[T, T]] * 3
    assert service.asked == [[{"user": 4}, {"user": 2}]]


def test_training_reads_what_was_served_and_nothing_before_it(bare, service, clock):
    group = scores(service)
    bare.apply([group])
    ask(bare, list(group), 4)
    clock.now = T + HOUR
    service.answer = lambda keys: [{"score": 9.0, "grade": None} for _ in keys]
    assert ask(bare, list(group), 4).to_dict() == {"score": [9.0], "grade": [None]}
    kept(bare)
    asked = [(4, T - US), (4, T), (4, T + MINUTE), (4, T + HOUR), (5, T + HOUR)]
    assert train(bare, list(group), *asked) == {
        "score": [-1.0, 2.0, 2.0, 9.0, -1.0],
        "grade": [None, "a", "a", None, None],
    }


def test_a_key_that_the_service_does_not_know_is_not_found_and_has_the_default(bare, service, clock):
    group = scores(service)
    bare.apply([group])
    ask(bare, list(group), 1)
    clock.now = T + SECOND
    service.answer = lambda keys: [None for _ in keys]
    found = ask(bare, list(group), 1)
    assert (found.to_dict(), found.statuses) == ({"score": [-1.0], "grade": [None]}, [["NOT_FOUND"] * 2])
    assert found.event_times == [[None, None]]
    kept(bare)
    assert train(bare, list(group), (1, T), (1, T + SECOND)) == {"score": [0.5, -1.0], "grade": ["a", None]}


def broken(service: Service) -> None:
    service.status, service.body = 500, b"oops"


def not_json(service: Service) -> None:
    service.body = b"<html>"


def wrong_type(service: Service) -> None:
    service.answer = lambda keys: [{"score": "high", "grade": "a"} for _ in keys]


def column_missing(service: Service) -> None:
    service.answer = lambda keys: [{"score": 1.0} for _ in keys]


def row_missing(service: Service) -> None:
    service.answer = lambda keys: []


def dead(service: Service) -> None:
    service.stop()


def redirecting(service: Service) -> None:
    service.status = 302


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (broken, "answered with status 500"),
        (redirecting, "answered with status 302"),
        (not_json, "what is not of its form: JSON is malformed"),
        (wrong_type, r"Expected `float \| null`, got `str` - at `$.rows[0].score`".replace("\\", "")),
        (column_missing, "missing required field `grade`"),
        (row_missing, "answered 0 rows for 1 key"),
        (dead, "cannot be reached: ConnectError"),
    ],
)
def test_a_service_that_fails_is_an_error_of_its_own_features_which_have_their_defaults(
    bare, service, clock, fault, why
):
    group = scores(service)
    bare.apply([group, PLAN])
    bare.insert(PLAN, [plan(1, T - HOUR, "free")])
    bare.materialize()
    ask(bare, list(group), 1)
    clock.now = T + SECOND
    fault(service)
    seen: list[Any] = []
    with listening(seen.append):
        found = ask(bare, [*group, PLAN["name"]], 1)
    assert found.to_dict() == {"score": [-1.0], "grade": [None], "name": ["free"]}
    assert found.statuses == [["ERROR", "ERROR", "PRESENT"]]
    assert why in found.errors[0, "score"]
    assert "external source `bureau`" in found.errors[0, "grade"]
    assert [event.failure for event in seen if isinstance(event, Asked)] == [found.errors[0, "score"]]
    kept(bare)
    assert train(bare, list(group), (1, T), (1, T + SECOND)) == {"score": [0.5, -1.0], "grade": ["a", None]}


def test_a_slow_service_is_waited_for_only_as_long_as_declared(bare, service):
    group = scores(service, timeout="50ms")
    bare.apply([group])
    service.gate.clear()
    found = ask(bare, list(group), 1)
    assert found.statuses == [["ERROR", "ERROR"]]
    assert (
        "external source `bureau` took longer than it may\n\nhint: its timeout is 50ms"
        in found.errors[0, "score"]
    )


def test_after_failures_in_a_row_it_is_left_in_peace_and_asked_again_when_it_may_be_back(bare, service):
    group = scores(service, open_after=2, open_for="100ms")
    bare.apply([group])
    broken(service)
    for _ in range(2):
        ask(bare, list(group), 1)
    found = ask(bare, list(group), 1)
    assert "was not asked: it failed 2 times in a row" in found.errors[0, "score"]
    assert len(service.asked) == 2
    service.status, service.body = 200, None
    while ask(bare, list(group), 1).statuses != [["PRESENT", "PRESENT"]]:
        assert len(service.asked) == 2
    assert len(service.asked) == 3


def test_a_service_that_was_dead_is_asked_again_when_it_is_back(bare, service):
    group = scores(service)
    bare.apply([group])
    ask(bare, list(group), 1)
    service.stop()
    assert ask(bare, list(group), 1).statuses == [["ERROR", "ERROR"]]
    service.start()
    assert ask(bare, list(group), 1).statuses == [["PRESENT", "PRESENT"]]


def test_connections_are_used_again_and_headers_come_from_the_environment(bare, service, monkeypatch):
    monkeypatch.setenv("BUREAU_TOKEN", "s3cret")
    group = scores(service, headers={"authorization": "Bearer ${BUREAU_TOKEN}", "x-app": "shop"})
    bare.apply([group])
    for user in range(5):
        ask(bare, list(group), user)
    assert service.connections == 1
    assert service.headers[0]["authorization"] == "Bearer s3cret"
    assert service.headers[0]["x-app"] == "shop"
    assert "s3cret" not in str(bare._project.registry.snapshot().documents)


def test_columns_of_every_type_and_expressions_are_the_same_online_and_in_training(bare, service):
    values = {"n": 7, "price": "1.25", "day": "2026-01-02", "seen": "2026-01-02T03:04:05.000006Z", "raw": "aGk=",
              "tags": ["a", None], "ok": True, "x": 3}  # fmt: skip
    service.answer = lambda keys: [values for _ in keys]
    group = scores(
        service,
        gn.Feature("n", pl.Int8), gn.Feature("price", pl.Decimal(38, 2)), gn.Feature("day", pl.Date),
        gn.Feature("seen", pl.Datetime("us", "UTC")), gn.Feature("raw", pl.Binary),
        gn.Feature("tags", pl.List(pl.String)),
        gn.Feature("ok", pl.Boolean), gn.Feature("twice", pl.Int64, expr="x * 2"),
        schema={"x": pl.Int64},
    )  # fmt: skip
    bare.apply([group])
    wanted = {"n": [7], "price": [Decimal("1.25")], "day": [date(2026, 1, 2)], "raw": [b"hi"], "tags": [["a", None]],
              "seen": [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)], "ok": [True], "twice": [6]}  # fmt: skip
    assert ask(bare, list(group), 1).to_dict() == wanted
    kept(bare)
    assert train(bare, list(group), (1, T)) == wanted
    values["n"] = 300
    assert "a `n` that is no Int8\n\nhint: rows[0] has 300" in ask(bare, list(group), 1).errors[0, "n"]


def half(score: pl.Series) -> pl.Series:
    return score / 2


def test_functions_see_what_the_service_said(bare, service):
    group = scores(service)
    bare.apply([group, gn.on_demand(inputs=[group["score"]], returns={"half": float})(half)])
    assert ask(bare, ["half"], 4).to_dict() == {"half": [1.0]}


def test_a_group_in_another_role_asks_for_other_keys(bare, service):
    group = scores(service)
    bare.apply([group])
    friend = group.renamed("friend_", keys={"user": "friend"})
    found = bare.get_online_features([group["score"], friend["score"]], [{"user": 2, "friend": 6}])
    assert found.to_dict() == {"score": [1.0], "friend_score": [3.0]}
    assert sorted(service.asked, key=str) == [[{"user": 2}], [{"user": 6}]]


def test_another_time_than_now_is_refused(bare, service):
    group = scores(service)
    bare.apply([group])
    with pytest.raises(UsageError, match="knows only what is now"):
        bare.get_online_features(list(group), [{"user": 1}], at=T)


def test_nobody_asked_asks_nobody(bare, service):
    group = scores(service)
    bare.apply([group])
    assert len(bare.get_online_features(list(group), {"user": []})) == 0
    assert service.asked == []


def test_answers_are_kept_when_the_store_is_closed(tmp_path, service):
    group = scores(service)
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "x"\n')
    seen: list[Any] = []
    with gn.Store(tmp_path, clock=Clock()) as store, listening(seen.append):
        store.apply([group])
        ask(store, list(group), 4)
        store.close()
    assert AnswersKept("scores@1", 1) in seen
    with gn.Store(tmp_path) as store:
        assert train(store, list(group), (4, T)) == {"score": [2.0], "grade": ["a"]}


def test_history_of_the_provider_can_be_inserted(bare, service):
    group = scores(service)
    bare.apply([group])
    bare.insert(group, [{"user": 1, "asked_at": T - HOUR, "score": 3.0, "grade": "b"}])
    assert train(bare, list(group), (1, T)) == {"score": [3.0], "grade": ["b"]}
    assert bare.materialize().__class__.__name__ == "Report"


def test_what_was_served_is_verified_like_everything_else_and_read_as_of_served(tmp_path, service, clock):
    group = scores(service)
    (tmp_path / "gnomon.toml").write_text('[project]\nname = "x"\n[log]\nsample = 1.0\n')
    with gn.Store(tmp_path, clock=clock) as store:
        store.apply([group, PLAN, gn.FeatureService("m", features=[group, PLAN])])
        store.insert(PLAN, [plan(4, T - HOUR, "free")])
        store.materialize()
        for answer in (service.answer, lambda keys: [None for _ in keys]):
            service.answer = answer
            clock.now += SECOND
            ask(store, "m", 4, 5)
    with gn.Store(tmp_path, clock=clock) as store:
        report = store.verify("m")
        assert (report.rows, report.mismatches) == (4, 0)
        spine = [{"user": 4, "event_timestamp": T + SECOND}, {"user": 4, "event_timestamp": T + 2 * SECOND}]
        held = store.get_historical_features(spine, "m", as_of="served").to_polars()
        assert held["score"].to_list() == [2.0, -1.0]
