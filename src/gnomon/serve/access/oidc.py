"""Oidc: bearer tokens of an issuer → who asks, and what its claims allow.

    [serve.oidc]
    issuer = "https://login.example.com"
    audience = "gnomon"
    claim = "groups"                     # where roles stand; `realm_access.roles` looks deeper
    [serve.oidc.grants]
    "ml-services" = ["reader"]           # a value of the claim → grants
    "weather-team" = ["writer:airport_weather", "pii:airport_weather"]

The issuer's keys are fetched when they are first needed, again every ten minutes, and when a token names one that is
not known (at most every ten seconds, so that tokens made up by somebody cannot make us knock at the issuer's door).
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry, extract_compact
from joserfc.jwt import JWTClaimsRegistry

from gnomon.errors import DataError, GnomonError, Unavailable, UsageError, nearest
from gnomon.flows.access.grants import Grants
from gnomon.time import SECOND, Clock, duration, monotonic, system_clock

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Signatures by a private key that only the issuer has. Never `none`, and never HS256 and its like: their key would be
the public one, which everybody has."""
_DEFAULT = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")

REFRESH = 600.0
"""Seconds after which keys are fetched again, beside the requests."""
HOLD = 86_400.0
"""Seconds for which keys hold on while the issuer cannot be reached."""
KNOCK = 10.0
"""Seconds between two fetches for keys that are not known."""
REMEMBER = 60.0
"""Seconds for which a token that held is not looked at again, if it does not expire before."""
_REMEMBERED = 4096
_TIMEOUT = 5.0
"""Seconds for one answer of the issuer."""
_LONGEST_ANSWER = 1_000_000
"""Bytes."""
_LONGEST_TOKEN = 16_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """Whose tokens are taken, and what they allow."""

    issuer: str
    audience: tuple[str, ...]
    """A token must be meant for one of these."""
    grants: Mapping[str, Grants]
    """Value of the claim → what it allows."""
    claim: str = "roles"
    """A claim with a list, or with texts separated by spaces; dots lead into claims that hold claims."""
    name: str = "sub"
    """The claim that logs call the caller by."""
    algorithms: tuple[str, ...] = _DEFAULT
    leeway: int = 30 * SECOND
    """How far the issuer's clock may be from ours, a duration."""


class _Section(msgspec.Struct, forbid_unknown_fields=True):
    issuer: str
    audience: str | list[str]
    grants: dict[str, str | list[str]] = {}
    claim: str = "roles"
    name: str = "sub"
    algorithms: tuple[str, ...] = _DEFAULT
    leeway: str = "30s"


def read_oidc(section: Mapping[str, Any], at: str) -> OidcSettings:
    """The settings of `[serve.oidc]`. `at`: the file. Raises: DataError naming the line."""
    try:
        given = msgspec.convert(section, _Section)
    except msgspec.ValidationError as error:
        raise DataError(
            f"[serve.oidc] cannot be read: {error}",
            at=at,
            hint=f"it takes {', '.join(_Section.__struct_fields__)}; issuer and audience are needed",
        ) from None
    try:
        _check_url(given.issuer, "issuer")
        for algorithm in given.algorithms:
            if algorithm not in ALGORITHMS:
                close = nearest(algorithm, ALGORITHMS)
                raise UsageError(
                    f"the algorithm `{algorithm}` is not taken",
                    hint=f"did you mean `{close}`?" if close else f"known: {', '.join(ALGORITHMS)}",
                )
        audience = (given.audience,) if isinstance(given.audience, str) else tuple(given.audience)
        if not audience or not all(audience) or not given.algorithms:
            raise UsageError("audience and algorithms cannot be empty", hint='such as audience = "gnomon"')
        grants = {
            value: Grants.read([texts] if isinstance(texts, str) else texts)
            for value, texts in given.grants.items()
        }
        leeway = duration(given.leeway)
    except UsageError as error:
        raise DataError(f"[serve.oidc]: {error.what}", at=at, hint=error.hint) from None
    return OidcSettings(given.issuer, audience, grants, given.claim, given.name, given.algorithms, leeway)


