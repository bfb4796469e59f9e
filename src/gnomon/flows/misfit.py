"""Misfit: raw rows that failed → which feature cannot be computed from them, and which value does not fit.

Polars stops at the first value that does not fit, and names a column of its own making. What it was for is
found by evaluating the inputs again, one by one; that costs a second reading, of rows that gave an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from gnomon.errors import DataError
from gnomon.plan.layout import Input, Layout
from gnomon.plan.normal import complete

_BEYOND = re.compile(r"conversion from `(?:i128|u64|f64)` to `i64` failed .*? values: \[(?P<values>.*)\]")
"""What Polars says of a number that Int64 does not hold."""
_PLAIN = pl.QueryOptFlags(comm_subexpr_elim=False)
"""Else Polars names columns of its own, where parts of an expression are alike."""


def misfit(raw: pl.LazyFrame, layout: Layout) -> DataError | None:
    """What the first input that cannot be evaluated over raw rows is for, and why it cannot; None if all can."""
    return uncomputed(raw.filter(complete(layout)), layout, range(len(layout.inputs)))


def uncomputed(rows: pl.LazyFrame, layout: Layout, inputs: Iterable[int]) -> DataError | None:
    """The same of some inputs, over rows with the columns that these read."""
    for i in inputs:
        given = layout.inputs[i]
        try:
            rows.select(given.evaluate().null_count()).collect(engine="streaming", optimizations=_PLAIN)
        except pl.exceptions.PolarsError as error:
            names = [f"`{o.name}`" for o in layout.outputs if i in o.inputs]
            features = f"feature{'s' if len(names) > 1 else ''} {', '.join(names)}"
            why, hint = _reason(given, str(error).split("\n", maxsplit=1)[0])
            return DataError(f"{features} cannot be computed: {why}", hint=hint)
    return None


def _reason(given: Input, said: str) -> tuple[str, str]:
    """Why an input cannot be evaluated, of what Polars said, and what to do."""
    what = f"`{given.expr}`" if given.expr is not None else f"column `{given.column}`"
    beyond = _BEYOND.search(said)
    if beyond is not None and given.expr is not None:
        hint = "CAST(… AS DOUBLE) in the expression computes in floats; CASE computes only what it chooses"
        return f"{what} comes to {beyond['values']}, which Int64 does not hold", hint
    if beyond is not None:
        return f"{what} holds {beyond['values']}, which Int64 does not", "keep the column in another type"
    return f"{what}: {said}", "TRY_CAST in an expr turns values that do not fit into null"
