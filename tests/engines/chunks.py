"""Rows and questions of a few keys, tasks of every kind, and their values by brute force."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from gnomon.columns import NO_WORDS
from gnomon.define.aggregate import QUANTILES, RULES, Aggregate, Window, by_type
from gnomon.engines.lanes import Lane
from gnomon.engines.results import Result, column, failed, make_result
from gnomon.engines.walks import Chunk
from gnomon.engines.windows import solve
from gnomon.plan.layout import NONE, Output
from gnomon.testing.reference_values import OVERFLOW, Asked, Item, aggregate, by_category
from gnomon.time import NEVER

KINDS = ("contiguous", "late", "replaced")
"""Each row known when it happens; some later; some replaced by others."""

TYPES: dict[int, pl.DataType] = {
    0: pl.Int64(), 1: pl.Float64(), 2: pl.String(), 3: pl.Boolean(), 4: pl.Decimal(12, 2), 5: pl.Int64(),
    6: pl.Float32(),
}  # fmt: skip
"""Lanes by number. Lane 5 has no nulls."""
WHERE = 9
"""The lane of the condition."""

_CHOICES: dict[int, list[Any]] = {
    0: [None, -3, 0, 1, 1, 2, 7, 2**60],
    1: [None, math.nan, 0.0, -0.0, 0.1, 0.1, -2.5, 1e16, -1e16, math.inf, 5e-324],
    2: [None, "", "a", "a", "b", "é", "\U0001f600"],
    3: [None, True, False],
    4: [None, Decimal("0.10"), Decimal("-0.10"), Decimal("99.99")],
    5: [-1, 0, 1, 2, 2],
    6: [None, math.nan, 0.0, -0.0, 0.5, -3.25, 0.10000000149011612],
}


@dataclass
class Case:
    """Rows sorted by (key, time), and questions in the order of the spine."""

    key: list[int]
    time: list[int]
    known: list[int]
    until: list[int]
    q_key: list[int]
    q_t: list[int]
    values: dict[int, list[Any]]
    """By lane: of the rows, then of the requests' own rows."""
    passes: list[bool]
    """The condition: of the rows, then of the requests' own rows."""
    lanes: dict[int, Lane] = field(init=False)

    def __post_init__(self) -> None:
        self.lanes = {i: Lane(pl.Series(v, dtype=TYPES[i])) for i, v in self.values.items()}

    def chunks(self, pieces: int = 2) -> Iterator[Chunk]:
        """The rows and questions, cut at keys."""
        key, q_key, q_t = (np.array(a, np.int64) for a in (self.key, self.q_key, self.q_t))
        order = np.lexsort((q_t, q_key))
        late = self.known != self.time
        replaced = any(u != NEVER for u in self.until)
        edges = np.linspace(0, max(self.key + self.q_key, default=0) + 1, pieces + 1).astype(int)
        for low, high in itertools.pairwise(edges):
            rows = np.flatnonzero((key >= low) & (key < high))
            at = order[(q_key[order] >= low) & (q_key[order] < high)]
            first = int(np.searchsorted(key, low))

            def of(values: list[int], rows: np.ndarray = rows) -> np.ndarray:
                return np.array(values, np.int64)[rows]

            yield Chunk(
                first=first,
                code=of(self.key),
                time=of(self.time),
                known=of(self.known) if late or replaced else NO_WORDS,
                until=of(self.until) if replaced else NO_WORDS,
                q_code=q_key[at],
                q_t=q_t[at],
                at=at,
                n_part=len(key),
            )

    def solved(self, tasks: Sequence[Output], pieces: int = 2) -> list[list[Any]]:
        """The values of each task, by question, as the engine computes them."""
        results = {task: make_result(task, len(self.q_t)) for task in tasks}
        wheres = {WHERE: np.array(self.passes, np.uint8)}
        for chunk in self.chunks(pieces):
            solve(chunk, results, self.lanes, wheres)
        return [_told(task, results[task], self.lanes, len(self.q_t)) for task in tasks]

    def expected(self, task: Output) -> list[Any]:
        """The same, question by question and row by row."""
        return [self._one(task, i) for i in range(len(self.q_t))]

    def _one(self, task: Output, question: int) -> Any:
        t, key = self.q_t[question], self.q_key[question]
        end = t - task.offset
        rows = [
            r
            for r in range(len(self.key))
            if self.key[r] == key
            and self.known[r] <= t < self.until[r]
            and self.time[r] < end
            and (task.window == NONE or self.time[r] >= end - task.window)
        ]
        if task.include_request:
            rows.append(len(self.key) + question)
        if task.where != NONE:
            rows = [r for r in rows if self.passes[r]]
        if task.by != NONE:
            categories = self.lanes[task.by].column
            found = [
                {"key": key, "value": self._fold(task.one, same, t)}
                for key, same in by_category(rows, lambda r: categories[r])
            ]
            return OVERFLOW if any(entry["value"] is OVERFLOW for entry in found) else found
        return self._fold(task, rows, t)

    def _fold(self, task: Output, rows: Sequence[int], t: int) -> Any:
        values = self.lanes[task.input].column if task.input != NONE else None
        items = [
            Item(t if r >= len(self.key) else self.time[r], None if values is None else values[r])
            for r in rows
        ]
        if values is not None and not task.keep_nulls:
            items = [item for item in items if item.value is not None]
        if task.limit != NONE:
            items = items[-task.limit :]
        return aggregate(items, _asked(task, t))


