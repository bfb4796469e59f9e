"""Metrics: what a worker counts, and what all workers together tell Prometheus.

Counting is a few additions in plain lists, since it happens in every request. Each worker writes what it has
counted into a file of its own, once a second; whoever is asked adds up the files of the others and itself. What a
worker counted that has ended stays, as counters must not go back.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

MEDIA = "text/plain; version=0.0.4; charset=utf-8"

BOUNDS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
"""Upper bounds of the buckets of latency, in seconds."""

Labels = tuple[str, ...]


class Latency(msgspec.Struct):
    """Requests of one route and service that ended with one status, by how long they took."""

    buckets: list[int]
    """One more than there are bounds: the last for what took longer."""
    total: float = 0.0
    """Seconds."""


class Counted(msgspec.Struct):
    """All that one worker has counted."""

    latencies: dict[str, Latency] = {}
    """Route, service and status, joined by newlines."""
    counters: dict[str, dict[str, float]] = {}
    """Name of a counter → its labels' values, joined by newlines → its value."""
    gauges: dict[str, dict[str, float]] = {}
    """The same of gauges, which are forgotten with their worker."""


class Told(msgspec.Struct, frozen=True):
    """What a counter or a gauge means."""

    help: str
    labels: tuple[str, ...]


COUNTERS: dict[str, Told] = {
    "gnomon_values": Told("Values answered, by status; of one request in sixteen", ("service", "status")),
    "gnomon_denied": Told("Calls that were denied, by status: 401, 403 or 429", ("status",)),
    "gnomon_errors": Told("Problems told, by type", ("type",)),
    "gnomon_reloads": Told("Revisions of the registry that were taken over, or could not be", ("outcome",)),
}
GAUGES: dict[str, Told] = {
    "gnomon_audit_lost": Told("Entries of the audit log that could not be written", ()),
    "gnomon_in_flight": Told("Requests being answered", ()),
    "gnomon_answers_logged": Told(
        "Rows of the answer log since the workers began: written, dropped since the buffer was full, failed",
        ("outcome",),
    ),
    "gnomon_group_event_time_seconds": Told(
        "The greatest activation that is online, in seconds since 1970: its distance from now is the group's age",
        ("group",),
    ),
    "gnomon_revision": Told(
        "The registry's revision by which questions are answered; the least of all workers", ()
    ),
}
"""Others are added by who counts them, under their own names, before the first is counted."""

_LEAST = {"gnomon_revision", "gnomon_group_event_time_seconds"}
"""Gauges of which the least of all workers is told; of others the sum."""


class Metrics:
    """What one worker counts. Not thread-safe: counted on the event loop."""

    def __init__(self, folder: Path | None = None, *, in_flight: Callable[[], int] = lambda: 0) -> None:
        """`folder`: where the workers of one server leave what they have counted; None: there is one only."""
        self._own = Counted(latencies={}, counters={}, gauges={})
        self._recent: dict[tuple[str, str, int], Latency] = {}
        self._folder = folder
        self._file = None if folder is None else folder / f"{os.getpid()}.json"
        self._in_flight = in_flight
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(self))

    def answered(self, route: str, service: str, status: int, seconds: float) -> None:
        """Count a request."""
        found = self._recent.get((route, service, status))
        if found is None:
            found = Latency([0] * (len(BOUNDS) + 1))
            self._recent[route, service, status] = found
            self._own.latencies["\n".join((route, service, str(status)))] = found
        found.buckets[bisect_left(BOUNDS, seconds)] += 1
        found.total += seconds

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to a counter of `COUNTERS`."""
        values = self._own.counters.setdefault(name, {})
        address = "\n".join(labels)
        values[address] = values.get(address, 0.0) + by

    def set(self, name: str, *labels: str, to: float) -> None:
        """Set a gauge of `GAUGES`."""
        self._own.gauges.setdefault(name, {})["\n".join(labels)] = to

    def publish(self) -> None:
        """Leave what was counted where the other workers find it."""
        if self._file is None:
            return
        self.set("gnomon_in_flight", to=float(self._in_flight()))
        partial = self._file.with_suffix(".new")
        partial.write_bytes(msgspec.json.encode(self._own))
        partial.replace(self._file)

    def close(self) -> None:
        """Publish for the last time: gauges end with the worker."""
        self._own.gauges.clear()
        if self._file is not None:
            self._file.with_suffix(".new").write_bytes(msgspec.json.encode(self._own))
            self._file.with_suffix(".new").replace(self._file)

    def text(self) -> bytes:
        """What all workers have counted, as Prometheus reads it."""
        return generate_latest(self._registry)

    def together(self) -> Counted:
        """The sum over all workers."""
        self.set("gnomon_in_flight", to=float(self._in_flight()))
        whole = Counted(latencies={}, counters={}, gauges={})
        for one in [self._own, *self._others()]:
            _add(whole, one)
        return whole

    def _others(self) -> Iterator[Counted]:
        for file in sorted(self._folder.glob("*.json")) if self._folder is not None else []:
            if file != self._file:
                yield msgspec.json.decode(file.read_bytes(), type=Counted)


def _add(whole: Counted, one: Counted) -> None:
    for address, latency in one.latencies.items():
        into = whole.latencies.setdefault(address, Latency([0] * (len(BOUNDS) + 1)))
        into.buckets = [a + b for a, b in zip(into.buckets, latency.buckets, strict=True)]
        into.total += latency.total
    for name, values in one.counters.items():
        counters = whole.counters.setdefault(name, {})
        for address, value in values.items():
            counters[address] = counters.get(address, 0.0) + value
    for name, values in one.gauges.items():
        gauges = whole.gauges.setdefault(name, {})
        for address, value in values.items():
            if address in gauges and name in _LEAST:
                gauges[address] = min(gauges[address], value)
            else:
                gauges[address] = gauges.get(address, 0.0) + value


class _Collector(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        whole = self._metrics.together()
        latency = HistogramMetricFamily(
            "gnomon_request_seconds", "Requests, by how long they took", labels=("route", "service", "status")
        )
        for address, counted in whole.latencies.items():
            latency.add_metric(address.split("\n"), _cumulated(counted.buckets), counted.total)
        yield latency
        for name, told in COUNTERS.items():
            counter = CounterMetricFamily(name, told.help, labels=told.labels)
            for address, value in whole.counters.get(name, {}).items():
                counter.add_metric(_labels(address), value)
            yield counter
        for name, told in GAUGES.items():
            gauge = GaugeMetricFamily(name, told.help, labels=told.labels)
            for address, value in whole.gauges.get(name, {}).items():
                gauge.add_metric(_labels(address), value)
            yield gauge


def _labels(address: str) -> list[str]:
    return address.split("\n") if address else []


def _cumulated(buckets: list[int]) -> list[tuple[str, float]]:
    """As Prometheus wants them: how many took at most so long."""
    made: list[tuple[str, float]] = []
    so_far = 0
    for bound, number in zip((*map(str, BOUNDS), "+Inf"), buckets, strict=True):
        so_far += number
        made.append((bound, float(so_far)))
    return made