class Issuer:
    """The keys of an issuer, as they were a while ago at most. Used on one event loop."""

    def __init__(
        self,
        url: str,
        *,
        seconds: Callable[[], float] = monotonic,
        fetch: Callable[[str], Any] | None = None,
    ) -> None:
        """`fetch`: the JSON at a URL, in a thread."""
        self._url = url
        self._seconds = seconds
        self._fetch = fetch or fetch_json
        self._keys: KeySet | None = None
        self._as_of = 0.0
        self._tried = float("-inf")
        self._away: GnomonError | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def keys(self, kid: str | None) -> KeySet:
        """The keys, with that of `kid` among them if the issuer has it. Raises: Unavailable."""
        age = self._seconds() - self._as_of
        known = self._keys is not None and (kid is None or any(key.kid == kid for key in self._keys))
        if self._keys is None or age > REFRESH or not known:
            fetching = self._fetch_beside(KNOCK if self._keys is not None else 1.0)
            if fetching is not None and (not known or age > HOLD):
                await asyncio.shield(fetching)
        if self._keys is None or self._seconds() - self._as_of > HOLD:
            raise self._away or Unavailable("the issuer's keys cannot be had", at=self._url)
        return self._keys

    def _fetch_beside(self, pause: float) -> asyncio.Task[None] | None:
        """The task that fetches keys; None if the last one is not `pause` seconds ago."""
        if self._fetching is None or self._fetching.done():
            if self._seconds() - self._tried < pause:
                return None
            self._fetching = asyncio.get_running_loop().create_task(self._fetch_all())
        return self._fetching

    async def _fetch_all(self) -> None:
        self._tried = began = self._seconds()
        try:
            self._keys = await asyncio.to_thread(self._read)
        except GnomonError as error:
            if self._away is None:
                _log.warning("the keys of the issuer cannot be fetched: %s", error)
            self._away = error
            return
        self._away, self._as_of = None, began

    def _read(self) -> KeySet:
        """Raises: Unavailable for an issuer that does not answer, or not as one."""
        place = self._url.rstrip("/") + "/.well-known/openid-configuration"
        told = self._fetch(place)
        if not isinstance(told, dict) or told.get("issuer") != self._url:
            raise Unavailable(
                f"it calls itself {told.get('issuer') if isinstance(told, dict) else told!r}",
                at=place,
                hint="`issuer` in [serve.oidc] must be as the issuer writes it, to the last character",
            )
        uri = str(told.get("jwks_uri"))
        try:
            _check_url(uri, "jwks_uri")
        except UsageError as error:
            raise Unavailable(error.what, at=place) from None
        return read_key_set(self._fetch(uri), uri)


def read_key_set(document: Any, at: str) -> KeySet:
    """The public keys that sign. Raises: Unavailable if there are none."""
    listed = document.get("keys") if isinstance(document, dict) else None
    usable = [
        one
        for one in (listed if isinstance(listed, list) else [])
        # Never a secret, which an issuer has no reason to publish, and never a key for encryption.
        if isinstance(one, dict) and one.get("kty") in ("RSA", "EC", "OKP") and one.get("use", "sig") == "sig"
    ]
    try:
        return KeySet.import_key_set({"keys": usable})
    except (JoseError, ValueError, TypeError) as error:
        raise Unavailable(f"the issuer's keys cannot be read: {error}", at=at) from None


