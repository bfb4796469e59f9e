"""One LMDB environment per file and process: shared by its stores, growing, and never carried across a fork.

LMDB leaves to its callers what this module does for all of them:

* A process opens a file once: locks belong to (process, file), and closing a second handle would release the
  first one's. So the stores of one path share an environment, counted in `_environments`.
* The map has a size. A writer that fills it doubles it; other processes meet MDB_MAP_RESIZED and take the new
  size over. Remapping ends the transactions of this process. py-lmdb 3 does that safely: it waits for calls
  in flight and marks their transactions as ended. So readers take no lock; one that was cut off calls
  `recover` and reads again.
* A forked child must not use its parent's environment, not even to close it: its reader slots are shared
  memory. So everything is closed before a fork, and opened again by the first use on either side.
* Opening a named database for writing takes the lock that all processes write under. So the file is opened
  for reading first, and for writing by the first write: who only reads never waits for a writer. Handles of
  databases are made by one thread at a time and never closed, since LMDB guards neither against readers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar, cast

import lmdb

from gnomon.abc.online import closed
from gnomon.errors import CorruptValue, GnomonError, Unavailable, UsageError

__all__ = [
    "Database",
    "Layout",
    "Live",
    "NoHandle",
    "Options",
    "SharedEnvironment",
    "Transaction",
    "acquire",
    "release",
]

T = TypeVar("T")

Transaction: TypeAlias = "lmdb.Transaction[bytes]"
Database: TypeAlias = lmdb._Database

# Read transactions at one time, of all processes; each is 64 bytes of the lock file.
_MAX_READERS = 1024

# Of one write transaction. Each attempt but the last took a new size, and doubling ends before.
_MAX_ATTEMPTS = 64

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """What the stores of one file in one process must agree on."""

    sync: bool
    """Whether a commit waits for the disk."""
    max_databases: int
    """Named databases that can be open. Each costs every read transaction some 50 bytes to set up."""


class NoHandle(lmdb.Error):
    """A database that exists, and that this process has not opened yet."""

    def __init__(self, name: bytes) -> None:
        super().__init__(f"`{name.decode()}` is not open")
        self.name = name


class Databases(dict[bytes, Database]):
    """Name → handle. A name that is not open here raises NoHandle, which `recover` takes care of."""

    def __missing__(self, name: bytes) -> Database:
        raise NoHandle(name)


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """The open handle, from one remap to the next, which ends all transactions and makes another `Live`."""

    handle: lmdb.Environment
    readonly: bool
    databases: Databases = field(default_factory=Databases)


class _TurnedAway:
    """Stands for a handle for a moment; who begins a transaction on it is to try again."""

    def begin(self) -> NoReturn:
        raise lmdb.Error("the environment is busy")


_TURNED_AWAY = cast("lmdb.Environment", _TurnedAway())


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file of ours has in it from the beginning."""

    key: bytes
    version: bytes
    """Stands in the main database under `key`."""
    databases: tuple[bytes, ...]
    """Made with the file, and opened whenever it is opened."""


