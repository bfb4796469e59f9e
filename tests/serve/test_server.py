"""The server starts once it can answer, ends after what it began, and is not reached by others unasked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.serve.conftest import AT
from tests.serve.server import ask, running

BODY = {"features": ["spending:orders_7d"], "entities": [{"customer": "c07"}], "at": AT}


def serve(folder, *flags):
    return subprocess.run(
        [sys.executable, "-m", "gnomon", "serve", "--project", str(folder), *flags],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_ends_with_status_0_when_told_to(shop):
    with running(shop) as server:
        assert ask(server.url, "/v1/online-features", BODY).status == 200
        assert server.end() == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_are_not_let_in_without_credentials(shop, host):
    ran = serve(shop, "--host", host, "--port", "0")
    assert ran.returncode == 2
    assert "--insecure-no-auth" in ran.stderr


def test_a_port_that_is_taken_is_told(shop, shop_server):
    ran = serve(shop, "--port", shop_server.url.rpartition(":")[2])
    assert ran.returncode == 3
    assert "cannot listen" in ran.stderr
    assert "--port 0" in ran.stderr


def test_a_folder_without_a_project_is_told(tmp_path):
    ran = serve(tmp_path)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
