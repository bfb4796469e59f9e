"""What every registry backend must do. Inherit in a test file and give the fixture `open`:

```python
class TestMine(RegistryBackendTests):
    @pytest.fixture
    def open(self, tmp_path):
        return lambda: MyRegistry(f"mine://{tmp_path}")
```
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from gnomon.abc.registry import Address, NewRevision, RegistryBackend, StoredKey
from gnomon.errors import Conflict, NotFound, UsageError
from gnomon.time import SECOND, system_clock

Open = Callable[[], RegistryBackend]


def new(author: str = "ana", time: int = 0, message: str = "", **documents: str | None) -> NewRevision:
    """A revision that puts (or with None removes) groups by name."""
    return NewRevision(author, time, message, groups(documents))


def groups(documents: Mapping[str, str | None]) -> dict[Address, str | None]:
    return {("group", ref): text for ref, text in documents.items()}


def contents(backend: RegistryBackend, revision: int | None = None) -> dict[str, str]:
    """Name → document as of a revision."""
    return {o.ref: o.document for o in backend.load(revision).objects if o.document is not None}


def new_key(id: str, **fields: Any) -> StoredKey:
    """A key of Ana's, made in the year 1970."""
    given: dict[str, Any] = {"digest": "d", "name": "", "grants": (), "author": "ana", "created": 0}
    return StoredKey(id, **(given | fields))


