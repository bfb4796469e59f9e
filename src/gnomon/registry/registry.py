"""Registry: reads revisions as snapshots, and commits updates that rely on named requirements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gnomon.abc.registry import NewRevision, RegistryBackend, Revision
from gnomon.define.collect import KINDS, Kind
from gnomon.errors import Conflict, UsageError, nearest
from gnomon.registry.portable import Imported, export_lines, import_changes, read_lines
from gnomon.registry.requirements import Requirement, RevisionIs, Unchanged, check
from gnomon.registry.snapshot import Snapshot
from gnomon.registry.updates import Put, Remove, Update, apply_updates, effective
from gnomon.time import Clock, system_clock

_KIND_NAMES: dict[str, Kind] = {
    **{kind: kind for kind in KINDS},
    "entities": "entity",
    "sources": "source",
    "groups": "group",
    "feature_group": "group",
    "feature_groups": "group",
    "services": "service",
    "feature_service": "service",
    "feature_services": "service",
    "on_demands": "on_demand",
}


class Registry:
    """The definitions of a project, revision by revision."""

    def __init__(
        self, backend: RegistryBackend, *, clock: Clock = system_clock, author: str = "unknown"
    ) -> None:
        self.backend = backend
        self.clock = clock
        self.author = author
        self._newest: Snapshot | None = None

    def __repr__(self) -> str:
        return f"Registry({self.backend!r}, revision={self.backend.head()})"

    def snapshot(self) -> Snapshot:
        """The newest revision. Read again only if there is a newer one."""
        newest = self._newest
        if newest is None or newest.revision != self.backend.head():
            self._newest = newest = Snapshot.of(self.backend.load())
        return newest

    @property
    def newest(self) -> Snapshot | None:
        """The newest revision that was read by this object, without asking the backend."""
        return self._newest

    def at(self, revision: int) -> Snapshot:
        """A revision of the past; 0 is the empty one. Raises: NotFound."""
        return Snapshot.of(self.backend.load(revision))

    def history(self) -> tuple[Revision, ...]:
        """All revisions, the newest first."""
        return self.backend.history()

    def export_lines(self) -> Iterator[str]:
        """All revisions as lines of JSON, with nothing lost: documents, authors, times, messages."""
        return export_lines(self.backend)

    def import_lines(self, lines: Iterable[str], *, dry_run: bool = False) -> Imported:
        """Write the revisions of an export that are not here yet.

        Raises: Conflict if this registry is not empty, and does not hold the beginning of that history either;
                DataError if the lines are no whole export. Nothing is written then, nor with `dry_run`.
        """
        return import_changes(self.backend, read_lines(lines), dry_run=dry_run)

    def get(self, kind: str, name: str) -> Any:
        """A definition: `get("group", "airport_weather")`; `name@2` for another version than the newest.

        Raises: NotFound with the nearest name; UsageError for what is no kind or no name.
        """
        if not isinstance(name, str):
            raise UsageError(
                f"a definition is named by text, found {name!r}", hint='such as "airport_weather"'
            )
        return self.snapshot().get(kind_named(kind), name)

    def list(self, kind: str | None = None) -> tuple[Any, ...]:
        """All definitions of a kind (`"entity"` or `"entities"`, …), or of every kind."""
        snapshot = self.snapshot()
        kinds = KINDS if kind is None else (kind_named(kind),)
        return tuple(definition for one in kinds for definition in snapshot.list(one))

    def commit(
        self, requirements: Iterable[Requirement], updates: Iterable[Update], message: str = ""
    ) -> Snapshot:
        """Make one revision of the updates if the requirements hold; the new snapshot.

        When somebody else commits at the same moment, the requirements are checked against that revision, and
        if they still hold the commit goes on top of it. An update that somebody else has already made,
        exactly, conflicts with nothing. Without any update left, there is no new revision.

        Raises: Conflict that names object, revision and author; what decoding raises, for updates after which
        some definition could not be read or would name something missing. Nothing is written then.
        """
        requirements, updates = tuple(requirements), tuple(updates)
        while True:
            head = self.snapshot()
            changes = effective(head.documents, updates)
            done = {u.address for u in updates} - {u.address for u in changes}
            check((r for r in requirements if not (isinstance(r, Unchanged) and r.address in done)), head)
            if not changes:
                return head
            Snapshot(documents=apply_updates(head.documents, changes)).collected()
            new = NewRevision(self.author, self.clock(), message, {u.address: u.document for u in changes})
            try:
                self.backend.swap(head.revision, new)
            except Conflict:
                if self.backend.head() == head.revision:
                    raise  # nobody won the race: trying again would go on for ever
                continue
            # Known at once to whoever asks only for `newest`: this process must see what it has applied itself.
            self._newest = made = self.at(head.revision + 1)
            return made

    def revert(self, revision: int) -> Snapshot:
        """Make a new revision with the definitions of an old one. History stays.

        Raises: NotFound; Conflict if somebody else commits at the same moment.
        """
        head, old = self.snapshot(), self.at(revision)
        updates: list[Update] = []
        for kind in KINDS:
            updates += [Put(kind, ref, old.documents[kind, ref]) for ref in old.refs(kind)]
            updates += [Remove(kind, ref) for ref in head.refs(kind) if (kind, ref) not in old.documents]
        return self.commit([RevisionIs(head.revision)], updates, f"revert to revision {revision}")


def kind_named(name: str) -> Kind:
    """The kind of a name that people use for it. Raises: UsageError."""
    kind = _KIND_NAMES.get(str(name).lower().replace("-", "_"))
    if kind is None:
        close = nearest(str(name), _KIND_NAMES)
        raise UsageError(
            f"`{name}` is not a kind of definition",
            hint=f"did you mean `{close}`?" if close else f"known: {', '.join(KINDS)}",
        )
    return kind
