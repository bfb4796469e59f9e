"""What those who run the server ask is answered by every worker, for all of them."""

from __future__ import annotations

import time

from tests.serve.conftest import AT
from tests.serve.server import ask, running

BODY = {"features": ["spending:orders_7d"], "entities": [{"customer": "c07"}], "at": AT}


def test_a_worker_that_listens_is_alive_and_ready(shop_server):
    assert ask(shop_server.url, "/livez").json == {"status": "ok"}
    assert ask(shop_server.url, "/readyz").json == {"status": "ok", "revision": 1}


def test_metrics_are_those_of_all_workers(shop):
    with running(shop, "--workers", "2") as server:
        for _ in range(20):  # each on a connection of its own, which some worker takes
            assert ask(server.url, "/v1/online-features", BODY).status == 200
        assert ask(server.url, "/v1/online-features", BODY | {"features": ["no:such"]}).status == 404
        wanted = {
            'gnomon_request_seconds_count{route="/v1/online-features",service="features",status="200"} 20.0',
            'gnomon_errors_total{type="urn:gnomon:not-found"} 1.0',
            "gnomon_revision 1.0",
        }
        end = time.monotonic() + 10
        told: set[str] = set()
        while not (wanted <= told and any("gnomon_group_event_time_seconds{" in line for line in told)):
            assert time.monotonic() < end, sorted(told)
            time.sleep(0.2)
            told = set(ask(server.url, "/metrics").body.decode().splitlines())