class SharedEnvironment:
    """The environment of one file. Obtained from `acquire`, given back to `release`.

    `live` is read without a lock. All else goes under `_writing`: one writer of this process at a time, and
    no remap while it writes. It is reentrant, so that a merge function that uses its store gets LMDB's error
    and not a hanging thread.
    """

    def __init__(self, path: Path, map_size: int, options: Options, layout: Layout) -> None:
        self.path = path
        self.options = options
        self.layout = layout
        self.users = 0
        self._map_size = map_size
        self._writing = threading.RLock()
        self._attached = False
        self._closed = False
        self.identity: tuple[int, int] | None = None
        self.live = self._attach()

    def look(self, work: Callable[[Live, Transaction], T]) -> T:
        """Run `work` in one read transaction, of one moment; again from its start if a remap cut it off.

        Raises: what `work` raises; UsageError after `close`; Unavailable.
        """
        while True:
            live = self.live
            try:
                with live.handle.begin() as txn:
                    return work(live, txn)
            except lmdb.Error as error:
                self.recover(error, live)

    def write(self, work: Callable[[Live, Transaction], T], *, room: int = 0) -> T:
        """Run `work` in one write transaction and commit; again from its start if the map was too small.

        `room`: bytes that `work` is about to write, so that the map grows before and not after them.
        Raises: what `work` raises, with nothing written; Unavailable.
        """
        with self._writing:
            self.require_open()
            for _ in range(_MAX_ATTEMPTS):
                live = self.live if not self.live.readonly else self._attach_writable()
                try:
                    if room:
                        live = self._reserve(live, room)
                    return self._commit(live, work)
                except lmdb.MapFullError:
                    self._grow()
                except lmdb.Error as error:
                    self.recover(error, live)
        raise Unavailable(f"writing to `{self.path}` was cut off {_MAX_ATTEMPTS} times")

    def recover(self, error: lmdb.Error, seen: Live) -> None:
        """Make another attempt possible after `error` in a transaction of `seen`.

        Raises: UsageError after `close`; what stands for `error` if another attempt would meet it again.
        """
        with self._writing:
            self.require_open()
            if not self._attached:
                self.live = self._attach()
            elif self.live is not seen:
                pass  # Cut off by another thread's remap. It is over, for the lock is ours.
            elif isinstance(error, NoHandle):
                seen.databases.update(self._handles([error.name]))
            elif isinstance(error, lmdb.MapResizedError):
                self._remap(0)
            elif not isinstance(error, lmdb.ReadersFullError) or not seen.handle.reader_check():
                raise translate(error, self.path) from error

    def require_open(self) -> None:
        if self._closed:
            raise closed(f"the store in `{self.path}`")

    def detach(self) -> None:
        """Close the handle until the next use: waits for this process's writer, cuts off its readers."""
        with self._writing:
            if self._attached:
                self._attached = False
                self.live.handle.close()

    def close(self) -> None:
        """Close the handle for good."""
        with self._writing:
            self._closed = True
            self.detach()

    def hold(self) -> None:
        """Let no other thread write, grow or open until `let_go`."""
        self._writing.acquire()

    def let_go(self) -> None:
        self._writing.release()

    def renew_lock(self) -> None:
        """In a forked child: its parent's threads, which may be waiting for the lock, do not exist here."""
        self._writing = threading.RLock()

    def _attach(self) -> Live:
        """Open the file for reading, or, where there is nothing to read yet, make it."""
        try:
            live = self._open(readonly=True)
            if self.look(self._is_made):
                live.databases.update(self._handles(self.layout.databases))
                return self.live
        except lmdb.Error:
            pass  # No file yet, or half of one: what is wrong with it shows when it is opened for writing.
        except GnomonError:
            self.detach()
            raise
        return self._attach_writable()

    def _attach_writable(self) -> Live:
        self.detach()
        try:
            self._open(readonly=False)
            databases = self.write(self._make)
        except lmdb.Error as error:
            self.detach()
            raise translate(error, self.path) from error
        except GnomonError:
            self.detach()
            raise
        self.live.databases.update(databases)
        return self.live

    def _open(self, *, readonly: bool) -> Live:
        while True:
            try:
                handle = lmdb.open(
                    os.fspath(self.path),
                    readonly=readonly,
                    map_size=max(self._map_size, 2 * _size(self.path)),
                    max_dbs=self.options.max_databases,
                    max_readers=_MAX_READERS,
                    max_spare_txns=1,
                    sync=self.options.sync,
                )
                break
            except lmdb.MapResizedError:
                pass  # The file outgrew the size that was chosen a moment ago.
        self.live = Live(handle, readonly)
        self._attached = True
        self.identity = _identity(self.path)
        # The slots of killed processes would keep old pages from being used again.
        handle.reader_check()
        return self.live

    def _is_made(self, live: Live, txn: Transaction) -> bool:
        version = txn.get(self.layout.key)
        if version is None and txn.stat()["entries"]:
            raise UsageError("the folder holds an LMDB file of something else", at=str(self.path))
        if version not in (None, self.layout.version):
            raise CorruptValue(
                f"the file has layout {version!r}, this version of gnomon reads {self.layout.version!r}",
                at=str(self.path),
            )
        return version is not None

    def _make(self, live: Live, txn: Transaction) -> dict[bytes, Database]:
        if not self._is_made(live, txn):
            txn.put(self.layout.key, self.layout.version)
        return {name: live.handle.open_db(name, txn=txn) for name in self.layout.databases}

    def _handles(self, names: Iterable[bytes]) -> dict[bytes, Database]:
        """Open databases that exist. Where the handle can write, LMDB makes us wait for other writers."""
        while True:
            live = self.live
            try:
                if live.readonly:
                    return {name: live.handle.open_db(name, create=False) for name in names}
                return self.write(
                    lambda live, txn: {
                        name: live.handle.open_db(name, txn=txn, create=False) for name in names
                    }
                )
            except lmdb.Error as error:
                self.recover(error, live)

    def _commit(self, live: Live, work: Callable[[Live, Transaction], T]) -> T:
        txn = live.handle.begin(write=True)
        committed = False
        try:
            result = work(live, txn)
            txn.commit()
            committed = True
            return result
        finally:
            if not committed:
                self._abort(txn)

    def _abort(self, txn: Transaction) -> None:
        """End a write transaction without a change.

        py-lmdb lets it wait until no thread is inside any call on the environment, which three busy readers
        put off for ever. So readers are turned away meanwhile: `recover` lets them wait for the lock that we
        hold.
        """
        live = self.live
        self.live = Live(_TURNED_AWAY, live.readonly, live.databases)
        try:
            txn.abort()
        finally:
            self.live = live

    def _reserve(self, live: Live, room: int) -> Live:
        info = live.handle.info()
        used = (info["last_pgno"] + 1) * live.handle.stat()["psize"]
        if used + room > info["map_size"]:
            self._remap(max(2 * info["map_size"], _whole_mib(used + room)))
        return self.live

    def _grow(self) -> None:
        handle = self.live.handle
        if not handle.reader_check():  # else pages that a killed reader held can be used now
            self._remap(2 * handle.info()["map_size"])

    def _remap(self, size: int) -> None:
        """Give the map `size` bytes; 0: the size that another process gave it."""
        live = self.live
        try:
            live.handle.set_mapsize(size)
        except lmdb.Error as error:
            # The old map is gone and there is no new one; the next use opens the file again.
            self.detach()
            raise translate(error, self.path) from error
        # Last: who fails with the old one tries again, and who sees the new one cannot have been cut off.
        self.live = Live(live.handle, live.readonly, live.databases)


