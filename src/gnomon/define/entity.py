"""Entity: the thing that features describe, and the typed columns that identify one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from gnomon.define.base import Definition, Problems, pairs, put, tags_of
from gnomon.types import DType, as_dtype, dtype_text


@dataclass(frozen=True, repr=False)
class Entity(Definition):
    """A kind of thing with identity, such as an airport or a pair (user, merchant).

    `keys` maps column names to types; several columns form a composite key, no columns mean one global thing.
    Integer keys of any width are the same key, and so are datetimes of any unit: they are kept in microseconds.
    Float and nested keys are refused.

    Raises: DefinitionError with all problems at once.
    """

    name: str
    keys: Mapping[str, Any] | tuple[tuple[str, DType], ...] = ()
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] | tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        problems = Problems(f"entity {self.name}")
        problems.name(self.name)
        keys = []
        for column, given in pairs(self.keys, "keys", problems):
            if not isinstance(column, str) or not column or column.startswith("__"):
                problems.add(
                    f"`{column}` cannot be a key column",
                    at="keys",
                    hint="a key is named as in the source; names beginning with `__` belong to the store",
                )
            dtype = problems.attempt(as_dtype, given, at=f"keys[{column}]")
            if dtype is None:
                continue
            if not key_type_allowed(dtype):
                problems.add(
                    f"a key cannot be of type {dtype_text(dtype)}",
                    at=f"keys[{column}]",
                    hint="keys are integers, text, bytes, booleans, dates or datetimes",
                )
            keys.append((column, _one_of_its_kind(dtype)))
        put(self, keys=tuple(keys), tags=tags_of(self.tags, problems))
        problems.done()

    @property
    def key_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.keys)  # type: ignore[str-unpack]


def _one_of_its_kind(dtype: DType) -> DType:
    """The type that keys of all widths and units are kept in."""
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime("us", dtype.time_zone)
    return pl.Int64() if dtype.is_integer() else dtype


def key_type_allowed(dtype: DType) -> bool:
    """Whether values of the type identify something exactly (SEMANTICS §5)."""
    return dtype.is_integer() or isinstance(dtype, pl.String | pl.Binary | pl.Boolean | pl.Date | pl.Datetime)
