"""Tokens of a real issuer: what holds, what does not, rotation, and an issuer that is down."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from gnomon.errors import DataError, Unavailable
from gnomon.flows.access.grants import Grants
from gnomon.serve.access.oidc import HOLD, KNOCK, REFRESH, REMEMBER, Tokens, read_key_set, read_oidc
from gnomon.time import SECOND
from tests.serve.access.issuer import AUDIENCE

MAPPING = {"ml": ["reader"], "team": "writer:weather"}


class Seconds:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def tokens(issuer, seconds):
    return made(issuer, seconds)


def made(of, seconds, **section) -> Tokens:
    given = {"issuer": of.url, "audience": AUDIENCE, "grants": MAPPING} | section
    return Tokens(read_oidc(given, "gnomon.toml"), seconds=seconds)


def find(tokens, *given):
    """What becomes of tokens, one after another."""

    async def ask():
        return [await tokens.find(token) for token in given]

    return asyncio.run(ask())


def test_token_tells_who_asks_and_what_its_claims_allow(issuer, tokens):
    [(name, grants)] = find(tokens, issuer.sign(sub="ana", roles=["ml", "team", "unknown"]))
    assert (name, grants) == ("ana", Grants.read(["reader", "writer:weather"]))
    assert find(tokens, issuer.sign(roles="team ml"), issuer.sign(), issuer.sign(roles=7)) == [
        ("ana", grants),
        ("ana", Grants()),
        ("ana", Grants()),
    ]


def test_claims_may_lie_deep_and_be_called_otherwise(issuer, seconds):
    tokens = made(issuer, seconds, claim="realm.roles", name="email")
    token = issuer.sign(realm={"roles": ["ml"]}, email="ana@example.com")
    assert find(tokens, token, issuer.sign(realm="ml")) == [
        ("ana@example.com", Grants.read(["reader"])),
        ("ana", Grants()),
    ]
    url = "https://example.com/roles"
    assert find(made(issuer, seconds, claim=url), issuer.sign(**{url: ["ml"]})) == [
        ("ana", Grants.read(["reader"]))
    ]


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://other.example.com"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": ["another", "third"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"sub": None}, "sub"),
        ({"exp": NOW - 3600}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "never"}, "exp"),
        ({"nbf": NOW + 3600}, "not yet valid"),
        ({"iat": NOW + 3600}, "future"),
    ],
)
def test_token_whose_claims_are_not_as_they_must_be_is_refused_with_the_reason(issuer, tokens, claims, why):
    [told] = find(tokens, issuer.sign(**claims))
    assert isinstance(told, str)
    assert why in told


def test_token_may_be_meant_for_several_and_several_may_be_meant(issuer, seconds):
    tokens = made(issuer, seconds, audience=["a", "b"])
    [held, other] = find(tokens, issuer.sign(aud=["x", "b"]), issuer.sign(aud=AUDIENCE))
    assert held == ("ana", Grants())
    assert "aud" in other


def test_clocks_may_differ_by_the_leeway(issuer, seconds):
    now = int(time.time())
    late, early = issuer.sign(exp=now - 20), issuer.sign(nbf=now + 20)
    assert find(made(issuer, seconds), late, early) == [("ana", Grants())] * 2
    assert not any(isinstance(one, tuple) for one in find(made(issuer, seconds, leeway="1s"), late, early))


def test_token_that_was_tampered_with_is_refused(issuer, tokens):
    header, claims, signature = issuer.sign(roles=["team"]).split(".")
    padded = claims + "=" * (-len(claims) % 4)
    given = json.loads(base64.urlsafe_b64decode(padded)) | {"roles": ["ml"]}
    forged = base64.urlsafe_b64encode(json.dumps(given).encode()).rstrip(b"=").decode()
    told = find(
        tokens, f"{header}.{forged}.{signature}", f"{header}.{claims}.", f"{header}.{claims}.{signature[:-4]}"
    )
    assert told == ["the token is not one that the issuer signed"] * 3


def test_token_of_another_key_under_a_known_name_is_refused(issuer, tokens):
    token = issuer.sign()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    other = RSAKey.generate_key(2048, {"kid": "key-1"})
    assert find(tokens, token, jwt.encode({"alg": "RS256", "kid": "key-1"}, claims, other)) == [
        ("ana", Grants()),
        "the token is not one that the issuer signed",
    ]


def test_algorithms_that_need_no_secret_of_the_issuer_are_refused(issuer, tokens):
    """`none`, and a signature made with the public key, which everybody has, as the secret."""
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "eve", "exp": NOW + 300, "roles": ["ml"]}

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    unsigned = f"{part({'alg': 'none'})}.{part(claims)}."
    public = RSAKey.generate_key(2048).as_pem(private=False)
    signed = f"{part({'alg': 'HS256', 'kid': 'key-1'})}.{part(claims)}"
    mac = hmac.digest(public, signed.encode(), "sha256")
    confused = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert find(tokens, unsigned, confused) == ["the token is signed by an algorithm that is not taken"] * 2


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "eyJ9.e30.", "a" * 20_000, "a.b.c.d.e"])
def test_what_is_no_token_is_refused(issuer, tokens, text):
    assert isinstance(find(tokens, text)[0], str)
    assert issuer.asked == 0


def test_rotated_keys_are_fetched_when_a_token_names_one(issuer, tokens, seconds):
    old = issuer.sign()
    assert find(tokens, old) == [("ana", Grants())]
    issuer.rotate()
    seconds.now += KNOCK
    new, still = issuer.sign(sub="bo"), issuer.sign(sub="cy", old=True)
    assert find(tokens, new, still) == [("bo", Grants()), ("cy", Grants())]
    assert issuer.asked == 2


def test_key_that_was_withdrawn_holds_no_longer_than_until_the_next_fetch(issuer, tokens, seconds):
    find(tokens, issuer.sign())
    issuer.rotate(keep=False)
    signed = issuer.sign(old=True, sub="eve")
    seconds.now += REFRESH + 1

    async def ask():
        await tokens.find(signed)  # decided by the keys at hand, while they are fetched beside
        await asyncio.sleep(0)
        while issuer.asked < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        seconds.now += REMEMBER
        return await tokens.find(signed)

    assert asyncio.run(ask()) == "the token is not one that the issuer signed"


def test_tokens_of_made_up_keys_do_not_make_us_ask_the_issuer_each_time(issuer, tokens):
    find(tokens, issuer.sign())
    forged = [issuer.sign(header={"kid": f"made-up-{i}"}) for i in range(20)]
    assert set(find(tokens, *forged)) == {"the token is not one that the issuer signed"}
    assert issuer.asked == 1


def test_many_first_tokens_fetch_the_keys_once(issuer, tokens):
    async def ask():
        return await asyncio.gather(*(tokens.find(issuer.sign(sub=f"u{i}")) for i in range(10)))

    assert [name for name, _ in asyncio.run(ask())] == [f"u{i}" for i in range(10)]
    assert issuer.asked == 1


def test_issuer_that_is_down_is_said_and_its_keys_hold_on(issuer, tokens, seconds):
    one, two = issuer.sign(), issuer.sign(sub="bo")
    assert find(tokens, one) == [("ana", Grants())]
    issuer.stop()
    seconds.now += REFRESH + 1
    assert find(tokens, one, two) == [("ana", Grants()), ("bo", Grants())]
    seconds.now += HOLD
    with pytest.raises(Unavailable, match="cannot be reached"):
        find(tokens, one)


def test_issuer_that_never_answered_is_unavailable_and_not_a_refusal(issuer, tokens, seconds):
    token = issuer.sign()
    issuer.stop()
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be reached"):
            find(tokens, token)
        seconds.now += 2


def test_issuer_under_another_name_is_not_the_one(issuer, seconds):
    token = issuer.sign()
    with pytest.raises(Unavailable, match="calls itself"):
        find(made(issuer, seconds, issuer=f"{issuer.url}/"), token)


def test_token_that_held_is_looked_at_again_after_a_while_and_when_it_expires(issuer, seconds):
    clock = {"now": int(time.time()) * SECOND}
    given = {"issuer": issuer.url, "audience": AUDIENCE, "leeway": "1s"}
    tokens = Tokens(read_oidc(given, "x"), clock=lambda: clock["now"], seconds=seconds)
    token = issuer.sign()
    assert find(tokens, token) == [("ana", Grants())]
    clock["now"] += 302 * SECOND
    assert find(tokens, token) == ["the token has expired"]


def test_secrets_and_keys_for_encryption_are_no_keys_of_an_issuer():
    key = RSAKey.generate_key(2048, {"kid": "a"}).as_dict(private=False)
    others = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "b"},
        key | {"use": "enc", "kid": "c"},
        {"kty": "new"},
        "?",
    ]
    assert [one.kid for one in read_key_set({"keys": [*others, key]}, "x")] == ["a"]
    for document in ({"keys": others}, {"keys": []}, {}, [], {"keys": [{"kty": "RSA"}]}):
        with pytest.raises(Unavailable):
            read_key_set(document, "x")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"issuer": "http://login.example.com"}, "must be https"),
        ({"issuer": "login"}, "is not a URL"),
        ({"issuer": None}, "Expected `str`"),
        ({"audience": ""}, "cannot be empty"),
        ({"audience": []}, "cannot be empty"),
        ({"algorithms": ["none"]}, "`none` is not taken"),
        ({"algorithms": ["HS256"]}, "`HS256` is not taken"),
        ({"algorithms": []}, "cannot be empty"),
        ({"grants": {"a": "root"}}, "`root` is not a grant"),
        ({"leeway": "soon"}, "not a duration"),
        ({"clam": "roles"}, "clam"),
    ],
)
def test_section_that_cannot_be_meant_is_refused_with_its_line(change, told):
    section = {"issuer": "https://login.example.com", "audience": "gnomon"} | change
    with pytest.raises(DataError) as raised:
        read_oidc(section, "gnomon.toml")
    assert told in raised.value.what
    assert raised.value.at == "gnomon.toml"
