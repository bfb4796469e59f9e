"""Settings: `[serve]` of gnomon.toml and the flags of `gnomon serve` → what the server keeps to."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gnomon.errors import DataError, UsageError, nearest
from gnomon.time import SECOND, duration

_SIZES = {"kB": 1000, "MB": 1000**2, "GB": 1000**3}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server listens, and what it bears. Limits are those of one worker."""

    host: str = "127.0.0.1"
    port: int = 6566
    """0: one that is free."""
    workers: int = 1
    """Processes. Each opens the store itself, and answers on a processor of its own."""
    body_limit: int = 32_000_000
    """Bytes of a request's body, where its route does not say otherwise."""
    entities_limit: int = 10_000
    """Entities of one question."""
    timeout: float = 10.0
    """Seconds that a request may take: to arrive, and then to be worked on outside the event loop."""
    training_timeout: float = 600.0
    """Seconds that a training set may take."""
    in_flight: int = 512
    """Requests at a time; others are told to come again."""
    pool: int = 16
    """Threads for what waits for a disk or a network."""
    look_every: float = 1.0
    """Seconds between looks for a new revision of the registry."""
    shutdown: float = 30.0
    """Seconds that requests in flight have to end, once the server was told to."""
    access_log: bool = True
    """Whether a line of JSON tells of each request."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    auth: str = "off"
    """Who is let in: `off` everybody, `keys` those with an API key, `oidc` those with one or a token of an issuer."""
    insecure_no_auth: bool = False
    """Whether others than this machine may ask without credentials."""
    contracts: tuple[Path, ...] = ()
    """Files of contracts that must hold: no revision is answered by that breaks one."""
    sections: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """The tables inside `[serve]`, such as `[serve.oidc]`; who uses one reads it. Not shown: there may be secrets."""

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


_NOT_KEYS = {"sections"}
_DURATIONS = {"timeout", "training_timeout", "look_every", "shutdown"}
_LEAST = {
    "workers": 1,
    "body_limit": 1,
    "entities_limit": 1,
    "in_flight": 1,
    "pool": 1,
    "port": 0,
    "timeout": 0.001,
    "training_timeout": 0.001,
    "look_every": 0.01,
    "shutdown": 0.0,
}
_MOST = {"port": 65535}
_FLAGS = {"contracts": "--contract"}
"""Flags that are called otherwise than their settings: each gives one of several."""


def read_settings(section: Mapping[str, Any], root: Path, **flags: Any) -> Settings:
    """The settings of a project at `root`; flags that are not None go before its lines.

    Raises: DataError naming a line of gnomon.toml, or UsageError naming a flag, that cannot be right.
    """
    known = {one.name for one in fields(Settings)} - _NOT_KEYS
    values: dict[str, Any] = {}
    sections: dict[str, Any] = {}
    for name, value in section.items():
        if isinstance(value, dict):
            sections[name] = value
        elif name not in known:
            close = nearest(name, known)
            raise DataError(
                f"unknown key `{name}` in `[serve]`",
                at=str(root / "gnomon.toml"),
                hint=f"did you mean `{close}`?" if close else f"known: {', '.join(sorted(known))}",
            )
        else:
            try:
                values[name] = _read(name, value, root)
            except UsageError as error:
                raise DataError(
                    f"`serve.{name}`: {error.what}", at=str(root / "gnomon.toml"), hint=error.hint
                ) from None
    for name, value in flags.items():
        if value is not None:
            try:
                values[name] = _read(name, value, Path.cwd())
            except UsageError as error:
                flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
                raise UsageError(f"{flag}: {error.what}", hint=error.hint) from None
    settings = replace(Settings(sections=sections), **values)
    if (settings.tls_cert is None) != (settings.tls_key is None):
        missing = "tls_key" if settings.tls_key is None else "tls_cert"
        raise UsageError(
            f"TLS needs a certificate and its key: `{missing}` is missing",
            hint="--tls-cert FILE --tls-key FILE",
        )
    return settings


def _read(name: str, value: Any, root: Path) -> Any:
    """A value of a setting, in its type and within its bounds. Raises: UsageError."""
    kind = type(getattr(Settings(), name))
    if name in ("tls_cert", "tls_key"):
        path = root / Path(value)
        if not path.is_file():
            raise UsageError(f"there is no file `{path}`", hint="give a file in PEM form")
        return path
    if name == "contracts":
        return _files(value, root)
    if name in _DURATIONS:
        seconds = duration(value) / SECOND if isinstance(value, str) else value
        return _bounded(name, _typed(name, seconds, float))
    if name == "body_limit" and isinstance(value, str):
        return _bounded(name, _size(value))
    return _bounded(name, _typed(name, value, kind))


def _files(value: Any, root: Path) -> tuple[Path, ...]:
    """Files, relative to the folder of gnomon.toml, or of the command. Raises: UsageError."""
    paths = tuple(root / Path(one) for one in value) if isinstance(value, list | tuple) else ()
    if not paths or not all(isinstance(one, str | Path) for one in value):
        raise UsageError(f"`{value!r}` is no list of files", hint='such as ["model.json"]')
    for path in paths:
        if not path.is_file():
            raise UsageError(f"there is no file `{path}`", hint="`gnomon contract export` writes one")
    return paths


def _typed(name: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        hint = 'such as 2.5, or "2500ms"' if kind is float else f"give {_WORDS[kind]}"
        raise UsageError(f"`{value!r}` is not {_WORDS[kind]}", hint=hint)
    return value


_WORDS = {int: "a whole number", float: "a number of seconds", bool: "true or false", str: "text"}


def _bounded(name: str, value: Any) -> Any:
    least, most = _LEAST.get(name), _MOST.get(name)
    if least is not None and value < least:
        raise UsageError(f"{value} is too little", hint=f"at least {least}")
    if most is not None and value > most:
        raise UsageError(f"{value} is too much", hint=f"at most {most}")
    return value


def _size(text: str) -> int:
    """Bytes: `16MB`, `500kB`, `1000`. Raises: UsageError."""
    for unit, factor in _SIZES.items():
        number = text.removesuffix(unit).strip()
        if text.endswith(unit) and number.isdecimal():
            return int(number) * factor
    if text.isdecimal():
        return int(text)
    raise UsageError(f"`{text}` is not a size", hint="such as 16MB, 500kB, or a number of bytes")
