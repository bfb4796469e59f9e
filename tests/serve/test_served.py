"""Blocking work is done aside, by a bounded number of threads and within a bounded time."""

from __future__ import annotations

import asyncio
import threading

import pytest

import gnomon as gn
from gnomon.errors import DataError
from gnomon.serve.problems import Refused
from gnomon.serve.served import Served
from gnomon.serve.settings import Settings


@pytest.fixture
def free():
    """An event that ends the work of a test."""
    event = threading.Event()
    yield event
    event.set()


def served(**settings) -> Served:
    return Served(gn.Store(), Settings(**settings))


def test_work_is_done_in_a_thread_and_its_errors_come_back():
    async def work():
        one = served()
        assert await one.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(DataError):
            await one.run(fail)
        await one.stop()

    def fail():
        raise DataError("wrong")

    asyncio.run(work())


def test_what_takes_too_long_is_given_up(free):
    async def work():
        one = served(timeout=0.05)
        with pytest.raises(Refused) as told:
            await one.run(free.wait)
        assert told.value.status == 504
        free.set()
        await one.stop()

    asyncio.run(work())


def test_what_would_wait_too_long_is_refused_at_once(free):
    async def work():
        one = served(pool=1)
        begun = [asyncio.create_task(one.run(free.wait)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(Refused) as told:
            await one.run(free.wait)
        assert told.value.status == 503
        assert ("retry-after", "1") in told.value.headers
        free.set()
        await asyncio.gather(*begun)
        assert await one.run(lambda: 5) == 5
        await one.stop()

    asyncio.run(work())
