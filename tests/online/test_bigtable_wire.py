"""Rows of a Bigtable: read, changed on a condition, read through, and what is raised when that cannot be done."""

from __future__ import annotations

import time
from collections.abc import Iterator

import google.auth.exceptions
import pytest
from google.api_core import exceptions

from gnomon.errors import Unavailable, UsageError
from gnomon.online.bigtable_url import Settings, parse
from gnomon.online.bigtable_wire import TOKEN, Missing, Wire, _translated
from tests.servers import Server


@pytest.fixture
def wire(bigtable_url: str) -> Iterator[Wire]:
    wire = Wire(parse(bigtable_url))
    wire.make_table()
    yield wire
    wire.close()


def test_rows_are_read_in_batches_and_each_once(wire: Wire) -> None:
    rows = {b"%04d" % i: {b"v": b"%d" % i} for i in range(2_500)}
    wire.write(list(rows.items()))
    assert wire.read([*rows, *rows, b"none"]) == rows
    assert wire.read([]) == {}


def test_a_written_cell_is_what_it_was_written_last(wire: Wire) -> None:
    wire.write([(b"k", {b"v": b"1", b"x": b"", b"y": b"2"})])
    wire.write([(b"k", {b"v": b"2", b"y": None})])
    assert wire.read([b"k"]) == {b"k": {b"v": b"2", b"x": b""}}
    wire.write([(b"k", None)])
    assert wire.read([b"k"]) == {}


def test_a_row_changes_only_from_the_token_that_was_expected(wire: Wire) -> None:
    assert not wire.change(b"k", b"1", {TOKEN: b"2"})
    assert wire.change(b"k", None, {TOKEN: b"1", b"v": b"a"})
    assert not wire.change(b"k", None, {TOKEN: b"2", b"v": b"b"})
    assert not wire.change(b"k", b"2", None)
    assert wire.change(b"k", b"1", {TOKEN: b"2", b"v": b"c"})
    assert wire.read([b"k"]) == {b"k": {TOKEN: b"2", b"v": b"c"}}
    assert wire.change(b"k", b"2", None)
    assert wire.read([b"k"]) == {}


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_a_range_is_read_through_to_its_end(wire: Wire, limit: int) -> None:
    rows = [b"a", b"a\0", b"a\xff", b"a\xff\xff"]
    wire.write([(key, {b"v": key}) for key in (*rows, b"b", b"`")])
    assert [key for key, _ in wire.scan(b"a", limit)] == rows
    wire.drop_rows(b"a")
    assert list(wire.scan(b"a", limit)) == []
    assert set(wire.read([*rows, b"b", b"`"])) == {b"b", b"`"}


def test_without_a_table_each_call_tells(bigtable_url: str) -> None:
    wire = Wire(parse(bigtable_url))
    for call in (
        lambda: wire.read([b"k"]),
        lambda: list(wire.scan(b"a", 10)),
        lambda: wire.write([(b"k", None)]),
        lambda: wire.change(b"k", None, {b"v": b""}),
    ):
        with pytest.raises(Missing):
            call()
    wire.make_table()
    wire.make_table()
    assert wire.read([b"k"]) == {}
    wire.close()


def test_a_server_that_hangs_is_given_up_in_time(bigtable_url: str, bigtable_server: Server) -> None:
    wire = Wire(parse(f"{bigtable_url}?timeout=0.5"))
    wire.make_table()
    wire.read([b"k"])
    bigtable_server.pause()
    try:
        start = time.monotonic()
        for call in (lambda: wire.read([b"k"]), lambda: wire.write([(b"k", None)])):
            with pytest.raises(Unavailable, match="cannot be reached, or is too busy"):
                call()
        assert time.monotonic() - start < 5
    finally:
        bigtable_server.resume()
    assert wire.read([b"k"]) == {}
    wire.close()


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (exceptions.ResourceExhausted("quota"), Unavailable, "too busy"),
        (exceptions.ServiceUnavailable("away"), Unavailable, "cannot be reached"),
        (exceptions.InternalServerError("oops"), Unavailable, "cannot be reached"),
        (exceptions.NotFound("table not found"), Missing, "table"),
        (exceptions.NotFound("instance not found"), UsageError, "refuses"),
        (exceptions.PermissionDenied("no"), UsageError, "does not let us in"),
        (exceptions.Unauthenticated("who"), UsageError, "does not let us in"),
        (google.auth.exceptions.DefaultCredentialsError("none"), UsageError, "does not let us in"),
        (google.auth.exceptions.TransportError("away"), Unavailable, "cannot be reached"),
        (exceptions.InvalidArgument("wrong"), UsageError, "refuses"),
    ],
)
def test_errors_of_the_service_that_an_emulator_does_not_make(
    error: Exception, kind: type[Exception], text: str
) -> None:
    told = _translated(error, Settings("my-project", "instance"))
    assert type(told) is kind
    assert text in str(told)


def test_after_close_nothing_is_asked(wire: Wire) -> None:
    wire.close()
    wire.close()
    with pytest.raises(UsageError, match="closed"):
        wire.read([b"k"])