def _asked(task: Output, t: int) -> Asked:
    # Not through its constructor: a task is made of a definition that was checked.
    told = Aggregate("count", k=task.k, ddof=task.ddof, distinct=task.distinct)
    object.__setattr__(told, "function", task.function)
    object.__setattr__(told, "q", task.q)
    object.__setattr__(told, "half_life", task.half_life)
    window = None if task.window == NONE else Window(task.window, "")
    return Asked(told, window, t)


def _told(task: Output, result: Result, lanes: dict[int, Lane], n: int) -> list[Any]:
    values = column(task, result, lanes, n).to_list()
    wrong = failed(result, n)
    return [OVERFLOW if wrong[i] else value for i, value in enumerate(values)]


def make_case(
    kind: str, seed: int, *, rows: int = 60, questions: int = 25, keys: int = 3, span: int = 30
) -> Case:
    """Random rows and questions. Times are few, so that rows tie and lie on the edges of windows."""
    pick = random.Random(f"{kind} {seed}")
    drawn = sorted((pick.randrange(keys), pick.randrange(-5, span), i) for i in range(rows))
    time = [t for _, t, _ in drawn]
    known = [t + (pick.choice([0, 0, 1, 4, 40]) if kind != "contiguous" else 0) for t in time]
    until = [
        k + pick.choice([1, 3, 10]) if kind == "replaced" and pick.random() < 0.4 else NEVER for k in known
    ]
    if kind == "replaced" and rows:
        until[0] = known[0] + 1
    n = rows + questions
    return Case(
        key=[k for k, _, _ in drawn],
        time=time,
        known=known,
        until=until,
        q_key=[pick.randrange(keys + 1) for _ in range(questions)],
        q_t=[pick.randrange(-6, span + 5) for _ in range(questions)],
        values={i: [pick.choice(choices) for _ in range(n)] for i, choices in _CHOICES.items()},
        passes=[pick.random() < 0.7 for _ in range(n)],
    )


def make_tasks(function: str, windows: Sequence[tuple[int, int]]) -> list[Output]:
    """Every way to ask for a function: input × condition × nulls × limit × own row × window, and its own arguments."""
    rule = RULES[function]
    takes = [i for i, dtype in TYPES.items() if rule.accepts(dtype)]
    inputs = takes if rule.column == "required" else [NONE, *takes[:2]]
    own: dict[str, list[Any]] = {"keep_nulls": [False]}
    if function in ("first", "last"):
        own["keep_nulls"] = [False, True]
    if function in ("var", "std"):
        own["ddof"] = [0, 1]
    if function in ("first_k", "last_k"):
        own["distinct"] = [False, True]
    if function in ("first_k", "last_k", "top_k"):
        own["k"] = [1, 3]
    if rule.scalar:
        own["by"] = [NONE, 2, 1]
    if function in QUANTILES:
        own["q"] = [0.0, 0.3, 0.9, 1.0]
    if function == "decayed_sum":
        own["half_life"] = [1, 3, 10**6]
    tasks = []
    for i, where, limit, request, (window, offset), *rest in itertools.product(
        inputs, (NONE, WHERE), (NONE, 2), (False, True), windows, *own.values()
    ):
        if (request and offset) or (rule.needs_window and window == NONE):
            continue
        given = dict(zip(own, rest, strict=True))
        returned = rule.returns(TYPES[i] if i != NONE else pl.Null())
        if given.get("by", NONE) != NONE:
            returned = by_type(TYPES[given["by"]], returned)
        tasks.append(
            Output(
                name="",
                function=function,
                dtype=returned,
                input=i,
                where=where,
                window=window,
                offset=offset,
                limit=limit,
                include_request=request,
                **given,
            )
        )
    return tasks
