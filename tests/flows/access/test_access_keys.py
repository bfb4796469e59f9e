"""Keys: shown once, kept as digests, expiring, revoked for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gnomon.errors import NotFound, UsageError
from gnomon.flows.access.grants import Grants
from gnomon.flows.access.keys import create_key, digest, fits, id_of, list_keys, revoke_key, state_of
from gnomon.time import DAY

READER = Grants.read(["reader"])


def test_key_is_told_once_and_kept_as_a_digest(store):
    made = create_key(store.registry, READER, name="service")
    (kept,) = store.registry.backend.api_keys()
    secret = made.key.rpartition("_")[2]
    assert kept == made.stored
    assert (kept.name, kept.grants, kept.author, kept.expires) == ("service", ("reader",), "ana", None)
    assert not [value for value in map(str, (kept, made, repr(made))) if secret in value]
    raw = b"".join(path.read_bytes() for path in store.path.rglob("registry.db*"))
    assert kept.digest.encode() in raw
    assert secret.encode() not in raw


def test_key_fits_what_was_stored_of_it_and_no_other_does(store):
    one, other = (create_key(store.registry, READER) for _ in range(2))
    assert one.key != other.key
    assert fits(one.key, one.stored)
    assert not fits(other.key, one.stored)
    assert not fits(one.key[:-1] + ("0" if one.key[-1] != "0" else "1"), one.stored)
    assert digest(one.key) == one.stored.digest
    assert id_of(f" {one.key}\n") == one.stored.id


@pytest.mark.parametrize(
    "text", ["", "gnm_", "gnm_0123456789ab", "gnm_0123456789ab_" + "g" * 64, "x" * 10_000]
)
def test_what_is_no_key_has_no_id(text):
    assert id_of(text) is None


def test_key_expires_at_its_instant(store, clock):
    made = create_key(store.registry, READER, lifetime=90 * DAY)
    assert made.stored.expires == clock() + 90 * DAY
    assert state_of(made.stored, made.stored.expires - 1) == "valid"
    assert state_of(made.stored, made.stored.expires) == "expired"
    assert list_keys(store.registry) == (made.stored,)
    clock.now += timedelta(days=90)
    assert list_keys(store.registry) == ()
    assert list_keys(store.registry, all=True) == (made.stored,)


def test_key_is_revoked_by_its_id_or_by_itself(store, clock):
    one, other, third = (create_key(store.registry, READER) for _ in range(3))
    assert revoke_key(store.registry, one.stored.id) == replace(one.stored, revoked=clock(), revoked_by="ana")
    assert revoke_key(store.registry, f"{other.key}\n").id == other.stored.id
    assert list_keys(store.registry) == (third.stored,)
    states = {key.id: state_of(key, clock()) for key in list_keys(store.registry, all=True)}
    assert states == {one.stored.id: "revoked", other.stored.id: "revoked", third.stored.id: "valid"}
    with pytest.raises(NotFound, match="`nobody`"):
        revoke_key(store.registry, "nobody")


def test_key_that_would_open_nothing_or_never_is_refused(store):
    with pytest.raises(UsageError, match="without grants"):
        create_key(store.registry, Grants())
    for lifetime in (0, -DAY):
        with pytest.raises(UsageError, match="cannot expire"):
            create_key(store.registry, READER, lifetime=lifetime)
    with pytest.raises(UsageError, match="characters"):
        create_key(store.registry, READER, name="x" * 201)
    with pytest.raises(NotFound) as raised:
        create_key(store.registry, Grants.read(["reader:visit"]))
    assert "`visits`" in raised.value.hint
    assert store.registry.backend.api_keys() == ()


def test_group_may_be_named_with_and_without_its_version(store):
    made = create_key(store.registry, Grants.read(["reader:visits", "pii:plan@1"]))
    assert made.stored.grants == ("pii:plan@1", "reader:visits")
    with pytest.raises(NotFound):
        create_key(store.registry, Grants.read(["reader:visits@2"]))