class Tokens:
    """Decides whether a token holds, and what it allows. Used on one event loop."""

    def __init__(
        self,
        settings: OidcSettings,
        issuer: Issuer | None = None,
        *,
        clock: Clock = system_clock,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._issuer = issuer or Issuer(settings.issuer, seconds=seconds)
        self._clock = clock
        self._seconds = seconds
        self._registry = JWSRegistry(algorithms=list(settings.algorithms), strict_check_header=False)
        self._remembered: dict[bytes, tuple[float, int, tuple[str, Grants]]] = {}

    async def find(self, token: str) -> tuple[str, Grants] | str:
        """Who asks and what he may, if the token holds now; else why it does not. Raises: Unavailable."""
        now = self._clock()
        address = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        remembered = self._remembered.get(address)
        if remembered is not None and self._seconds() < remembered[0] and now < remembered[1]:
            return remembered[2]
        if len(token) > _LONGEST_TOKEN:
            return "the token is too long"
        try:
            header = extract_compact(token.encode(), registry=self._registry).headers()
            if header.get("alg") not in self._settings.algorithms:
                return "the token is signed by an algorithm that is not taken"
            kid = header.get("kid")
            keys = await self._issuer.keys(kid if isinstance(kid, str) else None)
            claims = self._claims(token, keys, now)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            # ValueError and its like: of texts that are no tokens, deep inside the library.
            return _why(error)
        found = (self._name(claims), self._grants(claims))
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[address] = (
            self._seconds() + REMEMBER,
            int(claims["exp"]) * SECOND + self._settings.leeway,
            found,
        )
        return found

    def _claims(self, token: str, keys: KeySet, now: int) -> dict[str, Any]:
        """Raises: JoseError, or what the library lets through, for a token that does not hold."""
        claims = jwt.decode(token, keys, self._settings.algorithms, registry=self._registry).claims
        JWTClaimsRegistry(
            now // SECOND,
            self._settings.leeway // SECOND,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "values": list(self._settings.audience)},
            exp={"essential": True},
            sub={"essential": True},
        ).validate(claims)
        return claims

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self._settings.name)
        return name if isinstance(name, str) and name else str(claims["sub"])

    def _grants(self, claims: Mapping[str, Any]) -> Grants:
        value: Any = claims
        for step in (
            self._settings.claim.split(".") if self._settings.claim not in claims else [self._settings.claim]
        ):
            value = value.get(step) if isinstance(value, dict) else None
        held = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
        allowed = [
            self._settings.grants[one]
            for one in held
            if isinstance(one, str) and one in self._settings.grants
        ]
        return Grants(frozenset(grant for one in allowed for grant in one.grants))


def _why(error: Exception) -> str:
    """Why a token does not hold, as it may be told to whoever sent it."""
    if isinstance(error, ExpiredTokenError):
        return "the token has expired"
    if isinstance(error, MissingClaimError):
        return (
            f"the token lacks a claim: {error.description}"
            if error.description
            else "the token lacks a claim"
        )
    if isinstance(error, InvalidClaimError):
        return f"a claim of the token is not as it must be: {error.description or error}"
    return "the token is not one that the issuer signed"


def fetch_json(url: str) -> Any:
    """The JSON at a URL. Raises: Unavailable."""
    try:
        with (
            httpx2.Client(timeout=_TIMEOUT, follow_redirects=False) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:
                raise Unavailable(f"the issuer answers with status {answer.status_code}", at=url)
            body = b""
            for part in answer.iter_bytes():
                body += part
                if len(body) > _LONGEST_ANSWER:
                    raise Unavailable("the issuer's answer is too long", at=url)
        return msgspec.json.decode(body)
    except httpx2.HTTPError as error:
        raise Unavailable(f"the issuer cannot be reached: {error}", at=url) from None
    except msgspec.DecodeError as error:
        raise Unavailable(f"the issuer's answer is no JSON: {error}", at=url) from None


def _check_url(url: str, what: str) -> None:
    """Keys that came over an open line could be anybody's. Raises: UsageError."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or parts.scheme not in ("https", "http"):
        raise UsageError(f"`{what}` is not a URL: {url!r}", hint="such as https://login.example.com")
    if parts.scheme == "http" and not _is_loopback(host):
        raise UsageError(f"`{what}` must be https, found {url!r}", hint="http is for this machine only")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
