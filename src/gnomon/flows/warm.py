"""Warm: ask a compiled request about nobody, so that no real question waits for a compilation.

Kernels are compiled, or loaded, at their first call, and so are some of Polars' functions; on-demand functions import
what they need. The answer is thrown away, and so is what goes wrong: it will be told to who asks in earnest.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from gnomon.errors import GnomonError
from gnomon.flows.compiled import Compiled
from gnomon.flows.inputs import inputs_of
from gnomon.flows.lookup import lookup
from gnomon.flows.project import Project
from gnomon.types import DType

_SOME: dict[type[DType], Any] = {
    pl.String: "",
    pl.Boolean: False,
    pl.Binary: b"",
    pl.Date: date(1970, 1, 1),
    pl.Time: time(0),
    pl.Duration: timedelta(0),
    pl.Decimal: Decimal(0),
    pl.List: [],
}


def warm(project: Project, compiled: Compiled) -> None:
    """Ask for one entity and for two: Polars and the kernels treat them differently."""
    inputs = inputs_of(compiled.request)
    entity = {name: _some(dtype) for name, dtype in inputs.keys.items()}
    request = {name: _some(dtype) for name, dtype in inputs.request.items()}
    for n in (1, 2):
        with suppress(GnomonError):
            lookup(project, compiled, [entity] * n, request or None, None, lambda: compiled, logged=False)


def _some(dtype: DType) -> Any:
    """Some value of a type, which few keys have."""
    if isinstance(dtype, pl.Datetime):
        return datetime(1970, 1, 1, tzinfo=None if dtype.time_zone is None else UTC)
    if dtype.is_integer():
        return 0
    return 0.0 if dtype.is_float() else _SOME.get(type(dtype))
