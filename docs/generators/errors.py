"""The index of errors: every kind with an example that has just been provoked, every message with its place.

Messages are found by reading the source: what is raised, and what is collected as a `Problem`. What a message
fills in is shown as `…`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gnomon
from docs.generators.examples import EXAMPLES
from docs.generators.markdown import code, docstring, table
from gnomon import errors

_SOURCE = Path(gnomon.__file__).parent
_HOLE = "…"
_COLLECTED = "DefinitionError"
"""What `Problem`s are raised as, where the source only collects them."""
_OUTSIDE = ("testing", "demo")
"""Packages whose errors are not the product's."""


@dataclass(frozen=True, order=True)
class Message:
    """One place in the source that makes an error."""

    kind: str
    module: str
    text: str
    hint: str


def page() -> str:
    kinds = {name: kind for name, kind in vars(errors).items() if _is_kind(kind)}
    missing = [name for name in kinds if name not in EXAMPLES and name != "GnomonError"]
    if missing:
        raise LookupError(f"kinds of errors without an example: {', '.join(missing)}")
    found = sorted(set(messages(kinds)))
    tree = inspect.cleandoc(errors.__doc__ or "").split("\n\n", 1)[1]
    parts = [
        "# Errors",
        "Every error that Gnomon raises on purpose is a `GnomonError` and says what happened, where, and "
        "what to do now: `error.what`, `error.at`, `error.hint`; `error.problems` holds all of them where "
        "there are several.",
        code(tree),
        "The command line writes them to stderr and ends with a status that tells the kind; see "
        "[the command line](cli.md). Messages are grouped by kind; `…` stands for what is filled in.",
    ]
    for name, kind in kinds.items():
        if name == "GnomonError":
            continue
        mine = [m for m in found if m.kind == name]
        parts += [f"## {name}", docstring(kind), "For example:", code(EXAMPLES[name]())]
        if mine:
            rows = [[m.text, m.hint or "–", f"`{m.module}`"] for m in mine]
            parts.append(table(["Message", "Hint", "Raised in"], rows))
    return "\n\n".join(parts)


def _is_kind(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, errors.GnomonError)


def messages(kinds: dict[str, type]) -> Iterator[Message]:
    """Every place that makes an error of one of the kinds, or of a kind derived from one, or a problem."""
    for path in sorted(_SOURCE.rglob("*.py")):
        module = path.relative_to(_SOURCE).as_posix()
        if module.split("/")[0] in _OUTSIDE or module == "errors.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        known = dict.fromkeys(kinds) | _derived(tree, kinds)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                made = _message(node, known, module)
                if made is not None and any(letter.isalpha() for letter in made.text):
                    yield made


def _derived(tree: ast.AST, kinds: dict[str, type]) -> dict[str, None]:
    """Classes of a module that derive from a kind: they are listed under it by their own name."""
    return {
        node.name: None
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(isinstance(b, ast.Name) and b.id in kinds for b in node.bases)
    }


def _message(call: ast.Call, kinds: dict[str, None], module: str) -> Message | None:
    name = _name(call.func)
    hint = next((_text(k.value) for k in call.keywords if k.arg == "hint"), "")
    if name in kinds:
        if not call.args:
            return None
        kind = name if name in vars(errors) else _COLLECTED
        return Message(kind, module, _text(call.args[0]), hint)
    if name == "Problem" and call.args:
        return Message(_COLLECTED, module, _text(call.args[0]), hint or _positional(call, 2))
    if name == "add" and isinstance(call.func, ast.Attribute) and _name(call.func.value) == "problems":
        return Message(_COLLECTED, module, _text(call.args[0]), hint)
    if name == "not_found" and len(call.args) > 1:
        return Message(
            "NotFound", module, f"{_text(call.args[0])} `…` not found", "the nearest name, or what is known"
        )
    return None


def _positional(call: ast.Call, place: int) -> str:
    return _text(call.args[place]) if len(call.args) > place else ""


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: ast.expr) -> str:
    """A message as it stands in the source, with holes for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else _HOLE
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(v) for v in node.values)
    if isinstance(node, ast.FormattedValue):
        return _counted(node.value) or _HOLE
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.IfExp):
        either = [text for text in (_text(node.body), _text(node.orelse)) if text.strip(_HOLE)]
        return " / ".join(either) or _HOLE
    return "" if isinstance(node, ast.Constant) else _HOLE


def _counted(node: ast.expr) -> str:
    """`… rows`, of a call that counts them; else empty."""
    if not isinstance(node, ast.Call) or _name(node.func) != "counted":
        return ""
    return f"{_HOLE} {errors.counted(2, _text(node.args[1])).partition(' ')[2]}"
