"""Feature: one column of a state group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gnomon.define.base import Definition, Problems, put, tags_of
from gnomon.define.expressions import parse
from gnomon.types import DType, as_dtype


@dataclass(frozen=True, repr=False)
class Feature(Definition):
    """A column of a state group: its newest value is the feature's value.

    `expr`: SQL over one row of the source; without it, the column of the feature's name. The value is cast to
    `dtype`. `default` replaces null as the last step.
    """

    name: str
    dtype: Any
    expr: str | None = None
    default: Any = field(default=None, hash=False)
    """In the place of null, as the last step. Not part of the hash: it may be a list."""
    description: str = ""
    tags: Mapping[str, str] | tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        problems = Problems(f"feature {self.name}")
        problems.name(self.name)
        dtype: DType | None = problems.attempt(as_dtype, self.dtype, at="dtype")
        if self.expr is not None:
            problems.attempt(parse, self.expr, at="expr")
        put(self, dtype=dtype, tags=tags_of(self.tags, problems))
        problems.done()
