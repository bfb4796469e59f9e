"""What a service promises, as a file: what is in it, and what changes its hash."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import NotFound, UsageError
from gnomon.flows.contract import read_contract
from tests.flows.small import PLAN, USER, VISITS, visits


@gn.on_demand(
    inputs=[VISITS["count_1h"], gn.Request("scale", pl.Float64)],
    returns={"scaled": pl.Float64, "large": pl.Boolean},
)
def scaled(count_1h, scale):
    return count_1h * scale, count_1h > 3


PAGE = gn.FeatureGroup(
    "page",
    entity=gn.Entity("page", keys={"host": pl.String, "number": pl.Int64}),
    timestamp="at",
    freshness="2h",
    schema={"ms": pl.Float64},
    features=[gn.sum("ms", windows=["1h"], default=0.5, include_request=True)],
)
MODEL = gn.FeatureService(
    "model",
    features=[PLAN, PAGE.renamed("next_", keys={"number": "next_number"})["ms_sum_1h"], scaled],
)


def contract(*definitions: object, service: object = "model") -> gn.flows.contract.Contract:
    with gn.Store() as store:
        store.apply(list(definitions))
        return store.contract(service)


def service(*features: object) -> gn.FeatureService:
    return gn.FeatureService("model", features=list(features))


def test_contract_names_everything_that_a_model_relies_on(store):
    store.apply([MODEL])
    made = store.contract("model")
    assert (made.service, made.revision) == ("model@1", 2)
    told = [(f.full_name, f.of, f.dtype, f.default, f.keys) for f in made.features]
    assert told == [
        ("plan__name", "plan@1:name", "String", None, {}),
        ("next_page__ms_sum_1h", "page@1:ms_sum_1h", "Float64", 0.5, {"number": "next_number"}),
        ("scaled", "scaled@1:scaled", "Float64", None, {}),
        ("large", "scaled@1:large", "Boolean", None, {}),
    ]
    assert [(k.name, k.dtype) for k in made.keys] == [
        ("host", "String"),
        ("next_number", "Int64"),
        ("user", "Int64"),
    ]
    assert [(r.name, r.dtype) for r in made.request] == [("ms", "Float64"), ("scale", "Float64")]
    assert [e.name for e in made.entities] == ["user", "page"]
    assert [(g.name, g.freshness) for g in made.groups] == [
        ("plan@1", None),
        ("page@1", 7_200_000_000),
        ("visits@1", None),
    ]
    assert [f.name for f in made.functions] == ["scaled@1"]
    assert made.functions[0].source_hash == scaled.source_hash


def test_contract_comes_back_from_its_file(store, tmp_path):
    store.apply([MODEL])
    path = tmp_path / "model.json"
    made = store.contract(MODEL)
    path.write_text(made.to_json())
    assert read_contract(path) == made


def test_hash_does_not_change_with_what_changes_no_value():
    """Text, where rows lie, what else there is, and the number of the revision."""
    before = contract(service(PLAN, VISITS))
    noted = gn.FeatureGroup(
        "plan", entity=USER, timestamp="at", max_age="2d", owner="bo", description="What they pay",
        features=[gn.Feature("name", pl.String, description="Its name", tags={"pii": "yes"})],
    )  # fmt: skip
    with gn.Store() as store:
        store.apply([PAGE])
        store.apply([service(noted, VISITS)])
        after = store.contract("model")
    assert after.hash == before.hash
    assert after.revision != before.revision


def test_hash_of_an_expression_does_not_change_with_its_spaces():
    first, second, other = (
        contract(service(visits(gn.sum(expr=expr, name="x"))["x"]))
        for expr in ("ms + 1", " ms\n  +   1", "ms + 2")
    )
    assert first.hash == second.hash != other.hash


def test_spaces_within_text_are_a_part_of_the_expression():
    first, second = (
        contract(service(visits(gn.count(where=f"'{text}' = 'a b'", name="x"))["x"]))
        for text in ("a b", "a  b")
    )
    assert first.hash != second.hash


@pytest.mark.parametrize(
    "changed",
    [
        gn.FeatureGroup(
            "plan", entity=USER, timestamp="at", max_age="3d", features=[gn.Feature("name", pl.String)]
        ),
        gn.FeatureGroup(
            "plan", entity=USER, timestamp="when", max_age="2d", features=[gn.Feature("name", pl.String)]
        ),
        gn.FeatureGroup(
            "plan", entity=USER, timestamp="at", max_age="2d", lag="1s", features=[gn.Feature("name", pl.String)]
        ),
        gn.FeatureGroup(
            "plan", entity=USER, timestamp="at", max_age="2d", settling_delay="1s",
            features=[gn.Feature("name", pl.String)],
        ),
        gn.FeatureGroup(
            "plan", entity=USER, timestamp="at", max_age="2d", freshness="1h", features=[gn.Feature("name", pl.String)]
        ),
        gn.FeatureGroup(
            "plan", entity=USER, timestamp="at", max_age="2d", features=[gn.Feature("name", pl.String, default="-")]
        ),
        gn.FeatureGroup(
            "plan", entity=USER, timestamp="at", max_age="2d", features=[gn.Feature("name", pl.Int64)]
        ),
        gn.FeatureGroup(
            "plan", entity=gn.Entity("user", keys={"user": pl.String}), timestamp="at", max_age="2d",
            features=[gn.Feature("name", pl.String)],
        ),
    ],
    ids=["max_age", "timestamp", "lag", "settling_delay", "freshness", "default", "dtype", "key"],
)  # fmt: skip
def test_hash_changes_with_every_property_that_is_promised(changed):
    assert contract(service(changed)).hash != contract(service(PLAN)).hash


def test_hash_changes_with_the_query_of_a_source_and_not_with_its_place():
    def on(**source):
        given = {"url": "sqlite:///a.db", "query": "SELECT * FROM plan", "timestamp": "at"} | source
        group = gn.FeatureGroup(
            "plan",
            entity=USER,
            source=gn.SQLSource("plans", **given),
            features=[gn.Feature("name", pl.String)],
        )
        with gn.Store() as store:
            store.registry.commit([], _puts(service(group)))
            return store.contract("model").hash

    assert on() == on(url="sqlite:///b.db") != on(query="SELECT * FROM plan WHERE paid")


def test_hash_changes_where_a_group_becomes_the_answers_of_a_service():
    """What a service answers now is something else than the newest row that was kept."""
    features = [gn.Feature("name", pl.String)]
    kept = gn.FeatureGroup("plan", entity=USER, timestamp="asked_at", features=features)
    asked, moved = (
        gn.FeatureGroup("plan", entity=USER, source=gn.ExternalSource("plans", url), features=features)
        for url in ("http://127.0.0.1:1/a", "http://127.0.0.1:1/b")
    )
    assert contract(service(asked)).hash == contract(service(moved)).hash != contract(service(kept)).hash


def _puts(*definitions):
    """Updates that register definitions without looking at their sources."""
    from gnomon.define.collect import collect
    from gnomon.registry.codec import encode
    from gnomon.registry.updates import Put

    columns = {"user": pl.Int64(), "at": pl.Datetime("us", "UTC"), "name": pl.String()}
    return [
        Put(kind, ref, encode(one, columns if kind == "group" else None))
        for kind, ref, one in collect(list(definitions))
    ]


def test_unknown_service_is_named_with_the_nearest(store):
    store.apply([MODEL])
    with pytest.raises(NotFound, match="`modle` not found") as caught:
        store.contract("modle")
    assert caught.value.hint == "did you mean `model`?"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "is no contract"),
        (b"\xff\xfe", "is no contract"),
        (b"[]", "is no contract"),
        (b'{"format": 1}', "missing required field"),
        (b'{"format": 2}', "of format 2, this release reads up to 1"),
    ],
)
def test_file_that_is_no_contract_is_refused_with_what_is_wrong(tmp_path, text, what):
    path = tmp_path / "model.json"
    path.write_bytes(text)
    with pytest.raises(UsageError, match=what):
        read_contract(path)


def test_contract_that_was_edited_is_refused(store, tmp_path):
    path = tmp_path / "model.json"
    store.apply([MODEL])
    made = store.contract("model")
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(made, groups=())))
    with pytest.raises(UsageError, match="says hash") as caught:
        read_contract(path)
    assert caught.value.hint == "a contract is not edited: export it again"


def test_missing_file_and_folder_are_told_apart_from_bad_files(tmp_path):
    with pytest.raises(NotFound, match="there is no file"):
        read_contract(tmp_path / "nowhere.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_contract(tmp_path)
