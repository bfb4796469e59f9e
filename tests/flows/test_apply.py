"""Definitions become one revision, or are refused with everything that is wrong."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import BreakingChange, Conflict, DefinitionError
from gnomon.events import Applied, Step, listening
from gnomon.registry.diff import requirements_of, updates_of
from tests.flows.small import PLAN, USER, VISITS, T, visits

WIDER = visits(gn.max("ms", windows=["1h"]))
NARROWER = gn.FeatureGroup(
    "visits", entity=USER, timestamp="at", schema={"ms": pl.Int64}, features=VISITS.features[:1]
)


def ratio(ms_sum_1d: pl.Series) -> pl.Series:
    return ms_sum_1d / ms_sum_1d.mean()


def test_applying_makes_one_revision_with_author_time_and_message(bare, clock):
    plan = bare.apply([VISITS, PLAN], message="begin")
    (revision,) = bare.registry.history()
    assert (revision.number, revision.author, revision.time, revision.message) == (1, "ana", clock(), "begin")
    assert (plan.base, plan.revision, plan.snapshot.revision) == (0, 1, 1)


def test_applying_the_same_again_makes_no_revision_and_says_so(store):
    plan = store.apply([VISITS, PLAN])
    assert (plan.has_changes, plan.revision, len(store.registry.history())) == (False, 1, 1)


def test_a_plan_changes_nothing(bare):
    plan = bare.plan([VISITS])
    assert plan.has_changes
    assert plan.revision is None
    assert bare.registry.history() == ()
    assert "compared with revision 0" in str(plan)


def test_what_is_not_in_the_definitions_is_kept_unless_pruned(store):
    store.apply([VISITS])
    assert store.registry.snapshot().refs("group") == ("plan@1", "visits@1")
    store.apply([VISITS], prune=True)
    assert store.registry.snapshot().refs("group") == ("visits@1",)


def test_a_breaking_change_is_refused_with_the_hint_and_planned_as_not_ok(store):
    plan = store.plan([NARROWER])
    assert not plan.ok
    with pytest.raises(BreakingChange, match="ms_sum_1d") as caught:
        store.apply([NARROWER])
    assert "version" in caught.value.problems[0].hint
    assert len(store.registry.history()) == 1


def test_a_plan_tells_which_groups_must_be_filled_again(store):
    more = visits(gn.max(expr="ms * 2", windows=["1h"], name="twice"))
    assert list(store.plan([more]).rebuild) == ["visits@1"]
    assert store.plan([VISITS]).rebuild == {}


def test_all_problems_of_all_definitions_are_told_at_once_with_their_places(bare, data):
    pl.DataFrame({"user": ["a"], "at": [T]}).write_parquet(data / "text.parquet")
    missing = gn.FileSource("missing", "none.parquet", timestamp="at")
    text = gn.FileSource("text", "text.parquet", timestamp="at")
    groups = [
        gn.FeatureGroup("one", entity=USER, source=missing, features=[gn.count()]),
        gn.FeatureGroup("two", entity=USER, source=text, features=[gn.sum("nothing")]),
    ]
    with pytest.raises(DefinitionError) as caught:
        bare.apply(groups)
    told = [(p.at.split(":")[0].split(".")[0], p.what) for p in caught.value.problems]
    assert {place for place, _ in told} == {"group one", "group two"}
    assert any("nothing to read at `none.parquet`" in what for _, what in told)
    assert any("`nothing` not found" in what for _, what in told)
    assert any("key column `user` is String" in what for _, what in told)
    assert bare.registry.history() == ()


def test_a_function_that_looks_at_other_rows_is_refused(bare):
    function = gn.on_demand(inputs=[VISITS["ms_sum_1d"]], returns={"ratio": pl.Float64})(ratio)
    with pytest.raises(DefinitionError, match="for all rows at once"):
        bare.apply([VISITS, function])


def test_two_outputs_of_one_name_in_a_service_name_both(bare):
    other = gn.FeatureGroup("other", entity=USER, timestamp="at", features=[gn.count(windows=["1h"])])
    service = gn.FeatureService("both", features=[VISITS, other])
    with pytest.raises(
        DefinitionError, match="`count_1h` is used twice: by `visits@1:count_1h` and by `other@1"
    ):
        bare.apply([service])


def test_steps_of_an_apply_are_told(bare):
    steps: list[str] = []
    revisions: list[Applied] = []

    def listen(event: object) -> None:
        if isinstance(event, Step):
            steps.append(event.step)
        elif isinstance(event, Applied):
            revisions.append(event)

    with listening(listen):
        bare.apply([VISITS])
        bare.apply([VISITS])
        bare.apply([VISITS], prune=True)
    assert steps == ["plan", "commit", "plan", "plan", "forget"]
    assert revisions == [Applied(1, 2)]


def test_who_planned_on_an_older_revision_conflicts_with_who_was_faster(tmp_path, clock):
    (tmp_path / "gnomon.toml").write_text("[project]\n")
    owned = gn.FeatureGroup(
        "visits", entity=USER, timestamp="at", schema={"ms": pl.Int64}, features=VISITS.features, owner="bo"
    )
    with (
        gn.Store(tmp_path, author="ana", clock=clock) as ana,
        gn.Store(tmp_path, author="bo", clock=clock) as bo,
    ):
        ana.apply([VISITS])
        stale = bo.plan([owned])
        ana.apply([WIDER])
        with pytest.raises(Conflict, match="ana"):
            bo.registry.commit(requirements_of(stale.snapshot, stale.changes), updates_of(stale.changes))


def test_a_plan_can_be_told_to_machines(store):
    told = store.plan([WIDER]).to_dict()
    assert (told["base"], told["revision"], told["ok"]) == (1, None, True)
    assert {change["action"] for change in told["changes"]} >= {"change"}
