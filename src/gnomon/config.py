"""gnomon.toml: one line for each thing that may live elsewhere one day."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gnomon.errors import DataError, UsageError, nearest
from gnomon.time import duration

FILE_NAME = "gnomon.toml"

DEFAULT_TEXT = """\
[project]
name = "{name}"
definitions = "features.py"              # or a folder, or an importable module

[registry]
url = "sqlite:///.gnomon/registry.db"

[offline]
url = ".gnomon/offline"                  # Delta tables; or s3://bucket/prefix, gs://…, abfs://…

[online]
url = "lmdb://.gnomon/online"            # or redis://…, postgresql://…, dynamodb://…, bigtable://…, memory://

[engine]
url = "local"
"""


@dataclass(frozen=True, slots=True)
class Config:
    """Where a project keeps what. URLs of files are relative to `root`."""

    root: Path
    name: str = "gnomon"
    definitions: str = "features.py"
    registry: str = "sqlite:///.gnomon/registry.db"
    offline: str = ".gnomon/offline"
    online: str = "lmdb://.gnomon/online"
    engine: str = "local"
    slack: int | None = None
    """How much longer than needed online rows are kept, in microseconds; None: as long again as the longest
    window, and at least a day."""
    cache: int | None = None
    """How old what is online may be when it is answered from memory, in microseconds; None: it is read anew."""
    replica: str | None = None
    """A local file that answers about definitions while the registry is away."""
    offline_options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """What reaches an object store: names and values. Not shown, for there are secrets among them."""
    log: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The section of the answer log, as it stands there: `gnomon.flows.proof.settings` reads it."""
    storage: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """The same for the object stores that sources lie in."""
    serve: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """The section of the server, as it stands there, with the environment filled in: `gnomon.serve.settings` reads it.
    Not shown, for there may be secrets in it."""


_KEYS = {
    "project": {"name": "name", "definitions": "definitions"},
    "registry": {"url": "registry", "replica": "replica"},
    "offline": {"url": "offline", "options": "offline_options"},
    "online": {"url": "online", "slack": "slack", "cache": "cache"},
    "engine": {"url": "engine"},
}
_STORAGE = "storage"
"""The section of options that sources in object stores share. Its keys are those of the stores."""
_OWN = ("serve", "log")
"""The sections of the server and of the answer log, which check them themselves."""
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def load(root: Path, **overrides: str | None) -> Config:
    """Read `root/gnomon.toml`; keywords that are not None take the place of its lines.

    Raises: DataError naming file, section and key, for what is unreadable or unknown.
    """
    file = root / FILE_NAME
    try:
        text = file.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise DataError(
            f"no project at `{root}`: it has no {FILE_NAME}",
            hint="`gnomon init DIR` makes one; gnomon.Store() without a path works in a temporary folder",
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"`{file}` cannot be read: {error}") from None
    values: dict[str, Any] = {}
    for section, content in document.items():
        if section == _STORAGE:
            values[_STORAGE] = _options(content, _STORAGE, file)
            continue
        if section in _OWN and isinstance(content, dict):
            values[section] = _filled_in(content, section, str(file))
            continue
        if section not in _KEYS and section not in _OWN:
            raise _unknown(f"section `[{section}]`", section, [*_KEYS, _STORAGE, *_OWN], file)
        if not isinstance(content, dict):
            raise DataError(f"`{section}` must be a section", at=str(file), hint=f"write [{section}]")
        for key, value in content.items():
            if key not in _KEYS[section]:
                raise _unknown(f"key `{key}` in `[{section}]`", key, list(_KEYS[section]), file)
            where = f"{section}.{key}"
            if key == "options":
                values[_KEYS[section][key]] = _options(value, where, file)
                continue
            values[_KEYS[section][key]] = _text(value, where, file)
    values = _with_durations(values, str(file))
    return with_overrides(Config(root, **values), **overrides)


def with_overrides(config: Config, **overrides: str | None) -> Config:
    """The configuration with some lines replaced; None leaves a line as it is."""
    known = {one.name for one in fields(Config)} - {"root", "offline_options", "storage", *_OWN}
    for name in overrides:
        if name not in known:
            raise UsageError(f"`{name}` is not a setting", hint=f"known: {', '.join(sorted(known))}")
    given: dict[str, str | None] = {name: value for name, value in overrides.items() if value is not None}
    if "registry" in given and given["registry"] != config.registry:
        given.setdefault("replica", None)  # it is the other registry's
    if given.get("offline", config.offline) != config.offline:
        config = replace(config, offline_options=())  # they are the other store's
    return replace(config, **_with_durations(given, None))


def _with_durations(values: Mapping[str, Any], file: str | None) -> dict[str, Any]:
    """Values with texts as durations. Raises: DataError naming the file; UsageError if there is none."""
    read = dict(values)
    for name in ("slack", "cache"):
        if not isinstance(read.get(name), str):
            continue
        try:
            read[name] = duration(read[name])
        except UsageError as error:
            if file is None:
                raise
            raise DataError(f"`online.{name}`: {error.what}", at=file, hint=error.hint) from None
    if read.get("cache") is not None and read["cache"] <= 0:
        # Written so to turn it off where a file turns it on.
        read["cache"] = None
    return read


def _options(value: object, where: str, file: Path) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise DataError(f"`{where}` must be a section", at=str(file), hint=f"write [{where}]")
    return tuple((name, _text(one, f"{where}.{name}", file)) for name, one in value.items())


def _filled_in(value: Any, where: str, at: str) -> Any:
    """A value of any depth, with the variables in its texts filled in."""
    if isinstance(value, dict):
        return {name: _filled_in(one, f"{where}.{name}", at) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled_in(one, f"{where}[{i}]", at) for i, one in enumerate(value)]
    return expand(value, where, at) if isinstance(value, str) else value


def _text(value: object, where: str, file: Path) -> str:
    if not isinstance(value, str):
        raise DataError(f"`{where}` must be text, found {value!r}", at=str(file))
    return expand(value, where, str(file))


def expand(value: str, where: str, at: str) -> str:
    """Text with the variables of the environment in it filled in. `where`: what needs them.

    Raises: DataError naming one that is not set.
    """

    def of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise DataError(f"`{where}` needs the environment variable {name}, which is not set", at=at)
        return os.environ[name]

    return _VARIABLE.sub(of, value)


def _unknown(what: str, name: str, known: list[str], file: Path) -> DataError:
    close = nearest(name, known)
    hint = f"did you mean `{close}`?" if close else f"known: {', '.join(known)}"
    return DataError(f"unknown {what}", at=str(file), hint=hint)
