"""A server that stands between a client and an HTTP server, and refuses or loses what it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, bytes]


@dataclass
class Between:
    """What comes through, and what is made of it."""

    port: int
    behind: int
    """The port of the server that answers."""
    meddle: Callable[[str, bytes], Answer | bytes | None] = lambda operation, body: None
    """(operation, request) → an answer given instead; another request to hand on; or None: hand it on as it is."""
    after: Callable[[str, bytes, Answer], Answer] = lambda operation, body, answer: answer
    """(operation, request, answer) → the answer that is given."""
    seen: list[str] = field(default_factory=list)
    """The operations asked for, in order."""

    def handle(self, operation: str, headers: dict[str, str], body: bytes) -> Answer:
        self.seen.append(operation)
        given = self.meddle(operation, body)
        if isinstance(given, tuple):
            return given
        asked = body if given is None else given
        connection = HTTPConnection("127.0.0.1", self.behind, timeout=20)
        connection.request("POST", "/", asked, headers | {"Content-Length": str(len(asked))})
        reply = connection.getresponse()
        answer = reply.status, reply.read()
        connection.close()
        return self.after(operation, body, answer)


@contextmanager
def between(behind: int) -> Iterator[Between]:
    """Stand before the server on a port, within a `with` block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            status, answer = middle.handle(operation, dict(self.headers.items()), body)
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        middle = Between(server.server_address[1], behind)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield middle
        finally:
            server.shutdown()
            thread.join()
