"""The log of what is retracted, and the markers that readers make of it."""

from __future__ import annotations

import polars as pl
import pytest

import gnomon as gn
from gnomon.flows.retractions import (
    Retractions,
    append_retractions,
    log_name,
    markers_of,
    read_retractions,
    retracted,
)
from gnomon.plan.layout import make_layout
from gnomon.plan.normal import DEAD, ID, RETRACTED, STORED, normalise
from tests.flows.small import USER, VISITS, T

SCHEMA = {"user": pl.Int64, "at": pl.Datetime("us", "UTC"), "id": pl.Int64, "x": pl.Int64}


def group(id_type: pl.DataType) -> gn.FeatureGroup:
    schema = {"id": id_type, "x": pl.Int64()}
    return gn.FeatureGroup(
        "buys", entity=USER, timestamp="at", event_id="id", schema=schema, features=[gn.sum("x")]
    )


def of(dtype: pl.DataType, moments: list[tuple[object, int]]) -> pl.DataFrame:
    return pl.DataFrame(moments, schema={ID: dtype, STORED: pl.Int64}, orient="row")


@pytest.mark.parametrize(
    ("dtype", "ids"),
    [(pl.Int64(), [2**63 - 1, -1]), (pl.String(), ["", "é\0"]), (pl.UInt32(), [4_000_000_000])],
)
def test_ids_of_every_type_come_back(bare, dtype, ids):
    declared = group(dtype)
    layout = make_layout(declared, SCHEMA | {"id": dtype})
    offline = bare._project.offline
    kept = pl.String() if isinstance(dtype, pl.String) else pl.Int64()
    for commits, one in enumerate(ids, 1):
        append_retractions(offline, declared, of(kept, [(one, 5)]), author="ana", after=commits - 2)
        found = read_retractions(offline, declared, layout)
        assert found.commits == commits
    assert found.moments.sort(ID).equals(of(kept, [(one, 5) for one in ids]).sort(ID))


def test_nothing_is_retracted_where_nothing_was_or_rows_have_no_ids(bare):
    declared = group(pl.Int64())
    none = read_retractions(bare._project.offline, declared, make_layout(declared, SCHEMA))
    assert (len(none.moments), none.commits) == (0, 0)
    visits = make_layout(VISITS, {"user": pl.Int64(), "at": pl.Datetime("us"), "ms": pl.Int64()})
    assert read_retractions(bare._project.offline, VISITS, visits).commits == 0


def test_groups_of_one_source_share_a_log_and_cached_groups_have_their_own():
    source = gn.FileSource("shop", path="shop.parquet", timestamp="at", event_id="id")
    one, two = (gn.FeatureGroup(n, entity=USER, source=source, features=[gn.count()]) for n in ("a", "b"))
    assert log_name(one) == log_name(two) == "shop@retracted"
    assert log_name(group(pl.Int64())) == "buys@1@retracted"


def test_a_row_of_each_key_gets_a_marker_for_each_moment():
    layout = make_layout(group(pl.Int64()), SCHEMA)
    rows = [(1, T, 7, 1), (2, T, 7, 2), (2, T, 8, 3)]
    frame = normalise(pl.DataFrame(rows, SCHEMA, orient="row").lazy(), layout).collect()
    log = Retractions(of(pl.Int64(), [(7, 100), (7, 200), (9, 100)]))
    made = markers_of(layout, frame, log)
    assert sorted(made.select("__k0", ID, STORED, DEAD).rows()) == [
        (1, 7, 100, RETRACTED), (1, 7, 200, RETRACTED), (2, 7, 100, RETRACTED), (2, 7, 200, RETRACTED),
    ]  # fmt: skip
    both = retracted(layout, frame, log)
    assert both.head(3).select(frame.columns).equals(frame)
    assert both[DEAD].to_list() == [0] * 3 + [RETRACTED] * 4
    assert retracted(layout, frame, log.of(pl.Series([9]))) is frame
