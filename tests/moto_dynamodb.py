"""Moto's DynamoDB as a server of its own, one request at a time: `python moto_dynamodb.py PORT`.

Moto looks at a condition and then writes, with nothing in between that would keep other threads out. What DynamoDB
promises of an item, this lock does.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple


class _Quiet(WSGIRequestHandler):
    """Connections stay open, and nothing is logged of what goes well."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


def main(port: int) -> None:
    os.environ["MOTO_PORT"] = str(port)
    dispatch, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with lock:
            return list(dispatch(environ, start_response))

    run_simple("127.0.0.1", port, one_at_a_time, threaded=True, request_handler=_Quiet)


if __name__ == "__main__":
    main(int(sys.argv[1]))
