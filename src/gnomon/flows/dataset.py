"""Dataset: a training set kept under a name, with everything that tells where it came from."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from gnomon.define.split import Splitting, from_document, to_document
from gnomon.errors import CorruptValue, Gone, UsageError, counted, not_found
from gnomon.flows.contents import Contents, contents_of
from gnomon.flows.handover import Handover, Split
from gnomon.flows.project import Project
from gnomon.flows.training import Computed, Question, row_hash
from gnomon.time import show

_FOLDER = "datasets"
_PIN = "dataset-"
_LONGEST = 128
_NAME = re.compile(rf"[\w\-][\w.\- ]{{0,{_LONGEST - 1}}}")
_DATA, _MANIFEST = "data.parquet", "dataset.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept beside the rows."""

    name: str
    id: str
    """Digest of the stored bytes."""
    revision: int
    features: list[str]
    timestamp: str
    as_of: str
    spine: str
    """Digest of the spine."""
    sources: dict[str, dict[str, str]]
    """By group: the parts that were read, with their etags; empty where nothing tells whether one has changed."""
    rows: int
    created: str
    contents: Contents | None = None
    """What each column is; None in datasets of before it was kept."""
    split: dict[str, Any] | None = None
    """How it falls into parts, as a document."""


@dataclass(frozen=True)
class Dataset(Handover):
    """A saved training set. Reading it gives the same bytes, or an error that says what is gone."""

    folder: Path
    manifest: Manifest

    def __repr__(self) -> str:
        m = self.manifest
        features, labels = len(m.features), ""
        if m.contents is not None and m.contents.labels:
            features, labels = len(m.contents.features), f", {counted(len(m.contents.labels), 'label')}"
        size = f"{counted(m.rows, 'row')}, {counted(features, 'feature')}{labels}"
        return f"Dataset({m.name!r}, {size}, revision {m.revision}, id {m.id})"

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def path(self) -> Path:
        """The Parquet file."""
        return self.folder / _DATA

    def to_polars(self) -> pl.DataFrame:
        """The rows. Raises: Gone if the file is no longer there, CorruptValue if it is not the same."""
        if not self.path.is_file():
            raise Gone(
                f"the rows of dataset `{self.name}` are gone",
                at=str(self.path),
                hint=f"it was made from revision {self.manifest.revision}; compute it again under another name",
            )
        if _digest(self.path) != self.id:
            raise CorruptValue(
                f"the rows of dataset `{self.name}` have changed since it was saved", at=str(self.path)
            )
        return pl.read_parquet(self.path)

    @property
    def contents(self) -> Contents:
        """What each column is."""
        if self.manifest.contents is not None:
            return self.manifest.contents
        names = pl.read_parquet_schema(self.path)
        own = tuple(names)[: len(names) - len(self.manifest.features)]
        return Contents(self.manifest.timestamp, (), own, tuple(names)[len(own) :], ())

    def split(self, how: Splitting | str | None = None) -> Split:
        """The rows in parts, by name: as it was saved with, or in another way. See `Retrieval.split`.

        Raises: UsageError if it was saved without a split and none is given.
        """
        if how is None:
            if self.manifest.split is None:
                raise UsageError(
                    f"dataset `{self.name}` was saved without a split",
                    hint="say how: dataset.split(gn.TimeSplit(…)), or save it with retrieval.save(name, split=…)",
                )
            how = from_document(self.manifest.split)
        return self._split(how)

    def changed_sources(self) -> dict[str, list[str]]:
        """By group, the parts of its sources that have changed or gone since. Object stores are not asked."""
        told = {
            group: sorted(name for name, etag in parts.items() if not _is_same(name, etag))
            for group, parts in self.manifest.sources.items()
        }
        return {group: names for group, names in told.items() if names}


