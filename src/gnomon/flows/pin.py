"""Pin: the hash of a contract that a question comes with → whether what it promised still holds.

A contract is known by its hash alone: the registry's history tells what it promised. How old rows are is not looked at
here, or stale rows would become no answers at all.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from gnomon.errors import Conflict, NotFound, UsageError
from gnomon.flows.breach import ContractReport, addresses, check_contract
from gnomon.flows.contract import Contract, make_contract
from gnomon.flows.project import Project
from gnomon.registry.snapshot import Snapshot

_KEPT = 1024
"""Reports that are remembered; clients may pin what they like."""


class Pins:
    """The contracts that a process knows, and which of them hold. Thread-safe."""

    def __init__(self, project: Project, contracts: Iterable[Contract] = ()) -> None:
        """`contracts`: known besides those of the registry's history, such as another registry's."""
        self._project = project
        self._given = {(one.service, one.hash): one for one in contracts}
        self._past: dict[str, _Past] = {}
        self._reports: dict[tuple[int, str, str], ContractReport] = {}
        self._lock = threading.Lock()

    def holds(self, snapshot: Snapshot, service: str, pinned: str) -> bool:
        """Whether a contract is known to hold, without looking further: for the quick path."""
        found = self._reports.get((snapshot.revision, service, pinned))
        return found is not None and found.holds

    def require(self, snapshot: Snapshot, service: str, pinned: str) -> None:
        """Refuse a contract that does not hold at a snapshot. May read the registry's history.

        `service`: as it is asked for, with or without its version.
        Raises: Conflict that tells what changed, since when and by whom; NotFound for a contract that nobody made.
        """
        address = (snapshot.revision, service, pinned)
        with self._lock:
            report = self._reports.get(address)
            if report is None:
                report = self._report(snapshot, service, pinned)
                if len(self._reports) >= _KEPT:
                    self._reports.clear()
                self._reports[address] = report
        if not report.holds:
            raise Conflict(
                str(report),
                at=f"contract {pinned}",
                hint="train a model on what the service is now, and export its contract; or bring back what it was",
            )

    def _report(self, snapshot: Snapshot, service: str, pinned: str) -> ContractReport:
        ref = snapshot.resolve("service", service)
        contract = self._find(snapshot, ref, pinned)
        if contract is not None:
            return check_contract(self._project, contract, snapshot=snapshot, stale=False)
        name = ref.partition("@")[0]
        for other in snapshot.refs("service"):
            if other.partition("@")[0] == name and self._find(snapshot, other, pinned) is not None:
                raise UsageError(
                    f"the contract {pinned} is of `{other}`, and `{service}` is `{ref}` now",
                    at=f"contract {pinned}",
                    hint=f"ask for `{other}`",
                )
        raise NotFound(
            f"no revision of `{ref}` promised the contract {pinned}",
            at=f"contract {pinned}",
            hint="the hash stands in the contract's file; one of another registry is made known by "
            "`gnomon serve --contract FILE`",
        )

    def _find(self, snapshot: Snapshot, ref: str, pinned: str) -> Contract | None:
        given = self._given.get((ref, pinned))
        if given is not None:
            return given
        past = self._past.get(ref)
        if past is None or past.revision != snapshot.revision:
            past = self._past[ref] = _Past(self._project, snapshot, ref)
        return past.contracts.get(pinned)


class _Past:
    """Every contract that a service has had up to a revision, by hash."""

    def __init__(self, project: Project, snapshot: Snapshot, ref: str) -> None:
        self.revision = snapshot.revision
        self.contracts: dict[str, Contract] = {}
        touched = {one.number: {*one.put, *one.removed} for one in project.registry.history()}
        relied_on = {("service", ref)}
        for number in range(snapshot.revision, 0, -1):
            if number != snapshot.revision and not touched[number + 1] & relied_on:
                continue
            at = snapshot if number == snapshot.revision else project.registry.at(number)
            try:
                made = make_contract(project, at, ref)
            except NotFound:
                continue
            self.contracts.setdefault(made.hash, made)
            relied_on |= addresses(made, at)
