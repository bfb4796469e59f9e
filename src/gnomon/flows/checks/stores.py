"""Stores: registry, offline and online store, as gnomon.toml names them."""

from __future__ import annotations

from gnomon.define.collect import Collected
from gnomon.errors import counted
from gnomon.flows import apply as applying
from gnomon.flows.checks.check import Found
from gnomon.flows.project import Project
from gnomon.flows.registries import freshness
from gnomon.plugins import redacted
from gnomon.time import show


def registry(project: Project) -> Found:
    """Whether the registry answers, and by itself."""
    url = redacted(project.config.registry)
    snapshot = project.registry.snapshot()
    replica = freshness(project.registry)
    if replica is not None and replica.away is not None:
        return Found(
            "warn",
            f"answered by the replica: {replica}",
            "features are answered; applying needs the registry itself",
        )
    if not snapshot.revision:
        return Found("warn", f"{url}: empty", "`gnomon apply` registers the definitions")
    told = f"{url}: revision {snapshot.revision} by {snapshot.author}, {show(snapshot.time)}"
    return Found("ok", told if replica is None else f"{told}; replica: {replica}")


def applied(project: Project, collected: Collected) -> Found:
    """Whether the registry holds what the definitions say."""
    plan = applying.make_plan(project, [definition for _, _, definition in collected])
    waiting = [c for c in plan.changes if c.action in ("add", "change")]
    if plan.breaking:
        return Found(
            "error",
            f"in the definitions: {counted(len(plan.breaking), 'breaking change')}",
            "`gnomon plan` tells which",
        )
    if waiting:
        return Found(
            "warn",
            f"not applied: {counted(len(waiting), 'change')}",
            "`gnomon plan` shows them, `gnomon apply` makes them",
        )
    return Found("ok", f"the registry holds the definitions (revision {plan.base})")


def offline(project: Project) -> Found:
    tables = project.offline.tables()
    return Found("ok", f"{redacted(project.config.offline)}: {counted(len(tables), 'table')}")


def online(project: Project) -> Found:
    """Whether the online store answers and keeps what it is given."""
    store, url = project.online, redacted(project.config.online)
    tables = store.tables()
    if not tables:
        return Found("warn", f"{url}: empty", "`gnomon materialize` fills it")
    reason = store.capabilities.reasons.get("durable")
    note = "" if reason is None else f"; not durable: {reason}"
    return Found("ok", f"{url}: {counted(len(tables), 'table')}{note}")
