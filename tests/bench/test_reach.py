"""A reach is met at its bound, missed beyond it, and unknown where nothing was measured."""

from __future__ import annotations

import pytest

from bench.harness import Outcome, SideOutcome
from bench.reach import (
    Latency,
    MemoryUnder,
    PerSecond,
    Reach,
    SameBits,
    Tail,
    TimesFaster,
    TimesSlower,
    Within,
)


def outcome(*peers: float, sample: tuple[int, int] | None = None, peak: float = 0, **ours: float) -> Outcome:
    """Ours with these figures, peers with these seconds, `a` first."""
    sides = [SideOutcome(name, turns=[{"seconds": s}]) for name, s in zip("abc", peers, strict=False)]
    mine = SideOutcome("ours", turns=[ours] if ours else [], peak_bytes=int(peak), sample=sample)
    return Outcome("w", "w", {"users": 600}, mine, sides)


@pytest.mark.parametrize(
    ("reach", "measured", "met"),
    [
        (TimesFaster(1.5), outcome(3.0, 9.0, seconds=2.0), True),
        (TimesFaster(1.6), outcome(3.0, 9.0, seconds=2.0), False),
        (TimesFaster(4, than="b"), outcome(3.0, 9.0, seconds=2.0), True),
        (TimesFaster(1), outcome(seconds=2.0), None),
        (TimesSlower(2), outcome(1.0, seconds=2.0), True),
        (TimesSlower(1.9), outcome(1.0, seconds=2.0), False),
        (Within(6), outcome(seconds=6.0), True),
        (Within(6), outcome(seconds=6.1), False),
        (Within(6), outcome(), None),
        (MemoryUnder(2), outcome(seconds=1.0, peak=2e9), True),
        (MemoryUnder(2), outcome(seconds=1.0, peak=2.1e9), False),
        (PerSecond(300, "users"), outcome(seconds=2.0), True),
        (PerSecond(301, "users"), outcome(seconds=2.0), False),
        (Latency(15, tail=4), outcome(p50_us=15.0, p99_us=60.0), True),
        (Latency(15, tail=4), outcome(p50_us=15.0, p99_us=61.0), False),
        (Latency(15, tail=4), outcome(p50_us=16.0, p99_us=17.0), False),
        (Latency(15), outcome(p50_us=15.0, p99_us=900.0), True),
        (Tail(1_000), outcome(p50_us=15.0, p99_us=1000.0), True),
        (Tail(1_000), outcome(p50_us=15.0, p99_us=1001.0), False),
        (SameBits(), outcome(seconds=1.0, sample=(100, 0)), True),
        (SameBits(), outcome(seconds=1.0, sample=(100, 1)), False),
        (SameBits(), outcome(seconds=1.0), None),
    ],
)
def test_verdicts(reach: Reach, measured: Outcome, met: bool | None) -> None:
    assert reach.judge(measured).met is met


def test_verdicts_say_what_was_to_be_reached() -> None:
    measured = outcome(3.0, seconds=2.0, sample=(100, 3))
    reaches = (TimesFaster(1), TimesFaster(1.3, than="a"), PerSecond(300_000, "users"), SameBits())
    assert [reach.judge(measured).text for reach in reaches] == [
        "no slower",
        "1.3 × faster than a",
        "≥ 300,000 users/s (300)",
        "same bits on a sample (97 of 100)",
    ]
