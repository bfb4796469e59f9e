"""Row expressions: SQL text over the columns of one row.

Only element-wise, deterministic functions are allowed, so that no way of cutting the data into chunks can
change a value. Decimal literals are Float64 (SEMANTICS §4); so is every float, and every integer is Int64:
see `arithmetic`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import polars as pl

from gnomon.define.arithmetic import tree_of, widened
from gnomon.errors import DefinitionError, nearest, type_of

ALLOWED_FUNCTIONS: frozenset[str] = frozenset(
    # numbers
    "abs ceil ceiling floor round trunc truncate sign sqrt cbrt exp ln log log10 log1p log2 pow power mod div "
    "sin cos tan asin acos atan atan2 degrees radians pi greatest least "
    # conditions
    "coalesce ifnull nullif if case cast try_cast "
    # text
    "lower upper initcap length char_length character_length octet_length bit_length concat concat_ws left "
    "right substr substring trim ltrim rtrim replace reverse starts_with ends_with strpos position "
    "regexp_like split_part lpad rpad "
    # time
    "extract date_part date timestamp strptime "
    # lists
    "array_length array_contains array_get array_to_string "
    # words that stand before a parenthesis
    "and or not in between like ilike when then else end as any distinct from is interval values "
    "double float real int integer bigint smallint tinyint decimal numeric varchar text char boolean time".split()
)
"""Functions, and words that may stand before a parenthesis, in lower case."""

_FORBIDDEN_WORDS = frozenset(
    "current_timestamp current_date current_time localtime localtimestamp over".split()
)
_TOKENS = re.compile(
    r"""'(?:[^']|'')*'            # text
      | "(?:[^"]|"")*"            # a quoted column
      | (?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?   # a decimal literal
      | [A-Za-z_]\w*(?:\s*\()?    # a word, perhaps called
      | \d+(?:[eE][+-]?\d+)?      # a whole number
      | .""",
    re.VERBOSE | re.DOTALL,
)
_DECIMAL = re.compile(r"(\d+\.\d*|\.\d+)")
_FORBIDDEN_NODES = frozenset("Agg Window Over Explode Rolling Sort SortBy Filter Slice Gather Len".split())
"""Nodes of Polars' tree that look at more than one row."""
_LEAVES = frozenset({"Column", "Literal", "function"})
"""Keys below which are names and values; they may be called as a node is: a column `Filter`, text's `Slice`."""


def _rewrite(text: str) -> tuple[str, list[str]]:
    """The text with Float64 literals, and the names of what it calls that is not allowed."""
    out, refused = [], []
    for match in _TOKENS.finditer(text):
        token = match.group()
        if _DECIMAL.match(token) and "e" not in token.lower():
            token += "e0"
        elif token[0].isalpha() or token[0] == "_":
            word = token.rstrip("(").strip().lower()
            if word in _FORBIDDEN_WORDS or (token.endswith("(") and word not in ALLOWED_FUNCTIONS):
                refused.append(word)
        out.append(token)
    return "".join(out), refused


def parse(text: str) -> pl.Expr:
    """The Polars expression of a row expression.

    Raises: DefinitionError if it is no text, does not parse, or is not element-wise and deterministic.
    """
    if not isinstance(text, str):
        raise DefinitionError(
            f"a row expression must be SQL text, found {type_of(text)}",
            hint="such as `amount > 100`: definitions are kept as text, and a Polars expression has none",
        )
    return _parse(text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> pl.Expr:
    rewritten, refused = _rewrite(text)
    if refused:
        name = refused[0].upper()
        close = nearest(refused[0], ALLOWED_FUNCTIONS)
        raise DefinitionError(
            f"`{name}` is not allowed in the row expression `{text}`",
            hint="a row expression sees one row: no aggregates, windows, NOW() or random functions"
            + (f"; did you mean `{close.upper()}`?" if close else ""),
        )
    try:
        expr = pl.sql_expr(rewritten)
        tree = tree_of(expr)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DefinitionError(
            f"the row expression `{text}` cannot be read: {error}",
            hint="write SQL over the source's columns, such as `wind_gust > 30 OR visib < 1`",
        ) from None
    except RecursionError:
        raise _too_deep(text) from None
    found = next(_forbidden(tree), None)
    if found is not None:
        raise DefinitionError(
            f"the row expression `{text}` is not element-wise (it contains {found})",
            hint="a row expression sees one row at a time",
        )
    return expr


def _forbidden(tree: Any) -> Iterator[str]:
    """The nodes of a tree that look at more than one row."""
    if tree == "Len":
        yield tree
    elif isinstance(tree, list):
        for item in tree:
            yield from _forbidden(item)
    elif isinstance(tree, dict):
        for node, inside in tree.items():
            if node in _FORBIDDEN_NODES:
                yield node
            if node not in _LEAVES:
                yield from _forbidden(inside)


@lru_cache(maxsize=4096)
def columns_of(text: str) -> tuple[str, ...]:
    """The source columns that a row expression reads, sorted."""
    return tuple(sorted(set(parse(text).meta.root_names())))


Columns = tuple[tuple[str, pl.DataType], ...]
"""Names and types of the columns that an expression reads."""


@lru_cache(maxsize=4096)
def typed(text: str, columns: Columns) -> pl.Expr:
    """The Polars expression of a row expression over columns of the given types, integers as Int64 and
    floats as Float64 throughout.

    Evaluating it fails where an integer does not fit Int64; it never wraps.

    Raises: DefinitionError if it does not fit its columns.
    """
    expr = parse(text)
    try:
        # First as it stands: what Polars says of types that do not go together names the columns.
        pl.LazyFrame(schema=dict(columns)).select(expr.alias("x")).collect_schema()
        return widened(expr, dict(columns))
    except pl.exceptions.PolarsError as error:
        raise _misfit(text, error) from None
    except RecursionError:
        raise _too_deep(text) from None


def columns_read(text: str, schema: Mapping[str, pl.DataType]) -> Columns:
    """The columns that a row expression reads, with their types. Raises: DefinitionError naming an unknown
    one.
    """
    for name in columns_of(text):
        if name not in schema:
            close = nearest(name, schema)
            raise DefinitionError(
                f"column `{name}` of the expression `{text}` not found",
                hint=f"did you mean `{close}`?" if close else f"columns: {', '.join(list(schema)[:20])}",
            )
    return tuple((name, schema[name]) for name in columns_of(text))


def dtype_of(text: str, schema: Mapping[str, pl.DataType]) -> pl.DataType:
    """The type of a row expression over columns of the given types.

    Raises: DefinitionError naming unknown columns or mismatched types.
    """
    columns = columns_read(text, schema)
    expr = typed(text, columns)
    try:
        return pl.LazyFrame(schema=dict(columns)).select(expr.alias("x")).collect_schema()["x"]
    except pl.exceptions.PolarsError as error:
        raise _misfit(text, error) from None


def _misfit(text: str, error: pl.exceptions.PolarsError) -> DefinitionError:
    return DefinitionError(f"the expression `{text}` does not fit its columns: {error}")


def _too_deep(text: str) -> DefinitionError:
    return DefinitionError(
        f"the row expression `{text[:60]}…` is nested too deeply",
        hint="part of it can be computed before, in a column of the source",
    )
