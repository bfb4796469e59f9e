"""Syntax tree → places where it breaks a habit. Pure functions; test_imports.py applies them to src."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

WALL_CLOCKS = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "time.ctime",
        "time.gmtime",
        "time.localtime",
        "time.time",
        "time.time_ns",
    }
)
"""What reads the wall clock. `monotonic` and `perf_counter` measure; they tell no time."""

Place = tuple[str, int]
"""What was found, and on which line."""


def wall_clocks(tree: ast.Module) -> list[Place]:
    """Every use of the wall clock, called or handed on, under whatever name it was imported."""
    origins = _origins(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = _dotted(node, origins)
            if name in WALL_CLOCKS:
                found.append((name, node.lineno))
    return found


def broad_excepts(tree: ast.Module) -> list[Place]:
    """Every handler that catches everything, as the name of the function that it stands in."""
    return [(function, node.lineno) for function, node in _with_function(tree) if _is_broad(node)]


def imports_in_functions(tree: ast.Module, package: str) -> list[Place]:
    """Every import of `package`'s own modules inside a function, as the module's name."""
    found = []
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                found += [(name, node.lineno) for name in imported(node) if name.split(".")[0] == package]
    return sorted(set(found), key=lambda place: place[1])


def imported(node: ast.AST) -> list[str]:
    """The modules that one statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "."]
    return []


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle of `graph`, first name repeated at its end; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _origins(tree: ast.Module) -> dict[str, str]:
    """Local name → dotted name of what was imported."""
    origins = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                origins[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return origins


def _dotted(node: ast.expr, origins: dict[str, str]) -> str:
    """`dt.now` as `datetime.datetime.now`; empty unless it is a chain of names from an import on."""
    if isinstance(node, ast.Name):
        return origins.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value, origins)
        return f"{base}.{node.attr}" if base else ""
    return ""


def _is_broad(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(
        t is None or (isinstance(t, ast.Name) and t.id in ("Exception", "BaseException")) for t in types
    )


def _with_function(node: ast.AST, function: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every node below `node`, with the dotted name of the innermost function or class around it."""
    for child in ast.iter_child_nodes(node):
        yield function, child
        named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _with_function(child, f"{function}.{child.name}".lstrip(".") if named else function)
