"""From which t on a table answers, and what it says before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

import gnomon as gn
from gnomon.errors import HorizonError
from gnomon.flows.compiled import Compiled, Ready, compile_request, safe_t, unanswerable
from gnomon.flows.online import EPOCH
from gnomon.flows.question import instants
from gnomon.time import ALWAYS, DAY, HOUR, NEVER, instant
from tests.flows.small import HOUR as AN_HOUR
from tests.flows.small import VISITS, T, plan, visit

NOW = instant(T)


def compiled(store: gn.Store, *features: str) -> Compiled:
    return compile_request(store._project, store._request(list(features)), False)


def with_table(ready: Ready, **changes: Any) -> Ready:
    """The same job over a table of which other things are true."""
    table = msgspec.structs.replace(ready.table, **changes)
    safe = [safe_t(ready.job, table, output) for output in ready.job.outputs]
    return replace(ready, table=table, safe_t=max(safe))


@pytest.fixture
def ready(store: gn.Store) -> Ready:
    """`count_1h`, `count_1d` and `ms_sum_1d` over a table that holds everything."""
    store.insert(VISITS, [visit(1, T - AN_HOUR)])
    store.materialize()
    made = compiled(store, "visits:count_1h", "visits:count_1d", "visits:ms_sum_1d").ready[0]
    return with_table(made, horizon=ALWAYS)


@pytest.fixture
def state(store: gn.Store) -> Ready:
    """`plan:name`, of rows at most two days old, over a table that holds everything."""
    store.insert("plan", [plan(1, T - AN_HOUR, "free")])
    store.materialize()
    return with_table(compiled(store, "plan:name").ready[0], horizon=ALWAYS)


def refused(ready: Ready, *times: int) -> dict[int, list[bool]]:
    found = unanswerable(ready, instants(list(times), len(times), lambda: NOW))
    return {i: flags.tolist() for i, flags in found.items()}


def test_a_table_that_holds_everything_answers_any_t(ready, state):
    assert (ready.safe_t, state.safe_t) == (ALWAYS, ALWAYS)
    assert refused(ready, ALWAYS + 1) == {}


def test_a_window_must_begin_at_the_horizon_or_later(ready):
    cut = with_table(ready, horizon=NOW)
    assert cut.safe_t == NOW + DAY
    assert refused(cut, NOW + DAY) == {}
    with pytest.raises(HorizonError, match="`count_1d` can be answered from 2026-01-11T12:00:00"):
        unanswerable(cut, instants([NOW + DAY - 1], 1, lambda: NOW))
    with pytest.raises(HorizonError, match="`count_1h` can be answered from 2026-01-10T13:00:00"):
        unanswerable(cut, instants([NOW + HOUR - 1], 1, lambda: NOW))


def test_a_state_group_answers_from_the_horizon_on(state):
    cut = with_table(state, horizon=NOW)
    assert cut.safe_t == NOW
    with pytest.raises(HorizonError, match="rows are kept back to 2026-01-10T12:00:00"):
        unanswerable(cut, instants([NOW - 1], 1, lambda: NOW))


def test_a_window_that_begins_before_the_start_is_not_ready_for_that_question_alone(ready):
    late = with_table(ready, start=NOW)
    assert refused(late, NOW + DAY, NOW + HOUR, NOW) == {
        0: [False, False, True],
        1: [False, True, True],
        2: [False, True, True],
    }


def test_a_state_group_that_starts_late_is_ready_from_there_on(state):
    late = with_table(state, start=NOW)
    assert refused(late, NOW - 1, NOW) == {0: [True, False]}
    cut = with_table(state, start=NOW - HOUR, horizon=NOW)
    assert cut.safe_t == NOW


def test_a_feature_that_looks_farther_than_the_table_was_kept_for_is_not_ready(ready):
    cut = with_table(ready, horizon=NOW, span=HOUR)
    assert refused(cut, NOW + HOUR) == {1: [True], 2: [True]}


def test_a_settling_delay_moves_the_first_answer_on(ready, state):
    for made in (ready, state):
        layout = replace(made.job.layout, settling_delay=HOUR)
        delayed = replace(made, job=replace(made.job, layout=layout))
        assert with_table(delayed, horizon=NOW, span=9 * DAY).safe_t == (
            with_table(made, horizon=NOW).safe_t + HOUR
        )


def test_an_input_that_the_table_lacks_is_not_ready_at_any_t(ready):
    assert refused(replace(ready, asked=(0, 1)), NOW, NOW) == {2: [True, True]}


def test_a_group_that_was_never_filled_is_not_ready(store):
    made = compiled(store, "visits:count_1h", "plan:name")
    assert [ready.safe_t for ready in made.ready] == [NEVER, NEVER]
    assert refused(made.ready[0], NOW) == {0: [True]}


def test_lanes_are_found_by_name_wherever_the_table_has_them(store):
    store.insert(VISITS, [visit(1, T - AN_HOUR, 5)])
    store.materialize()
    earlier = gn.FeatureGroup(
        "visits", entity=VISITS.entities, timestamp="at", schema=VISITS.schema,
        features=[gn.max(expr="ms + 1", name="more"), *VISITS.features],
    )  # fmt: skip
    store.apply([earlier])
    found = store.get_online_features(["visits:more", "visits:ms_sum_1d"], [{"user": 1}])
    assert (found.to_dict(), found.statuses) == (
        {"more": [None], "ms_sum_1d": [5]},
        [["NOT_READY", "PRESENT"]],
    )


def test_a_compiled_request_knows_the_epoch_of_what_it_read(store):
    assert compiled(store, "plan:name").epoch == store._project.online.get_meta(EPOCH)
    store.materialize()
    assert compiled(store, "plan:name").epoch == store._project.online.get_meta(EPOCH)


def test_columns_come_from_jobs_and_functions_in_the_order_asked(store):
    made = compiled(store, "plan:name", "visits:count_1d", "visits:count_1h")
    assert made.places == ((0, 0), (1, 0), (1, 1))
    assert made.keys == {"user"}
    assert not made.direct
    assert compiled(store, "visits:count_1d", "visits:count_1h").direct
    assert np.array_equal(made.straight, [0, 1, 2])
