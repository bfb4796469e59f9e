"""A real server on the loopback that answers what a test wrote down, one reply after another."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""
Reply = Answer | Callable[[BaseHTTPRequestHandler], None]
"""What is answered; or a function that does with the connection what it likes."""

ONLINE = {
    "features": ["name"],
    "rows": [["free"]],
    "at": "2026-01-01T00:00:00.000000Z",
    "revision": 7,
    "types": ["String"],
    "statuses": [["PRESENT"]],
    "event_times": [["2025-12-31T00:00:00.000000Z"]],
}


def answer(document: Any = ONLINE, status: int = 200, **headers: str) -> Answer:
    """A reply in JSON."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"content-type": "application/json", **given}, json.dumps(document).encode()


def problem(status: int, kind: str, detail: str, *, retry_after: str | None = None, **more: Any) -> Answer:
    """A problem as the server tells it."""
    document = {"type": f"urn:gnomon:{kind}", "title": kind, "status": status, "detail": detail, **more}
    headers = {"content-type": "application/problem+json"}
    if retry_after is not None:
        headers["retry-after"] = retry_after
    return status, headers, json.dumps(document).encode()


def hang_up(request: BaseHTTPRequestHandler) -> None:
    """End the connection without a word."""
    request.close_connection = True


@dataclass
class Scripted:
    """A server, and what it was asked."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Path, headers (names in lower case), body, and the port of the connection."""

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(one["body"]) for one in self.asked]


@contextmanager
def scripted(*replies: Reply, context: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """A server that gives these replies in turn, and the last one for ever. `context`: it speaks TLS."""
    left = list(replies)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            with lock:
                server.asked.append(
                    {
                        "path": self.path,
                        "headers": {name.lower(): value for name, value in self.headers.items()},
                        "body": body,
                        "port": self.client_address[1],
                    }
                )
                reply = left.pop(0) if len(left) > 1 else left[0]
            if callable(reply):
                reply(self)
                return
            status, headers, content = reply
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - as the base class calls it

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that went away is what some tests are about

    with Server(("127.0.0.1", 0), Handler) as http:
        if context is not None:
            http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
        server = Scripted(f"{'http' if context is None else 'https'}://127.0.0.1:{http.server_address[1]}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
