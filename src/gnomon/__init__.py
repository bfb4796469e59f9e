"""Gnomon, a feature store: what every feature was worth at any moment.

Names are loaded on first use, so that `import gnomon` is quick.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnomon.client.asynchronous import AsyncClient as AsyncClient
    from gnomon.client.blocking import Client as Client
    from gnomon.define.aggregate import Aggregate as Aggregate
    from gnomon.define.aggregate import Window as Window
    from gnomon.define.entity import Entity as Entity
    from gnomon.define.external import ExternalSource as ExternalSource
    from gnomon.define.feature import Feature as Feature
    from gnomon.define.functions import (
        all as all,
    )
    from gnomon.define.functions import (
        any as any,
    )
    from gnomon.define.functions import (
        approx_n_distinct as approx_n_distinct,
    )
    from gnomon.define.functions import (
        approx_quantile as approx_quantile,
    )
    from gnomon.define.functions import (
        count as count,
    )
    from gnomon.define.functions import (
        decayed_sum as decayed_sum,
    )
    from gnomon.define.functions import (
        first as first,
    )
    from gnomon.define.functions import (
        first_k as first_k,
    )
    from gnomon.define.functions import (
        histogram as histogram,
    )
    from gnomon.define.functions import (
        last as last,
    )
    from gnomon.define.functions import (
        last_k as last_k,
    )
    from gnomon.define.functions import (
        max as max,
    )
    from gnomon.define.functions import (
        mean as mean,
    )
    from gnomon.define.functions import (
        median as median,
    )
    from gnomon.define.functions import (
        min as min,
    )
    from gnomon.define.functions import (
        mode as mode,
    )
    from gnomon.define.functions import (
        n_distinct as n_distinct,
    )
    from gnomon.define.functions import (
        quantile as quantile,
    )
    from gnomon.define.functions import (
        rate as rate,
    )
    from gnomon.define.functions import (
        std as std,
    )
    from gnomon.define.functions import (
        sum as sum,
    )
    from gnomon.define.functions import (
        time_since_first as time_since_first,
    )
    from gnomon.define.functions import (
        time_since_last as time_since_last,
    )
    from gnomon.define.functions import (
        top_k as top_k,
    )
    from gnomon.define.functions import (
        var as var,
    )
    from gnomon.define.group import FeatureGroup as FeatureGroup
    from gnomon.define.group import Role as Role
    from gnomon.define.group import Selection as Selection
    from gnomon.define.label import Label as Label
    from gnomon.define.label import label as label
    from gnomon.define.ondemand import OnDemand as OnDemand
    from gnomon.define.ondemand import Request as Request
    from gnomon.define.ondemand import on_demand as on_demand
    from gnomon.define.service import FeatureService as FeatureService
    from gnomon.define.source import FileSource as FileSource
    from gnomon.define.source import Source as Source
    from gnomon.define.source import SQLSource as SQLSource
    from gnomon.define.split import EntitySplit as EntitySplit
    from gnomon.define.split import RandomSplit as RandomSplit
    from gnomon.define.split import TimeSplit as TimeSplit
    from gnomon.define.split import WalkForward as WalkForward
    from gnomon.errors import GnomonError as GnomonError
    from gnomon.store import Store as Store


__version__ = "0.1.0"

_HOME = {
    "gnomon.client.asynchronous": "AsyncClient",
    "gnomon.client.blocking": "Client",
    "gnomon.define.aggregate": "Aggregate Window",
    "gnomon.define.entity": "Entity",
    "gnomon.define.external": "ExternalSource",
    "gnomon.define.feature": "Feature",
    "gnomon.define.functions": (
        "all any approx_n_distinct approx_quantile count decayed_sum first first_k histogram last last_k max mean "
        "median min mode n_distinct quantile rate std sum time_since_first time_since_last top_k var"
    ),
    "gnomon.define.group": "FeatureGroup Role Selection",
    "gnomon.define.label": "Label label",
    "gnomon.define.ondemand": "OnDemand Request on_demand",
    "gnomon.define.service": "FeatureService",
    "gnomon.define.source": "FileSource SQLSource Source",
    "gnomon.define.split": "EntitySplit RandomSplit TimeSplit WalkForward",
    "gnomon.errors": "GnomonError",
    "gnomon.store": "Store",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

_SYNONYMS = {
    "avg": "mean",
    "average": "mean",
    "stddev": "std",
    "stdev": "std",
    "variance": "var",
    "nunique": "n_distinct",
    "count_distinct": "n_distinct",
    "distinct_count": "n_distinct",
    "approx_count_distinct": "approx_n_distinct",
    "percentile": "quantile",
    "most_common": "mode",
    "topk": "top_k",
    "minimum": "min",
    "maximum": "max",
    "total": "sum",
    "latest": "last",
    "earliest": "first",
    "lastn": "last_k",
    "firstn": "first_k",
    "FeatureView": "FeatureGroup",
    "Field": "Feature",
}
"""What others call it → what it is called here."""

# Builtins that a star import must not shadow.
__all__ = sorted(set(_MODULE_OF) - {"all", "any", "max", "min", "sum"})  # noqa: PLE0605 — sorted() gives a list


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        close = _SYNONYMS.get(name)
        if close not in _MODULE_OF:
            close = next(iter(difflib.get_close_matches(name, _MODULE_OF, n=1)), None)
        hint = f"; did you mean `{close}`?" if close else ""
        raise AttributeError(f"module `gnomon` has no attribute `{name}`{hint}", name=name)
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
