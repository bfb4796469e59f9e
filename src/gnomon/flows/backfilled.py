"""Backfilled: what a backfill did, or would do, beside what was expected of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from gnomon.errors import counted
from gnomon.flows.estimate import Estimate
from gnomon.flows.markup import preformatted
from gnomon.plan.normal import Ignored
from gnomon.time import ALWAYS, NEVER, show


@dataclass
class BackfillReport:
    """What a backfill did, or with `dry_run` would do. All sizes in bytes, all times as instants."""

    group: str
    start: int
    """The table holds all rows with an activation from here on, whatever was asked for."""
    end: int
    chunks: int
    resumed: int
    """Chunks among them that a run before had done already, and that were not done again."""
    estimate: Estimate
    """What was expected before the first row was read."""
    asked: int
    """Rows of the interval that was asked for."""
    rows: int = 0
    """Rows read, with those of the run that this one went on with."""
    size: int = 0
    """Of the keys and values in the new table."""
    seconds: float = 0.0
    """That this run took after it had been planned."""
    duplicates: int = 0
    ties: int = 0
    late: int = 0
    """Rows older than the horizon: in training, not online."""
    ignored: Ignored = field(default_factory=Ignored)
    notes: tuple[str, ...] = ()
    """What was not done as it was asked for, and why."""
    dry_run: bool = False
    durable: bool = True
    """Whether the online store outlives this process."""

    def __str__(self) -> str:
        expected = self.estimate
        span = f"[{show(self.start)}, {show(self.end)})"
        head = f"{self.group}: {span} in {counted(self.chunks, 'chunk')}"
        for note in self.notes:
            head += f"; {note}"
        if self.resumed:
            head += f", {self.resumed:,} of them done before"
        if self.dry_run:
            return (
                f"{head}\n{counted(expected.rows, 'row')} to read, {self.asked:,} of them in the interval asked for\n"
                f"{counted(expected.keys, 'key')}, about {_megabytes(expected.size)} beside the table that answers\n"
                f"about {expected.seconds:.1f} s, by {expected.basis}"
            )
        extras = [
            (self.duplicates, f"{self.duplicates:,} there already"),
            (self.late, f"{self.late:,} older than the horizon, not kept"),
            (self.ties, counted(self.ties, "tie")),
            (bool(self.ignored), f"ignored {self.ignored}"),
        ]
        return "\n".join(
            [
                ", ".join([head, *(words for present, words in extras if present)]),
                f"rows     {self.rows:>12,}  expected {expected.rows:,}",
                f"size     {_megabytes(self.size):>12}  expected {_megabytes(expected.size)}",
                f"time     {f'{self.seconds:.1f} s':>12}  expected {expected.seconds:.1f} s",
            ]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self))

    def to_dict(self) -> dict[str, Any]:
        """For `--json`: an end that is open is null."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        told["start"] = None if self.start == ALWAYS else self.start
        told["end"] = None if self.end == NEVER else self.end
        return told


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:,.2f} MB"
