"""Audit: what was denied and what was changed, by whom and from where, as lines of JSON that are only added to.

    record(entry)  → a bounded queue → one thread → `<start>-<process>-<n>.jsonl`, the next file from 16 MB on

Each process has files of its own, so that no two write to one. A request never waits for the disk: what cannot be
written is tried again as long as there is room in the queue, and what finds no room is counted and said.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from gnomon.errors import DataError, Unavailable, UsageError, counted, nearest
from gnomon.time import ALWAYS, NEVER, Clock, instant, monotonic, show, system_clock

FOLDER = ".gnomon/audit"
"""Where the log lies unless gnomon.toml says otherwise, in the project's folder."""

Outcome = Literal["denied", "done", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("denied", "done", "failed")

FILE_BYTES = 16_000_000
"""From this size on, a process goes on in a new file."""
QUEUE = 10_000
"""Entries that may wait for the disk."""
_BATCH = 500
_AGAIN = 1.0
"""Seconds until a disk that took nothing is tried again."""
_SAY_EVERY = 30.0
"""Seconds between two messages about a disk that takes nothing."""

_log = logging.getLogger("gnomon")


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call."""

    time: str
    """RFC 3339, UTC, microseconds."""
    outcome: Outcome
    who: str
    """`key 3f…`, `oidc ana`, `anonymous`; on the command line the user of the machine."""
    action: str
    """`read`, `write`, `admin`, or what a command does to keys."""
    what: str
    """The call: method and path, or the command."""
    status: int = 0
    """Of HTTP; 0 elsewhere."""
    objects: tuple[str, ...] = ()
    """The groups that it touched or asked for."""
    why: str = ""
    """Of what was denied or failed: the reason, with the grants that were missing."""
    address: str = ""
    """From where: the address of the other end of the connection."""
    request_id: str = ""

    @property
    def instant(self) -> int:
        return instant(self.time)

    def __str__(self) -> str:
        parts = [self.time, self.outcome, self.who, self.action, self.what]
        parts += [f"from {self.address}"] if self.address else []
        parts += [str(self.status)] if self.status else []
        return "  ".join([*parts, self.why] if self.why else parts)


class AuditLog:
    """Adds entries to files of this process in a folder. Safe with threads; open it after a fork, not before."""

    def __init__(
        self, folder: Path, *, clock: Clock = system_clock, file_bytes: int = FILE_BYTES, queue: int = QUEUE
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.lost = 0
        """Entries that were not written, and will not be."""
        self._file_bytes = file_bytes
        self._room = queue
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._files = 0
        self._handle: int | None = None
        self._size = 0
        self._torn = False
        self._said: float | None = None
        self._thread = threading.Thread(target=self._run, name="gnomon-audit", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Entries that are not on the disk yet."""
        return len(self._waiting)

    def record(
        self,
        outcome: Outcome,
        who: str,
        action: str,
        what: str,
        *,
        status: int = 0,
        objects: Iterable[str] = (),
        why: str = "",
        address: str = "",
        request_id: str = "",
    ) -> bool:
        """Add an entry, of now. Never waits. False, if there was no room for it."""
        entry = Entry(
            show(self.clock()), outcome, who, action, what, status, tuple(objects), why, address, request_id
        )
        line = msgspec.json.encode(entry) + b"\n"
        with self._changed:
            if self._closing or len(self._waiting) >= self._room:
                self.lost += 1
                self._say(f"the audit log has no room: {counted(self.lost, 'entry')} lost")
                return False
            self._waiting.append(line)
            self._changed.notify()
        return True

    def close(self, wait: float = 5.0) -> None:
        """Write what waits, for at most `wait` seconds. What is not written by then is counted as lost, and said."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(wait)
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
            if left:
                self.lost += left
                _log.error(
                    "the audit log was closed with %s that could not be written", counted(left, "entry")
                )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                batch = [self._waiting[i] for i in range(min(_BATCH, len(self._waiting)))]
                last = self._closing
            if not batch:
                break
            written, error = self._write(batch)
            with self._changed:
                for _ in range(min(written, len(self._waiting))):
                    self._waiting.popleft()
                if error is None:
                    self._said = None
                    continue
                self._say(
                    f"the audit log at {self.folder} cannot be written: {error.strerror}; "
                    f"{counted(len(self._waiting), 'entry')} waiting, {self.lost:,} lost"
                )
                if last:
                    break  # what waits is counted by `close`
                self._changed.wait_for(lambda: self._closing, _AGAIN)
        self._shut()

    def _write(self, lines: list[bytes]) -> tuple[int, OSError | None]:
        """Add lines and bring them to the disk; how many are written, and what went wrong with the next one."""
        written = 0
        try:
            for line in lines:
                self._add(line)
                written += 1
            if self._handle is not None:
                os.fsync(self._handle)
        except OSError as error:
            return written, error
        return written, None

    def _add(self, line: bytes) -> None:
        if self._handle is None or self._size >= self._file_bytes:
            self._open()
        assert self._handle is not None
        if self._torn:
            line = b"\n" + line  # ends what a full disk cut off: a reader counts it, and reads on
        self._torn = True
        view = memoryview(line)
        while view:
            done = os.write(self._handle, view)
            self._size += done
            view = view[done:]
        self._torn = False

    def _open(self) -> None:
        self._shut()
        self.folder.mkdir(parents=True, exist_ok=True)
        start = show(self.clock()).translate({ord(c): None for c in "-:."})
        path = self.folder / f"{start}-{os.getpid()}-{self._files}.jsonl"
        # Readable by its owner alone: who asks for what is nobody else's affair.
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._files += 1
        self._size, self._torn = 0, False

    def _shut(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _say(self, message: str) -> None:
        now = monotonic()
        if self._said is None or now - self._said >= _SAY_EVERY:
            self._said = now
            _log.error("%s", message)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are looked for. Empty fields do not choose."""

    who: str = ""
    """A part of it."""
    outcome: str = ""
    action: str = ""
    object: str = ""
    """A group, with or without version."""
    since: int = ALWAYS
    until: int = NEVER
    """[since, until), instants."""

    def fits(self, entry: Entry) -> bool:
        return (
            self.who in entry.who
            and self.outcome in ("", entry.outcome)
            and self.action in ("", entry.action)
            and (not self.object or any(self.object in (one, one.partition("@")[0]) for one in entry.objects))
            and self.since <= entry.instant < self.until
        )


def wanted(**fields: Any) -> Wanted:
    """What is looked for, as a user asks for it. Raises: UsageError for an outcome that there is not."""
    asked = Wanted(**fields)
    if asked.outcome and asked.outcome not in OUTCOMES:
        close = nearest(asked.outcome, OUTCOMES)
        raise UsageError(
            f"`{asked.outcome}` is not an outcome",
            hint=f"did you mean `{close}`?" if close else f"known: {', '.join(OUTCOMES)}",
        )
    return asked


@dataclass(frozen=True, slots=True)
class Found:
    """What a log holds."""

    entries: tuple[Entry, ...]
    """The oldest first."""
    more: int = 0
    """Older entries that fit, beyond the limit."""
    unreadable: int = 0
    """Lines that are no entries: cut off by a full disk, or changed by somebody."""


def read_log(folder: Path, wanted: Wanted = Wanted(), limit: int | None = None) -> Found:
    """The newest `limit` entries that are wanted, the oldest of them first; none if there is no log yet.

    Raises: Unavailable if a file cannot be read.
    """
    found: list[Entry] = []
    unreadable = 0
    for line in _lines(folder, wanted.since):
        try:
            entry = _DECODER.decode(line)
            if wanted.fits(entry):
                found.append(entry)
        except (msgspec.DecodeError, UsageError):  # UsageError: of a time that is none
            unreadable += 1
    # Sorted by what is written, which is as wide everywhere: files of several processes overlap.
    found.sort(key=lambda entry: entry.time)
    chosen = found if limit is None else found[max(0, len(found) - limit) :]
    return Found(tuple(chosen), len(found) - len(chosen), unreadable)


class _Section(msgspec.Struct, forbid_unknown_fields=True):
    folder: str = FOLDER


def folder_of(root: Path, serve: Mapping[str, Any]) -> Path:
    """Where the log of the project at `root` lies, by `[serve.audit]` in the section `[serve]` of its gnomon.toml.

    Raises: DataError naming the line that cannot be read.
    """
    try:
        return root / msgspec.convert(serve.get("audit", {}), _Section).folder
    except msgspec.ValidationError as error:
        raise DataError(
            f"[serve.audit] cannot be read: {error}",
            at=str(root / "gnomon.toml"),
            hint='such as folder = "/var/log/gnomon"',
        ) from None


def to_dict(entry: Entry) -> dict[str, Any]:
    """An entry for JSON, with all its fields."""
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


_DECODER = msgspec.json.Decoder(Entry)


def _lines(folder: Path, since: int) -> Iterator[bytes]:
    """The lines of all files that may hold something from `since` on."""
    try:
        for path in sorted(folder.glob("*.jsonl")):
            if path.stat().st_mtime_ns // 1000 >= since:
                with path.open("rb") as lines:
                    yield from (line for line in lines if line.strip())
    except OSError as error:
        raise Unavailable(f"the audit log cannot be read: {error.strerror}", at=str(error.filename)) from None
