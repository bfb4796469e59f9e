"""Completion: what a shell offers for names, out of the project's registry. Quick, and never a message."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gnomon import config, plugins
from gnomon.cli.options import nearest_project

if TYPE_CHECKING:
    from gnomon.abc.registry import Address


def objects(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of any kind."""
    return _matching((ref for _, ref in _registered(ctx)), incomplete)


def groups(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of groups."""
    return _matching((ref for kind, ref in _registered(ctx) if kind == "group"), incomplete)


def sources(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of sources, and of groups, some of which are their own."""
    return _matching((ref for kind, ref in _registered(ctx) if kind in ("source", "group")), incomplete)


def features(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of services, and of groups with the colon before a feature's name."""
    found = _registered(ctx)
    services = _matching((ref for kind, ref in found if kind == "service"), incomplete)
    return services + [f"{name}:" for name in _matching((r for k, r in found if k == "group"), incomplete)]


def _matching(refs: Iterable[str], incomplete: str) -> list[str]:
    """The names that begin so: without versions, unless one is being typed."""
    names = refs if "@" in incomplete else (ref.partition("@")[0] for ref in refs)
    return sorted({name for name in names if name.startswith(incomplete)})


def _registered(ctx: typer.Context) -> list[Address]:
    """What is registered, read without what definitions need to be decoded; nothing if that cannot be told."""
    try:
        root: Path | None = ctx.params.get("project") or nearest_project(Path.cwd())
        if root is None:
            return []
        url = config.load(root).registry
        file = url.removeprefix("sqlite:///")
        if file != url and not (root / file).is_file():
            return []  # opening it would make one
        backend = plugins.resolve("registry", url)(url, root=root)
        try:
            return [(one.kind, one.ref) for one in backend.load().objects if one.document is not None]
        finally:
            backend.close()
    except Exception:  # noqa: BLE001 — whoever presses a key has asked for no message
        return []