class RegistryBackendTests:
    """Fixture `open`: a function that opens the same storage anew each time, empty in each test."""

    @pytest.fixture
    def open(self) -> Open:
        raise NotImplementedError

    @pytest.fixture
    def backend(self, open: Open) -> Iterator[RegistryBackend]:
        backend = open()
        yield backend
        backend.close()

    def test_new_registry_is_empty_and_stands_at_revision_0(self, backend: RegistryBackend) -> None:
        assert backend.head() == 0
        assert backend.load().revision.number == backend.load(0).revision.number == 0
        assert backend.load().objects == ()
        assert backend.history() == ()

    def test_revision_is_read_as_it_was_written(self, backend: RegistryBackend) -> None:
        backend.swap(0, new("ána", -5, "first\n„one“", a='{"x":"ü\\u0000"}', b="{}"))
        loaded = backend.load()
        assert (loaded.revision.number, loaded.revision.author) == (1, "ána")
        assert (loaded.revision.time, loaded.revision.message) == (-5, "first\n„one“")
        assert loaded.revision.put == (("group", "a"), ("group", "b"))
        assert loaded.revision.removed == ()
        assert contents(backend) == {"a": '{"x":"ü\\u0000"}', "b": "{}"}

    def test_every_revision_stays_readable(self, backend: RegistryBackend) -> None:
        backend.swap(0, new(a="1", b="1"))
        backend.swap(1, new(a="2"))
        backend.swap(2, new(b=None, c="3"))
        backend.swap(3, new(b="4"))
        assert contents(backend, 0) == {}
        assert contents(backend, 1) == {"a": "1", "b": "1"}
        assert contents(backend, 2) == {"a": "2", "b": "1"}
        assert contents(backend, 3) == {"a": "2", "c": "3"}
        assert contents(backend, 4) == contents(backend) == {"a": "2", "b": "4", "c": "3"}

    def test_object_tells_who_changed_it_last_and_in_which_revision(self, backend: RegistryBackend) -> None:
        backend.swap(0, new("ana", a="1", b="1"))
        backend.swap(1, new("bo", b=None))
        backend.swap(2, new("cy", c="1"))
        assert {(o.ref, o.document, o.revision, o.author) for o in backend.load().objects} == {
            ("a", "1", 1, "ana"),
            ("b", None, 2, "bo"),
            ("c", "1", 3, "cy"),
        }

    def test_history_is_newest_first_and_tells_what_changed(self, backend: RegistryBackend) -> None:
        backend.swap(0, new(message="one", a="1"))
        backend.swap(1, new(message="two", a=None, b="1"))
        second, first = backend.history()
        assert (first.number, first.message, first.put, first.removed) == (1, "one", (("group", "a"),), ())
        assert (second.number, second.put, second.removed) == (2, (("group", "b"),), (("group", "a"),))

    def test_changes_are_what_was_written_oldest_first(self, backend: RegistryBackend) -> None:
        written = [
            new("ana", 7, "one", b="1", a="1"),
            new("bo", -7, "two\n„2“", a=None),
            new("cy", 0, ""),
        ]
        for base, one in enumerate(written):
            backend.swap(base, one)
        assert backend.changes() == tuple(written)
        assert backend.changes(since=1) == tuple(written[1:])
        assert backend.changes(since=3) == ()

    @pytest.mark.parametrize("text", ["zero \0", "half \ud800"])
    def test_text_that_some_storage_cannot_hold_is_refused_by_all(
        self, backend: RegistryBackend, text: str
    ) -> None:
        for one in (new(text, a="1"), new(message=text, a="1"), new(a=text)):
            with pytest.raises(UsageError, match="no text"):
                backend.swap(0, one)
        assert backend.head() == 0

    def test_kinds_have_names_of_their_own(self, backend: RegistryBackend) -> None:
        backend.swap(0, NewRevision("ana", 0, "", {("group", "a"): "g", ("entity", "a"): "e"}))
        backend.swap(1, NewRevision("ana", 0, "", {("entity", "a"): None}))
        assert contents(backend) == {"a": "g"}

    def test_revision_that_does_not_exist_is_not_found(self, backend: RegistryBackend) -> None:
        backend.swap(0, new(a="1"))
        for revision in (2, -1):
            with pytest.raises(NotFound, match=f"revision {revision} "):
                backend.load(revision)

    @pytest.mark.parametrize("base", [0, 1, 3, 9])
    def test_write_on_another_base_than_the_newest_is_a_conflict_and_changes_nothing(
        self, backend: RegistryBackend, base: int
    ) -> None:
        backend.swap(0, new(a="1"))
        backend.swap(1, new(a="2"))
        with pytest.raises(Conflict):
            backend.swap(base, new(a="3", b="3"))
        assert backend.head() == 2
        assert contents(backend) == {"a": "2"}

    def test_revision_without_documents_is_a_revision(self, backend: RegistryBackend) -> None:
        backend.swap(0, new(message="nothing"))
        assert backend.head() == 1
        assert contents(backend) == {}

    def test_large_revision_is_kept_whole(self, backend: RegistryBackend) -> None:
        documents: dict[str, str | None] = {f"group_{i}": "x" * 1000 for i in range(3000)}
        backend.swap(0, NewRevision("ana", 0, "", groups(documents)))
        assert contents(backend) == documents

    def test_what_was_written_is_there_after_opening_again(self, open: Open) -> None:
        first = open()
        first.swap(0, new(a="1"))
        first.close()
        second = open()
        assert contents(second) == {"a": "1"}
        second.close()

    def test_keys_are_read_as_they_were_added_oldest_first(self, backend: RegistryBackend) -> None:
        assert backend.api_keys() == ()
        later = new_key("a", name="ü „push“", grants=("reader", "writer:weather"), created=7, expires=-9)
        earlier = new_key("b", digest="x" * 64, author="bo", created=-7)
        for key in (later, earlier):
            backend.add_key(key)
        assert backend.api_keys() == (earlier, later)

    def test_key_of_an_id_that_is_taken_is_a_conflict_and_changes_nothing(
        self, backend: RegistryBackend
    ) -> None:
        backend.add_key(new_key("a", name="first"))
        with pytest.raises(Conflict, match="`a`"):
            backend.add_key(new_key("a", name="second"))
        assert [key.name for key in backend.api_keys()] == ["first"]

    def test_key_is_revoked_once_and_stays_in_the_list(self, backend: RegistryBackend) -> None:
        for id in ("a", "b"):
            backend.add_key(new_key(id))
        revoked = replace(new_key("a"), revoked=5, revoked_by="bo")
        assert backend.revoke_key("a", 5, "bo") == revoked
        assert backend.revoke_key("a", 6, "cy") == revoked
        assert backend.api_keys() == (revoked, new_key("b"))

    def test_key_that_does_not_exist_cannot_be_revoked(self, backend: RegistryBackend) -> None:
        for _ in range(2):
            with pytest.raises(NotFound, match="`b`"):
                backend.revoke_key("b", 5, "bo")
            if not backend.api_keys():
                backend.add_key(new_key("a"))

    def test_keys_belong_to_no_revision(self, backend: RegistryBackend, open: Open) -> None:
        backend.add_key(new_key("a"))
        assert (backend.head(), backend.changes()) == (0, ())
        backend.swap(0, new(a="1"))
        other = open()
        assert other.api_keys() == (new_key("a"),)
        other.revoke_key("a", 1, "bo")
        other.close()
        assert [key.revoked for key in backend.api_keys()] == [1]

    def test_text_of_a_key_that_some_storage_cannot_hold_is_refused_by_all(
        self, backend: RegistryBackend
    ) -> None:
        with pytest.raises(UsageError, match="no text"):
            backend.add_key(new_key("a", name="zero \0"))
        assert backend.api_keys() == ()

    def test_keys_added_at_one_moment_are_all_kept(self, open: Open) -> None:
        """The first of them make the place where keys are kept."""
        start = threading.Barrier(6)

        def add(i: int) -> None:
            backend = open()
            start.wait()
            backend.add_key(new_key(f"k{i}"))
            backend.close()

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(add, range(6)))
        backend = open()
        assert {key.id for key in backend.api_keys()} == {f"k{i}" for i in range(6)}
        backend.close()

    def test_server_tells_the_time_of_its_own_clock(self, backend: RegistryBackend) -> None:
        """None is right for a storage without a server; a server of the same machine has the same clock."""
        before, told, after = system_clock(), backend.server_time(), system_clock()
        assert told is None or before - SECOND <= told <= after + SECOND

    def test_closing_twice_is_allowed(self, backend: RegistryBackend) -> None:
        backend.close()
        backend.close()

    def test_of_many_writers_on_one_base_exactly_one_wins(self, open: Open) -> None:
        writers = 8
        start = threading.Barrier(writers)

        def write(i: int) -> bool:
            backend = open()
            start.wait()
            try:
                backend.swap(0, NewRevision("ana", 0, "", groups({f"g{i}": "1", "shared": str(i)})))
            except Conflict:
                return False
            finally:
                backend.close()
            return True

        with ThreadPoolExecutor(writers) as pool:
            won = list(pool.map(write, range(writers)))
        assert won.count(True) == 1
        backend = open()
        assert contents(backend) == {f"g{won.index(True)}": "1", "shared": str(won.index(True))}
        backend.close()

    def test_readers_see_whole_revisions_while_others_write(
        self, backend: RegistryBackend, open: Open
    ) -> None:
        done = threading.Event()
        torn: list[dict[str, str]] = []

        def read() -> None:
            reader = open()
            while not done.is_set():
                seen = contents(reader)
                if len(set(seen.values())) > 1 or len(seen) not in (0, 5):
                    torn.append(seen)
            reader.close()

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            try:
                for n in range(30):
                    documents = {f"g{i}": str(n) for i in range(5)}
                    backend.swap(n, NewRevision("ana", 0, "", groups(documents)))
            finally:
                done.set()
            for reader in readers:
                reader.result()
        assert torn == []
