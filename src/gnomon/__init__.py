"""Gnomon, a feature store: what every feature was worth at any moment.

Names are loaded on first use, so that `import gnomon` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnomon.define.aggregate import Aggregate, Window
    from gnomon.define.entity import Entity
    from gnomon.define.feature import Feature
    from gnomon.define.functions import (
        all,
        any,
        count,
        first,
        first_k,
        last,
        last_k,
        max,
        mean,
        median,
        min,
        n_distinct,
        rate,
        std,
        sum,
        time_since_first,
        time_since_last,
        var,
    )
    from gnomon.define.group import FeatureGroup, Role, Selection
    from gnomon.define.ondemand import OnDemand, Request, on_demand
    from gnomon.define.service import FeatureService
    from gnomon.define.source import FileSource, Source, SQLSource
    from gnomon.errors import GnomonError
    from gnomon.store import Store

__version__ = "0.1.0"

_HOME = {
    "gnomon.define.aggregate": "Aggregate Window",
    "gnomon.define.entity": "Entity",
    "gnomon.define.feature": "Feature",
    "gnomon.define.functions": (
        "all any count first first_k last last_k max mean median min n_distinct rate std sum "
        "time_since_first time_since_last var"
    ),
    "gnomon.define.group": "FeatureGroup Role Selection",
    "gnomon.define.ondemand": "OnDemand Request on_demand",
    "gnomon.define.service": "FeatureService",
    "gnomon.define.source": "FileSource SQLSource Source",
    "gnomon.errors": "GnomonError",
    "gnomon.store": "Store",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

# Builtins that a star import must not shadow.
__all__ = sorted(set(_MODULE_OF) - {"all", "any", "max", "min", "sum"})  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module `gnomon` has no attribute `{name}`")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