# ---- one for each file

_environments: list[SharedEnvironment] = []
_registry = threading.RLock()


def acquire(path: Path, map_size: int, options: Options, layout: Layout) -> SharedEnvironment:
    """Return the environment of `path`, opening it or sharing what this process has open.

    Units: `map_size` in bytes; the size to begin with.
    Raises: UsageError if it is open with other options; Unavailable; CorruptValue.
    """
    path = path.absolute()
    with _registry:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"cannot make the folder `{path}`: {error.strerror}") from error
        identity = _identity(path)
        for environment in _environments:
            if identity is not None and environment.identity == identity:
                if environment.options != options:
                    raise UsageError(
                        f"`{path}` is already open in this process with {environment.options}, not {options}"
                    )
                break
        else:
            environment = SharedEnvironment(path, map_size, options, layout)
            _environments.append(environment)
        environment.users += 1
        return environment


def release(environment: SharedEnvironment) -> None:
    """Give back what `acquire` returned; the last user closes it."""
    with _registry:
        environment.users -= 1
        if not environment.users:
            _environments.remove(environment)
            environment.close()


def translate(error: lmdb.Error, path: Path) -> GnomonError:
    """What `error` means to who uses the store in `path`."""
    at = str(path)
    match error:
        case lmdb.DiskError():
            return Unavailable("no space left on the disk", at=at, hint="what was written before is whole")
        case lmdb.ReadersFullError():
            return Unavailable(
                f"{_MAX_READERS} readers at one time", at=at, hint="use fewer threads or processes"
            )
        case lmdb.DbsFullError():
            return UsageError(
                "more tables than the store was opened for", at=at, hint="open it with more `max_tables`"
            )
        case lmdb.BadValsizeError():
            return UsageError("a value of more than 4 GiB", at=at)
        case (
            lmdb.InvalidError()
            | lmdb.VersionMismatchError()
            | lmdb.CorruptedError()
            | lmdb.PageNotFoundError()
        ):
            return CorruptValue(f"the file is damaged, or no LMDB file: {error}", at=at)
        case _:
            return Unavailable(str(error), at=at)


def _file(path: Path) -> os.stat_result | None:
    """The data file; None: there is none yet."""
    try:
        return (path / "data.mdb").stat()
    except FileNotFoundError:
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    """What a data file is told apart by, whatever path led to it."""
    file = _file(path)
    return None if file is None else (file.st_dev, file.st_ino)


def _size(path: Path) -> int:
    file = _file(path)
    return 0 if file is None else file.st_size


def _whole_mib(size: int) -> int:
    return -(-size // _MIB) * _MIB


def _before_fork() -> None:
    _registry.acquire()
    for environment in _environments:
        environment.hold()
        environment.detach()


def _after_fork_in_parent() -> None:
    for environment in _environments:
        environment.let_go()
    _registry.release()


def _after_fork_in_child() -> None:
    global _registry
    for environment in _environments:
        environment.renew_lock()
    _registry = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
