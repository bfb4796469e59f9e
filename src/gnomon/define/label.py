"""Label: an aggregate over the rows that come after t — what a model shall foretell."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gnomon.define.aggregate import Aggregate, Given, Window, window_of
from gnomon.define.base import Definition, Problems
from gnomon.errors import type_of
from gnomon.time import duration

MATURE = "_mature"
"""What follows a label's name in the name of the column that tells whether its window is over."""


@dataclass(frozen=True, repr=False)
class Label(Definition):
    """An aggregate over `[t, t + window)`, by the latest knowledge; made by `gn.label`."""

    aggregate: Aggregate
    """Its one window is the label's."""
    name: str
    lateness: int = 0
    """Microseconds by which the source must be complete beyond the window's end."""

    @property
    def window(self) -> Window:
        """Covers [t, t + length): a row at t itself is in it, and in no feature."""
        return self.aggregate.windows[0]


def label(
    aggregate: Aggregate, window: Given, *, name: str | None = None, lateness: Given | int = 0
) -> Label:
    """Declare a label in a group's `features`: the aggregate over the rows from t on, `[t, t + window)`.

    It is what the aggregate over a window of that length will be when asked at t + window. All rows known at the
    time of the retrieval count, whatever `as_of` says of the features. Before the source is complete up to t +
    window (+ `lateness`, where rows come later than they happen) it is null, and its column `<name>_mature` false.

    `gn.rate` and `gn.decayed_sum`, which need a window of their own, are given the same one:
    `gn.label(gn.rate(windows=["7d"]), "7d")`.

    `name`: in the place of `{column}_{function}_next_{window}`.

    Raises: DefinitionError with all problems of the call at once.
    """
    problems = Problems("gn.label()")
    if not isinstance(aggregate, Aggregate):
        problems.add(
            f"a label is made of an aggregate, found {type_of(aggregate)}",
            at="aggregate",
            hint='such as gn.label(gn.sum("amount"), "7d"), in the features of a group',
        )
        problems.done()
    problems.where = f"gn.label(gn.{aggregate.function}({aggregate.column or aggregate.expr or ''}))"
    chosen = window_of(window, problems, at="window")
    if chosen is not None and any(own.length != chosen.length for own in aggregate.windows):
        problems.add(
            "the aggregate has windows of its own",
            at="aggregate.windows",
            hint=f'a label has one window, given beside the aggregate: "{chosen.text}"',
        )
    if aggregate.offset:
        problems.add("a label has no `offset`: its window begins at t", at="aggregate.offset")
    if aggregate.include_request:
        problems.add(
            "a label has no `include_request`",
            at="aggregate.include_request",
            hint="a row at t is in the window if the source has it",
        )
    if aggregate.default is not None:
        problems.add(
            "a label has no `default`",
            at="aggregate.default",
            hint="a label that is not known must not look like one that is",
        )
    late = problems.attempt(duration, lateness, at="lateness") or 0
    if late < 0:
        problems.add("`lateness` cannot be negative", at="lateness")
    if name is not None:
        problems.name(name)
    problems.done()
    one = chosen or Window(1, "1us")
    return Label(
        replace(aggregate, windows=(one,)), name or f"{aggregate.base_name}_next_{one.text}", max(late, 0)
    )
