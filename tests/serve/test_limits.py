"""What is too large, too slow or too much is refused at once, with a status that says which, and harms nobody else."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.serve.conftest import AT
from tests.serve.server import ask, running

PATH = "/v1/online-features"
BODY = {"features": ["spending:orders_7d"], "entities": [{"customer": "c07"}], "at": AT}


@pytest.fixture(scope="module")
def strict(tmp_path_factory, shop):
    """A server that bears little: 20 kB, 50 entities, half a second."""
    folder = tmp_path_factory.mktemp("strict") / "shop"
    shutil.copytree(shop, folder)
    with (folder / "gnomon.toml").open("a") as file:
        file.write('\n[serve]\nbody_limit = "20kB"\nentities_limit = 50\ntimeout = "500ms"\n')
    with running(folder) as server:
        yield server


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        yield connection


def head(length: str) -> bytes:
    return f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{length}\r\n\r\n".encode()


def answered(connection: socket.socket) -> tuple[int, dict]:
    """Status and problem of what comes back."""
    got = b""
    while b"}" not in got:
        part = connection.recv(65536)
        if not part:
            break
        got += part
    status = int(got.split(b" ", 2)[1])
    return status, json.loads(got.partition(b"\r\n\r\n")[2])


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(strict):
    with connected(strict.url) as connection:
        connection.sendall(head("content-length: 1000000000"))
        status, problem = answered(connection)
    assert status == 413
    assert "20,000 bytes" in problem["detail"]


def test_a_body_that_does_not_say_so_is_refused_when_it_is(strict):
    with connected(strict.url) as connection:
        connection.sendall(head("transfer-encoding: chunked"))
        for _ in range(4):
            connection.sendall(b"1770\r\n" + b" " * 6000 + b"\r\n")
        status, _ = answered(connection)
    assert status == 413


def test_too_many_entities_are_refused(strict):
    got = ask(strict.url, PATH, BODY | {"entities": BODY["entities"] * 51})
    assert got.status == 413
    assert got.json["at"] == "$.entities"


@pytest.mark.parametrize("sent", [b"", b'{"features": '])
def test_a_body_that_does_not_come_is_given_up(strict, sent):
    with connected(strict.url) as connection:
        connection.sendall(head("content-length: 60") + sent)
        began = time.monotonic()
        status, _ = answered(connection)
        assert time.monotonic() - began < 5
    assert status == 408


def test_who_sends_slowly_and_gets_there_is_answered(strict):
    body = json.dumps(BODY).encode()
    with connected(strict.url) as connection:
        connection.sendall(head(f"content-length: {len(body)}") + body[:20])
        time.sleep(0.1)
        connection.sendall(body[20:])
        status, got = answered(connection)
    assert (status, got["features"]) == (200, ["orders_7d"])


def test_others_are_answered_while_many_are_slow(strict):
    connections = [
        socket.create_connection(("127.0.0.1", int(strict.url.rpartition(":")[2]))) for _ in range(200)
    ]
    try:
        for connection in connections:
            connection.sendall(head("content-length: 60"))
        assert ask(strict.url, PATH, BODY).status == 200
    finally:
        for connection in connections:
            connection.close()


def test_a_client_that_goes_away_harms_nobody(strict):
    for _ in range(20):
        with connected(strict.url) as connection:
            connection.sendall(head("content-length: 60") + b"{")
    assert ask(strict.url, PATH, BODY).status == 200
    assert "Traceback" not in strict.told()


def test_too_many_requests_at_a_time_are_told_to_come_again(tmp_path, shop):
    folder = tmp_path / "shop"
    shutil.copytree(shop, folder)
    with (folder / "gnomon.toml").open("a") as file:
        file.write("\n[serve]\nin_flight = 5\n")
    with running(folder) as server:
        held = [socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) for _ in range(5)]
        try:
            for connection in held:
                connection.sendall(head("content-length: 60"))
            time.sleep(0.3)
            got = ask(server.url, PATH, BODY)
            assert (got.status, got.headers["retry-after"]) == (503, "1")
            assert ask(server.url, "/livez").status == 200
        finally:
            for connection in held:
                connection.close()
        end = time.monotonic() + 10
        while ask(server.url, PATH, BODY).status != 200:
            assert time.monotonic() < end


def test_a_thousand_connections_are_answered(shop_server):
    port = int(shop_server.url.rpartition(":")[2])
    body = json.dumps(BODY).encode()
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(1000)]
    try:
        for connection in connections:
            connection.sendall(head(f"content-length: {len(body)}") + body)
        with ThreadPoolExecutor(16) as pool:
            statuses = list(
                pool.map(lambda connection: connection.recv(65536).split(b" ", 2)[1], connections)
            )
    finally:
        for connection in connections:
            connection.close()
    # Each is answered; those beyond what is borne at a time are told to come again.
    assert set(statuses) <= {b"200", b"503"}
    assert statuses.count(b"200") > 500
