"""What a figure is to reach: an outcome → a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bench.harness import Outcome

GB = 1e9


@dataclass(frozen=True, slots=True)
class Verdict:
    """One reach, judged."""

    text: str
    met: bool | None
    """None: could not be judged, as when no peer ran."""


class Reach(Protocol):
    """Something to reach; judged only when our side ran."""

    def judge(self, outcome: Outcome) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class TimesFaster:
    """At least `times` as fast as the fastest peer, or as the peer named."""

    times: float
    than: str = ""

    def judge(self, outcome: Outcome) -> Verdict:
        text = "no slower" if self.times == 1 else f"{self.times:g} × faster"
        if self.than:
            text += f" than {self.than}"
        return Verdict(text, _at_least(outcome.ratio_to(self.than), self.times))


@dataclass(frozen=True, slots=True)
class TimesSlower:
    """At most `times` the time of the fastest peer."""

    times: float

    def judge(self, outcome: Outcome) -> Verdict:
        return Verdict(f"≤ {self.times:g} × the time", _at_least(outcome.ratio_to(), 1 / self.times))


@dataclass(frozen=True, slots=True)
class Within:
    """The median under so many seconds."""

    seconds: float

    def judge(self, outcome: Outcome) -> Verdict:
        return Verdict(f"< {self.seconds:g} s", _at_most(_median(outcome, "seconds"), self.seconds))


@dataclass(frozen=True, slots=True)
class MemoryUnder:
    """Peak resident memory of our process under so many GB (10⁹ bytes)."""

    gigabytes: float

    def judge(self, outcome: Outcome) -> Verdict:
        peak = outcome.ours.peak_bytes / GB if outcome.ours and outcome.ours.peak_bytes else None
        return Verdict(f"< {self.gigabytes:g} GB", _at_most(peak, self.gigabytes))


@dataclass(frozen=True, slots=True)
class PerSecond:
    """At least so many of `of` (the name of a size) a second."""

    rate: float
    of: str

    def judge(self, outcome: Outcome) -> Verdict:
        seconds = _median(outcome, "seconds")
        rate = outcome.sizes[self.of] / seconds if seconds else None
        seen = f" ({rate:,.0f})" if rate else ""
        return Verdict(f"≥ {self.rate:,.0f} {self.of}/s{seen}", _at_least(rate, self.rate))


@dataclass(frozen=True, slots=True)
class Latency:
    """The median call within `p50_us` microseconds, the 99th percentile within `tail` measured medians."""

    p50_us: float
    tail: float | None = None

    def judge(self, outcome: Outcome) -> Verdict:
        p50, p99 = _median(outcome, "p50_us"), _median(outcome, "p99_us")
        text = f"p50 ≤ {self.p50_us:g} µs"
        met = _at_most(p50, self.p50_us)
        if self.tail is not None:
            text += f", p99 ≤ {self.tail:g} × p50"
            met = met and p99 is not None and p50 is not None and p99 <= self.tail * p50
        return Verdict(text, met)


@dataclass(frozen=True, slots=True)
class Tail:
    """99 of 100 calls within `p99_us` microseconds."""

    p99_us: float

    def judge(self, outcome: Outcome) -> Verdict:
        return Verdict(f"p99 ≤ {self.p99_us:g} µs", _at_most(_median(outcome, "p99_us"), self.p99_us))


@dataclass(frozen=True, slots=True)
class Share:
    """At least this share of the fastest peer's requests a second."""

    share: float

    def judge(self, outcome: Outcome) -> Verdict:
        ratio = outcome.ratio_to()
        seen = f" ({ratio:.0%})" if ratio else ""
        return Verdict(f"≥ {self.share:.0%} of its requests/s{seen}", _at_least(ratio, self.share))


@dataclass(frozen=True, slots=True)
class Requests:
    """At least so many requests a second."""

    rate: float

    def judge(self, outcome: Outcome) -> Verdict:
        each = _median(outcome, "request_us")
        return Verdict(f"≥ {self.rate:,.0f} requests/s", _at_least(1e6 / each if each else None, self.rate))


@dataclass(frozen=True, slots=True)
class Flat:
    """Memory grows by no more than this share, from when the server was warm to the end."""

    growth: float

    def judge(self, outcome: Outcome) -> Verdict:
        grown = _median(outcome, "growth")
        seen = f" ({grown:+.1%})" if grown is not None else ""
        return Verdict(f"memory flat{seen}", _at_most(grown, self.growth))


@dataclass(frozen=True, slots=True)
class SameBits:
    """A sample of our values equals brute force to the last bit."""

    def judge(self, outcome: Outcome) -> Verdict:
        sample = outcome.ours.sample if outcome.ours else None
        if sample is None:
            return Verdict("same bits on a sample", None)
        looked, wrong = sample
        return Verdict(f"same bits on a sample ({looked - wrong:,} of {looked:,})", wrong == 0)


def _median(outcome: Outcome, metric: str) -> float | None:
    return outcome.ours.median.get(metric) if outcome.ours else None


def _at_least(value: float | None, bound: float) -> bool | None:
    return None if value is None else value >= bound


def _at_most(value: float | None, bound: float) -> bool | None:
    return None if value is None else value <= bound
