"""The Python surface: names, signatures and docstrings, as the code has them."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import gnomon as gn
from docs.generators.markdown import code, docstring
from gnomon import errors, events
from gnomon.define import functions
from gnomon.flows.apply import Plan
from gnomon.flows.backfilled import BackfillReport
from gnomon.flows.dataset import Dataset
from gnomon.flows.estimate import Estimate
from gnomon.flows.explain import Explanation
from gnomon.flows.handover import Portion, Split
from gnomon.flows.inputs import Inputs
from gnomon.flows.insert import Commit
from gnomon.flows.lookup import OnlineFeatures
from gnomon.flows.materialize import GroupReport, Report
from gnomon.flows.matrix import Matrix
from gnomon.flows.retract import Ack
from gnomon.flows.retrieval import Retrieval
from gnomon.registry.registry import Registry
from gnomon.registry.snapshot import Snapshot

_WIDTH = 100

_DEFINITIONS = (
    gn.Entity,
    gn.Source,
    gn.FileSource,
    gn.SQLSource,
    gn.ExternalSource,
    gn.FeatureGroup,
    gn.Feature,
    gn.label,
    gn.Request,
    gn.on_demand,
    gn.FeatureService,
    gn.TimeSplit,
    gn.WalkForward,
    gn.EntitySplit,
    gn.RandomSplit,
)
_PARTS = (gn.Aggregate, gn.Window, gn.Label, gn.OnDemand, gn.Role, gn.Selection)
_RESULTS = (
    Plan,
    Commit,
    Ack,
    Retrieval,
    Dataset,
    Split,
    Portion,
    Matrix,
    Report,
    GroupReport,
    BackfillReport,
    Estimate,
    OnlineFeatures,
    Explanation,
    Inputs,
    Registry,
    Snapshot,
)


def page() -> str:
    names = {name: getattr(gn, name) for name in gn._MODULE_OF}
    aggregates = [thing for thing in names.values() if inspect.getmodule(thing) is functions]
    shown = {*_DEFINITIONS, *_PARTS, *aggregates, gn.Store, gn.Client, gn.AsyncClient, gn.GnomonError}
    missing = [name for name, thing in names.items() if thing not in shown]
    if missing:
        raise LookupError(f"public names without a place in the reference: {', '.join(missing)}")
    tree = inspect.cleandoc(errors.__doc__ or "").split("\n\n", 1)[1]
    sections = [
        "# Python API\n\n`import gnomon as gn`. Names are loaded on first use. What follows is made from the "
        "code; "
        "what values mean stands in [semantics](../semantics.md).",
        "## Definitions\n\nFrozen values without I/O: equal when all their fields are, safe to define again "
        "in a "
        "notebook. A mistake raises `DefinitionError` with all problems at once.",
        *(_entry(thing) for thing in _DEFINITIONS),
        f"## Aggregates\n\n{_common(functions)}\n\nWhich types each one takes: [aggregates](aggregates.md). "
        "`from gnomon import *` leaves out `all any max min sum`, which would hide Python's own.",
        *(_entry(thing) for thing in aggregates),
        "## Store",
        _entry(gn.Store),
        "## Clients of a server\n\nHow to use them: [client](../how-to/client.md).",
        _entry(gn.Client),
        _entry(gn.AsyncClient),
        "## Results and the registry\n\nWhat the store's methods return.",
        *(_entry(thing, called=False) for thing in _RESULTS),
        "## Parts of definitions\n\nMade by the functions and methods above; rarely called by name.",
        *(_entry(thing) for thing in _PARTS),
        "## Events\n\nFlows tell what happened to whoever listens: `gnomon.events.listen(listener)` until "
        "the function that it returns is called, `gnomon.events.listening(listener)` within a `with` block. "
        "A listener that fails "
        "is logged and harms nobody.",
        *(_entry(event) for event in vars(events).values() if _is_event(event)),
        f"## Errors\n\nAll in `gnomon.errors`. {docstring(errors.GnomonError)} "
        f"See the [index of errors](errors.md).\n\n{code(tree)}",
    ]
    return "\n\n".join(sections)


def _common(module: Any) -> str:
    return inspect.cleandoc(module.__doc__).split("\n\n", 1)[1].replace("SEMANTICS §", "semantics §")


def _is_event(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, events.Event) and thing is not events.Event


def _entry(thing: Any, *, called: bool = True) -> str:
    """A function, or a class with its public members.

    A class that users never make themselves has its fields in the place of a signature.
    """
    name = thing.__name__
    prefix = "gn." if name in gn._MODULE_OF else ""
    lines = [f"### {prefix}{name}"]
    if called:
        lines.append(code(_signature(prefix + name, thing), "python"))
    lines.append(_text(thing))
    if inspect.isclass(thing):
        members = [
            *_field_lines(thing, documented=called),
            *(_member(thing, name) for name in _members(thing)),
        ]
        lines.append("\n".join(text for text in members if text))
    return "\n\n".join(line for line in lines if line)


def _field_lines(thing: type, *, documented: bool) -> list[str]:
    """The public fields of a class; only those with a text of their own if `documented`."""
    texts = field_texts(thing)
    return [
        f"* **`.{name}`**: `{annotation}` {texts[name]}".rstrip()
        for name, annotation in inspect.get_annotations(thing).items()
        if name in texts and (texts[name] or not documented)
    ]


def field_texts(thing: type) -> dict[str, str]:
    """The public annotated fields of a class, each with the string below it, empty where there is none."""
    (tree,) = ast.parse(inspect.getsource(thing)).body
    body: list[ast.stmt] = tree.body  # type: ignore[attr-defined]
    found = {}
    for field, below in zip(body, [*body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if field.target.id.startswith("_"):
            continue
        documented = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        found[field.target.id] = " ".join(str(below.value.value).split()) if documented else ""  # type: ignore[union-attr]
    return found


def _text(thing: Any) -> str:
    """Its docstring, without the signature that `dataclass` writes where there is none."""
    text = docstring(thing)
    return "" if text.startswith(f"{thing.__name__}(") else text


def _members(thing: type) -> list[str]:
    """Public members in the order of the source, those of bases after its own."""
    found: dict[str, None] = {}
    for base in thing.__mro__:
        if base.__module__.startswith("gnomon"):
            found.update(dict.fromkeys(name for name in vars(base) if not name.startswith("_")))
    return list(found)


def _member(owner: type, name: str) -> str | None:
    """A method or property that has a docstring; fields stand in the signature."""
    raw = inspect.getattr_static(owner, name)
    if isinstance(raw, property) or type(raw).__name__ == "cached_property":
        function = raw.fget if isinstance(raw, property) else raw.func  # type: ignore[attr-defined]
        text = inspect.getdoc(function)
        return f"* **`.{name}`** {_inline(text)}" if text else None
    function = getattr(raw, "__func__", raw)
    if not inspect.isfunction(function) or not inspect.getdoc(function):
        return None
    return f"* {_inline_signature(name, function)} {_inline(inspect.getdoc(function) or '')}"


def _inline(text: str) -> str:
    return " ".join(text.replace("\n\nRaises:", " *Raises:*").split())


def _inline_signature(name: str, function: Any) -> str:
    parameters = [_bare(p) for p in _parameters(function)]
    return f"**`.{name}({', '.join(_starred(parameters, _parameters(function)))})`**"


def _signature(name: str, thing: Any) -> str:
    """A call as a reader would write it: one line, or one argument a line."""
    parameters = _parameters(thing)
    shown = _starred([_full(p) for p in parameters], parameters)
    returned = inspect.signature(thing).return_annotation
    tail = (
        ""
        if inspect.isclass(thing) or returned is inspect.Signature.empty
        else f" -> {_annotation(returned)}"
    )
    line = f"{name}({', '.join(shown)}){tail}"
    if len(line) <= _WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {p},\n" for p in shown) + f"){tail}"


def _parameters(thing: Any) -> list[inspect.Parameter]:
    parameters = inspect.signature(thing).parameters.values()
    return [p for p in parameters if p.name not in ("self", "cls") and not p.name.startswith("_")]


def _starred(texts: list[str], parameters: list[inspect.Parameter]) -> list[str]:
    """The texts with a `*` before the first argument that is given by keyword only."""
    kinds = [p.kind for p in parameters]
    if inspect.Parameter.KEYWORD_ONLY not in kinds or inspect.Parameter.VAR_POSITIONAL in kinds:
        return texts
    first = kinds.index(inspect.Parameter.KEYWORD_ONLY)
    return [*texts[:first], "*", *texts[first:]]


def _bare(parameter: inspect.Parameter) -> str:
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    return parameter.name + (
        "" if parameter.default is parameter.empty else f"={_default(parameter.default)}"
    )


def _full(parameter: inspect.Parameter) -> str:
    star = "**" if parameter.kind is inspect.Parameter.VAR_KEYWORD else ""
    text = f"{star}{parameter.name}: {_annotation(parameter.annotation)}"
    return text if parameter.default is parameter.empty else f"{text} = {_default(parameter.default)}"


def _annotation(given: Any) -> str:
    """Annotations are texts, since every module puts off their evaluation."""
    return str(given).replace("Unpack[Common]", "Common")


def _default(value: Any) -> str:
    if callable(value):
        return str(value.__name__)
    # Of a dataclass field that is made anew for each object.
    return "…" if type(value).__name__ == "_HAS_DEFAULT_FACTORY_CLASS" else repr(value)
