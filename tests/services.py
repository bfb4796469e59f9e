"""A real HTTP service on loopback that tests have answer as they like: well, slowly, wrongly, or not at all."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Keys = list[dict[str, Any]]


class Service:
    """`answer` makes the rows of some keys; `body`, if set, is sent in their place, with `status`."""

    def __init__(self) -> None:
        self.answer: Callable[[Keys], Any] = lambda keys: [None for _ in keys]
        self.body: bytes | None = None
        self.status = 200
        self.gate = threading.Event()
        """Closed, the service hangs."""
        self.gate.set()
        self.asked: list[Keys] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.open: set[socket.socket] = set()
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rates"

    def start(self) -> None:
        """Listen: at the same port as before, if it did before."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                self.connection = self.request
                service.connections += 1
                service.open.add(self.connection)
                super().setup()

            def finish(self) -> None:
                service.open.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                keys = json.loads(self.rfile.read(int(self.headers["content-length"])))["keys"]
                service.asked.append(keys)
                service.headers.append({name.lower(): value for name, value in self.headers.items()})
                service.gate.wait()
                body = service.body
                if body is None:
                    body = json.dumps({"rows": service.answer(keys)}).encode()
                self.send_response(service.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing: the tests ask what was asked."""

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that has gone away is what some tests are about."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Be dead: nobody listens at the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            for connection in tuple(self.open):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving() -> Iterator[Service]:
    """A service that listens within the block."""
    service = Service()
    service.start()
    try:
        yield service
    finally:
        service.gate.set()
        service.stop()
