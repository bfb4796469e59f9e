"""Values of defaults as JSON, such that they come back equal and of the same type.

Text, booleans, 64-bit integers, finite floats and None stand for themselves; everything else is an object
with one key, its type: `{"timedelta": 1500000}`, `{"decimal": "1.50"}`, `{"float": "nan"}`, `{"list": […]}`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from gnomon.errors import CorruptValue, DefinitionError

_MICROSECOND = timedelta(microseconds=1)
_INT64 = range(-(2**63), 2**63)


def to_json(value: Any, at: str) -> Any:
    """A default as JSON. Raises: DefinitionError for a type that has no JSON form."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value) if value in _INT64 else {"int": str(value)}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, datetime | date | time):
        return {_name(value, datetime, date, time): value.isoformat()}
    if isinstance(value, timedelta):
        return {"timedelta": value // _MICROSECOND}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return {_name(value, list, tuple): [to_json(item, f"{at}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, Mapping):
        return {"dict": [[to_json(k, at), to_json(v, f"{at}[{k}]")] for k, v in value.items()]}
    raise DefinitionError(
        f"a default cannot be of type {type(value).__name__}",
        at=at,
        hint="use a Python value: a number, text, bytes, a date or time, or a list of these",
    )


def from_json(raw: Any, at: str) -> Any:
    """What `to_json` wrote. Raises: CorruptValue with the place."""
    if not isinstance(raw, list | dict):
        return raw
    if isinstance(raw, dict) and len(raw) == 1:
        [(name, inside)] = raw.items()
        try:
            if name in ("list", "tuple"):
                items = [from_json(item, f"{at}[{i}]") for i, item in enumerate(inside)]
                return items if name == "list" else tuple(items)
            if name == "dict":
                return {from_json(k, at): from_json(v, f"{at}[{k}]") for k, v in inside}
            if read := _READERS.get(name):
                return read(inside)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise CorruptValue(f"`{inside!r}` is not a {name}: {error}", at=at) from None
    raise CorruptValue(f"`{raw!r}` is not a stored default", at=at)


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda count: timedelta(microseconds=count),
    "decimal": Decimal,
    "bytes": lambda text: base64.b64decode(text, validate=True),
}


def _name(value: Any, *types: type) -> str:
    """The name of the first type that the value is of: a datetime is a date too."""
    return next(type_.__name__ for type_ in types if isinstance(value, type_))
