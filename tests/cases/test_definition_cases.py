"""Cases of definitions, plans and the registry; numbers are those of the cases' list."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import BreakingChange, Conflict, DefinitionError, GnomonError, NotFound

USER = gn.Entity("user", keys={"user": pl.Int64})
SHOP = gn.Entity("shop", keys={"shop": pl.String})


def spent(**options: Any) -> gn.FeatureGroup:
    given: dict[str, Any] = {
        "entity": USER,
        "timestamp": "at",
        "schema": {"x": pl.Float64, "b": pl.Boolean},
        "features": [gn.sum("x", windows=["1h"]), gn.count(windows=["1h"], where="b", name="good")],
    }
    return gn.FeatureGroup("spent", **(given | options))


def aged(**options: Any) -> gn.FeatureGroup:
    given: dict[str, Any] = {"entity": USER, "timestamp": "at", "features": [gn.Feature("v", pl.Int64)]}
    return gn.FeatureGroup("aged", **(given | options))


@pytest.fixture
def store() -> Iterator[gn.Store]:
    with gn.Store() as made:
        yield made


# --- C, D: what cannot be defined --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: gn.last_k("x", k=0),
        lambda: gn.first_k("x", k=-1),
        lambda: gn.sum("x", windows="0s"),
        lambda: gn.sum("x", windows="-1h"),
        lambda: gn.sum("x", windows="1mo"),
        gn.rate,
        gn.sum,
        lambda: gn.sum("x", expr="x + 1"),
        lambda: gn.sum("x", limit=0),
        lambda: gn.sum("x", offset="-1s"),
        lambda: gn.sum("x", offset="1s", include_request=True),
        lambda: gn.var("x", ddof=2),
        lambda: spent(features=[gn.sum("x", include_request=True)], settling_delay="1s"),
        lambda: spent(features=[gn.count(), gn.Feature("v", pl.Int64)]),
        lambda: spent(max_age="1h"),
        lambda: gn.Entity("price", keys={"price": pl.Float64}),
    ],
)
def test_28_what_has_no_meaning_is_refused_when_defined(make: Any) -> None:
    with pytest.raises(DefinitionError):
        make()


@pytest.mark.parametrize("function", ["var", "std", "median"])
def test_34_what_decimals_have_no_exact_rule_for_is_refused(store: gn.Store, function: str) -> None:
    group = spent(schema={"x": pl.Decimal(10, 2)}, features=[getattr(gn, function)("x")])
    with pytest.raises(DefinitionError, match=function):
        store.apply([group])


# --- G: plans and revisions --------------------------------------------------------------------------------


def changed(plan: Any) -> list[Any]:
    return [change for change in plan.changes if change.action != "none"]


def test_60_applying_twice_changes_nothing(store: gn.Store) -> None:
    first = store.apply([spent(), aged()])
    again = store.apply([spent(), aged()])
    assert changed(first)
    assert not changed(again)
    assert again.revision == first.revision


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ({"owner": "ana"}, {"owner": "bo"}, ("owner", "ana", "bo")),
        ({"description": "text"}, {}, ("description", "text", "")),
        ({"tags": {"a": "1"}}, {"tags": {"a": "2"}}, ("tags", "1", "2")),
    ],
)
def test_60_the_plan_shows_exactly_the_property_that_changed(
    store: gn.Store, before: dict[str, Any], after: dict[str, Any], shown: tuple[str, str, str]
) -> None:
    store.apply([aged(**before)])
    plan = store.plan([aged(**after)])
    assert len(changed(plan)) == 1
    text = str(plan)
    assert all(part in text for part in shown)
    assert not plan.breaking


@pytest.mark.parametrize(
    ("before", "after"),
    [({"max_age": "1h"}, {"max_age": None}), ({"max_age": "1h"}, {"max_age": 0}), ({}, {"max_age": "1h"})],
)
def test_60_setting_to_none_or_zero_is_a_change(
    store: gn.Store, before: dict[str, Any], after: dict[str, Any]
) -> None:
    store.apply([aged(**before)])
    plan = store.plan([aged(**after)])
    assert len(changed(plan)) == 1
    assert "max_age" in str(plan)


def test_61_applies_of_different_objects_at_once_both_survive(tmp_path: Path) -> None:
    project(tmp_path)
    failures = together(tmp_path, [[spent()], [aged()]])
    assert failures == [None, None]
    with gn.Store(tmp_path) as made:
        assert {g.name for g in made.registry.list("group")} == {"spent", "aged"}


def test_61_applies_of_one_object_at_once_succeed_one_after_the_other_or_conflict(tmp_path: Path) -> None:
    project(tmp_path)
    failures = together(tmp_path, [[aged(owner=name)] for name in ("a", "b", "c", "d")])
    assert None in failures
    for failure in failures:
        if failure is not None:
            assert isinstance(failure, Conflict)
            assert re.search(r"`aged@1` changed in revision \d+ by author\d", str(failure))
    with gn.Store(tmp_path) as made:
        winners = {made.registry.at(r.number).group("aged").owner for r in made.registry.history()}
        assert len(winners) == failures.count(None)


def project(folder: Path) -> None:
    (folder / "gnomon.toml").write_text("")


def together(folder: Path, definitions: list[list[Any]]) -> list[BaseException | None]:
    """Apply from several stores at one moment; what each raised."""
    start = threading.Barrier(len(definitions))
    raised: list[BaseException | None] = [None] * len(definitions)

    def work(i: int) -> None:
        with gn.Store(folder, author=f"author{i}") as made:
            start.wait()
            try:
                made.apply(definitions[i])
            except GnomonError as error:
                raised[i] = error

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(definitions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_62_the_past_can_be_read_and_brought_back_as_a_new_revision(store: gn.Store) -> None:
    first = store.apply([aged(owner="ana")]).revision
    second = store.apply([aged(owner="bo")]).revision
    assert store.registry.at(first).group("aged").owner == "ana"
    store.registry.revert(first)
    assert store.registry.get("group", "aged").owner == "ana"
    assert store.registry.snapshot().revision == second + 1
    assert store.registry.at(second).group("aged").owner == "bo"
    assert sorted(r.number for r in store.registry.history()) == [1, 2, 3]


@pytest.mark.parametrize(
    "later",
    [
        spent(features=[gn.sum("x", windows=["2h"]), gn.count(windows=["1h"], where="b", name="good")]),
        spent(features=[gn.sum("x", windows=["1h"])]),
        spent(features=[gn.sum("x", windows=["1h"]), gn.count(windows=["1h"], where="NOT b", name="good")]),
        spent(
            features=[
                gn.mean("x", windows=["1h"], name="x_sum"),
                gn.count(windows=["1h"], where="b", name="good"),
            ]
        ),
        spent(entity=SHOP),
        spent(schema={"x": pl.Int64, "b": pl.Boolean}),
        spent(settling_delay="5s"),
        spent(lag="5s"),
        spent(event_id="x", schema={"x": pl.Int64, "b": pl.Boolean}),
    ],
    ids="window removed condition function key type delay lag id".split(),
)
def test_63_a_name_keeps_its_meaning_under_one_version(store: gn.Store, later: gn.FeatureGroup) -> None:
    store.apply([spent()])
    assert store.plan([later]).breaking
    with pytest.raises(BreakingChange, match="version"):
        store.apply([later])
    assert store.registry.get("group", "spent") == spent()


def test_63_another_version_may_mean_something_else(store: gn.Store) -> None:
    store.apply([spent()])
    later = spent(version=2, features=[gn.sum("x", windows=["2h"])])
    store.apply([later])
    assert store.registry.get("group", "spent") == later
    assert store.registry.snapshot().group("spent", 1) == spent()


@pytest.mark.parametrize(
    "later",
    [
        spent(
            features=[
                gn.sum("x", windows=["1h", "2h"]),
                gn.count(windows=["1h"], where="b", name="good"),
                gn.max("x"),
            ]
        ),
        spent(description="text", owner="ana", tags={"a": "b"}),
    ],
    ids=["new features", "text"],
)
def test_63_new_features_and_text_are_fine(store: gn.Store, later: gn.FeatureGroup) -> None:
    store.apply([spent()])
    assert not store.plan([later]).breaking
    store.apply([later])
    assert store.registry.get("group", "spent") == later


def test_64_all_that_is_wrong_is_told_at_once(store: gn.Store, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"user": [1], "at": ["2026-01-01"], "v": ["text"]}).write_parquet(path)
    here = gn.FileSource("here", str(path), timestamp="at")
    nowhere = gn.FileSource("nowhere", str(tmp_path / "row.parquet"), timestamp="at")
    groups = [
        gn.FeatureGroup("one", entity=USER, source=nowhere, features=[gn.count()]),
        gn.FeatureGroup("two", entity=USER, source=here, features=[gn.Feature("w", pl.Int64)]),
        gn.FeatureGroup("three", entity=USER, source=here, features=[gn.Feature("v", pl.Int64)]),
        gn.FeatureGroup("four", entity=SHOP, source=here, features=[gn.count()]),
        gn.FeatureGroup("five", entity=USER, source=here, features=[gn.sum("v")]),
    ]
    with pytest.raises(DefinitionError) as raised:
        store.plan(groups)
    told = [str(problem) for problem in raised.value.problems]
    for group, what in zip(groups, ["row.parquet", "`w`", "`v`", "`shop`", "sum"], strict=True):
        assert any(group.name in text and what in text for text in told), (group.name, told)
    assert store.registry.snapshot().revision == 0


@pytest.mark.parametrize("name", ["user", "at"])
def test_64_a_feature_cannot_have_the_name_of_a_key_or_time_column(name: str) -> None:
    with pytest.raises(DefinitionError, match=f"`{name}`"):
        aged(features=[gn.Feature(name, pl.Int64)])


def test_64_two_outputs_of_one_name_in_a_service_name_both_groups(store: gn.Store) -> None:
    other = gn.FeatureGroup("other", entity=USER, timestamp="at", features=[gn.Feature("v", pl.Int64)])
    service = gn.FeatureService("both", features=[aged(), other])
    with pytest.raises(DefinitionError, match="`v`") as raised:
        store.plan([service])
    assert "aged" in str(raised.value)
    assert "other" in str(raised.value)


@pytest.mark.parametrize(
    ("ask", "near"),
    [
        (lambda s: s.get_online_features(["spent:x_sum_1"], [{"user": 1}]), "x_sum_1h"),
        (lambda s: s.get_online_features(["spend:x_sum_1h"], [{"user": 1}]), "spent"),
        (lambda s: s.get_online_features("modle", [{"user": 1}]), "model"),
        (lambda s: s.registry.get("group", "spend"), "spent"),
        (lambda s: s.insert("spend", {}), "spent"),
        (lambda s: spent()["x_sum_2h"], "x_sum_1h"),
    ],
)
def test_65_a_typo_is_answered_with_the_nearest_name(store: gn.Store, ask: Any, near: str) -> None:
    store.apply([gn.FeatureService("model", features=[spent()])])
    with pytest.raises(NotFound, match=f"did you mean `{near}`"):
        ask(store)
