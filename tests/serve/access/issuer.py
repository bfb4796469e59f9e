"""An issuer of tokens, in a process of its own: it publishes its keys, signs what it is asked to, and rotates.

GET  /.well-known/openid-configuration, /jwks      as every issuer
POST /sign     {"claims": …, "header": …, "with": "old"}      → a token, signed by the newest key
POST /rotate   {"keep": true}                                 → a new key; the old one stays published
GET  /asked                                                   → how often /jwks was fetched
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "gnomon"


@dataclass
class Issuer:
    """An issuer that runs."""

    url: str
    process: subprocess.Popen[str]

    def sign(self, *, header: dict[str, Any] | None = None, old: bool = False, **claims: Any) -> str:
        """A token; what is not said is as it should be. A claim that is None is left out."""
        now = int(time.time())
        given = {"iss": self.url, "aud": AUDIENCE, "sub": "ana", "iat": now, "exp": now + 300} | claims
        kept = {name: value for name, value in given.items() if value is not None}
        return self._post("/sign", {"claims": kept, "header": header or {}, "with": "old" if old else "new"})

    def rotate(self, *, keep: bool = True) -> None:
        self._post("/rotate", {"keep": keep})

    @property
    def asked(self) -> int:
        with urlopen(f"{self.url}/asked", timeout=10) as answer:
            return int(json.load(answer))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _post(self, path: str, body: Any) -> Any:
        with urlopen(
            Request(self.url + path, json.dumps(body).encode(), method="POST"), timeout=10
        ) as answer:
            return json.load(answer)


@contextmanager
def issuing() -> Iterator[Issuer]:
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Issuer(process.stdout.readline().strip(), process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class _State:
    def __init__(self) -> None:
        self.signing = [_key(1)]
        self.published = [*self.signing]
        self.asked = 0
        self.url = ""


def _key(number: int) -> RSAKey | ECKey:
    """Kinds take turns: a rotation may bring another."""
    if number % 2:
        return RSAKey.generate_key(2048, {"kid": f"key-{number}", "use": "sig", "alg": "RS256"})
    return ECKey.generate_key("P-256", {"kid": f"key-{number}", "use": "sig", "alg": "ES256"})


STATE = _State()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/.well-known/openid-configuration":
            self._answer({"issuer": STATE.url, "jwks_uri": f"{STATE.url}/jwks"})
        elif self.path == "/jwks":
            STATE.asked += 1
            self._answer({"keys": [key.as_dict(private=False) for key in STATE.published]})
        else:
            self._answer(STATE.asked)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/rotate":
            STATE.signing.append(_key(len(STATE.signing) + 1))
            STATE.published = STATE.signing[-2:] if asked["keep"] else STATE.signing[-1:]
            self._answer(None)
            return
        key = STATE.signing[-2 if asked["with"] == "old" else -1]
        header = {"alg": key.as_dict()["alg"], "kid": key.kid} | asked["header"]
        self._answer(jwt.encode(header, asked["claims"], key, [header["alg"]]))

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    STATE.url = f"http://127.0.0.1:{server.server_port}"
    sys.stdout.write(STATE.url + "\n")
    sys.stdout.flush()
    server.serve_forever()
