"""Numbers in row expressions: integers are Int64 and floats Float64, whatever the columns are kept as.

Polars computes in the width of what it is given, and wraps: 100 + 100 of an Int8 column is -56, and
`LENGTH(name) - 10` of a short name is four billion. So the tree of an expression is made anew, with a cast
above every part that gives another integer or float. Sums, differences and products of integers are
computed in 128 bits, where those of two Int64 always fit, and cast back strictly: one that Int64 does not
hold is an error and not another number.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from gnomon.errors import DefinitionError
from gnomon.types import DType

Tree = Any
"""A node of Polars' tree: `{kind: what it holds}`."""
Typed = tuple[Tree, DType]

_OPERATORS = ("Plus", "Minus", "Multiply")
_FUNCTIONS = ({"Sql": {"Binary": "Mul"}}, "Abs")
"""Beside the operators, what may give an integer that Int64 does not hold. A division that does is refused
by Polars itself."""
_POWER = {"Pow": "Generic"}
_DEEPEST, _DEEPEST_MADE = 300, 600
"""Levels of a tree as it is given (two a node), and as it is made: Python's own bound is 1000, for all of a
program's calls together."""


def tree_of(expr: pl.Expr) -> Tree:
    """The tree of an expression, out of its serial form: Polars has no other way to give it out whole.

    Raises: RecursionError if it is nested too deeply.
    """
    return _bounded(msgspec.msgpack.decode(expr.meta.serialize()), _DEEPEST)


def _expression(tree: Tree) -> pl.Expr:
    return pl.Expr.deserialize(io.BytesIO(msgspec.msgpack.encode(tree)))


def _bounded(tree: Tree, most: int) -> Tree:
    """The tree, if it is not deeper. Raises: RecursionError, by the tree alone and not by who asks."""
    level, depth = [tree], 0
    while level:
        if depth > most:
            raise RecursionError("the tree is too deep")
        below = (x.values() if isinstance(x, dict) else x for x in level if isinstance(x, dict | list))
        level, depth = [child for children in below for child in children], depth + 1
    return tree


_NULL, _TRUE, _FALSE = (tree_of(pl.lit(value)) for value in (None, True, False))


def widened(expr: pl.Expr, schema: Mapping[str, DType]) -> pl.Expr:
    """The expression over columns of `schema`, with integers as Int64 and floats as Float64 throughout.

    Evaluating it raises InvalidOperationError where an integer does not fit Int64: one of a column
    (UInt64), or one that is computed. A CASE computes its conditions and results only for the rows that
    need them.

    Raises: PolarsError for types that do not go together; RecursionError.
    """
    walk = _Walk(schema)
    tree, dtype = walk.node(tree_of(expr), None)
    return _expression(_bounded(walk.settled(tree, dtype, None)[0], _DEEPEST_MADE))


