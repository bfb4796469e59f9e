"""Layouts: what a group reads, keeps and computes; everything that does not fit, told at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import DefinitionError
from gnomon.plan.layout import NONE, castable, make_layout
from gnomon.time import DAY, HOUR, MINUTE

USER = gn.Entity("user", keys={"user": int})
SCHEMA = {
    "user": pl.Int32(), "at": pl.Datetime("us"), "seen": pl.String(), "id": pl.Int64(), "day": pl.Date(),
    "amount": pl.Float64(), "n": pl.UInt8(), "shop": pl.Categorical(), "paid": pl.Boolean(),
    "price": pl.Decimal(10, 2), "tags": pl.List(pl.String()), "moments": pl.List(pl.Datetime("ns")),
    "nothing": pl.Null(),
}  # fmt: skip


def source(**changes):
    return gn.FileSource("s", "a.parquet", **{"timestamp": "at", **changes})


def group(*features, source=None, entity=USER, **changes):
    return gn.FeatureGroup("g", entity=entity, source=source or SOURCE, features=features, **changes)


SOURCE = source()


def problems(*features, schema=None, **changes):
    with pytest.raises(DefinitionError) as caught:
        make_layout(group(*features, **changes), SCHEMA if schema is None else schema)
    return [(p.at.removeprefix("group g."), p.what) for p in caught.value.problems]


# ------------------------------------------------------------------------------------------- what is computed


def test_features_that_read_the_same_share_an_input():
    layout = make_layout(
        group(
            gn.sum("amount", windows=["1h", "1d"]),
            gn.mean("amount", where="paid"),
            gn.max(expr="amount * 2"),
            gn.count(where="paid"),
        ),
        SCHEMA,
    )
    assert [i.text for i in layout.inputs] == ["amount", "(paid)", "(amount * 2)"]
    assert [(o.name, o.input, o.where) for o in layout.outputs] == [
        ("amount_sum_1h", 0, NONE),
        ("amount_sum_1d", 0, NONE),
        ("amount_mean", 0, 1),
        ("max", 2, NONE),
        ("count", NONE, 1),
    ]
    assert [name for name, _ in layout.columns] == ["amount", "paid"]


def test_an_output_tells_everything_its_aggregate_said():
    layout = make_layout(
        group(
            gn.last_k("amount", 3, distinct=True, limit=5, windows=["1h"], offset="1m", default=[1.0]),
            gn.std("amount", ddof=0, include_request=True),
            gn.first("amount", nulls="keep"),
        ),
        SCHEMA,
    )
    last_k, std, first = layout.outputs
    assert (last_k.k, last_k.distinct, last_k.limit, last_k.window, last_k.offset, last_k.default) == (
        3,
        True,
        5,
        HOUR,
        MINUTE,
        [1.0],
    )
    assert (std.ddof, std.include_request, std.window, std.limit) == (0, True, NONE, NONE)
    assert (first.keep_nulls, last_k.keep_nulls) == (True, False)


def test_types_of_results_follow_from_the_columns():
    layout = make_layout(
        group(
            gn.sum("n"),
            gn.sum("price"),
            gn.last("shop"),
            gn.last_k("tags", 2),
            gn.max("n"),
            gn.rate(windows="1h"),
        ),
        SCHEMA,
    )
    assert [str(o.dtype) for o in layout.outputs] == [
        str(d)
        for d in (
            pl.Int64(), pl.Decimal(38, 2), pl.String(), pl.List(pl.List(pl.String)), pl.Int64(), pl.Float64()
        )
    ]  # fmt: skip


def test_a_declared_type_is_that_of_the_feature():
    layout = make_layout(group(gn.Feature("n", pl.UInt8), gn.Feature("amount", float, expr="n")), SCHEMA)
    assert [o.dtype for o in layout.outputs] == [pl.UInt8(), pl.Float64()]
    assert {o.function for o in layout.outputs} == {"column"}
    frame = pl.DataFrame({"n": pl.Series([7, None], dtype=pl.UInt8)})
    values = frame.select(i.evaluate().alias(i.text) for i in layout.inputs)
    assert values.to_dict(as_series=False) == {"n": [7, None], "(n)": [7.0, None]}
    assert values.schema["(n)"] == pl.Float64()


# --------------------------------------------------------------------------------------------- how far back


def test_how_far_back_a_group_looks_is_the_farthest_of_its_features():
    features = [gn.count(windows=["1h", "1d"]), gn.sum("amount", windows=["1h"], offset="2d")]
    assert make_layout(group(*features, settling_delay="1m"), SCHEMA).span == 2 * DAY + HOUR + MINUTE
    assert make_layout(group(*features, gn.count()), SCHEMA).span is None


def test_a_state_group_looks_no_further_back_than_its_delay():
    state = group(gn.Feature("amount", float), max_age="30d", settling_delay="1m")
    assert make_layout(state, SCHEMA).span == MINUTE


# ------------------------------------------------------------------------------------ what stored rows consist of

EVENTS = group(gn.sum("amount", windows=["1h"]))


@pytest.mark.parametrize(
    "other",
    [
        group(gn.sum("amount", windows=["7d"], default=0.0, name="x")),
        group(gn.mean("amount", limit=3), gn.max("amount"), owner="ana", settling_delay="1h"),
        group(gn.sum("amount"), version=2),
    ],
    ids=["window", "function", "version"],
)
def test_rows_stay_as_they_are_when_only_what_is_computed_changes(other):
    assert make_layout(other, SCHEMA).row_digest == make_layout(EVENTS, SCHEMA).row_digest


@pytest.mark.parametrize(
    "changed",
    [
        (group(gn.sum("n")), SCHEMA),
        (group(gn.sum("amount", where="paid")), SCHEMA),
        (group(gn.sum(expr="amount * 2")), SCHEMA),
        (group(gn.sum("amount"), source=source(known_at="seen")), SCHEMA),
        (group(gn.sum("amount"), source=source(event_id="id")), SCHEMA),
        (group(gn.sum("amount"), source=source(lag="1h")), SCHEMA),
        (group(gn.sum("amount"), source=source(timestamp="seen")), SCHEMA),
        (group(gn.sum("amount"), entity=gn.Entity("u", keys={"id": int})), SCHEMA),
        (group(gn.sum("amount")), SCHEMA | {"amount": pl.Float32()}),
        (group(gn.Feature("amount", float)), SCHEMA),
    ],
)
def test_rows_of_other_keys_times_or_inputs_are_others(changed):
    assert make_layout(*changed).row_digest != make_layout(EVENTS, SCHEMA).row_digest


def test_outputs_are_found_by_name():
    layout = make_layout(EVENTS, SCHEMA)
    assert layout.by_name["amount_sum_1h"] is layout.outputs[0]
    assert replace(layout, name="h").ref == "h@1"


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("features", "changes", "want"),
    [
        ([gn.sum("amuont")], {}, [("features[0]", "column `amuont` not found in the source")]),
        (
            [gn.sum("amount"), gn.count(where="pade")],
            {},
            [("features[1].where", "column `pade` of the expression `pade` not found")],
        ),
        (
            [gn.count(where="amount + 1")],
            {},
            [("features[0].where", "the condition `amount + 1` is not true or false")],
        ),
        ([gn.sum("shop")], {}, [("features[0]", "`sum` does not take String (`shop`)")]),
        ([gn.max("tags")], {}, [("features[0]", "`max` does not take List(String) (`tags`)")]),
        ([gn.std("price")], {}, [("features[0]", "`std` does not take Decimal(10, 2) (`price`)")]),
        (
            [gn.last_k("tags", 2, distinct=True)],
            {},
            [("features[0]", "`distinct` does not take List(String)")],
        ),
        (
            [gn.Feature("amount", int)],
            {},
            [("features[0]", "column `amount` is Float64, declared Int64")],
        ),
        (
            [gn.sum("n", default="a lot", name="x")],
            {},
            [("x", "the default 'a lot' of `x` is not of type Int64")],
        ),
        (
            [gn.last("moments")],
            {},
            [
                (
                    "features[0]",
                    "`moments` is List(Datetime(ns)): inside lists and structs, times finer than microseconds "
                    "cannot be kept online",
                )
            ],
        ),
        ([gn.count()], {"source": source(timestamp="att")}, [("timestamp", "time column `att` not found")]),
        ([gn.count()], {"source": source(timestamp="amount")}, [("timestamp", "the time column `amount` is Float64")]),
        ([gn.count()], {"source": source(timestamp="day")}, [("timestamp", "the time column `day` is a date")]),
        ([gn.count()], {"source": source(known_at="n")}, [("known_at", "the known_at column `n` is UInt8")]),
        ([gn.count()], {"source": source(event_id="paid")}, [("event_id", "the event_id column `paid` is Boolean")]),
        (
            [gn.count()],
            {"entity": gn.Entity("shop", keys={"shop": int, "usr": int})},
            [
                ("entity", "key column `shop` is String in the source, Int64 in the entity"),
                ("entity", "key column `usr` not found"),
            ],
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_source_is_told_with_its_place(features, changes, want):
    schema = SCHEMA | {"shop": pl.String()}
    assert problems(*features, schema=schema, **changes) == want


def test_all_problems_are_told_at_once():
    found = problems(
        gn.sum("amuont"),
        gn.count(where="pade"),
        gn.max("tags"),
        source=source(timestamp="day", event_id="i"),
        entity=gn.Entity("e", keys={"usr": int}),
    )
    assert [at for at, _ in found] == [
        "entity", "timestamp", "event_id", "features[0]", "features[1].where", "features[2]"
    ]  # fmt: skip


def test_a_wrong_column_is_offered_the_nearest():
    with pytest.raises(DefinitionError) as caught:
        make_layout(group(gn.sum("amuont")), SCHEMA)
    assert caught.value.hint == "did you mean `amount`?"


@pytest.mark.parametrize("given", [{"lag": "1d"}, {"known_at": "seen"}])
def test_a_date_is_a_time_once_it_is_said_when_it_is_known(given):
    layout = make_layout(group(gn.count(), source=source(timestamp="day", **given)), SCHEMA)
    assert layout.timestamp == "day"


def test_fine_times_in_lists_may_be_kept_offline():
    assert make_layout(group(gn.last("moments"), online=False), SCHEMA).outputs[0].dtype == SCHEMA["moments"]


def test_an_overflowing_default_is_refused():
    found = problems(gn.Feature("n", pl.UInt8, default=300))
    assert found == [("n", "the default 300 of `n` is not of type UInt8")]


def test_defaults_of_the_features_type_are_taken():
    features = [
        gn.Feature("amount", float, default=0),
        gn.Feature("day", date, default=date(2026, 1, 1)),
        gn.Feature("tags", pl.List(str), default=[]),
    ]
    assert len(make_layout(group(*features), SCHEMA).outputs) == 3


@pytest.mark.parametrize(
    ("found", "declared", "want"),
    [
        (pl.Int8(), pl.Int64(), True),
        (pl.Int64(), pl.Float64(), True),
        (pl.Int64(), pl.Decimal(20, 2), True),
        (pl.Int64(), pl.String(), False),
        (pl.Float32(), pl.Float64(), True),
        (pl.Float64(), pl.Float32(), False),
        (pl.Float64(), pl.Int64(), False),
        (pl.Decimal(10, 2), pl.Decimal(38, 4), True),
        (pl.Decimal(10, 2), pl.Decimal(38, 1), False),
        (pl.Decimal(10, 2), pl.Float64(), False),
        (pl.Categorical(), pl.String(), True),
        (pl.String(), pl.Int64(), False),
        (pl.Boolean(), pl.Int64(), False),
        (pl.Datetime("ns"), pl.Datetime("us"), True),
        (pl.Date(), pl.Datetime("us"), True),
        (pl.Datetime("us"), pl.Date(), False),
        (pl.Duration("ms"), pl.Duration("us"), True),
        (pl.List(pl.Int8()), pl.List(pl.Int64()), True),
        (pl.List(pl.Float64()), pl.List(pl.Int64()), False),
        (pl.Null(), pl.List(pl.Int64()), True),
        (pl.Struct({"a": pl.Int64}), pl.Struct({"a": pl.Int64}), True),
    ],
    ids=str,
)
def test_a_column_may_be_declared_wider_but_not_narrower(found, declared, want):
    assert castable(found, declared) is want


# ------------------------------------------------------------------------------- what a source does not tell


def test_what_no_value_tells_is_as_the_definition_declares():
    schema = {"user": pl.Null(), "at": pl.Null(), "amount": pl.Null(), "shop": pl.Int8()}
    declared = {"at": pl.Datetime("us"), "amount": pl.Float64()}
    layout = make_layout(group(gn.sum("amount"), gn.last("shop"), schema=declared), schema)
    assert dict(layout.types) == {
        "user": pl.Int64(), "at": pl.Datetime("us"), "amount": pl.Float64(), "shop": pl.Int8()
    }  # fmt: skip
    state = make_layout(group(gn.Feature("amount", float), schema={"at": str}), schema)
    assert dict(state.types) == {"user": pl.Int64(), "at": pl.String(), "amount": pl.Float64()}


def test_a_source_that_tells_nothing_has_the_columns_that_are_declared():
    layout = make_layout(group(gn.sum("amount"), schema={"at": str, "amount": float}), {})
    assert dict(layout.types) == {"user": pl.Int64(), "at": pl.String(), "amount": pl.Float64()}


def test_what_neither_tells_is_asked_for_once_each():
    asked = [gn.sum("amount"), gn.count(where="n > 1")]
    told = problems(*asked, schema={"user": pl.Int64(), "at": pl.Null(), "amount": pl.Null(), "n": pl.Null()})
    lacks = "is not known: the source has no value in it"
    assert told == [
        ("timestamp", f"the type of the time column `at` {lacks}"),
        ("features[0]", f"the type of the column `amount` {lacks}"),
        ("features[1].where", f"the type of the column `n` {lacks}"),
    ]
    assert [what for _, what in problems(*asked, schema={})] == [
        f"the type of the {what} is not known: the source has no rows"
        for what in ("time column `at`", "column `amount`", "column `n`")
    ]


def test_whole_numbers_are_no_times_and_the_hint_says_why():
    with pytest.raises(DefinitionError) as caught:
        make_layout(group(gn.count()), SCHEMA | {"at": pl.Int64()})
    assert "do not tell their unit" in caught.value.hint
