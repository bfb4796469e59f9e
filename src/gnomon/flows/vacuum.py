"""Vacuum: files of tables that no version of the last days needs → gone. What saved datasets were made from stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gnomon.define.group import FeatureGroup
from gnomon.errors import counted, megabytes
from gnomon.events import Step, emit
from gnomon.flows import dataset
from gnomon.flows.markup import preformatted
from gnomon.flows.optimize import check_cached
from gnomon.flows.project import Project
from gnomon.flows.table import table_name


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What became of one table."""

    group: str
    files: int
    """Removed, or to be removed."""
    bytes: int
    kept: dict[str, int] = field(default_factory=dict)
    """Files that stay only for a saved dataset, by its name."""
    broken: dict[str, int] = field(default_factory=dict)
    """Files that went in spite of a saved dataset, by its name."""

    def __str__(self) -> str:
        text = f"{self.group}: {counted(self.files, 'file')}, {megabytes(self.bytes)}"
        for words, datasets in (("kept for", self.kept), ("needed by", self.broken)):
            if datasets:
                names = ", ".join(f"`{name}` ({n:,})" for name, n in sorted(datasets.items()))
                text += f"; {words} {counted(len(datasets), 'dataset')}: {names}"
        return text


@dataclass(frozen=True)
class VacuumReport:
    """What a vacuum did, or would do."""

    groups: list[Vacuumed] = field(default_factory=list)
    dry_run: bool = False
    answers: int = 0
    """Days of logged answers that were older than `[log] keep`, and are removed, or would be."""

    @property
    def files(self) -> int:
        return sum(group.files for group in self.groups)

    @property
    def bytes(self) -> int:
        return sum(group.bytes for group in self.groups)

    @property
    def broken(self) -> list[str]:
        """Datasets whose rows can be read, but not be computed again."""
        return sorted({name for group in self.groups for name in group.broken})

    def __str__(self) -> str:
        would = "to be removed" if self.dry_run else "removed"
        total = f"{counted(self.files, 'file')}, {megabytes(self.bytes)} {would}"
        lines = [*(str(group) for group in self.groups if group.files or group.kept), total]
        if self.answers:
            would = "to be removed" if self.dry_run else "removed"
            lines.append(f"{counted(self.answers, 'day')} of logged answers {would}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self))

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]


def vacuum(
    project: Project,
    groups: Sequence[FeatureGroup],
    *,
    older_than: int,
    dry_run: bool = False,
    force: bool = False,
) -> VacuumReport:
    """Remove files that are older than `older_than` microseconds and that no version since needs: rewritten ones, and
    those of writers that were killed before their commit.

    Versions that are older can no longer be read then, but those that saved datasets were made from, which stay whole
    unless `force`; and the rows of groups that were removed.

    Raises: UsageError for a group with a source.
    """
    for group in groups:
        check_cached(group)
    pins = dataset.pins(project)
    report = VacuumReport(dry_run=dry_run)
    for group in groups:
        table, pinned = table_name(group), pins.get(group.ref, {})
        files = project.offline.unneeded(table, age=older_than)
        needed = {name: len(etags & files.keys()) for name, etags in pinned.items() if etags & files.keys()}
        if not force:
            held = set().union(*pinned.values()) if pinned else set()
            files = {name: size for name, size in files.items() if name not in held}
        if files and not dry_run:
            emit(Step("vacuum", group.ref, "remove"))
            project.offline.remove(table, files)
        kept, broken = ({}, needed) if force else (needed, {})
        report.groups.append(Vacuumed(group.ref, len(files), sum(files.values()), kept, broken))
    return report
