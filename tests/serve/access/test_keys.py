"""The key ring: a key holds until a second after it was revoked, and for a while without its registry."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gnomon.errors import Unavailable
from gnomon.flows.access.grants import Grants
from gnomon.flows.access.keys import create_key, revoke_key
from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.registry.registry import Registry
from gnomon.serve.access.keys import HOLD, OLDEST, KeyRing
from tests.serve.access.test_attempts import Seconds


class Place:
    """A registry that can be away, or slow."""

    def __init__(self, folder):
        self.registry = Registry(SqliteRegistry("sqlite:///r.db", root=folder), author="ana")
        self.away = False
        self.reads = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        self.reads += 1
        self.gate.wait(20)
        if self.away:
            raise Unavailable("the registry is away")
        return self.registry.backend.api_keys()

    def key(self, **options):
        return create_key(self.registry, Grants.read(["reader"]), **options)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def ring(place, seconds):
    return KeyRing(
        place, clock=lambda: place.now if hasattr(place, "now") else place.registry.clock(), seconds=seconds
    )


def test_key_that_was_made_holds_and_others_do_not(place, ring):
    made, other = place.key(), place.key()

    async def ask():
        assert await ring.find(made.key) == made.stored
        wrong = made.key[:-64] + other.key[-64:]
        assert await ring.find(wrong) == await ring.find("gnm_") == "the key is not known"
        assert place.reads == 1

    asyncio.run(ask())


def test_revoked_key_is_refused_a_second_later(place, ring, seconds):
    made = place.key()

    async def ask():
        assert await ring.find(made.key) == made.stored
        revoke_key(place.registry, made.stored.id)
        seconds.now += OLDEST
        assert await ring.find(made.key) == f"the key {made.stored.id} is revoked"

    asyncio.run(ask())


def test_new_key_holds_a_second_later(place, ring, seconds):
    async def ask():
        assert await ring.find("gnm_") == "the key is not known"
        made = place.key()
        seconds.now += OLDEST
        assert await ring.find(made.key) == made.stored

    asyncio.run(ask())


def test_key_expires_at_its_instant_without_being_read_again(place, ring):
    made = place.key(lifetime=1000)

    async def ask():
        place.now = made.stored.expires - 1
        assert await ring.find(made.key) == made.stored
        place.now = made.stored.expires
        assert await ring.find(made.key) == f"the key {made.stored.id} is expired"
        assert place.reads == 1

    asyncio.run(ask())


def test_last_keys_hold_on_while_the_registry_is_away_but_not_for_ever(place, ring, seconds, caplog):
    made = place.key()

    async def ask():
        await ring.find(made.key)
        place.away = True
        for _ in range(5):
            seconds.now += 2 * OLDEST
            assert await ring.find(made.key) == made.stored
        assert [r.message.partition(":")[0] for r in caplog.records] == [
            "the API keys cannot be read, the last ones hold on"
        ]
        seconds.now += HOLD
        with pytest.raises(Unavailable):
            await ring.find(made.key)
        place.away = False
        seconds.now += 2 * OLDEST
        assert await ring.find(made.key) == made.stored

    asyncio.run(ask())


def test_registry_that_is_away_is_asked_once_a_second(place, ring, seconds):
    place.away = True

    async def ask():
        for _ in range(5):
            with pytest.raises(Unavailable):
                await ring.find("gnm_")
        assert place.reads == 1
        seconds.now += OLDEST
        with pytest.raises(Unavailable):
            await ring.find("gnm_")
        assert place.reads == 2

    asyncio.run(ask())


def test_many_requests_read_the_keys_once(place, ring):
    made = place.key()

    async def ask():
        found = await asyncio.gather(*(ring.find(made.key) for _ in range(50)))
        assert set(found) == {made.stored}
        assert place.reads == 1

    asyncio.run(ask())


def test_registry_that_hangs_holds_a_request_up_for_a_moment_only(place, ring, seconds):
    made = place.key()

    async def ask():
        await ring.find(made.key)
        place.gate.clear()
        seconds.now += OLDEST
        try:
            async with asyncio.timeout(10):
                assert await ring.find(made.key) == made.stored
        finally:
            place.gate.set()

    asyncio.run(ask())
