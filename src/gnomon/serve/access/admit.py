"""Admit: the headers of a request → who asks; and what came of it → the audit log.

A key is shown as `Authorization: Bearer gnm_…` or `X-API-Key: gnm_…`, a token as `Authorization: Bearer …`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from gnomon.abc.registry import StoredKey
from gnomon.errors import UsageError, nearest
from gnomon.flows.access.audit import AuditLog, Outcome, folder_of
from gnomon.flows.access.grants import Grants
from gnomon.flows.access.keys import PREFIX
from gnomon.registry.pii import pii_features, tagged_outputs
from gnomon.registry.snapshot import Snapshot
from gnomon.serve.access.attempts import Attempts
from gnomon.serve.access.keys import KeyRing
from gnomon.serve.access.oidc import OidcSettings, Tokens, read_oidc
from gnomon.serve.access.roles import CLOSED, OPEN, Action, Denied, Policy, Principal, anybody
from gnomon.time import Clock, system_clock

Mode = Literal["off", "keys", "oidc"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""`oidc` takes keys too: a job without a browser needs one."""

Headers = Mapping[bytes, bytes]
"""Names in lower case."""

_LONGEST = 16_384
"""Bytes of credentials that are looked at."""


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Who is let in, and where it is written down."""

    mode: Mode = "off"
    oidc: OidcSettings | None = None
    audit: Path | None = None
    """The folder of the audit log; None: there is none."""


def read_access(mode: str, sections: Mapping[str, Any], root: Path) -> AccessSettings:
    """The settings of `--auth`, `[serve.oidc]` and `[serve.audit]` of the project at `root`.

    Raises: UsageError for a mode that there is not, or that lacks its section; DataError naming a line.
    """
    if mode not in MODES:
        close = nearest(mode, MODES)
        raise UsageError(
            f"`{mode}` is no way to let somebody in",
            at="--auth",
            hint=f"did you mean `{close}`?" if close else f"known: {', '.join(MODES)}",
        )
    file = str(root / "gnomon.toml")
    section = sections.get("oidc")
    if mode == "oidc" and section is None:
        raise UsageError(
            "tokens can only be taken from an issuer",
            at="--auth",
            hint="write [serve.oidc] with issuer, audience and grants into gnomon.toml",
        )
    oidc = read_oidc(section, file) if section is not None else None
    return AccessSettings(mode, oidc if mode == "oidc" else None, folder_of(root, sections))


class Access:
    """Decides who may ask, by the keys and tokens that are taken. Used on one event loop, in one worker."""

    def __init__(
        self,
        settings: AccessSettings = AccessSettings(),
        load_keys: Callable[[], tuple[StoredKey, ...]] = tuple,
        *,
        clock: Clock = system_clock,
    ) -> None:
        """`load_keys`: reads the keys of the registry, in a thread."""
        self.mode = settings.mode
        self.audit = None if settings.audit is None else AuditLog(settings.audit, clock=clock)
        self._keys = KeyRing(load_keys, clock=clock)
        self._tokens = None if settings.oidc is None else Tokens(settings.oidc, clock=clock)
        self._attempts = Attempts()
        self._policy = CLOSED if self.on else OPEN
        self._grants: dict[tuple[str, ...], Grants] = {}

    @property
    def on(self) -> bool:
        """Whether credentials are asked for."""
        return self.mode != "off"

    @property
    def lost(self) -> int:
        """Entries of the audit log that were not written, and will not be."""
        return 0 if self.audit is None else self.audit.lost

    def follow(self, snapshot: Snapshot) -> Policy:
        """What a revision says about access: made beside the requests, and then `take`n."""
        if not self.on:
            return OPEN
        found = pii_features(collected := snapshot.collected())
        outputs = {f"{one.ref}:{name}" for one in collected.on_demand for name, _ in one.returns}
        return Policy(found - outputs, tagged_outputs(collected))

    def take(self, policy: Policy) -> None:
        """Decide by this from now on."""
        self._policy = policy

    async def admit(self, headers: Headers, address: str = "") -> Principal:
        """Who asks. `address`: from where.

        Raises: Denied, 401 without credentials that hold, 429 after too many that did not; Unavailable if it cannot be
                told just now.
        """
        if not self.on:
            return anybody()
        shown = _credentials(headers)
        if shown is None:
            raise _unknown("there are no credentials", "send `Authorization: Bearer KEY`", asked=True)
        if shown.startswith(PREFIX):
            key = await self._keys.find(shown)
            if not isinstance(key, str):
                return Principal(f"key {key.id}", self._grants_of(key), self._policy)
            why = key
        elif self._tokens is not None and "." in shown:
            token = await self._tokens.find(shown)
            if not isinstance(token, str):
                name, grants = token
                return Principal(f"oidc {name}", grants, self._policy)
            why = token
        else:
            why = "the credentials are neither a key" + (" nor a token" if self._tokens else "")
        wait = self._attempts.failed(address)
        if wait is not None:
            raise Denied(
                429,
                "Too many attempts",
                "too many credentials from this address did not hold",
                hint="credentials that hold are let in all the same",
                why=why,
                retry_after=wait,
            )
        raise _unknown(
            why, "`gnomon key create` makes a key; `gnomon key list --all` tells what became of one"
        )

    def note(
        self,
        principal: Principal | None,
        action: Action | None,
        what: str,
        status: int,
        *,
        error: Exception | None = None,
        address: str = "",
        request_id: str = "",
    ) -> None:
        """Write into the audit log what came of a call, if it was denied, or may have changed something.

        `principal`: None where nobody was let in. `error`: what the call ended with, if it did.
        """
        denied = isinstance(error, Denied)
        if self.audit is None or not (denied or action in ("write", "admin")):
            return
        outcome: Outcome = "denied" if denied else "done" if status < 400 else "failed"
        self.audit.record(
            outcome,
            "nobody" if principal is None else principal.name,
            action or "read",
            what,
            status=status,
            objects=sorted(principal.touched) if principal is not None else (),
            why="" if error is None else error.why if isinstance(error, Denied) else _brief(error),
            address=address,
            request_id=request_id,
        )

    def close(self) -> None:
        """Write what waits for the audit log."""
        if self.audit is not None:
            self.audit.close()

    def _grants_of(self, key: StoredKey) -> Grants:
        found = self._grants.get(key.grants)
        if found is None:
            found = self._grants[key.grants] = Grants.read(key.grants)
        return found


def _credentials(headers: Headers) -> str | None:
    """What a request shows; None if it shows nothing."""
    given = headers.get(b"authorization")
    if given is not None:
        scheme, _, value = given[:_LONGEST].decode("latin-1").strip().partition(" ")
        return value.strip() if scheme.lower() == "bearer" else "another scheme"
    given = headers.get(b"x-api-key")
    return None if given is None else given[:_LONGEST].decode("latin-1").strip()


def _unknown(why: str, hint: str, *, asked: bool = False) -> Denied:
    """A 401, with the header that says how to ask (RFC 6750): without a reason where nothing was shown."""
    challenge = 'Bearer realm="gnomon"' + ("" if asked else ', error="invalid_token"')
    return Denied(401, "Who are you?", why, hint=hint, headers=(("www-authenticate", challenge),))


def _brief(error: Exception) -> str:
    return str(error).partition("\n")[0][:500]
