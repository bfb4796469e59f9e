"""The server starts once it can answer, ends after what it began, and is not reached by others unasked."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import sys
import threading
import time

import pytest
import trustme

import gnomon as gn
from gnomon.cli import main
from gnomon.config import DEFAULT_TEXT
from tests.serve.conftest import AT, fill
from tests.serve.server import Serving, ask, running

BODY = {"features": ["spending:orders_7d"], "entities": [{"customer": "c07"}], "at": AT}


def serve(folder, *flags):
    return subprocess.run(
        [sys.executable, "-m", "gnomon", "serve", "--project", str(folder), *flags],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_ends_with_status_0_when_told_to(shop):
    with running(shop) as server:
        assert ask(server.url, "/v1/online-features", BODY).status == 200
        assert server.end() == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_are_not_let_in_without_credentials(shop, host):
    ran = serve(shop, "--host", host, "--port", "0")
    assert ran.returncode == 2
    assert "--insecure-no-auth" in ran.stderr


def test_a_port_that_is_taken_is_told(shop, shop_server):
    ran = serve(shop, "--port", shop_server.url.rpartition(":")[2])
    assert ran.returncode == 3
    assert "cannot listen" in ran.stderr
    assert "--port 0" in ran.stderr


def test_a_folder_without_a_project_is_told(tmp_path):
    ran = serve(tmp_path)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


SLOW = """
import time

import polars as pl

import gnomon as gn

user = gn.Entity("user", keys={"user": pl.Int64})
sales = gn.FeatureGroup(
    "sales", entity=user, timestamp="at", schema={"at": pl.Datetime("us", "UTC")}, features=[gn.Feature("n", pl.Int64)]
)


@gn.on_demand(inputs=[gn.Request("seconds", pl.Float64)], returns={"slept": pl.Float64})
def slept(seconds: pl.Series) -> pl.Series:
    time.sleep(1.5 if seconds.to_list() == [1.5] else 0.0)  # and not when `apply` probes it
    return seconds * 1.0


slow = gn.FeatureService("slow", features=[sales, slept])
"""


def test_requests_in_flight_are_answered_before_it_ends(tmp_path):
    (tmp_path / "gnomon.toml").write_text(DEFAULT_TEXT.format(name="slow"))
    (tmp_path / "features.py").write_text(SLOW)
    assert main(["apply", "--project", str(tmp_path), "--json"]) == 0
    body = {"service": "slow", "entities": [{"user": 1}], "request": {"seconds": 1.5}}
    got = []
    with running(tmp_path) as server:
        asking = threading.Thread(target=lambda: got.append(ask(server.url, "/v1/online-features", body)))
        asking.start()
        time.sleep(0.5)
        assert server.end() == 0
        asking.join()
    assert [(one.status, one.json["rows"]) for one in got] == [(200, [[None, 1.5]])]


class Asking(threading.Thread):
    """Asks one question after another over one connection, and keeps what came back."""

    def __init__(self, server: Serving, body: bytes) -> None:
        super().__init__()
        self.connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
        self.body = body
        self.ended = threading.Event()
        self.got: list[tuple[int, bytes]] = []

    def run(self) -> None:
        while not self.ended.is_set():
            self.connection.request(
                "POST", "/v1/online-features", self.body, {"content-type": "application/json"}
            )
            answer = self.connection.getresponse()
            self.got.append((answer.status, answer.read()))


@pytest.mark.slow
def test_a_new_revision_is_taken_over_without_dropping_a_request(tmp_path):
    folder = fill(tmp_path / "shop")
    body = b'{"service": "shop_model", "entities": [{"customer": "c07"}], "request": {"basket": 1}}'
    with running(folder, "--workers", "2") as server:
        asking = [Asking(server, body) for _ in range(4)]
        for one in asking:
            one.start()
        with gn.Store(folder) as store:
            store.apply(
                gn.FeatureService("second", features=[store.registry.get("group", "spending")["orders_7d"]])
            )
        second = {"service": "second", "entities": [{"customer": "c07"}]}
        end = time.monotonic() + 20
        while any(ask(server.url, "/v1/online-features", second).status != 200 for _ in range(8)):
            assert time.monotonic() < end, server.told()
            time.sleep(0.1)
        while any(b'"revision":2' not in one.got[-1][1] for one in asking):
            assert time.monotonic() < end, server.told()
            time.sleep(0.05)
        for one in asking:
            one.ended.set()
            one.join()
    assert {status for one in asking for status, _ in one.got} == {200}
    assert all(b'"revision":1' in one.got[0][1] for one in asking)


def test_it_speaks_tls(shop, tmp_path):
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    for i, part in enumerate(made.cert_chain_pems):
        part.write_to_path(tmp_path / "cert.pem", append=i > 0)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    flags = ["--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")]
    with running(shop, *flags, context=context) as server:
        assert server.url.startswith("https://")
        assert ask(server.url, "/v1/online-features", BODY, context=context).status == 200
        with pytest.raises(OSError, match="certificate"):
            ask(server.url, "/livez", context=ssl.create_default_context())
