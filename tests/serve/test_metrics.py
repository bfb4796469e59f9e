"""What workers count is told as one, goes never back, and survives a worker."""

from __future__ import annotations

import pytest

from gnomon.serve.metrics import BOUNDS, Metrics


def read(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Metrics of two workers of one server."""
    monkeypatch.setattr("os.getpid", lambda: 1)
    first = Metrics(tmp_path, in_flight=lambda: 2)
    monkeypatch.setattr("os.getpid", lambda: 2)
    return first, Metrics(tmp_path, in_flight=lambda: 3)


def test_latency_lies_in_buckets_by_route_service_and_status():
    metrics = Metrics()
    for seconds in (BOUNDS[0], BOUNDS[0] * 1.5, 100.0):
        metrics.answered("/v1/x", "model", 200, seconds)
    told = read(metrics)
    of = 'route="/v1/x",service="model",status="200"'
    by = {line: value for line, value in told.items() if of in line}
    assert by[f'gnomon_request_seconds_bucket{{le="0.0001",{of}}}'] == 1
    assert by[f'gnomon_request_seconds_bucket{{le="0.00025",{of}}}'] == 2
    assert by[f'gnomon_request_seconds_bucket{{le="10.0",{of}}}'] == 2
    assert by[f"gnomon_request_seconds_count{{{of}}}"] == 3
    assert by[f"gnomon_request_seconds_sum{{{of}}}"] == pytest.approx(100.00025)


def test_workers_are_told_together(two):
    first, second = two
    for metrics, revision in ((first, 7.0), (second, 8.0)):
        metrics.answered("/v1/x", "model", 200, 0.1)
        metrics.count("gnomon_errors", "urn:gnomon:not-found")
        metrics.set("gnomon_revision", to=revision)
        metrics.publish()
    told = read(first)
    assert told == read(second)
    assert told['gnomon_request_seconds_count{route="/v1/x",service="model",status="200"}'] == 2
    assert told['gnomon_errors_total{type="urn:gnomon:not-found"}'] == 2
    assert told["gnomon_in_flight"] == 5
    assert told["gnomon_revision"] == 7


def test_what_a_worker_counted_stays_when_it_ends_but_not_how_it_was(two):
    first, second = two
    first.count("gnomon_errors", "urn:gnomon:not-found")
    first.close()
    told = read(second)
    assert told['gnomon_errors_total{type="urn:gnomon:not-found"}'] == 1
    assert told["gnomon_in_flight"] == 3
