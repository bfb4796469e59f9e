"""Causes: a fault in either path turns a verification red, and is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import gnomon as gn
from gnomon.engines import part
from gnomon.online import writer
from tests.flows.proof.shop import LOGGING, fill, kinds, online_values, put_online, serve
from tests.flows.small import HOUR, MINUTE, USER, Clock, T, visit, write
from tests.flows.test_held import LIMIT, ORDERS, limit, order


def test_an_altered_online_value_is_found(shop: gn.Store, clock: Clock) -> None:
    fill(shop, clock)
    other = gn.Store(clock=clock)
    other.apply([LIMIT])
    other.insert("limit", [limit(1, T - HOUR, np.nextafter(5.0, 6.0))])
    other.materialize()
    altered = online_values(other, "limit")
    assert altered != online_values(shop, "limit")
    put_online(shop, "limit", altered)
    serve(shop)
    report = shop.verify("shop")
    assert (report.mismatches, kinds(report)) == (1, ["value"])
    (example,) = report.examples
    assert (example.feature, example.key, example.served, example.computed) == (
        "limit",
        {"user": 1},
        float(np.nextafter(5.0, 6.0)),
        5.0,
    )
    assert "online since 2026-01-10T12:00:00" in example.why
    other.close()


def test_an_altered_kernel_result_is_found(
    shop: gn.Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bit of one sum, on the path of training."""
    fill(shop, clock)
    serve(shop)
    honest = part.column

    def altered(output: Any, *rest: Any) -> pl.Series:
        made = honest(output, *rest)
        if output.function != "sum":
            return made
        return pl.Series(made.name, [None if v is None else float(np.nextafter(v, 9e9)) for v in made])

    monkeypatch.setattr(part, "column", altered)
    report = shop.verify("shop")
    assert report.feature("amount_sum_1d").mismatches == 2
    assert report.feature("share").mismatches == 2
    assert report.feature("count_1d").mismatches == 0
    assert not report.ok


def test_a_lost_write_is_found_and_named(
    shop: gn.Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop, clock)
    shop.insert("orders", [order(9, 1, T - MINUTE, 50.0)])
    before = online_values(shop, "orders")
    shop.materialize()
    put_online(shop, "orders", before)
    clock.now += MINUTE
    assert serve(shop)["count_1d"] == [2, 1, 0]
    report = shop.verify("shop")
    assert not report.ok
    assert kinds(report) == ["lost write"]
    assert "the write of 1 row" in report.examples[0].why
    assert "left version 2 of the key" in report.examples[0].why


def test_a_list_that_was_served_otherwise_is_told_as_a_list(shop: gn.Store, clock: Clock) -> None:
    newest = gn.FeatureService("newest", features=[ORDERS["amount_last_k_1d"]])
    shop.apply([newest])
    fill(shop, clock)
    shop.insert("orders", [order(9, 1, T - MINUTE, 50.0)])
    before = online_values(shop, "orders")
    shop.materialize()
    put_online(shop, "orders", before)
    clock.now += MINUTE
    shop.get_online_features("newest", [{"user": 1}])
    (example,) = shop.verify("newest").examples
    assert (example.served, example.computed) == ([2.0, 1.5], [50.0, 2.0])


def test_a_write_past_the_journal_is_found_and_named(
    shop: gn.Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop, clock)
    serve(shop)
    shop.insert("orders", [order(9, 1, T - MINUTE, 50.0)])
    journal = type(shop._project.journal)
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_note", lambda self, entry: None)
        patch.setattr(journal, "_finish", lambda self, entry: None)
        shop.materialize()
    serve(shop)
    report = shop.verify("shop")
    assert kinds(report) == ["unknown write"]


def test_a_killed_writer_reached_some_keys(
    shop: gn.Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two keys of one write one was written; the answers between this and the next run tell which."""
    fill(shop, clock)
    shop.insert("orders", [order(8, 1, T - MINUTE, 8.0), order(9, 2, T - MINUTE, 9.0)])
    honest = writer.update

    def half(store: Any, target: Any, keys: Any, rows: Any, *rest: Any, **options: Any) -> Any:
        honest(store, target, keys[:1], writer.select_keys(rows, [0]), *rest, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writer, "update", half)
        with pytest.raises(KeyboardInterrupt):
            shop.materialize()
    assert serve(shop)["count_1d"] == [3, 1, 0]
    clock.now += MINUTE
    assert serve(shop)["count_1d"] == [3, 1, 0]
    shop.materialize()
    assert serve(shop)["count_1d"] == [3, 2, 0]
    report = shop.verify("shop")
    assert report.ok, str(report)


def test_a_file_that_was_rewritten_is_named(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "gnomon.toml").write_text(LOGGING)
    write(tmp_path, "clicks.parquet", [visit(1, T - HOUR), visit(1, T - 2 * HOUR)])
    source = gn.FileSource("clicks", path="clicks.parquet", timestamp="at")
    group = gn.FeatureGroup("clicks", entity=USER, source=source, features=[gn.count(windows=["1d"])])
    with gn.Store(tmp_path, clock=clock) as store:
        store.apply([group, gn.FeatureService("web", features=[group])])
        store.materialize()
        clock.now += MINUTE
        store.get_online_features("web", [{"user": 1}])
        write(tmp_path, "clicks.parquet", [visit(1, T - HOUR)])
        report = store.verify("web")
    assert kinds(report) == ["source rewritten"]
    assert "clicks.parquet` of group `clicks@1` was rewritten" in report.examples[0].why
