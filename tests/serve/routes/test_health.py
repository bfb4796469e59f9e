"""Health is told to everybody; what was counted, to whoever may read the project."""

from __future__ import annotations

import asyncio

import gnomon as gn
from gnomon.serve.routes.health import health, routes
from gnomon.serve.served import Served
from gnomon.serve.settings import Settings
from tests.serve.server import ask


def test_worker_says_what_it_does_and_by_which_revision(shop_server):
    told = ask(shop_server.url, "/readyz").json
    assert (told["status"], told["revision"]) == ("ok", 1)
    assert ask(shop_server.url, "/livez").json == {"status": "ok"}


def test_worker_is_starting_then_ready_and_then_stopping():
    async def live():
        one = Served(gn.Store(), Settings())
        told = [health(one).status]
        await one.start()
        told.append(health(one).status)
        await one.stop()
        return [*told, health(one).status]

    assert asyncio.run(live()) == ["starting", "ok", "stopping"]


def test_counts_alone_need_a_grant():
    served = Served(gn.Store(), Settings())
    assert {one.path: one.action for one in routes(served)} == {
        "/livez": None,
        "/readyz": None,
        "/metrics": "read",
    }
    asyncio.run(served.stop())
