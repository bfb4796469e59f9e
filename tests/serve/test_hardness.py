"""A server among strangers and accidents: slow and broken clients, crowds, ends under load, workers that die."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import gnomon as gn
from tests.serve.conftest import AT
from tests.serve.server import Serving, ask, running

PATH = "/v1/online-features"
QUESTION = {"service": "shop_model", "entities": [{"customer": "c07"}], "request": {"basket": 60}, "at": AT}
BODY = json.dumps(QUESTION).encode()


def head(length: int = len(BODY), *more: str) -> bytes:
    lines = [
        f"POST {PATH} HTTP/1.1",
        "host: test",
        "content-type: application/json",
        f"content-length: {length}",
    ]
    return "\r\n".join([*lines, *more, "", ""]).encode()


WHOLE = head() + BODY


def dial(server: Serving, timeout: float = 20.0) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout)


def read(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, headers, body. Raises: ConnectionError if it ends before it is whole."""
    given = b""
    while b"\r\n\r\n" not in given:
        given += _more(connection)
    top, _, body = given.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += _more(connection)
    return int(first.split()[1]), headers, body


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(65_536)
    if not piece:
        raise ConnectionError("the answer ended before it was whole")
    return piece


@pytest.fixture(scope="module")
def server(shop) -> Iterator[Serving]:
    """One worker with little patience, so that what takes long is over soon."""
    with running(shop, "--workers", "1", "--timeout", "1s") as server:
        yield server


@pytest.fixture
def well(server) -> Iterator[None]:
    """Whatever a test did to the server, it answers afterwards."""
    yield
    assert ask(server.url, PATH, QUESTION).status == 200


# --- strangers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        b"\0\1\2\3" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # a TLS greeting
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"x" * 200_000 + b"\r\n\r\n",
        b"POST " + b"/a" * 40_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
        head() + BODY[:-1] + b"\xff",
        head(len(BODY), "transfer-encoding: chunked") + BODY,
        f"POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        "transfer-encoding: chunked\r\n\r\nzz\r\n".encode(),
        f"POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n".encode(),
        f"POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".encode(),
    ],
    ids=[
        "noise",
        "tls",
        "version",
        "headers",
        "path",
        "utf-8",
        "two lengths",
        "chunk",
        "negative",
        "lengths",
    ],
)
def test_what_is_no_request_is_refused_or_ends_the_connection(server, well, given):
    with dial(server) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(given)
        try:
            status, *_ = read(connection)
        except ConnectionError:
            return
    assert 400 <= status < 500


def test_a_body_that_does_not_come_is_told_and_let_go(server, well):
    with dial(server) as connection:
        connection.sendall(head() + BODY[:10])
        begun = time.monotonic()
        status, headers, body = read(connection)
        assert time.monotonic() - begun < 5
    assert (status, headers["content-type"]) == (408, "application/problem+json")
    assert json.loads(body)["hint"]


def test_a_body_that_trickles_is_let_go_too(server, well):
    with dial(server) as connection:
        connection.sendall(head())
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in BODY:
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if connection.recv(1, socket.MSG_PEEK):
                        break
                connection.settimeout(20)
        connection.settimeout(20)
        assert read(connection)[0] == 408
        assert time.monotonic() - begun < 5


def test_half_a_request_line_is_let_go(server, well):
    with dial(server) as connection:
        connection.sendall(b"POST /v1/onl")
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            assert read(connection)[0] == 408
        assert time.monotonic() - begun < 10


def test_who_ends_its_half_of_the_connection_is_answered_or_let_go(server, well):
    """Granian takes the end of a half for the end of the whole, unless the answer is quicker."""
    with dial(server) as connection:
        connection.sendall(WHOLE)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            assert read(connection)[0] == 200


def test_who_goes_away_in_the_middle_harms_nobody(server, well):
    for part in (10, len(head()), len(head()) + 20, len(WHOLE)):
        for _ in range(20):
            with dial(server) as connection:
                connection.sendall(WHOLE[:part])
                linger = b"\1\0\0\0\0\0\0\0"  # reset, not end
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert "Traceback" not in server.told()


