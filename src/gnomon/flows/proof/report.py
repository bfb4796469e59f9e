"""Report: what a verification found, for people and for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from gnomon.errors import counted
from gnomon.flows.markup import preformatted
from gnomon.time import show, show_duration


@dataclass
class FeatureReport:
    """How served values of a feature compare."""

    feature: str
    values: int = 0
    """Compared."""
    mismatches: int = 0
    not_ready: int = 0
    """Served as NOT_READY, and not compared."""
    skewed: int = 0
    """Values that training as of "known" would give otherwise: rows were on their way to the online store."""
    delay: int | None = None
    """The settling_delay that would have removed that, in microseconds; None: nothing to remove."""


@dataclass(frozen=True)
class Mismatch:
    """One value that was served otherwise than it is computed, the first of its kind."""

    kind: str
    feature: str
    key: dict[str, Any]
    at: int
    """t, an instant."""
    seen: int
    """When it was served."""
    request: str
    served: Any
    computed: Any
    why: str

    def __str__(self) -> str:
        key = ", ".join(f"{name}={value!r}" for name, value in self.key.items()) or "(no key)"
        return (
            f"{self.kind}: `{self.feature}` of {key} at {show(self.at)}"
            + (f", request {self.request}" if self.request else "")
            + f"\n  served {self.served!r}, computed {self.computed!r}\n  {self.why}"
        )


@dataclass
class ConsistencyReport:
    """What was served, against what is computed again from the offline rows."""

    service: str
    rows: int = 0
    """Logged answers that were compared, a row an entity and request."""
    features: list[FeatureReport] = field(default_factory=list)
    examples: list[Mismatch] = field(default_factory=list)
    """The first mismatch of each kind."""
    not_compared: dict[str, int] = field(default_factory=dict)
    """Rows that could not be compared, by reason."""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def values(self) -> int:
        return sum(one.values for one in self.features)

    @property
    def mismatches(self) -> int:
        return sum(one.mismatches for one in self.features)

    @property
    def ok(self) -> bool:
        """Whether every value that was compared is the same, to the bit."""
        return self.mismatches == 0

    def feature(self, name: str) -> FeatureReport:
        """What was found of a feature; made if it is new."""
        for one in self.features:
            if one.feature == name:
                return one
        self.features.append(FeatureReport(name))
        return self.features[-1]

    def __str__(self) -> str:
        word = "mismatch" if self.mismatches == 1 else "mismatches"
        head = (
            f"{self.service}: {self.mismatches:,} {word} of {counted(self.values, 'value')} "
            f"in {counted(self.rows, 'row')} ({self.seconds:.1f} s)"
        )
        lines = [head]
        lines += [f"not compared: {counted(n, 'row')}, {why}" for why, n in self.not_compared.items()]
        lines += self.notes
        for one in self.features:
            told = []
            if one.mismatches:
                told.append(f"{one.mismatches:,} of {one.values:,} differ")
            if one.not_ready:
                told.append(f"{one.not_ready:,} not ready")
            if one.skewed:
                delay = f', settling_delay="{show_duration(one.delay)}" would remove it' if one.delay else ""
                told.append(f"{one.skewed:,} of {one.values:,} otherwise as of known{delay}")
            if told:
                lines.append(f"  {one.feature:<28} {'; '.join(told)}")
        lines += [f"\n{example}" for example in self.examples]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self))

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        told: dict[str, Any] = msgspec.to_builtins(self, enc_hook=repr)
        return told | {"values": self.values, "mismatches": self.mismatches, "ok": self.ok}
