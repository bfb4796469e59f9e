"""Labels: `[t, t + W)` of the rows known at retrieval, and null before the source is complete so far."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import ComputeError, DataError, DefinitionError, UsageError
from gnomon.flows.labels import is_mature
from gnomon.time import ALWAYS, NEVER
from tests.flows.small import DAY, HOUR, US, USER, Clock, T, ask, train, visit, visits, write

BOTH = visits(gn.label(gn.sum("ms"), "1d"), gn.label(gn.count(), "1d", name="again"))
LABELS = ["visits:ms_sum_next_1d", "visits:again"]


@pytest.fixture
def labelled(bare: gn.Store) -> gn.Store:
    """One visit at T, one on each side of T + 1d, and what is known up to T + 10d."""
    bare.apply([BOTH])
    rows = [(T - DAY, 1), (T, 2), (T + DAY - US, 4), (T + DAY, 8)]
    bare.insert(BOTH, [visit(1, at, ms) for at, ms in rows])
    bare.insert(BOTH, [visit(2, T + 10 * DAY)])
    return bare


@pytest.fixture
def clock() -> Clock:
    return Clock(T + 30 * DAY)


def test_an_event_at_t_is_in_the_label_and_not_in_the_feature(labelled):
    found = train(labelled, ["visits:ms_sum_1d", *LABELS], [(1, T), (1, T + US), (1, T - US)])
    assert found["ms_sum_1d"] == [1, 2, 1]
    assert found["ms_sum_next_1d"] == [2 + 4, 4 + 8, 2]
    assert found["again"] == [2, 2, 1]


def test_each_label_stands_before_what_tells_whether_it_is_mature(labelled):
    frame = labelled.get_historical_features(
        [{"user": 1, "event_timestamp": T}], ["visits:again", "visits:count_1h", "visits:ms_sum_next_1d"]
    ).to_polars()
    assert dict(frame.drop("user", "event_timestamp").schema) == {
        "again": pl.Int64,
        "again_mature": pl.Boolean,
        "count_1h": pl.Int64,
        "ms_sum_next_1d": pl.Int64,
        "ms_sum_next_1d_mature": pl.Boolean,
    }


def test_a_label_is_null_and_not_zero_until_its_source_is_complete_to_the_windows_end(labelled):
    last = T + 10 * DAY - DAY
    found = train(labelled, LABELS, [(1, last - US), (1, last), (1, last + US)])
    assert found["again"] == [0, 0, None]
    assert found["again_mature"] == [True, True, False]
    assert found["ms_sum_next_1d"] == [None, None, None]


def test_the_source_may_be_said_to_be_complete_for_longer_or_shorter(labelled):
    asked = [(1, T), (1, T + US), (1, T + 20 * DAY)]
    assert train(labelled, LABELS, asked, complete_until=T + DAY)["again"] == [2, None, None]
    assert train(labelled, LABELS, asked, complete_until="2026-02-09")["again"] == [2, 2, 0]
    with pytest.raises(UsageError, match="complete_until"):
        train(labelled, LABELS, asked, complete_until="soon")


def test_rows_that_come_late_are_waited_for(bare):
    group = visits(gn.label(gn.count(), "1d", name="n", lateness="2h"))
    bare.apply([group])
    bare.insert(group, [visit(1, T)])
    end = T - DAY - 2 * HOUR
    assert train(bare, ["visits:n"], [(1, end), (1, end + US)])["n_mature"] == [True, False]


def test_a_row_of_another_key_tells_that_the_source_is_complete(labelled):
    assert train(labelled, LABELS, [(99, T)]) == {
        "ms_sum_next_1d": [None],
        "ms_sum_next_1d_mature": [True],
        "again": [0],
        "again_mature": [True],
    }


def test_a_null_key_has_no_label(labelled):
    spine = pl.DataFrame(
        {"user": [None], "event_timestamp": [T]},
        schema={"user": pl.Int64, "event_timestamp": pl.Datetime("us", "UTC")},
    )
    row = labelled.get_historical_features(spine, ["visits:again"]).to_polars().row(0, named=True)
    assert row["again"] is None


def test_without_a_row_nothing_is_mature(bare):
    bare.apply([BOTH])
    assert train(bare, ["visits:again"], [(1, T)]) == {"again": [None], "again_mature": [False]}


def test_an_empty_spine_has_every_column(labelled):
    spine = pl.DataFrame(schema={"user": pl.Int64, "event_timestamp": pl.Datetime("us")})
    found = labelled.get_historical_features(spine, LABELS[1:]).to_polars()
    assert found.schema == {**spine.schema, "again": pl.Int64, "again_mature": pl.Boolean}


def late(*rows: tuple[Any, Any, int, str]) -> list[dict[str, Any]]:
    return [{"user": 1, "at": at, "seen": seen, "x": x, "id": id} for at, seen, x, id in rows]


CLAIMS = gn.FeatureGroup(
    "claims",
    entity=USER,
    timestamp="at",
    known_at="seen",
    event_id="id",
    schema={"x": pl.Int64, "id": pl.String},
    features=[gn.sum("x"), gn.label(gn.sum("x"), "1d", name="cost")],
)


def test_labels_are_by_the_latest_knowledge_whatever_is_said_of_features(bare, clock):
    bare.apply([CLAIMS])
    bare.insert(CLAIMS, late((T + HOUR, T + 5 * DAY, 1, "a"), (T + HOUR, T + 9 * DAY, 10, "a")))
    for as_of in ("known", "latest", T, T + 6 * DAY):
        assert train(bare, ["claims:cost"], [(1, T)], as_of=as_of)["cost"] == [10]
    clock.now = T + 6 * DAY
    assert train(bare, ["claims:cost"], [(1, T)])["cost"] == [1]


def test_what_is_not_known_at_retrieval_neither_counts_nor_makes_mature(bare, clock):
    bare.apply([CLAIMS])
    bare.insert(
        CLAIMS,
        late(
            (T, T, 1, "a"), (T + HOUR, T + 40 * DAY, 2, "b"), (T + HOUR, None, 4, "c"), (T, T + DAY, 8, "d")
        ),
    )
    assert train(bare, ["claims:cost"], [(1, T), (1, T + US)]) == {
        "cost": [9, None],
        "cost_mature": [True, False],
    }
    clock.now = T + 41 * DAY
    assert train(bare, ["claims:cost"], [(1, T), (1, T + US)])["cost"] == [11, 2]


def test_what_was_updated_deleted_or_retracted_is_no_more_in_the_label(bare, clock):
    group = gn.FeatureGroup(
        "visits", entity=USER, timestamp="at", event_id="id", schema={"ms": pl.Int64, "id": pl.Int64},
        features=[gn.label(gn.sum("ms"), "1d", name="next"), gn.last("ms")],
    )  # fmt: skip
    bare.apply([group])
    bare.insert(group, [{**visit(1, T + i * HOUR, 2**i), "id": i} for i in (0, 1, 2, 3, 30)])
    assert train(bare, ["visits:next"], [(1, T)])["next"] == [15]
    bare.retract(group, [0])
    assert train(bare, ["visits:next"], [(1, T)])["next"] == [14]
    clock.now += DAY
    asked = [(1, T), (1, T + 6 * HOUR), (1, T + 6 * HOUR + US)]
    assert train(bare, ["visits:next"], asked)["next_mature"] == [True, True, False], "no row is known later"


def test_an_update_of_one_row_does_not_tell_that_the_others_are_there(bare, clock):
    group = gn.FeatureGroup(
        "visits", entity=USER, timestamp="at", event_id="id", schema={"ms": pl.Int64, "id": pl.Int64},
        features=[gn.label(gn.count(), "1d", name="next")],
    )  # fmt: skip
    bare.apply([group])
    bare.insert(group, [{**visit(1, T, 1), "id": 1}, {**visit(1, T + 5 * DAY, 2), "id": 2}])
    clock.now = T + 30 * DAY
    bare.insert(group, [{**visit(1, T, 3), "id": 1}])
    assert train(bare, ["visits:next"], [(1, T + 10 * DAY)])["next_mature"] == [False]


def test_one_row_dated_2099_makes_nothing_mature(labelled):
    labelled.insert(BOTH, [visit(3, T + 30_000 * DAY)])
    assert train(labelled, ["visits:again"], [(1, T + 10 * DAY)])["again_mature"] == [False]


def test_a_lag_moves_completeness_as_it_moves_what_is_known(bare):
    group = gn.FeatureGroup(
        "daily", entity=USER, timestamp="at", lag="1d", schema={"ms": pl.Int64},
        features=[gn.label(gn.sum("ms"), "1d", name="next")],
    )  # fmt: skip
    bare.apply([group])
    bare.insert(group, [visit(1, T, 3)])
    assert train(bare, ["daily:next"], [(1, T), (1, T + US)]) == {
        "next": [3, None],
        "next_mature": [True, False],
    }


def test_a_settling_delay_moves_features_and_not_labels(bare):
    group = gn.FeatureGroup(
        "visits", entity=USER, timestamp="at", settling_delay="1h", schema={"ms": pl.Int64},
        features=[gn.count(), gn.label(gn.count(), "1d", name="next")],
    )  # fmt: skip
    bare.apply([group])
    bare.insert(group, [visit(1, at) for at in (T - HOUR, T - US, T, T + DAY)])
    found = train(bare, [group, group["next"]], [(1, T)])
    assert (found["count"], found["next"]) == ([0], [1])


def test_labels_of_files_and_of_other_roles_of_the_key(bare, data):
    write(data, "visits.parquet", [visit(1, T), visit(2, T + HOUR), visit(2, T + 3 * DAY)])
    source = gn.FileSource("visits", path="visits.parquet", timestamp="at")
    group = gn.FeatureGroup(
        "visits", entity=USER, source=source, features=[gn.label(gn.count(), "1d", name="next")]
    )
    bare.apply([group])
    asked = [group["next"], group.renamed(prefix="friend_", keys={"user": "friend"})["next"]]
    found = bare.get_historical_features({"user": [1], "friend": [2], "event_timestamp": [T]}, asked)
    assert found.to_polars().drop("user", "friend", "event_timestamp").row(0, named=True) == {
        "next": 1,
        "next_mature": True,
        "friend_next": 1,
        "friend_next_mature": True,
    }
    assert bare.get_historical_features(
        {"user": [1], "event_timestamp": [T]}, [group["next"]], full_names=True
    ).to_polars().columns[2:] == ["visits__next", "visits__next_mature"]


def test_every_aggregate_makes_a_label(bare):
    made = [
        gn.count("ms"), gn.sum("ms"), gn.mean("ms"), gn.var("ms"), gn.std("ms"), gn.min("ms"), gn.max("ms"),
        gn.first("ms"), gn.last("ms"), gn.first_k("ms", 2), gn.last_k("ms", 2), gn.n_distinct("ms"),
        gn.mode("ms"), gn.top_k("ms", 1), gn.median("ms"), gn.quantile("ms", 0.25), gn.rate(windows="2s"),
        gn.time_since_first(), gn.time_since_last(),
    ]  # fmt: skip
    group = visits(*(gn.label(one, "2s", name=one.function) for one in made))
    bare.apply([group])
    bare.insert(group, [visit(1, T, 1), visit(1, T + US, 3), visit(2, T + DAY)])
    frame = bare.get_historical_features(
        [{"user": 1, "event_timestamp": T}], [group[name] for name in group.label_names]
    ).to_polars()
    row = frame.row(0, named=True)
    two = 2_000_000
    assert {name: row[name] for name in ("count", "sum", "mean", "var", "first", "last", "rate")} == {
        "count": 2, "sum": 4, "mean": 2.0, "var": 2.0, "first": 1, "last": 3, "rate": 1.0,
    }  # fmt: skip
    assert (row["last_k"], row["top_k"], row["median"], row["quantile"]) == ([3, 1], [1], 2.0, 1.5)
    assert [row[f"time_since_{end}"] // US for end in ("first", "last")] == [two, two - 1]


def test_an_overflow_is_an_error_that_names_the_label(bare):
    bare.apply([BOTH])
    bare.insert(BOTH, [visit(1, T, 2**62), visit(1, T + US, 2**62), visit(2, T + 9 * DAY)])
    with pytest.raises(ComputeError, match="`ms_sum_next_1d` of `visits@1`"):
        train(bare, LABELS, [(1, T)])


def test_an_overflow_of_a_label_that_is_not_mature_is_no_error(bare):
    bare.apply([BOTH])
    bare.insert(BOTH, [visit(1, T, 2**62), visit(1, T + US, 2**62)])
    assert train(bare, LABELS[:1], [(1, T)]) == {"ms_sum_next_1d": [None], "ms_sum_next_1d_mature": [False]}


# ------------------------------------------------------------------------------------------ services, online


def test_a_service_with_labels_is_trained_with_them_and_answers_without(labelled):
    model = gn.FeatureService("model", features=[BOTH["again"], BOTH, BOTH["ms_sum_next_1d"]])
    labelled.apply([model])
    columns = train(labelled, "model", [(1, T)]).keys()
    names = ["again", "again_mature", *BOTH.feature_names, "ms_sum_next_1d", "ms_sum_next_1d_mature"]
    assert list(columns) == names
    labelled.materialize()
    assert list(ask(labelled, "model", [1])) == list(BOTH.feature_names)


def test_a_label_that_is_asked_for_online_is_refused(labelled):
    alone = gn.FeatureService("alone", features=[BOTH["again"]])
    labelled.apply([alone])
    labelled.materialize()
    for asked in (["visits:count_1h", "visits:again"], "alone"):
        with pytest.raises(UsageError, match="`visits@1:again` is a label"):
            ask(labelled, asked, [1])


def test_an_online_question_needs_no_keys_of_labels(labelled):
    role = BOTH.renamed(prefix="friend_", keys={"user": "friend"})
    labelled.apply([gn.FeatureService("model", features=[BOTH["count_1d"], role["again"]])])
    assert list(labelled.inputs("model").keys) == ["user", "friend"]
    assert list(labelled.inputs("model", online=True).keys) == ["user"]
    labelled.materialize()
    assert ask(labelled, "model", [1]).keys() == {"count_1d"}


def test_a_label_keeps_nothing_online(store):
    store.insert("visits", [visit(1, T)])
    assert store.materialize().rows == 1
    plan = store.apply([visits(gn.label(gn.n_distinct(expr="ms * 2"), "90d"))])
    assert plan.has_changes
    assert plan.rebuild == {}


def test_a_group_of_labels_has_nothing_to_materialize(bare):
    group = gn.FeatureGroup(
        "outcomes",
        entity=USER,
        timestamp="at",
        schema={"ms": pl.Int64},
        features=[gn.label(gn.count(), "1d")],
    )
    bare.apply([group])
    bare.insert(group, [visit(1, T)])
    assert bare.materialize().rows == 0
    assert train(bare, ["outcomes:count_next_1d"], [(1, T - DAY)])["count_next_1d"] == [0]


def test_two_outputs_of_a_service_cannot_share_the_name_that_tells_of_maturity(bare):
    one, two = (
        visits(gn.label(gn.count(), "1d", name="n")),
        gn.FeatureGroup(
            "other", entity=USER, timestamp="at", schema={}, features=[gn.count(name="n_mature")]
        ),
    )
    with pytest.raises(DefinitionError, match="`n_mature` is used twice"):
        bare.apply([gn.FeatureService("s", features=[one["n"], two])])
    bare.apply([one, two])
    with pytest.raises(UsageError, match="`n_mature` is used twice"):
        train(bare, [one["n"], two], [(1, T)])


# -------------------------------------------------------------------------------------------- told in words


def test_a_plan_and_an_explanation_tell_that_it_looks_forward(labelled):
    text = labelled.get_historical_features([{"user": 1, "event_timestamp": T}], LABELS).explain()
    assert "visits@1 (labels), key user" in text
    assert "sum(ms) in [t, t + 1d), by the latest knowledge → Int64" in text


def test_a_labels_value_is_explained_by_its_rows(labelled):
    told = labelled.explain("visits:ms_sum_next_1d", {"user": 1}, T)
    assert told.value == 6
    assert told.counted["value"].to_list() == [2, 4]
    assert told.rows["because"].to_list() == ["before the window", "", "", "after the window"]
    early = labelled.explain("visits:ms_sum_next_1d", {"user": 1}, T + 10 * DAY)
    assert early.value is None
    assert (
        "not mature before 2026-01-21T12:00:00.000000Z: the source is complete up to 2026-01-20" in early.how
    )


def test_the_spine_needs_the_keys_of_labels_too(labelled):
    with pytest.raises(DataError, match="no column `user`, the key of group `visits`"):
        labelled.get_historical_features({"event_timestamp": [T]}, ["visits:again"])


@pytest.mark.parametrize(
    ("t", "until", "mature"),
    [
        (0, 9, False),
        (0, 10, True),
        (0, 11, True),
        (0, None, False),
        (NEVER - 5, NEVER - 1, False),
        (NEVER - 5, NEVER, False),
        (ALWAYS, ALWAYS + 10, True),
        (ALWAYS, ALWAYS + 9, False),
    ],
)
def test_maturity_is_exact_to_the_microsecond_up_to_the_ends_of_time(t, until, mature):
    assert is_mature(np.array([t]), 10, until).tolist() == [mature]
