"""Retrieval: a training set that is computed when it is first looked at."""

from __future__ import annotations

import warnings
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from gnomon.define.split import Splitting, check_split
from gnomon.errors import LeakWarning, counted
from gnomon.flows import dataset, files
from gnomon.flows.contents import Contents, contents_of
from gnomon.flows.dataset import Dataset
from gnomon.flows.handover import Handover
from gnomon.flows.how import how
from gnomon.flows.markup import table
from gnomon.flows.project import Project
from gnomon.flows.training import Computed, Question, compute, leaks, read_job
from gnomon.plan.normal import Ignored
from gnomon.time import ALWAYS, NEVER, show, to_datetime
from gnomon.types import dtype_text


class Retrieval(Handover):
    """The answer to `get_historical_features`. Lazy: nothing is read before a result is asked for, and then
    once.
    """

    def __init__(self, project: Project, question: Question) -> None:
        self._project = project
        self._question = question

    def __repr__(self) -> str:
        q = self._question
        state = "computed" if "_computed" in self.__dict__ else "not computed yet"
        return (
            f"Retrieval({q.request.label} for {counted(len(q.spine), 'row')}, {state}; .explain() tells how)"
        )

    def _repr_html_(self) -> str:
        """The features that are asked for; nothing is computed for it."""
        asked = zip(self._question.names, self._question.request.columns, strict=True)
        rows = [(name, dtype_text(column.dtype), column.described) for name, column in asked]
        return table(repr(self), ("feature", "type", "from"), rows)

    @cached_property
    def _computed(self) -> Computed:
        done = compute(self._project, self._question)
        for leak in done.leaks:
            warnings.warn(leak, LeakWarning, stacklevel=2)
        return done

    @property
    def contents(self) -> Contents:
        """What each column is."""
        return contents_of(self._question)

    def to_polars(self) -> pl.DataFrame:
        """The spine with the features appended, in the order asked."""
        return self._computed.frame

    def write_parquet(self, path: str | Path) -> None:
        """Write the training set to a Parquet file: whole, or not at all.

        Raises: UsageError for a path that cannot be written to, before anything is computed.
        """
        place = files.check_place(path)
        files.write_table(self.to_polars(), place, "parquet")

    def save(self, name: str, *, split: Splitting | str | None = None) -> Dataset:
        """Keep the training set under a name: the same bytes whenever it is read again. `split` is kept with it.

        Raises: UsageError if the name is taken or cannot be one, before anything is computed.
        """
        dataset.check_name(name)
        how = None if split is None else check_split(split)
        return dataset.save(self._project, name, self._question, self._computed, how)

    @property
    def seconds(self) -> float:
        """How long computing took."""
        return self._computed.seconds

    @property
    def ignored(self) -> dict[str, Ignored]:
        """By group, the rows of its source that take no part, and why. Reads the key and time columns."""
        layouts = {job.layout.ref: job.layout for job in self._question.request.jobs}
        return {ref: reading.ignored(layouts[ref]) for ref, reading in self._computed.readings.items()}

    @property
    def ties(self) -> dict[str, int]:
        """By state group, the rows that lost to another of the same key, event time and known_at."""
        return self._computed.ties

    @property
    def leaks(self) -> tuple[str, ...]:
        """What features may know of the labels, in words; each is a LeakWarning too. Empty is well."""
        return tuple(self._computed.leaks)

    @property
    def complete(self) -> dict[str, datetime | None]:
        """By group of labels, until when its source was taken to be complete; None if it has no row."""
        return {
            one.job.layout.ref: None if one.complete is None else to_datetime(one.complete)
            for one in self._computed.labelled
        }

    def explain(self) -> str:
        """What will be read, and how each feature is computed, in words."""
        q = self._question
        shown = q.as_of if isinstance(q.as_of, str) else show(q.as_of)
        lines = [
            f"{counted(len(q.spine), 'row')} of spine, time `{q.timestamp}`, as of {shown}",
            f"revision {q.request.revision}, {q.request.label}",
        ]
        for job in q.request.jobs:
            layout = job.layout
            reading = read_job(self._project.reader(job.group, job.layout), q, job)
            keys = ", ".join(job.key_columns) or "none (one global key)"
            kind = "labels" if layout.forward else f"{layout.kind} group"
            lines.append(f"\n{layout.ref} ({kind}), key {keys}")
            lines.append(f"  reads   {reading.source}: {', '.join(reading.columns)}")
            lines += [f"          {line}" for line in reading.pushed]
            low = "the beginning" if reading.since == ALWAYS else show(reading.since)
            high = "the end" if reading.until == NEVER else show(reading.until)
            lines.append(f"  rows    with event time from {low} to {high}")
            for output in job.outputs:
                lines.append(f"  {output.name:<28} {how(layout, output)} → {dtype_text(output.dtype)}")
        for step in q.request.steps:
            lines.append(f"\n{step.on_demand.ref} (on-demand) from {', '.join(n for n, _, _ in step.inputs)}")
        lines += [f"\nleak: {leak}" for leak in leaks(self._project, q)]
        return "\n".join(lines)
