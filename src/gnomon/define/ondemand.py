"""On-demand features: functions of features and request values, computed when asked for."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from gnomon.define.base import Definition, Problems, pairs, put, tags_of, version_of
from gnomon.define.group import Selection
from gnomon.errors import counted
from gnomon.time import duration
from gnomon.types import DType, as_dtype


@dataclass(frozen=True, repr=False)
class Request(Definition):
    """A value that comes with the request: a spine column in training, a request field online."""

    name: str
    dtype: Any

    def __post_init__(self) -> None:
        problems = Problems(f"request {self.name}")
        problems.name(self.name)
        put(self, dtype=problems.attempt(as_dtype, self.dtype, at="dtype"))
        problems.done()


@dataclass(frozen=True, repr=False)
class OnDemand(Definition):
    """A function of named inputs, Series in, Series out; made by `gn.on_demand`.

    The function is found again by `module` and `qualname`; `source_hash` tells whether it is still the same
    code. Nothing is pickled. Calling the object calls the function.
    """

    name: str
    inputs: tuple[Selection | Request, ...]
    returns: tuple[tuple[str, DType], ...]
    module: str
    qualname: str
    source_hash: str
    version: int = 1
    timeout: int | None = None
    """Microseconds that an online answer waits for a call; None: as long as it takes."""
    description: str = ""
    owner: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    function: Callable[..., Any] | None = field(default=None, compare=False, repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        assert self.function is not None
        return self.function(*args, **kwargs)

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(i.name for i in self.inputs)


def source_hash(function: Callable[..., Any]) -> str:
    """Digest of a function's source text; of its compiled code where the text cannot be had (a bare console).

    Decorators and docstring are left out: they hold description, owner and tags, which may change freely.
    """
    try:
        text = _code_text(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        code = function.__code__
        text = repr((code.co_code, code.co_consts, code.co_names))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _code_text(source: str) -> str:
    """A function's text from its `def` on, without the docstring.

    Text and not a dumped tree, which would differ between versions of Python.
    """
    try:
        node = ast.parse(source).body[0]
    except (SyntaxError, IndexError):  # cut out of a larger expression
        return source
    if not isinstance(node, ast.FunctionDef):
        return source
    lines = source.splitlines()
    first, *rest = node.body
    last = first.end_lineno or first.lineno
    alone = node.lineno < first.lineno and all(last < other.lineno for other in rest)
    if alone and ast.get_docstring(node, clean=False) is not None:
        lines[first.lineno - 1 : last] = []
    return "\n".join(line.rstrip() for line in lines[node.lineno - 1 :])


def on_demand(
    *,
    inputs: Sequence[Selection | Request],
    returns: Mapping[str, Any],
    version: int = 1,
    timeout: str | timedelta | int | None = None,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., Any]], OnDemand]:
    """Declare a function as an on-demand feature.

    The function gets one Series for each input, by parameter name where all names match, else in order, and
    returns one Series, or as many as `returns` names as a dict or a tuple. It must be a plain function of
    its inputs, row by row: `apply` probes it whole, one by one and permuted, and refuses it if the bits
    differ.

    `timeout`: how long an online answer waits for it, for all rows of a request together; beyond that its values
    are errors. A training set waits as long as it takes.

    Raises: DefinitionError with all problems at once.
    """

    def declare(function: Callable[..., Any]) -> OnDemand:
        name = function.__name__
        problems = Problems(f"on-demand {name}")
        problems.name(name)
        version_of(version, problems)
        limit = None if timeout is None else problems.attempt(duration, timeout, at="timeout")
        if limit is not None and limit <= 0:
            problems.add("a timeout must be longer than nothing", at="timeout", hint='such as "50ms"')
        for i, given in enumerate(inputs):
            if not isinstance(given, Selection | Request):
                problems.add(
                    f"`{given!r}` is not an input",
                    at=f"inputs[{i}]",
                    hint='use group["feature"] or gn.Request(name, dtype)',
                )
            elif isinstance(given, Selection) and given.is_label:
                problems.add(
                    f"`{given.group.ref}:{given.feature}` is a label",
                    at=f"inputs[{i}]",
                    hint="a feature that is made of a label knows what it shall foretell",
                )
        if problems.found:
            problems.done()
        names = [given.name for given in inputs]
        for twice in sorted({n for n in names if names.count(n) > 1}):
            problems.add(
                f"the input `{twice}` is named twice", at="inputs", hint="use group.renamed(prefix=…)"
            )
        parameters = [
            p
            for p in inspect.signature(function).parameters.values()
            if p.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        if len(parameters) != len(names):
            problems.add(
                f"the function takes {counted(len(parameters), 'parameter')}, but inputs are declared: {len(names)}",
                at="inputs",
            )
        types = [
            (output, problems.attempt(as_dtype, dtype, at=f"returns[{output}]"))
            for output, dtype in pairs(returns, "returns", problems)
        ]
        for output, _ in types:
            problems.name(output, "output name")
        if not types:
            problems.add(
                "`returns` must name at least one output", at="returns", hint='returns={"name": pl.Float64}'
            )
        if "<locals>" in function.__qualname__ or name == "<lambda>":
            problems.add(
                "the function cannot be imported again",
                hint="define it with `def` at the top level of a module",
            )
        problems.done()
        return OnDemand(
            name=name,
            inputs=tuple(inputs),
            returns=tuple(types),
            module=function.__module__,
            qualname=function.__qualname__,
            source_hash=source_hash(function),
            version=version,
            timeout=limit,
            description=description or inspect.getdoc(function) or "",
            owner=owner,
            tags=tags_of(tags, problems),
            function=function,
        )

    return declare
