"""Requests to a DynamoDB that is busy, away, or answers half: with a server between that makes it so."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gnomon.errors import Unavailable, UsageError
from gnomon.online.dynamodb_items import Item, make, name_of
from gnomon.online.dynamodb_url import Settings
from gnomon.online.dynamodb_wire import Lost, Missing, Wire
from tests.online.between import Answer, Between, between
from tests.servers import Server

TABLE = "table"


def refusal(code: str, status: int = 400) -> Answer:
    return status, json.dumps({"__type": f"com.amazonaws.dynamodb#{code}", "message": "told to"}).encode()


@pytest.fixture
def middle(dynamodb_url: str, dynamodb_server: Server) -> Iterator[Between]:
    with between(dynamodb_server.port) as middle:
        yield middle


@pytest.fixture
def wire(middle: Between) -> Iterator[Wire]:
    wire = Wire(settings(middle))
    wire.make_table(TABLE)
    middle.seen.clear()
    yield wire
    wire.close()


def settings(middle: Between, timeout: float = 5.0) -> Settings:
    return Settings("test", "eu-central-1", f"http://127.0.0.1:{middle.port}", timeout=timeout)


def items(count: int) -> list[Item]:
    return [make(b"%d" % i, b"value")[0] for i in range(count)]


def names(count: int) -> list[bytes]:
    return [name_of(b"%d" % i) for i in range(count)]


def first(times: int, answer: Answer, of: str) -> object:
    """Give an answer to the first requests for an operation."""
    turn = itertools.count()
    return lambda operation, body: answer if operation == of and next(turn) < times else None


def test_many_items_go_in_batches_that_the_service_takes(wire: Wire, middle: Between) -> None:
    wire.write_many(TABLE, items(60))
    found = wire.get({TABLE: [*names(230), *names(5)]})[TABLE]
    wire.remove(TABLE, names(30))
    assert set(found) == set(names(60))
    assert middle.seen == ["BatchWriteItem"] * 3 + ["BatchGetItem"] * 3 + ["BatchWriteItem"] * 2
    assert len(wire.get({TABLE: names(60)})[TABLE]) == 30


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ProvisionedThroughputExceededException", 400),
        ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400),
        ("InternalServerError", 500),
        ("SomethingNew", 503),
    ],
)
def test_a_busy_service_is_asked_again(wire: Wire, middle: Between, code: str, status: int) -> None:
    middle.meddle = first(3, refusal(code, status), "BatchGetItem")  # type: ignore[assignment]
    wire.write(TABLE, items(1))
    assert set(wire.get({TABLE: names(2)})[TABLE]) == set(names(1))
    assert middle.seen.count("BatchGetItem") == 4


def test_a_service_that_stays_busy_is_unavailable_in_time(wire: Wire, middle: Between) -> None:
    middle.meddle = lambda operation, body: refusal("ThrottlingException")
    impatient = Wire(settings(middle, timeout=0.3))
    start = time.monotonic()
    with pytest.raises(Unavailable, match="too busy") as caught:
        impatient.get({TABLE: names(1)})
    assert time.monotonic() - start < 3
    assert "timeout" in (caught.value.hint or "")
    impatient.close()


def test_what_a_batch_leaves_is_asked_for_again(wire: Wire, middle: Between) -> None:
    """Each request is answered by half."""

    def halve(operation: str, body: bytes) -> bytes | None:
        if operation not in ("BatchGetItem", "BatchWriteItem"):
            return None
        asked = json.loads(body)
        request = asked["RequestItems"][TABLE]
        some = request["Keys"] if operation == "BatchGetItem" else request
        del some[(len(some) + 1) // 2 :]
        return json.dumps(asked).encode()

    def tell(operation: str, body: bytes, answer: Answer) -> Answer:
        request = json.loads(body).get("RequestItems", {}).get(TABLE)
        reply = json.loads(answer[1])
        if operation == "BatchGetItem" and (left := request["Keys"][(len(request["Keys"]) + 1) // 2 :]):
            reply["UnprocessedKeys"] = {TABLE: {"Keys": left}}
        if operation == "BatchWriteItem" and (left := request[(len(request) + 1) // 2 :]):
            reply["UnprocessedItems"] = {TABLE: left}
        return answer[0], json.dumps(reply).encode()

    middle.meddle, middle.after = halve, tell
    wire.write(TABLE, items(20))
    assert set(wire.get({TABLE: names(20)})[TABLE]) == set(names(20))
    wire.remove(TABLE, names(10))
    assert set(wire.get({TABLE: names(20)})[TABLE]) == set(names(20)) - set(names(10))
    assert middle.seen.count("BatchGetItem") > 6


def test_a_batch_of_which_nothing_is_done_ends_in_time(wire: Wire, middle: Between) -> None:
    asked = {"UnprocessedKeys": {TABLE: {"Keys": [{"k": {"B": "AGE="}}]}}, "Responses": {}}
    middle.meddle = lambda operation, body: (200, json.dumps(asked).encode())
    impatient = Wire(settings(middle, timeout=0.2))
    with pytest.raises(Unavailable, match="reads are throttled"):
        impatient.get({TABLE: [b"\0a"]})
    impatient.close()


def test_conditions_and_missing_tables_are_told_apart(wire: Wire) -> None:
    (item,) = items(1)
    condition = {"ConditionExpression": "attribute_not_exists(k)"}
    wire.call("put_item", TableName=TABLE, Item=item, **condition)
    with pytest.raises(Lost):
        wire.call("put_item", TableName=TABLE, Item=item, **condition)
    with pytest.raises(Missing):
        wire.get({"other": names(1)})
    assert wire.has_table(TABLE)
    assert not wire.has_table("other")
    wire.make_table(TABLE)
    wire.drop_table(TABLE)
    wire.drop_table(TABLE)
    assert not wire.has_table(TABLE)


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException"])
def test_who_is_not_let_in_is_told_so_at_once(wire: Wire, middle: Between, code: str) -> None:
    middle.meddle = lambda operation, body: refusal(code)
    with pytest.raises(UsageError, match="does not let us in"):
        wire.get({TABLE: names(1)})
    assert len(middle.seen) == 1


def test_what_the_service_refuses_for_good_is_said(wire: Wire) -> None:
    with pytest.raises(UsageError, match="refuses"):
        wire.call("scan", TableName=TABLE, FilterExpression="(")


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "region"])
def test_what_is_not_configured_is_said(
    dynamodb_url: str, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", missing):
        monkeypatch.delenv(name, raising=False)
    wire = Wire(
        Settings(region=None if missing == "region" else "eu-central-1", endpoint="http://127.0.0.1:1")
    )
    with pytest.raises(UsageError, match="cannot be asked") as caught:
        wire.has_table(TABLE)
    assert missing in (caught.value.hint or "")


def test_threads_that_ask_at_the_same_time_get_their_own_answers(wire: Wire) -> None:
    wire.write_many(TABLE, items(120))
    barrier = threading.Barrier(6)

    def ask(first_name: int) -> bool:
        wanted = names(120)[first_name * 20 : first_name * 20 + 20]
        barrier.wait()
        return all(set(wire.get({TABLE: wanted})[TABLE]) == set(wanted) for _ in range(3))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(6)))
