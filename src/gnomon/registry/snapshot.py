"""Snapshot: the registry as of one revision, immutable; definitions are decoded when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gnomon.abc.registry import Address, Loaded
from gnomon.define.collect import KINDS, LABELS, Collected, Kind, Registered
from gnomon.define.entity import Entity
from gnomon.define.group import FeatureGroup
from gnomon.define.ondemand import OnDemand
from gnomon.define.service import FeatureService
from gnomon.define.source import Source
from gnomon.errors import REGISTERING, CorruptValue, not_found
from gnomon.registry.codec import columns_of_document, decode
from gnomon.types import DType


@dataclass(frozen=True, slots=True)
class Stamp:
    """When an object last changed, and who changed it."""

    revision: int
    author: str


@dataclass(frozen=True)
class Snapshot:
    """All definitions as of a revision.

    Names of groups, services and on-demand features are `name` (the newest version) or `name@version`.
    Lookups raise NotFound with the nearest name. Decoded objects are kept, so that asking twice gives the
    same object.
    """

    revision: int = 0
    author: str = ""
    time: int = 0
    message: str = ""
    documents: Mapping[Address, str] = field(default_factory=dict, repr=False)
    changed: Mapping[Address, Stamp] = field(default_factory=dict, repr=False)
    """The last change of every object, removed ones included."""
    _decoded: dict[Address, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, loaded: Loaded) -> Snapshot:
        """The snapshot of what a backend read."""
        revision = loaded.revision
        return cls(
            revision=revision.number,
            author=revision.author,
            time=revision.time,
            message=revision.message,
            documents={(o.kind, o.ref): o.document for o in loaded.objects if o.document is not None},
            changed={(o.kind, o.ref): Stamp(o.revision, o.author) for o in loaded.objects},
        )

    def entity(self, name: str) -> Entity:
        found: Entity = self.get("entity", name)
        return found

    def source(self, name: str) -> Source:
        found: Source = self.get("source", name)
        return found

    def group(self, name: str, version: int | None = None) -> FeatureGroup:
        """A group; without a version, the newest."""
        found: FeatureGroup = self.get("group", name, version)
        return found

    def on_demand(self, name: str, version: int | None = None) -> OnDemand:
        """An on-demand feature; without a version, the newest. `import_function` finds its function."""
        found: OnDemand = self.get("on_demand", name, version)
        return found

    def service(self, name: str, version: int | None = None) -> FeatureService:
        """A service; without a version, the newest."""
        found: FeatureService = self.get("service", name, version)
        return found

    def groups(self) -> tuple[FeatureGroup, ...]:
        """All groups in all versions, sorted."""
        return self.list("group")

    def get(self, kind: Kind, name: str, version: int | None = None) -> Any:
        """The definition of a kind and name."""
        return self._decode((kind, self.resolve(kind, name, version)))

    def list(self, kind: Kind) -> tuple[Any, ...]:
        """The definitions of a kind, sorted by name and version."""
        return tuple(self._decode((kind, ref)) for ref in self.refs(kind))

    def refs(self, kind: Kind) -> tuple[str, ...]:
        """The names of a kind, with versions where it has them, sorted by name and version."""
        return tuple(sorted((ref for known, ref in self.documents if known == kind), key=_split))

    def resolve(self, kind: Kind, name: str, version: int | None = None) -> str:
        """The full name: `weather` → `weather@2`. Raises: NotFound with the nearest name."""
        if kind in ("group", "on_demand", "service") and "@" not in name:
            if version is not None:
                name = f"{name}@{version}"
            else:
                versions = [ref for ref in self.refs(kind) if _split(ref)[0] == name]
                name = versions[-1] if versions else name
        if (kind, name) not in self.documents:
            known = self.refs(kind)
            bare = known if "@" in name else {_split(ref)[0] for ref in known}
            raise not_found(LABELS[kind], name, bare, first=REGISTERING)
        return name

    def columns(self, group: str, version: int | None = None) -> dict[str, DType] | None:
        """The raw columns that a group reads, with their types as of its apply; None if stored without."""
        return columns_of_document(self.documents["group", self.resolve("group", group, version)])

    def collected(self) -> Collected:
        """Every definition. Raises for the first document that cannot be read or names something missing."""
        return Collected(*(self.list(kind) for kind in KINDS))

    def _decode(self, address: Address) -> Registered:
        found: Registered | None = self._decoded.get(address)
        if found is None:
            kind: Kind = address[0]  # type: ignore[assignment]
            try:
                made = decode(kind, self.documents[address], self)
            except CorruptValue as error:
                where = f"{LABELS[kind]} `{address[1]}` in revision {self.revision}"
                raise CorruptValue(f"{where}: {error.what}", at=error.at, hint=error.hint) from None
            found = self._decoded.setdefault(address, made)
        return found


def _split(ref: str) -> tuple[str, int]:
    """`weather@10` → ("weather", 10), so that versions sort as numbers."""
    name, _, version = ref.partition("@")
    return name, int(version) if version else 0
