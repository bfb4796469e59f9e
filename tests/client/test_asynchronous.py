"""The asynchronous client does what the blocking one does, and lets others go on meanwhile."""

from __future__ import annotations

import asyncio
import time

import pytest

import gnomon as gn
from gnomon.errors import NotFound, Unavailable, UsageError
from tests.client.scripted import answer, hang_up, problem, scripted

WANT = {"name": ["free"]}
BUSY = problem(503, "too-busy", "busy", retry_after="0")


async def ask(client: gn.AsyncClient) -> object:
    return (await client.get_online_features("plans", [{"user": 1}])).to_dict()


def asking(url: str, work=ask, **options):
    """Run `work` with a client, in an event loop of its own."""

    async def run():
        async with gn.AsyncClient(url, **options) as client:
            return await work(client)

    return asyncio.run(run())


def test_answers_are_those_of_the_blocking_client():
    with scripted(answer()) as server:
        assert asking(server.url, token="secret") == WANT
        with gn.Client(server.url, token="secret") as client:
            client.get_online_features("plans", [{"user": 1}])
    one, other = server.asked
    for asked in (one, other):
        del asked["headers"]["x-request-id"], asked["port"]
    assert one == other


def test_what_passes_is_tried_again():
    with scripted(BUSY, hang_up, answer()) as server:
        assert asking(server.url) == WANT
    assert len(server.asked) == 3


def test_errors_are_those_of_the_blocking_client():
    missing = problem(404, "not-found", "Service `x` not found")
    with scripted(missing) as server, pytest.raises(NotFound, match="Service `x` not found"):
        asking(server.url)
    with scripted(BUSY) as server, pytest.raises(Unavailable, match="busy"):
        asking(server.url, retries=1)
    assert len(server.asked) == 2


def test_many_questions_are_under_way_at_once():
    def late(request):
        time.sleep(0.2)
        status, headers, body = answer()
        request.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    async def many(client):
        return await asyncio.gather(*(ask(client) for _ in range(20)))

    with scripted(late) as server:
        begun = time.monotonic()
        assert asking(server.url, many) == [WANT] * 20
        assert time.monotonic() - begun < 20 * 0.2


def test_a_call_that_is_cancelled_ends():
    async def cancelled(client):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await ask(client)

    with scripted(lambda _: time.sleep(0.5)) as server:
        asking(server.url, cancelled)


def test_a_call_ends_with_its_time_though_the_answer_trickles():
    def trickle(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(20):
            request.wfile.write(b" ")
            time.sleep(0.05)
        request.close_connection = True

    with scripted(trickle) as server, pytest.raises(Unavailable, match=r"no answer within 0.3 s"):
        asking(server.url, timeout=0.3)


def test_a_closed_client_says_so():
    async def close(client):
        await client.close()
        with pytest.raises(UsageError, match="is closed"):
            await ask(client)

    asking("http://127.0.0.1:1", close)
    assert repr(gn.AsyncClient("http://h/")) == "AsyncClient('http://h')"