def _is_same(name: str, etag: str) -> bool:
    """Whether a part is what it was. A table's file has its own name as etag: it never changes, but it may go."""
    if not etag or "://" in name:
        return True  # nothing was known of it, or it is not on this machine
    path = Path(name)
    try:
        stat = path.stat()
    except OSError:
        return False
    return etag in (path.name, f"{stat.st_size}-{stat.st_mtime_ns}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def check_name(name: object) -> None:
    """Raises: UsageError for what cannot be a folder's name on every system."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"`{name}` cannot be a dataset's name"
            if isinstance(name, str)
            else f"a dataset's name is text, found {name!r}",
            hint=f"letters, digits, `_`, `-`, `.` and blanks, at most {_LONGEST}, not beginning with `.`",
        )


def save(
    project: Project, name: str, question: Question, computed: Computed, split: Splitting | None = None
) -> Dataset:
    """Write rows and manifest into a folder that appears whole.

    Raises: UsageError if the name is taken or cannot be one, or if the rows cannot be split so.
    """
    check_name(name)
    contents = contents_of(question)
    if split is not None:
        Split.of(computed.frame, contents, split)
    base = _base(project)
    folder = base / name
    if folder.exists():
        raise UsageError(
            f"dataset `{name}` exists already",
            at=str(folder),
            hint="a dataset never changes: choose another name",
        )
    # First: a dataset that is killed on its way keeps some files for nobody, and not the other way round.
    _pin(project, name, question, computed)
    base.mkdir(parents=True, exist_ok=True)
    draft = base / f".{name}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        computed.frame.write_parquet(draft / _DATA)
        manifest = Manifest(
            name=name,
            id=_digest(draft / _DATA),
            revision=question.request.revision,
            features=[c.described for c in question.request.columns],
            timestamp=question.timestamp,
            as_of=question.as_of if isinstance(question.as_of, str) else show(question.as_of),
            spine=row_hash(question.spine),
            sources={
                ref: {p.name: "" if p.grows else p.etag for p in reading.parts}
                for ref, reading in computed.readings.items()
            },
            rows=len(computed.frame),
            created=show(project.clock()),
            contents=contents,
            split=None if split is None else to_document(split),
        )
        (draft / _MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        draft.rename(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if folder.exists():
            raise UsageError(f"dataset `{name}` exists already", at=str(folder)) from None
        raise Gone(f"dataset `{name}` could not be written: {error}", at=str(folder)) from None
    return Dataset(folder, manifest)


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """What a dataset was made from: a note of the offline store, so that a vacuum on any machine knows."""

    name: str
    project: str
    tables: dict[str, list[str]]
    """By group that keeps rows of its own: the etags of its table's files."""


def _pin(project: Project, name: str, question: Question, computed: Computed) -> None:
    cached = {job.layout.ref for job in question.request.jobs if job.layout.cached}
    tables = {
        ref: [part.etag for part in reading.parts]
        for ref, reading in computed.readings.items()
        if ref in cached and reading.parts
    }
    if tables:
        pin = Pin(name=name, project=project.config.name, tables=tables)
        # Dataset names are free text, those of notes are not; and two projects may use one store.
        address = hashlib.sha256(f"{project.root}\0{name}".encode()).hexdigest()[:32]
        project.offline.write_note(f"{_PIN}{address}", msgspec.json.encode(pin).decode())


def pins(project: Project) -> dict[str, dict[str, set[str]]]:
    """Group → saved dataset, of any project that shares the offline store → etags of what it was made from."""
    found = [msgspec.json.decode(text, type=Pin) for text in project.offline.notes(_PIN).values()]
    told = [(pin.name, ref, etags) for pin in found for ref, etags in pin.tables.items()]
    # Releases before pins left manifests alone.
    for name in list_datasets(project):
        sources = open_dataset(project, name).manifest.sources
        told += [(name, ref, list(parts.values())) for ref, parts in sources.items()]
    groups: dict[str, dict[str, set[str]]] = {}
    for name, ref, etags in told:
        groups.setdefault(ref, {}).setdefault(name, set()).update(etags)
    return groups


def open_dataset(project: Project, name: str) -> Dataset:
    """A saved dataset. Raises: NotFound with the nearest name; UsageError for what cannot be a name."""
    check_name(name)
    folder = _base(project) / name
    try:
        text = (folder / _MANIFEST).read_bytes()
    except OSError:
        raise not_found(
            "Dataset",
            name,
            list_datasets(project),
            first="Retrieval.save(name), or `gnomon training … --save NAME`",
        ) from None
    return Dataset(folder, msgspec.json.decode(text, type=Manifest))


def list_datasets(project: Project) -> list[str]:
    """The names of all datasets, sorted."""
    base = _base(project)
    if not base.is_dir():
        return []
    return sorted(p.name for p in base.iterdir() if not p.name.startswith(".") and (p / _MANIFEST).is_file())


def drafts(project: Project) -> list[tuple[Path, int]]:
    """Datasets that are being written, or were when their process died: (folder, the process's number)."""
    base = _base(project)
    found = base.glob(".*.*") if base.is_dir() else ()
    return sorted((path, int(path.suffix[1:])) for path in found if path.suffix[1:].isdecimal())


def _base(project: Project) -> Path:
    return project.root / ".gnomon" / _FOLDER


def to_dict(dataset: Dataset) -> dict[str, Any]:
    """The manifest as plain values."""
    return msgspec.to_builtins(dataset.manifest)  # type: ignore[no-any-return]
