"""Server: settings → processes that answer, until they are told to end.

The first process opens nothing but the port; each worker opens the store itself and listens when it has made ready.
SIGTERM and SIGINT end it after the requests in flight; SIGHUP replaces the workers one by one, for new code.
"""

from __future__ import annotations

import logging.config
import multiprocessing
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from gnomon.abc.registry import StoredKey
from gnomon.errors import Unavailable, UsageError
from gnomon.flows.contract import read_contract
from gnomon.flows.proof.settings import SERVER_SAMPLE
from gnomon.serve.access import Access, read_access
from gnomon.serve.app import App
from gnomon.serve.log import AccessLog
from gnomon.serve.served import Served
from gnomon.serve.settings import Settings
from gnomon.store import Store

_BACKLOG = 2048
"""Connections that wait to be accepted."""
_CONNECTIONS = 16_384
"""Connections that a worker holds; requests are limited by `Settings.in_flight`."""

_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(process)d %(levelname)s %(message)s"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}
    },
    "loggers": {
        "_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "gnomon": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
"""What servers tell of themselves goes to standard error; standard output is the access log's."""


def serve(root: Path, settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve the project at `root`, and return when the server was told to end and has. `tell` is told the address.

    Raises: UsageError for an address that others can reach without credentials, unless the settings say so;
            Unavailable if the port is taken; what opening the store raises.
    """
    _check_exposure(settings)
    read_access(settings.auth, settings.sections, root)
    with Store(root) as store:  # what is wrong with the project is told once, here, and not by each worker
        store.registry.snapshot()
        assert isinstance(store.in_process, bool)
        for contract in map(read_contract, settings.contracts):
            store.pins.know(contract)
            store.pins.require(contract.service, contract.hash)
    with _reserved(settings) as port, tempfile.TemporaryDirectory(prefix="gnomon-serve-") as folder:
        settings = replace(settings, port=port)
        # Not fork: threads of Polars and of the stores would be left behind half-way.
        multiprocessing.set_start_method("spawn", force=True)
        server = MPServer(
            "gnomon",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            workers=settings.workers,
            http=HTTPModes.http1,
            loop=Loops.asyncio,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=_CONNECTIONS,
            http1_settings=HTTP1Settings(header_read_timeout=max(1, int(settings.timeout * 1000))),
            log_level=LogLevels.warning,
            log_dictconfig=_LOGGING,
            ssl_cert=settings.tls_cert,
            ssl_key=settings.tls_key,
            ssl_protocol_min=SSLProtocols.tls12,
            respawn_failed_workers=True,
            workers_kill_timeout=max(1, int(settings.shutdown)),
        )
        tell(address(settings))
        server.serve(target_loader=partial(make_app, root, settings, Path(folder)), wrap_loader=False)


def address(settings: Settings) -> str:
    """The URL at which the server is asked."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.port}"


def make_app(root: Path, settings: Settings, folder: Path) -> App:
    """The app of one worker, made in its process."""
    logging.config.dictConfig(_LOGGING)
    # Not through sys.stdout: a thread that waits in its buffer would keep the process from ending.
    stream = FileIO(sys.stdout.fileno(), "w", closefd=False) if settings.access_log else None
    store = Store(root)
    store.log_answers(SERVER_SAMPLE)

    def load_keys() -> tuple[StoredKey, ...]:
        return store.registry.backend.api_keys()  # opened when it is first asked: it may be away for now

    access = Access(read_access(settings.auth, settings.sections, root), load_keys)
    return App(Served(store, settings, access=access, log=AccessLog(stream), folder=folder))


def _check_exposure(settings: Settings) -> None:
    if settings.auth == "off" and not settings.loopback and not settings.insecure_no_auth:
        raise UsageError(
            f"at `{settings.host}` others than this machine could ask without credentials",
            at="--host",
            hint="ask for them: --auth keys, or oidc; or serve at 127.0.0.1 behind a proxy that does, or say "
            "--insecure-no-auth where the network itself is safe",
        )


@contextmanager
def _reserved(settings: Settings) -> Iterator[int]:
    """The port, held so that nobody else takes it before the workers listen.

    Raises: Unavailable if somebody has it. Workers share the port (SO_REUSEPORT): without this look, so would a
            second server, and each would get half of the requests.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.socket(family) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((settings.host, settings.port))
            port: int = alone.getsockname()[1]
        held = socket.socket(family)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((settings.host, port))
    except OSError as error:
        raise Unavailable(
            f"cannot listen at {settings.host}:{settings.port}: {error.strerror}",
            at="--port",
            hint="another server may be there; --port 0 takes one that is free",
        ) from None
    with held:
        yield port
