"""Modules that are loaded when a command uses them, so that `gnomon --help` answers at once."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any


class _Late(ModuleType):
    """Stands for a module until something in it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # an inspector's question, not a command's
            raise AttributeError(name)
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    from gnomon.define import split as splits
    from gnomon.demo import run as demo
    from gnomon.flows import describe, doctor, files, registries, retract, table, texts
    from gnomon.flows.access import audit as audit_log
    from gnomon.flows.access import grants, keys
    from gnomon.registry import diff, registry
    from gnomon.serve import server, settings
else:
    audit_log = _Late("gnomon.flows.access.audit")
    demo = _Late("gnomon.demo.run")
    describe = _Late("gnomon.flows.describe")
    diff = _Late("gnomon.registry.diff")
    doctor = _Late("gnomon.flows.doctor")
    files = _Late("gnomon.flows.files")
    grants = _Late("gnomon.flows.access.grants")
    keys = _Late("gnomon.flows.access.keys")
    registries = _Late("gnomon.flows.registries")
    registry = _Late("gnomon.registry.registry")
    retract = _Late("gnomon.flows.retract")
    server = _Late("gnomon.serve.server")
    settings = _Late("gnomon.serve.settings")
    splits = _Late("gnomon.define.split")
    table = _Late("gnomon.flows.table")
    texts = _Late("gnomon.flows.texts")

__all__ = [
    "audit_log",
    "demo",
    "describe",
    "diff",
    "doctor",
    "files",
    "grants",
    "keys",
    "registries",
    "registry",
    "retract",
    "server",
    "settings",
    "splits",
    "table",
    "texts",
]