class _Walk:
    """A walk through a tree; each step gives a node and its type.

    `where`: the condition under which a node's value is used, None for always. `strict`: whether what does
    not fit is an error; else it is null.
    """

    def __init__(self, schema: Mapping[str, DType], *, strict: bool = True) -> None:
        self._schema = schema
        self._options = "Strict" if strict else "NonStrict"
        self._lenient = _Walk(schema, strict=False) if strict else self

    def node(self, tree: Tree, where: Tree | None) -> Typed:
        """A node with everything below it made anew."""
        ((kind, inside),) = tree.items()
        if kind == "Literal":
            return tree, _type(tree, {})  # it takes the type of what stands beside it
        if kind == "Alias":
            return self.node(inside[0], where)
        if kind == "Column":
            return self.settled(tree, self._schema[inside], where)
        if kind not in _PARTS:
            raise DefinitionError(f"a row expression cannot contain {kind}")
        made, dtype = _PARTS[kind](self, inside, where)
        return self.settled(made, dtype, where)

    def settled(self, tree: Tree, dtype: DType, where: Tree | None) -> Typed:
        """The node, cast if it gives a number of another width."""
        if isinstance(dtype, pl.Float32):
            return self._cast(tree, "Float64"), pl.Float64()
        if not dtype.is_integer() or isinstance(dtype, pl.Int64):
            return tree, dtype
        fits = not isinstance(dtype, pl.UInt64 | pl.Int128 | pl.UInt128)
        return self._cast(tree if fits else _used(tree, where), "Int64"), pl.Int64()

    def operator(self, inside: Tree, where: Tree | None) -> Typed:
        left, right = self.node(inside["left"], where), self.node(inside["right"], where)
        dtype = _type_over([left, right], lambda a, b: {"BinaryExpr": {**inside, "left": a, "right": b}})
        if inside["op"] not in _OPERATORS or not dtype.is_integer():
            return {"BinaryExpr": {**inside, "left": left[0], "right": right[0]}}, dtype
        wide = {**inside, "left": self._cast(left[0], "Int128"), "right": self._cast(right[0], "Int128")}
        return self._cast(_used({"BinaryExpr": wide}, where), "Int64"), pl.Int64()

    def function(self, inside: Tree, where: Tree | None) -> Typed:
        given = [self.node(one, where) for one in inside["input"]]
        dtype = _type_over(given, lambda *trees: _call(inside, trees))
        function, trees = inside["function"], [tree for tree, _ in given]
        if not (function in _FUNCTIONS or function == _POWER) or not dtype.is_integer():
            return _call(inside, trees), dtype
        if function == _POWER:
            # No width holds all powers of integers. Whether one fits Int64 is seen in floats: but for 2**63
            # itself, which is exact, no power of integers is as near to 2**63 as floats round.
            size = _call(inside, [self._cast(tree, "Float64") for tree in trees])
            power = _call(inside, [self._cast(tree, "Int64") for tree in trees])
            return _used(power, _present(self._cast(_used(size, where), "Int64"))), pl.Int64()
        wide = _call(inside, [self._cast(tree, "Int128") for tree in trees])
        return self._cast(_used(wide, where), "Int64"), pl.Int64()

    def choice(self, inside: Tree, where: Tree | None) -> Typed:
        # What a result is held back by must not fail itself; and if the condition was held back there by all
        # conditions before it, as it is where it decides, a CASE would grow twofold with each WHEN.
        chosen, _ = self._lenient.node(inside["predicate"], None)
        parts = [
            self.node(inside["predicate"], where),
            self.node(inside["truthy"], chosen if where is None else _when(chosen, where, _FALSE)),
            self.node(inside["falsy"], _when(chosen, _FALSE, _TRUE if where is None else where)),
        ]
        return _when(*(tree for tree, _ in parts)), _type_over(parts, _when)

    def conversion(self, inside: Tree, where: Tree | None) -> Typed:
        given = tree, _ = self.node(inside["expr"], where)
        dtype = _type_over([given], lambda one: {"Cast": {**inside, "expr": one}})
        if inside["options"] != "Strict":
            return {"Cast": {**inside, "expr": tree}}, dtype
        return {"Cast": {**inside, "expr": _used(tree, where), "options": self._options}}, dtype

    def items(self, inside: Tree, where: Tree | None) -> Typed:
        """What is done to each item of a list: only ARRAY_TO_STRING does it, and computes nothing."""
        given = tree, _ = self.node(inside["expr"], where)
        dtype = _type_over([given], lambda one: {"Eval": {**inside, "expr": one}})
        return {"Eval": {**inside, "expr": tree}}, dtype

    def _cast(self, tree: Tree, dtype: str) -> Tree:
        return {"Cast": {"expr": tree, "dtype": {"Literal": dtype}, "options": self._options}}


_PARTS: Mapping[str, Callable[[_Walk, Tree, Tree | None], Typed]] = {
    "BinaryExpr": _Walk.operator,
    "Function": _Walk.function,
    "Ternary": _Walk.choice,
    "Cast": _Walk.conversion,
    "Eval": _Walk.items,
}
"""Every kind of node that a row expression has beside columns, literals and names."""


def _type_over(given: Sequence[Typed], make: Callable[..., Tree]) -> DType:
    """The type of a node over others. Columns of their types stand for them: so it costs the same, however
    much is below. Literals stay, for their value decides.
    """
    trees = [t if "Literal" in t else {"Column": str(i)} for i, (t, _) in enumerate(given)]
    return _type(make(*trees), {str(i): dtype for i, (_, dtype) in enumerate(given)})


def _type(tree: Tree, schema: Mapping[str, DType]) -> DType:
    return pl.LazyFrame(schema=schema).select(_expression(tree).alias("x")).collect_schema()["x"]


def _call(inside: Tree, given: Sequence[Tree]) -> Tree:
    return {"Function": {**inside, "input": list(given)}}


def _when(condition: Tree, then: Tree, otherwise: Tree) -> Tree:
    return {"Ternary": {"predicate": condition, "truthy": then, "falsy": otherwise}}


def _used(tree: Tree, where: Tree | None) -> Tree:
    """The node's value where it is used, elsewhere null."""
    return tree if where is None else _when(where, tree, _NULL)


def _present(tree: Tree) -> Tree:
    return {"Function": {"input": [tree], "function": {"Boolean": "IsNotNull"}}}
