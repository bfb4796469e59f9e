"""SqliteCopy: a file that follows another registry, and knows it. What lets it follow: `registry/replica.py`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gnomon.errors import UsageError
from gnomon.registry.backends.copy import Origin, SqliteCopy
from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.testing.registry import contents, new


@pytest.fixture
def primary(tmp_path):
    return SqliteRegistry("sqlite:///primary.db", root=tmp_path)


def test_new_copy_is_of_nothing_yet(tmp_path):
    copy = SqliteCopy("sqlite:///copy.db", root=tmp_path)
    assert (copy.origin(), copy.head()) == (None, 0)


def test_what_is_added_on_another_base_is_there_already(tmp_path):
    copy = SqliteCopy("sqlite:///copy.db", root=tmp_path)
    copy.add(0, [new(a="1")], Origin("p", 1))
    copy.add(0, [new(a="1")], Origin("p", 2))
    assert (copy.head(), copy.origin()) == (1, Origin("p", 2))


def test_copy_reads_as_any_registry_and_refuses_to_be_written(tmp_path, primary):
    primary.swap(0, new(a="1"))
    copy = SqliteCopy("sqlite:///copy.db", root=tmp_path)
    copy.add(0, primary.changes(), Origin("p", 0))
    opened = SqliteRegistry("sqlite:///copy.db", root=tmp_path)
    assert contents(opened) == {"a": "1"}
    with pytest.raises(UsageError, match="is the copy of another one") as caught:
        opened.swap(1, new(a="2"))
    assert "[registry] url" in (caught.value.hint or "")


def test_registry_of_its_own_is_never_taken_for_a_copy(tmp_path, primary):
    primary.swap(0, new(a="1"))
    with pytest.raises(UsageError, match="a registry of its own"):
        SqliteCopy("sqlite:///primary.db", root=tmp_path)
    assert contents(primary) == {"a": "1"}


def test_readers_of_a_copy_see_one_history_while_it_is_replaced(tmp_path):
    copy = SqliteCopy("sqlite:///copy.db", root=tmp_path)
    histories = [[new(a=text, b=text), new(c=text)] for text in ("x", "y")]
    copy.replace(histories[0], Origin("p", 0))
    done = threading.Event()
    torn = []

    def read() -> None:
        reader = SqliteRegistry("sqlite:///copy.db", root=tmp_path)
        while not done.is_set():
            seen = contents(reader)
            if len(seen) != 3 or len(set(seen.values())) != 1:
                torn.append(seen)

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for n in range(40):
            copy.replace(histories[n % 2], Origin("p", n))
        done.set()
        for reader in readers:
            reader.result()
    assert torn == []