def test_requests_that_come_before_the_answers_are_answered_in_order(server):
    questions = [
        json.dumps(QUESTION | {"entities": [{"customer": f"c{i:02}"}] * i}).encode() for i in range(1, 6)
    ]
    with dial(server) as connection:
        connection.sendall(b"".join(head(len(body)) + body for body in questions))
        sizes = []
        rest = b""
        while len(sizes) < 5:
            rest += _more(connection)
            while b"\r\n\r\n" in rest:
                top, _, body = rest.partition(b"\r\n\r\n")
                lines = dict(line.lower().split(b": ", 1) for line in top.split(b"\r\n")[1:])
                length = int(lines[b"content-length"])
                if len(body) < length:
                    break
                sizes.append(len(json.loads(body[:length])["rows"]))
                rest = body[length:]
    assert sizes == [1, 2, 3, 4, 5]


# --- crowds ---------------------------------------------------------------------------------------------------


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for a thousand sockets in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_connections_do_not_keep_others_from_answers(server, well, many_files):
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(dial(server)) for _ in range(1000)]
        assert ask(server.url, PATH, QUESTION).status == 200
        for connection in crowd:
            connection.sendall(WHOLE)
        told = Counter(read(connection)[0] for connection in crowd)
    assert sum(told.values()) == 1000
    assert told.keys() <= {200, 503}
    assert told[200] >= 500


# --- accidents ------------------------------------------------------------------------------------------------


class Load:
    """Threads that ask without a pause, each time through a new connection; what became of each request."""

    def __init__(self, server: Serving, threads: int = 8) -> None:
        self.server = server
        self.told: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def __enter__(self) -> Load:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join()

    def wait(self, answers: int) -> None:
        """Until so many requests were answered."""
        end = time.monotonic() + 30
        while self.told["answered"] < answers:
            assert time.monotonic() < end, self.told
            time.sleep(0.01)

    def _ask(self) -> None:
        while not self._over.is_set():
            what = self._once()
            with self._lock:
                self.told[what] += 1
            if what == "refused":
                time.sleep(0.01)

    def _once(self) -> str:
        try:
            connection = dial(self.server)
        except OSError:
            return "refused"
        with connection:
            try:
                connection.sendall(WHOLE)
                status, _, body = read(connection)
            except OSError:
                return "lost"
        return "answered" if status == 200 and json.loads(body)["rows"] else f"status {status}"


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers(server: Serving) -> list[int]:
    """The processes that answer."""
    return [
        pid
        for pid in children(server.process.pid)
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        and b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


@pytest.mark.slow
def test_the_end_under_load_loses_no_request_that_was_taken(shop):
    with running(shop, "--workers", "2") as server, Load(server) as load:
        load.wait(200)
        assert server.end() == 0
        before = load.told.copy()
        assert "Traceback" not in server.told()
    assert before["answered"] >= 200
    assert before.keys() <= {"answered", "refused"}, before


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_a_client_does_not_notice(shop):
    with running(shop, "--workers", "2") as server, gn.Client(server.url, timeout=30, retries=12) as client:
        victim, *_ = old = workers(server)
        assert len(old) == 2
        os.kill(victim, signal.SIGKILL)
        want = client.get_online_features(
            "shop_model", QUESTION["entities"], request={"basket": 60}, at=AT
        ).to_dict()
        end = time.monotonic() + 40
        while time.monotonic() < end:
            found = client.get_online_features(
                "shop_model", QUESTION["entities"], request={"basket": 60}, at=AT
            )
            assert found.to_dict() == want
            now = workers(server)
            if len(now) == 2 and victim not in now:
                break
            time.sleep(0.05)
        assert len(now) == 2
        assert victim not in now
        assert ask(server.url, "/readyz").status == 200
