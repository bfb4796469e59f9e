"""gnomon.toml: sections, keys, defaults, and the schemes that each URL may have."""

from __future__ import annotations

from dataclasses import fields

from docs.generators.markdown import code, table
from gnomon import config, plugins
from gnomon.flows.proof.settings import SERVER_SAMPLE, LogSettings
from gnomon.serve.settings import Settings
from gnomon.time import show_duration

_MEANING = {
    "name": "The project's name.",
    "definitions": "Where the definitions are: a Python file, a folder of them, or an importable module.",
    "registry": "Where definitions are kept, revision by revision.",
    "replica": "A local file that follows the registry, and answers while it is away. "
    "See [registry](../concepts/registry.md#on-a-server).",
    "offline": "Where the rows of cached groups are kept.",
    "storage": "What opens the object stores that sources lie in: any option of theirs, such as `aws_region`. See "
    "[sources](../how-to/sources.md#object-stores).",
    "offline_options": "What reaches an object store: endpoint, credentials, region. See "
    "[object stores](../how-to/object-stores.md).",
    "online": "Where the rows that answers need are kept.",
    "cache": "A duration, such as `500ms`: how old the rows may be that answer a question from memory. Not set, or "
    "`0s`: every question reads. See [the cache](../how-to/cache-online-reads.md).",
    "engine": "What computes training sets.",
    "slack": "A duration: how much longer than features look back online rows are kept. Not set: as long "
    "again as the longest window, and at least a day. See [online](../concepts/online.md).",
}

_DEFAULTS = LogSettings()
_LOG = [
    [
        "url",
        _DEFAULTS.url,
        "Where answers are logged: a folder, or a bucket. See [verify](../how-to/verify.md).",
    ],
    [
        "sample",
        SERVER_SAMPLE,
        "The share of entities whose answers servers log; others log none by themselves.",
    ],
    ["every", show_duration(_DEFAULTS.every), "How often what waits is written."],
    ["buffer", _DEFAULTS.buffer, "Answers that may wait for that; more are dropped, and counted."],
    ["keep", show_duration(_DEFAULTS.keep), "How long `vacuum` lets answers stay."],
]

_SERVE = {
    "host": "The address to listen at. Others than this machine reach `0.0.0.0`. See [serve](../how-to/serve.md).",
    "port": "`0` takes one that is free.",
    "workers": "Processes. Each opens the store itself, and answers on a processor of its own.",
    "body_limit": "Bytes of a request's body; text too, such as `32MB`.",
    "entities_limit": "Entities of one question.",
    "timeout": "Seconds, or a duration: how long a request may take to arrive, and a store to answer.",
    "training_timeout": "The same for training sets.",
    "in_flight": "Requests at a time, of a worker; others are told to come again.",
    "pool": "Threads of a worker for what waits for a disk or a network.",
    "look_every": "Seconds, or a duration, between looks for a new revision of the registry.",
    "shutdown": "Seconds, or a duration, that requests in flight have to end.",
    "access_log": "Whether a line of JSON on standard output tells of each request.",
    "tls_cert": "A certificate (PEM) to serve over TLS with.",
    "tls_key": "Its key.",
    "auth": "Who is let in: `off`, `keys`, `oidc`.",
    "insecure_no_auth": "Whether others than this machine may ask without credentials.",
    "contracts": "Files of contracts that must hold. See [contracts](../how-to/contracts.md).",
}

_VARIABLES = [
    [
        "`GNOMON_CACHE_DIR`",
        "Folder for the machine code of kernels, in the place of the user's cache folder.",
    ],
    ["`GNOMON_DEBUG`", "`1`: the command line shows the traceback of an error."],
]


def page() -> str:
    defaults = {field.name: field.default for field in fields(config.Config)}
    rows = []
    for section, keys in config._KEYS.items():
        for key, name in keys.items():
            default = defaults[name]
            shown = "not set" if default is None else f"`{default}`"
            rows.append([f"`[{section}]`", f"`{key}`", shown, _MEANING[name]])
    rows += [["`[log]`", f"`{key}`", f"`{default}`", meaning] for key, default, meaning in _LOG]
    for one in fields(Settings):
        if one.name != "sections":
            shown = f"`{_toml(one.default)}`" if one.default not in (None, ()) else "not set"
            rows.append(["`[serve]`", f"`{one.name}`", shown, _SERVE[one.name]])
    rows.append([f"`[{config._STORAGE}]`", "an option", "not set", _MEANING["storage"]])
    schemes = [
        [
            f"`[{kind}]`",
            ", ".join(f"`{scheme}`" for scheme in sorted(found)),
            f"`{plugins._EXAMPLE[kind]}`",
        ]
        for kind, found in plugins.BUILT_IN.items()
    ]
    return f"""\
# gnomon.toml

A project is a folder with this file. Every section and key may be left out; the defaults hold then.

{code(config.DEFAULT_TEXT.format(name="shop"), "toml")}

## Keys

{table(["Section", "Key", "Default", "Meaning"], rows)}

All values are text, but what is a number, a truth or a list in `[log]` and `[serve]`. Paths are relative to the
folder of the file.
Unknown sections and keys are errors that name the nearest known one. `${{NAME}}` in a value is replaced by
the environment variable `NAME`; an error tells if it is not set. A duration is a whole number and one of `us
ms s m h d`.

`gnomon.Store(path, registry=…, offline=…, online=…, engine=…)` takes the place of single lines.
`gnomon.Store()` without a path needs no file: it works in a temporary folder that goes with the object, with
the online store `memory://`.

## URLs

{table(["Section", "Schemes of this release", "Example"], schemes)}

`local://?memory=2GB` as engine bounds what the rows of one part of a training set may take; `local` takes a
sixth of what the machine has free. A bare path as offline URL is a folder of Delta tables. A package adds a
scheme with an entry point in the group `gnomon.online`, `gnomon.engine`, `gnomon.offline` or
`gnomon.registry`; see
[CONTRIBUTING](../../CONTRIBUTING.md#how-to-add-an-online-store).

## Environment

{table(["Variable", "Meaning"], _VARIABLES)}
"""


def _toml(value: object) -> str:
    """A value as it stands in the file."""
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
