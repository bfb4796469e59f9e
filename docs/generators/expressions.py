"""Row expressions: which functions `expr` and `where` may call."""

from __future__ import annotations

import textwrap

from docs.generators.markdown import code
from gnomon.define.expressions import _FORBIDDEN_WORDS, ALLOWED_FUNCTIONS, parse
from gnomon.errors import DefinitionError

_WORDS = frozenset(
    "and or not in between like ilike when then else end as any distinct from is interval values case "
    "double float real int integer bigint smallint tinyint decimal numeric varchar text char boolean "
    "time".split()
)
"""Words on the allow-list that are no functions: they stand before a parenthesis in SQL."""

_EXAMPLE = """\
gn.Feature("stormy", pl.Boolean, expr="wind_gust > 30 OR visib < 1")
gn.sum(expr="price * quantity", windows=["7d"], name="revenue")
gn.count(windows=["1d"], where="status IN ('late', 'lost') AND amount BETWEEN 10 AND 100")
"""


def page() -> str:
    functions = textwrap.fill(
        " ".join(f"`{name.upper()}`" for name in sorted(ALLOWED_FUNCTIONS - _WORDS)), 110
    )
    forbidden = ", ".join(f"`{word.upper()}`" for word in sorted(_FORBIDDEN_WORDS - {"over"}))
    return f"""\
# Row expressions

`expr=` of features and aggregates, and `where=` of aggregates, are SQL text over the columns of one row of
the source. The dialect is that of Polars (`polars.sql_expr`), the same everywhere.

{code(_EXAMPLE)}

* An expression sees one row. Aggregates, windows and sub-queries are refused when the feature is defined; so
  is what depends on the moment or on chance: random functions, `NOW()`, {forbidden}.
* Decimal literals are Float64: `0.1` is the nearest double.
* Integers are Int64 and floats Float64, whatever the file keeps: `a + b` of two Int8 columns is their sum. A
  result or a column's value that Int64 does not hold is an error that names the feature, never a wrap;
  `CAST(a AS DOUBLE) * b` computes in floats. `CASE` computes only what it chooses.
* Comparing with null gives null, and a `where` that is null does not hold. `x IS NULL`, `COALESCE(x, 0)`.
* The result of a feature's `expr` is cast to the declared type, strictly: a value that does not fit is an
  error that names the group. `TRY_CAST(x AS …)` makes such values null.
* Columns with capitals or signs are quoted: `"Unit Price" > 5`.

## Functions

{functions}

Also operators (`+ - * / %`, comparisons, `AND OR NOT`, `IN`, `BETWEEN`, `LIKE`, `ILIKE`, `IS NULL`), and
`CASE WHEN … THEN … ELSE … END`. Anything else is refused with the nearest name:

{code(_refusal("SUM(amount) > 3"))}

{code(_refusal("lenght(name) > 3"))}
"""


def _refusal(text: str) -> str:
    try:
        parse(text)
    except DefinitionError as error:
        return str(error)
    raise LookupError(f"`{text}` is not refused any more")
