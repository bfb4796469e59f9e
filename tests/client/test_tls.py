"""A client speaks TLS with whom it trusts, and says of the others that they are not trusted."""

from __future__ import annotations

import ssl

import pytest
import trustme

import gnomon as gn
from gnomon.errors import UsageError
from tests.client.scripted import answer, scripted


@pytest.fixture
def authority(tmp_path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


@pytest.fixture
def secured(authority) -> ssl.SSLContext:
    """What a server shows that the authority vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_file_of_certificates_says_who_is_trusted(secured, tmp_path):
    with scripted(answer(), context=secured) as server:
        for verify in (tmp_path / "ca.pem", str(tmp_path / "ca.pem"), False):
            with gn.Client(server.url, verify=verify) as client:
                found = client.get_online_features("plans", [{"user": 1}])
            assert found.to_dict() == {"name": ["free"]}


def test_who_is_not_trusted_is_asked_once_and_told_nothing(secured):
    with scripted(answer(), context=secured) as server, gn.Client(server.url) as client:
        with pytest.raises(UsageError, match="is not trusted") as told:
            client.get_online_features("plans", [{"user": 1}])
        assert "verify=" in told.value.hint
    assert server.asked == []
