"""The way to a Redis: replies in order, refusals told apart, and never an answer to another question."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import redis

from gnomon.errors import GnomonError, Unavailable, UsageError
from gnomon.online.redis_url import parse
from gnomon.online.redis_wire import Server, translated
from tests.servers import Server as Process


def opened(url: str) -> Server:
    return Server(parse(url, Path()))


def test_replies_come_in_the_order_of_the_commands(valkey_url: str) -> None:
    wire = opened(valkey_url)
    assert wire.run("", [("SET", b"a", b"1"), ("GET", b"a"), ("GET", b"b"), ("STRLEN", b"a")]) == [
        b"OK",
        b"1",
        None,
        1,
    ]
    assert wire.run_all([("x", [("GET", b"a")]), ("y", []), ("z", [("GET", b"b"), ("GET", b"a")])]) == [
        [b"1"],
        [],
        [None, b"1"],
    ]
    wire.close()


def test_after_a_refused_command_the_next_gets_its_own_answer(valkey_url: str) -> None:
    wire = opened(valkey_url)
    for _ in range(3):
        with pytest.raises(UsageError, match="refuses"):
            wire.run("", [("SET", b"a", b"1"), ("NO-SUCH-COMMAND",), ("GET", b"a")])
        assert wire.run("", [("GET", b"a")]) == [b"1"]
    wire.close()


def test_keys_of_another_program_are_told_of(valkey_url: str) -> None:
    wire = opened(valkey_url)
    wire.run("", [("SET", b"a", b"1")])
    with pytest.raises(UsageError, match="another program") as caught:
        wire.run("", [("HGET", b"a", b"b")])
    assert "prefix" in str(caught.value.hint)
    wire.close()


def test_a_wrong_password_is_no_matter_of_trying_again(valkey_url: str, valkey_server: Process) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        client.acl_setuser(
            "reader", enabled=True, passwords=["+right"], keys=["*"], commands=["+get", "+hello"]
        )
    host = f"127.0.0.1:{valkey_server.port}"
    with pytest.raises(UsageError, match="does not let us in") as caught:
        opened(f"redis://reader:wrong@{host}").run("", [("GET", b"a")])
    assert "wrong" not in str(caught.value)
    wire = opened(f"redis://reader:right@{host}")
    assert wire.run("", [("GET", b"a")]) == [None]
    with pytest.raises(UsageError, match="does not let us in"):
        wire.run("", [("SET", b"a", b"1")])
    wire.close()


def test_a_server_that_is_not_there_is_told_of_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        with pytest.raises(Unavailable, match="cannot be reached"):
            opened(f"redis://127.0.0.1:{taken.getsockname()[1]}").run("", [("GET", b"a")])


def test_a_server_that_hangs_is_given_up_in_time(valkey_url: str, valkey_server: Process) -> None:
    wire = opened(f"{valkey_url}?timeout=0.2")
    wire.run("", [("SET", b"a", b"1")])
    valkey_server.pause()
    try:
        with pytest.raises(Unavailable, match="does not answer in time"):
            wire.run("", [("SET", b"a", b"2"), ("GET", b"a")])
    finally:
        valkey_server.resume()
    # Not the late answer to the question that was given up.
    assert wire.run("", [("GET", b"b")]) == [None]
    wire.close()


def test_an_interrupted_question_leaves_no_answer_behind(valkey_url: str, valkey_server: Process) -> None:
    wire = opened(valkey_url)
    wire.run("", [("SET", b"a", b"1")])
    connection = wire._pool.take()
    read = connection.read_response

    def interrupted() -> object:
        read()
        raise KeyboardInterrupt

    connection.read_response = interrupted
    wire._pool.give(connection)
    with pytest.raises(KeyboardInterrupt):
        wire.run("", [("GET", b"a"), ("GET", b"a")])
    assert wire.run("", [("GET", b"b")]) == [None]
    wire.close()


def test_threads_do_not_get_each_others_answers(valkey_url: str) -> None:
    wire = opened(valkey_url)
    failed = []

    def ask(me: int) -> None:
        for i in range(300):
            said = b"%d %d" % (me, i)
            if wire.run("", [("ECHO", said), ("ECHO", said + b"!")]) != [said, said + b"!"]:
                failed.append(said)

    threads = [threading.Thread(target=ask, args=(me,)) for me in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wire.close()
    assert not failed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (redis.exceptions.BusyLoadingError("loading the dataset in memory"), Unavailable),
        (redis.exceptions.ReadOnlyError("You can't write against a read only replica."), Unavailable),
        (
            redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
            Unavailable,
        ),
        (redis.ResponseError("MISCONF Errors writing to the AOF file"), Unavailable),
        (redis.ResponseError("BUSY Redis is busy running a script"), Unavailable),
        (redis.exceptions.ClusterDownError("The cluster is down"), Unavailable),
        (redis.ConnectionError("Connection refused"), Unavailable),
        (redis.AuthenticationError("invalid username-password pair"), UsageError),
        (redis.ResponseError("NOAUTH Authentication required."), UsageError),
        (redis.ResponseError("WRONGTYPE Operation against a key"), UsageError),
        (redis.ResponseError("ERR unknown command"), UsageError),
    ],
)
def test_what_passes_is_told_from_what_does_not(error: redis.RedisError, kind: type[GnomonError]) -> None:
    told = translated(error, "Redis at h:1/0")
    assert type(told) is kind
    assert "Redis at h:1/0" in str(told)
    assert told.at == "online.url"
