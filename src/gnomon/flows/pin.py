"""Pin: the hash of a contract that a question comes with → whether what it promised still holds.

A contract is known by its hash alone: the registry's history tells what it promised. How old rows are is not looked at
here, or stale rows would become no answers at all.
"""

from __future__ import annotations

import threading

from gnomon.errors import BrokenContract, NotFound, Problem, UsageError
from gnomon.flows.breach import ContractReport, addresses, check_contract
from gnomon.flows.contract import Contract, make_contract
from gnomon.flows.project import Project
from gnomon.registry.snapshot import Snapshot

_KEPT = 1024
"""Reports that are remembered; clients may pin what they like."""


class Pins:
    """The contracts that a process knows, and which of them hold at the revision that it answers by. Thread-safe."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._given: dict[tuple[str, str], Contract] = {}
        self._past: dict[str, _Past] = {}
        self._reports: dict[tuple[int, str, str], ContractReport] = {}
        self._lock = threading.Lock()

    def know(self, contract: Contract) -> None:
        """Know a contract besides those of the registry's history, such as another registry's."""
        self._given[contract.service, contract.hash] = contract

    def holds(self, service: str, pinned: str) -> bool:
        """Whether a contract is known to hold, without looking further: for the quick path."""
        found = self._reports.get((self._project.recent_snapshot().revision, service, pinned))
        return found is not None and found.holds

    def require(self, service: str, pinned: str, snapshot: Snapshot | None = None) -> None:
        """Refuse a contract that does not hold. May read the registry's history.

        `service`: as it is asked for, with or without its version. `snapshot`: another revision than the one that is
        answered by.
        Raises: BrokenContract that tells what changed, since when and by whom; UsageError for one of another version;
                NotFound for one that nobody made.
        """
        snapshot = self._project.recent_snapshot() if snapshot is None else snapshot
        address = (snapshot.revision, service, pinned)
        with self._lock:
            report = self._reports.get(address)
            if report is None:
                report = self._report(snapshot, service, pinned)
                if len(self._reports) >= _KEPT:
                    self._reports.clear()
                self._reports[address] = report
        if not report.holds:
            raise broken(report)

    def _report(self, snapshot: Snapshot, service: str, pinned: str) -> ContractReport:
        name = service.partition("@")[0]
        # Removed ones too: who pins their contracts shall learn who removed them.
        versions = [r for k, r in snapshot.changed if k == "service" and r.partition("@")[0] == name]
        versions += [r for r, _ in self._given if r.partition("@")[0] == name and r not in versions]
        try:
            ref = snapshot.resolve("service", service)
        except NotFound:
            if not versions:
                raise
            ref = ""
        for other in versions:
            contract = self._find(snapshot, other, pinned)
            if contract is None:
                continue
            if other == ref or (not ref and service in (name, other)):
                return check_contract(self._project, contract, snapshot=snapshot, stale=False)
            raise UsageError(
                f"the contract {pinned} is of `{other}`, and `{service}` is `{ref or service}` now",
                at=f"contract {pinned}",
                hint=f"ask for `{other}`",
            )
        raise NotFound(
            f"no revision of `{ref or service}` promised the contract {pinned}",
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


def broken(report: ContractReport) -> BrokenContract:
    """The error that tells of the broken promises of a contract."""
    return BrokenContract(
        Problem(
            f"{report.contract.service}: {breach}",
            f"contract {report.contract.hash}",
            "train a model on what the service is now, and export its contract; or bring back what it was",
        )
        for breach in report.breaches
    )


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
