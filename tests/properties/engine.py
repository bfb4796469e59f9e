"""The local engine asked directly, without a store: fast enough for thousands of random cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from gnomon.engines.part import Spine, answer
from gnomon.flows.labels import look_forward
from gnomon.plan.layout import Layout, make_layout
from gnomon.plan.normal import PART, key, lane, normalise
from gnomon.testing.strategies import Case
from gnomon.time import NEVER, instant


def trained(case: Case, as_of: Any = "known") -> list[dict[str, Any]]:
    """The training set as the local engine computes it: one dict a spine row."""
    layout = make_layout(case.group, case.schema)
    found = answer(layout, layout.outputs, _frame(case, layout), _spine(case, layout), as_of)
    return pl.DataFrame(found.columns).to_dicts() if found.columns else []


def _table(rows: Sequence[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{c: row.get(c) for c in schema} for row in rows], schema=schema)


def _frame(case: Case, layout: Layout) -> pl.DataFrame:
    schema = {**case.schema, PART: pl.String()}
    rows = [{**row, PART: f"{i}"} for i, batch in enumerate(case.batches) for row in batch]
    return normalise(_table(rows, schema).lazy(), layout, with_content=True, keep=[PART]).collect()


def _spine(case: Case, layout: Layout) -> Spine:
    asked = _table(case.spine, case.schema)
    keys = asked.select(pl.col(name).cast(dtype).alias(key(i)) for i, (name, dtype) in enumerate(layout.keys))
    own = {i for o in layout.outputs if o.include_request for i in o.inputs}
    request = asked.select(layout.inputs[i].evaluate().alias(lane(i)) for i in sorted(own))
    t = np.array([instant(row["event_timestamp"]) for row in case.spine], np.int64)
    return Spine(keys, t, request)


def foretold(case: Case, now: int) -> list[dict[str, Any]]:
    """The labels' values by the rows known at `now`, mature or not: one dict a spine row."""
    layout = make_layout(case.group, case.schema).labels
    assert layout is not None
    asked = _spine(case, layout)
    return look_forward(
        layout, layout.outputs, _frame(case, layout), asked.keys, asked.t, now, NEVER
    ).to_dicts()
