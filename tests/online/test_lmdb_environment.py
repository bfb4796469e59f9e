"""The environment under LmdbStore: what is repeated, what is given up, and what becomes of errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from gnomon.errors import Unavailable, UsageError
from gnomon.online import lmdb_environment
from gnomon.online.lmdb_environment import (
    Layout,
    Live,
    Options,
    SharedEnvironment,
    Transaction,
    acquire,
    release,
)

MIB = 1 << 20
OPTIONS = Options(sync=False, max_databases=4)
LAYOUT = Layout(b"test", b"1", (b"first",))


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[SharedEnvironment]:
    environment = acquire(tmp_path / "file", MIB, OPTIONS, LAYOUT)
    yield environment
    release(environment)


def get(environment: SharedEnvironment, key: bytes) -> bytes | None:
    return environment.look(lambda live, txn: txn.get(key))


def set_key(environment: SharedEnvironment, key: bytes, value: bytes) -> None:
    environment.write(lambda live, txn: txn.put(key, value))


def map_size(environment: SharedEnvironment) -> int:
    return environment.live.handle.info()["map_size"]


def test_work_is_done_again_in_a_bigger_map(environment: SharedEnvironment) -> None:
    calls = []

    def work(live: Live, txn: Transaction) -> str:
        calls.append(txn.get(b"last"))
        for i in range(3):
            txn.put(b"%d" % i, bytes(MIB))
        txn.put(b"last", b"written")
        return "result"

    assert environment.write(work) == "result"
    assert len(calls) == 3, "it fits into four MiB, not into one or two"
    assert set(calls) == {None}, "what the cut-off attempts wrote is gone"
    assert map_size(environment) == 4 * MIB
    assert get(environment, b"last") == b"written"


def test_room_that_is_asked_for_is_made_before(environment: SharedEnvironment) -> None:
    calls = []

    def work(live: Live, txn: Transaction) -> None:
        calls.append(None)
        txn.put(b"big", bytes(9 * MIB))

    environment.write(work, room=10 * MIB)
    assert len(calls) == 1
    assert 10 * MIB < map_size(environment) <= 12 * MIB


def test_an_error_of_the_work_undoes_it(environment: SharedEnvironment) -> None:
    set_key(environment, b"k", b"before")

    def work(live: Live, txn: Transaction) -> None:
        txn.put(b"k", b"after")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        environment.write(work)
    assert get(environment, b"k") == b"before"


def test_an_error_that_would_come_again_is_raised_at_once(environment: SharedEnvironment) -> None:
    calls = []

    def work(live: Live, txn: Transaction) -> None:
        calls.append(None)
        txn.put(b"k" * 5_000, b"too long a key")

    with pytest.raises(UsageError, match="4 GiB"):
        environment.write(work)
    assert len(calls) == 1


def test_work_that_is_cut_off_again_and_again_is_given_up(environment: SharedEnvironment) -> None:
    def work(live: Live, txn: Transaction) -> None:
        raise lmdb.MapResizedError("as if somebody grew the file each time")

    with pytest.raises(Unavailable, match="cut off 64 times"):
        environment.write(work)


def test_writing_inside_a_write_is_an_error_and_not_a_hanging_thread(environment: SharedEnvironment) -> None:
    with pytest.raises(Unavailable, match="deadlock"):
        environment.write(lambda live, txn: set_key(environment, b"k", b"1"))
    assert get(environment, b"k") is None


def test_the_file_is_opened_for_writing_by_the_first_write(environment: SharedEnvironment) -> None:
    set_key(environment, b"k", b"1")
    environment.detach()
    assert get(environment, b"k") == b"1"
    assert environment.live.readonly
    set_key(environment, b"k", b"2")
    assert not environment.live.readonly
    assert get(environment, b"k") == b"2"


def test_reading_takes_up_databases_that_others_made(environment: SharedEnvironment) -> None:
    environment.write(lambda live, txn: live.handle.open_db(b"second", txn=txn))
    for _ in ("while open for writing", "and for reading"):
        found = environment.look(lambda live, txn: txn.stat(live.databases[b"second"]))
        assert found["entries"] == 0
        environment.detach()
    with pytest.raises(Unavailable, match="NOTFOUND"):
        environment.look(lambda live, txn: live.databases[b"third"])


def test_more_readers_than_there_are_slots_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_environment, "_MAX_READERS", 3)
    environment = acquire(tmp_path / "file", MIB, OPTIONS, LAYOUT)
    readers = [environment.live.handle.begin() for _ in range(3)]
    with pytest.raises(Unavailable, match="3 readers"):
        get(environment, b"k")
    readers.clear()
    assert get(environment, b"k") is None
    release(environment)


def test_the_last_user_closes(tmp_path: Path) -> None:
    first = acquire(tmp_path / "file", MIB, OPTIONS, LAYOUT)
    second = acquire(tmp_path / "file", MIB, OPTIONS, LAYOUT)
    assert first is second
    release(second)
    assert get(first, b"k") is None
    release(first)
    for call in (lambda: get(first, b"k"), lambda: set_key(first, b"k", b"1")):
        with pytest.raises(UsageError, match="closed"):
            call()
    third = acquire(tmp_path / "file", MIB, Options(sync=True, max_databases=4), LAYOUT)
    assert third is not first
    release(third)


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (lmdb.DiskError("a write"), Unavailable),
        (lmdb.ReadersFullError("a read"), Unavailable),
        (lmdb.DbsFullError("a table"), UsageError),
        (lmdb.Error("anything else"), Unavailable),
    ],
)
def test_errors_name_the_file_and_what_to_do(error: lmdb.Error, becomes: type[Exception]) -> None:
    told = lmdb_environment.translate(error, Path("somewhere/online"))
    assert type(told) is becomes
    assert told.at == "somewhere/online"
    assert told.hint or "anything else" in str(told)
