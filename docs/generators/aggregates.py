"""The support table: which aggregate takes which type, what it returns, and on which ways it is computed.

It is made from `gnomon.define.aggregate.RULES`, which decides; `tests/docs/test_aggregates.py` computes every
cell.
"""

from __future__ import annotations

import polars as pl

from docs.generators.markdown import table
from gnomon.define.aggregate import RULES, Rule, by_type
from gnomon.types import DType, dtype_text

WAYS = {
    "T": "in training sets, where every row is known at its event time",
    "L": "in training sets with late and replaced rows",
    "O": "online",
}
"""How a value can be computed. All ways end in the same arithmetic, so that the bits are the same."""

TYPES: dict[str, tuple[DType, ...]] = {
    "Boolean": (pl.Boolean(),),
    "integers": (
        pl.Int8(),
        pl.Int16(),
        pl.Int32(),
        pl.Int64(),
        pl.UInt8(),
        pl.UInt16(),
        pl.UInt32(),
        pl.UInt64(),
    ),
    "Float32": (pl.Float32(),),
    "Float64": (pl.Float64(),),
    "Decimal(p, s)": (pl.Decimal(12, 2), pl.Decimal(38, 0), pl.Decimal(38, 38)),
    "String": (pl.String(),),
    "Binary": (pl.Binary(),),
    "Date": (pl.Date(),),
    "Time": (pl.Time(),),
    "Datetime": (pl.Datetime("us", "UTC"), pl.Datetime("us")),
    "Duration": (pl.Duration("us"),),
    "List, Array, Struct": (pl.List(pl.Int64()), pl.Array(pl.Float64(), 2), pl.Struct({"a": pl.Int64()})),
}
"""Columns of the table: a name, and the types that it stands for."""

REFUSED = "refused"


def input_type(dtype: DType) -> DType:
    """The type in which an aggregate sees a column: unsigned integers are read as Int64."""
    return pl.Int64() if dtype.is_unsigned_integer() else dtype


def cell(rule: Rule, types: tuple[DType, ...]) -> str:
    """What stands for an aggregate and a family of types; never empty.

    Raises: LookupError if the types of the family are not treated alike, since one cell could not tell that.
    """
    accepted = {rule.accepts(input_type(dtype)) for dtype in types}
    if len(accepted) > 1:
        raise LookupError(f"{types} are not treated alike")
    if not accepted.pop():
        return REFUSED
    given = [input_type(dtype) for dtype in types]
    return f"{_shown([rule.returns(dtype) for dtype in given], given)} · {' '.join(WAYS)}"


def _shown(returned: list[DType], given: list[DType]) -> str:
    """One text for what comes out. Raises: LookupError if there is none."""
    if returned == given:
        return "same"
    if returned == [pl.List(dtype) for dtype in given]:
        return "List of same"
    if returned == [by_type(dtype, pl.Int64()) for dtype in given]:
        return "List of {same, Int64}"
    if all(isinstance(dtype, pl.Decimal) for dtype in returned):
        return "Decimal(38, s)"
    names = {dtype_text(dtype) for dtype in returned}
    if len(names) > 1:
        raise LookupError(f"{given} give {names}")
    return names.pop()


def page() -> str:
    ways = "\n".join(f"* **{letter}**: {text}." for letter, text in WAYS.items())
    support = [
        [f"`{name}`", *(cell(rule, types) for types in TYPES.values())] for name, rule in RULES.items()
    ]
    rules = [
        [
            f"`{name}`",
            "needed" if rule.column == "required" else "may be left out",
            rule.accepted,
            f"`{rule.empty}`",
            "needed" if rule.needs_window else "may be left out",
        ]
        for name, rule in RULES.items()
    ]
    return f"""\
# Aggregates: what takes what

What each one means, to the last bit, stands in
[semantics](../semantics.md#4-event-groups-aggregates-the-rows-in-a-window); how to call them, in
[the Python API](api.md#aggregates).

## Support

A cell gives the type of the result and the ways on which it is computed:

{ways}

`{REFUSED}` is an error as soon as the column's type is known: when definitions are planned or applied, never
later.

{table(["", *TYPES], support)}

* *same* is the type of the column; *integers* are all widths, signed and unsigned. Unsigned columns are read
  as Int64; a value beyond its range is an error, not a wrap.
* *List of {{same, Int64}}* has structs with the fields `key` and `value`.
* `first_k` and `last_k` with `distinct=True` refuse lists, arrays and structs.
* `by=` takes every type but lists, arrays and structs, with every aggregate whose value is no list of its own. The
  result is then a list of structs with the fields `key`, of the type of the category, and `value`.
* `count`, `rate` and `time_since_…` look only at whether a value is null, and take no column at all.
* What is refused can often be cast: `gn.std(expr="CAST(price AS DOUBLE)", …)`.

## Rules

{table(["Aggregate", "Column or `expr`", "Takes", "Empty window", "Window"], rules)}

`default=` replaces null as the last step. `var` and `std` are null where there are not more than `ddof`
values.
"""
