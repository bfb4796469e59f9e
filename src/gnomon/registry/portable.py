"""Portable: a registry ↔ JSON lines, revision by revision, with nothing lost.

The first line tells what the file is and how many revisions follow; each other line is one revision with author, time,
message and the documents that it wrote, as the texts that they are: they come back byte for byte.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from gnomon.abc.registry import Address, NewRevision, RegistryBackend
from gnomon.define.collect import KINDS
from gnomon.errors import Conflict, DataError, GnomonError, counted
from gnomon.registry.snapshot import Snapshot
from gnomon.time import show

FORMAT, VERSION = "gnomon-registry", 1


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    version: int
    revisions: int


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    name: str
    document: str | None
    """None: removed."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    revision: int
    author: str
    time: int
    """Microseconds since 1970."""
    message: str
    documents: list[_Document]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do."""

    revisions: int
    """Revisions that were written."""
    present: int
    """Revisions that were there already, the same ones."""
    dry_run: bool = False

    def __str__(self) -> str:
        done = "would be imported" if self.dry_run else "imported"
        there = f", {self.present:,} there already" if self.present else ""
        return f"{counted(self.revisions, 'revision')} {done}{there}"


def export_lines(backend: RegistryBackend) -> Iterator[str]:
    """Every revision of a registry, as lines of JSON without their ends."""
    changes = backend.changes()
    yield _text(_Head(FORMAT, VERSION, len(changes)))
    for number, one in enumerate(changes, 1):
        documents = [_Document(kind, ref, text) for (kind, ref), text in sorted(one.documents.items())]
        yield _text(_Line(number, one.author, one.time, one.message, documents))


def read_lines(lines: Iterable[str]) -> tuple[NewRevision, ...]:
    """The revisions of an export, oldest first.

    Raises: DataError naming the line, if it is no export, of a later format, cut off, or not readable.
    """
    numbered = ((i, line) for i, line in enumerate(lines, 1) if line.strip())
    _, first = next(numbered, (1, ""))
    head = _decode(first, _Head, 1)
    if head.format != FORMAT:
        raise DataError(f"this is no export of a registry: its format is `{head.format}`", at="line 1")
    if head.version != VERSION:
        raise DataError(
            f"the export has format version {head.version}, and {VERSION} is known here",
            at="line 1",
            hint="import it with the release that wrote it, or a later one",
        )
    changes: list[NewRevision] = []
    for i, text in numbered:
        line = _decode(text, _Line, i)
        if line.revision != len(changes) + 1:
            raise DataError(
                f"revision {line.revision} stands where {len(changes) + 1} should", at=f"line {i}"
            )
        changes.append(NewRevision(line.author, line.time, line.message, _documents(line, i)))
    if len(changes) != head.revisions:
        raise DataError(
            f"the export is cut off: {counted(head.revisions, 'revision')} were written, {len(changes)} are there",
            hint="export the registry again",
        )
    return tuple(changes)


def import_changes(
    backend: RegistryBackend, changes: Sequence[NewRevision], *, dry_run: bool = False
) -> Imported:
    """Write the revisions that a registry does not have yet. It must be empty, or hold the first of them.

    Killed half-way it has written whole revisions: doing it again goes on.
    Raises: Conflict naming the revision, if the registry has others; DataError if definitions of the newest revision
            cannot be read. Nothing is written then.
    """
    held = backend.changes()
    _check_prefix(held, changes)
    _check_readable(changes)
    missing = changes[len(held) :]
    if not dry_run:
        for base, one in enumerate(missing, len(held)):
            backend.swap(base, one)
    return Imported(len(missing), len(held), dry_run)


def _check_prefix(held: Sequence[NewRevision], changes: Sequence[NewRevision]) -> None:
    hint = "import into an empty registry, or into one that holds the beginning of the same history"
    for number, (mine, given) in enumerate(itertools.zip_longest(held, changes), 1):
        if mine is None or mine == given:
            continue
        here = f"the registry's revision {number}, by {mine.author} of {show(mine.time)}"
        what = (
            f"{here}, is not in the export"
            if given is None
            else f"{here}, is another than the export's, by {given.author} of {show(given.time)}"
        )
        raise Conflict(what, hint=hint)


def _check_readable(changes: Sequence[NewRevision]) -> None:
    """Whether the definitions as of the last revision can be read: of an export by hand, or a later release."""
    documents: dict[Address, str] = {}
    for one in changes:
        for address, text in one.documents.items():
            if text is None:
                documents.pop(address, None)
            else:
                documents[address] = text
    try:
        Snapshot(revision=len(changes), documents=documents).collected()
    except GnomonError as error:
        raise DataError(
            f"the export's definitions cannot be read: {error.what}", at=error.at, hint=error.hint
        ) from None


def _documents(line: _Line, number: int) -> dict[Address, str | None]:
    documents: dict[Address, str | None] = {}
    for one in line.documents:
        if one.kind not in KINDS:
            raise DataError(f"`{one.kind}` is not a kind of definition", at=f"line {number}")
        if (one.kind, one.name) in documents:
            raise DataError(f"{one.kind} `{one.name}` stands there twice", at=f"line {number}")
        documents[one.kind, one.name] = one.document
    return documents


_T = TypeVar("_T")


def _decode(text: str, kind: type[_T], number: int) -> _T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise DataError(
            f"this line is no part of an export of a registry: {error}",
            at=f"line {number}",
            hint="`gnomon registry export FILE` writes one",
        ) from None


def _text(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()
