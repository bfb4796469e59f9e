"""Optimize: the many small files of cached groups' tables → few, sorted by key and time. The rows stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gnomon.abc.source import Part
from gnomon.define.group import FeatureGroup
from gnomon.errors import Conflict, UsageError, counted, megabytes
from gnomon.events import Step, emit
from gnomon.flows.markup import preformatted
from gnomon.flows.project import Project
from gnomon.flows.table import table_name
from gnomon.time import stopwatch


@dataclass(frozen=True, slots=True)
class Optimized:
    """What became of one table."""

    group: str
    version: int | None
    """The commit; None if nothing was to be done."""
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    seconds: float
    beaten: bool = False
    """Whether another process did it meanwhile."""

    def __str__(self) -> str:
        if self.beaten:
            return f"{self.group}: another process was first"
        if self.version is None:
            return f"{self.group}: nothing to do, {counted(self.files_before, 'file')}"
        return (
            f"{self.group}: {counted(self.files_before, 'file')} → {self.files_after:,}, "
            f"{megabytes(self.bytes_before)} → {megabytes(self.bytes_after)} in {self.seconds:.2f} s "
            f"(commit {self.version})"
        )


@dataclass(frozen=True)
class OptimizeReport:
    """What an optimization did."""

    groups: list[Optimized] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(str(group) for group in self.groups) or "no group keeps rows of its own"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self))

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]


def optimize(project: Project, groups: Sequence[FeatureGroup]) -> OptimizeReport:
    """Rewrite the tables of cached groups, those that anything was inserted into since the last time.

    Readers go on, and so do inserts; what they add meanwhile is left to the next time. What was loaded online stays
    loaded: progress is counted in the files of inserts (`flows.moved`).

    Raises: UsageError for a group with a source.
    """
    for group in groups:
        check_cached(group)
    return OptimizeReport([_one(project, group) for group in groups])


def check_cached(group: FeatureGroup) -> None:
    """Raises: UsageError for a group that has no table."""
    if group.source is not None:
        raise UsageError(
            f"group `{group.name}` reads `{group.source_name}` in place, and has no table of its own",
            hint="only groups without `source=` keep rows",
        )


def _one(project: Project, group: FeatureGroup) -> Optimized:
    elapsed = stopwatch()
    offline, table = project.offline, table_name(group)
    before = offline.parts(table)
    by = [name for name, _ in group.keys] + [group.timestamp or ""]
    emit(Step("optimize", group.ref, "rewrite"))
    try:
        version = offline.rewrite(table, by, note={"optimized": ", ".join(by), "author": project.author})
    except Conflict:
        return Optimized(group.ref, None, len(before), len(before), 0, 0, elapsed(), beaten=True)
    emit(Step("optimize", group.ref, "commit"))
    after = before if version is None else offline.parts(table, version)
    return Optimized(group.ref, version, len(before), len(after), _size(before), _size(after), elapsed())


def _size(parts: Sequence[Part]) -> int:
    return sum(max(part.size, 0) for part in parts)
