"""The client against a server whose every answer is known: what is sent, tried again, and told."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

import gnomon as gn
from gnomon.errors import (
    CorruptValue,
    DataError,
    Denied,
    GnomonError,
    HorizonError,
    NotFound,
    Unavailable,
    UsageError,
)
from tests.client.scripted import ONLINE, answer, hang_up, problem, scripted


def ask(client: gn.Client) -> object:
    return client.get_online_features("plans", [{"user": 1}]).to_dict()


WANT = {"name": ["free"]}


def test_a_question_is_sent_as_the_server_reads_it():
    with scripted(answer()) as server, gn.Client(server.url, token="secret") as client:
        assert ask(client) == WANT
    [asked], [body] = server.asked, server.bodies
    assert asked["path"] == "/v1/online-features"
    assert asked["headers"]["authorization"] == "Bearer secret"
    assert asked["headers"]["content-type"] == "application/json"
    assert asked["headers"]["user-agent"].startswith("gnomon/")
    assert body == {
        "service": "plans",
        "entities": [{"user": 1}],
        "full_names": False,
        "include": ["statuses", "event_times", "errors", "types"],
    }


def test_the_environment_holds_the_token_where_none_is_given(monkeypatch):
    monkeypatch.setenv("GNOMON_TOKEN", "from outside")
    with scripted(answer()) as server:
        for token in (None, "given", ""):
            with gn.Client(server.url, token=token) as client:
                ask(client)
    sent = [one["headers"].get("authorization") for one in server.asked]
    assert sent == ["Bearer from outside", "Bearer given", None]


@pytest.mark.parametrize("passing", [408, 429, 502, 503, 504])
def test_what_passes_is_tried_again_under_the_same_id(passing):
    busy = problem(passing, "too-busy", "too many requests", retry_after="0")
    with scripted(busy, busy, answer()) as server, gn.Client(server.url) as client:
        assert ask(client) == WANT
    assert len({one["headers"]["x-request-id"] for one in server.asked}) == 1
    assert len(server.asked) == 3


def test_a_connection_that_fails_is_opened_again():
    with scripted(hang_up, answer()) as server, gn.Client(server.url) as client:
        assert ask(client) == WANT
    assert len(server.asked) == 2


def test_the_server_says_how_long_to_wait():
    busy = problem(429, "too-busy", "busy", retry_after="1")
    with scripted(busy, answer()) as server, gn.Client(server.url) as client:
        begun = time.monotonic()
        ask(client)
        assert time.monotonic() - begun >= 1.0
    assert len(server.asked) == 2


def test_a_wait_that_is_longer_than_the_call_ends_it_at_once():
    busy = problem(503, "too-busy", "busy", retry_after="60")
    with scripted(busy) as server, gn.Client(server.url, timeout=5.0) as client, pytest.raises(Unavailable):
        ask(client)
    assert len(server.asked) == 1


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (2, 3)])
def test_there_are_as_many_tries_as_were_said(retries, tries):
    down = problem(503, "unavailable", "down", retry_after="0")
    with (
        scripted(down) as server,
        gn.Client(server.url, retries=retries) as client,
        pytest.raises(Unavailable, match="down"),
    ):
        ask(client)
    assert len(server.asked) == tries


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (problem(404, "not-found", "Service `x` not found", hint="did you mean `y`?"), NotFound),
        (problem(400, "usage-error", "asked wrongly"), UsageError),
        (problem(422, "data-error", "null key", at="$.entities[1]"), DataError),
        (problem(422, "horizon-error", "too old"), HorizonError),
        (problem(401, "credentials-needed", "who are you?"), Denied),
        (problem(403, "not-allowed", "no grant"), Denied),
        (problem(413, "body-too-large", "too long"), UsageError),
        (problem(500, "unexpected", "a mistake"), GnomonError),
    ],
)
def test_a_problem_is_the_error_that_a_store_raises_and_is_not_tried_again(reply, kind):
    with scripted(reply) as server, gn.Client(server.url) as client, pytest.raises(GnomonError) as caught:
        ask(client)
    assert (len(server.asked), caught.type) == (1, kind)


def test_an_error_keeps_place_hint_and_the_requests_id():
    reply = problem(422, "data-error", "null key", at="$.entities[1]", hint="give all", more=["and this"])
    reply = reply[0], {**reply[1], "x-request-id": "r1"}, reply[2]
    with scripted(reply) as server, gn.Client(server.url) as client, pytest.raises(DataError) as caught:
        ask(client)
    error = caught.value
    assert (error.what, error.at, error.hint) == ("null key", "$.entities[1]", "give all")
    assert str(error) == "null key - at `$.entities[1]`\n\nhint: give all"
    assert error.__notes__ == ["and this", f"request r1 at {server.url}"]


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        ((404, {"content-type": "text/html"}, b"<p>no</p>"), UsageError, "404 .Not Found. in text/html"),
        (
            (302, {"location": "https://else.where/"}, b""),
            UsageError,
            "sends elsewhere, to https://else.where/",
        ),
        ((500, {"content-type": "text/plain"}, b"oops"), GnomonError, "500 .Internal Server Error."),
        ((599, {}, b""), GnomonError, "599 .an unknown status."),
        ((200, {"content-type": "text/html"}, b"<p>log in</p>"), CorruptValue, "13 bytes of `text/html`"),
        (answer({"features": ["a"]}), CorruptValue, "missing required field"),
        (answer(ONLINE | {"types": ["Nonsense"]}), CorruptValue, "`Nonsense` is not a type"),
        (answer(ONLINE | {"rows": [["a", "b"]]}), CorruptValue, "cannot be read"),
        ((400, {"content-type": "application/problem+json"}, b"{"), UsageError, "with what is no problem"),
    ],
)
def test_what_stands_between_is_told_as_what_it_is(reply, kind, says):
    with scripted(reply) as server, gn.Client(server.url) as client, pytest.raises(kind, match=says):
        ask(client)


def test_nobody_at_the_address_is_unavailable():
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        port = held.getsockname()[1]
        with gn.Client(f"http://127.0.0.1:{port}", retries=1) as client, pytest.raises(Unavailable) as caught:
            ask(client)
    assert f"http://127.0.0.1:{port} cannot be reached" in caught.value.what
    assert "tried 2 times" in caught.value.hint


def test_a_call_ends_with_its_time_though_the_answer_trickles():
    def trickle(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(40):
            request.wfile.write(b" ")
            time.sleep(0.05)
        request.close_connection = True

    with scripted(trickle) as server, gn.Client(server.url, timeout=0.3) as client:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"no answer within 0.3 s"):
            ask(client)
        assert time.monotonic() - begun < 1.5


def test_a_server_that_says_nothing_is_left_when_time_is_up():
    with (
        scripted(lambda _: time.sleep(1.0)) as server,
        gn.Client(server.url, timeout=0.2) as client,
        pytest.raises(Unavailable),
    ):
        ask(client)
    assert len(server.asked) == 1


def test_connections_are_kept_and_threads_share_them():
    with scripted(answer()) as server, gn.Client(server.url, connections=4) as client:
        for _ in range(5):
            ask(client)
        assert len({one["port"] for one in server.asked}) == 1
        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(lambda _: ask(client), range(64))) == [WANT] * 64
    assert len({one["port"] for one in server.asked}) <= 4


def _ask_in_child(client: gn.Client, into: multiprocessing.SimpleQueue) -> None:
    into.put(ask(client))


def test_a_fork_takes_connections_of_its_own():
    fork = multiprocessing.get_context("fork")
    with scripted(answer()) as server, gn.Client(server.url) as client:
        ask(client)
        told = fork.SimpleQueue()
        child = fork.Process(target=_ask_in_child, args=(client, told))
        child.start()
        assert told.get() == WANT
        child.join()
        ask(client)
    ports = [one["port"] for one in server.asked]
    assert ports[0] == ports[2] != ports[1]


def test_a_closed_client_says_so():
    client = gn.Client("http://127.0.0.1:1")
    client.close()
    client.close()
    with pytest.raises(UsageError, match=r"the client of http://127.0.0.1:1 is closed"):
        ask(client)


def test_a_client_shows_where_it_asks_and_no_credentials():
    with gn.Client("https://host:6566/below/", token="secret") as client:
        assert repr(client) == "Client('https://host:6566/below')"
        assert "secret" not in repr(client._connection)


def test_a_path_before_the_routes_is_kept():
    with scripted(answer()) as server, gn.Client(server.url + "/features/") as client:
        ask(client)
    assert server.asked[0]["path"] == "/features/v1/online-features"


def test_threads_that_fail_together_do_not_come_back_together():
    busy = problem(503, "too-busy", "busy", retry_after="0")
    with scripted(*[busy] * 8, answer()) as server, gn.Client(server.url) as client:
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert len(server.asked) == 16
