"""Portable: what an export holds, what an import refuses, and that the way there and back loses nothing."""

from __future__ import annotations

import json

import pytest

from gnomon.abc.registry import NewRevision
from gnomon.errors import Conflict, DataError
from gnomon.registry.backends.postgres import PostgresRegistry
from gnomon.registry.backends.sqlite import SqliteRegistry
from gnomon.registry.codec import encode
from gnomon.registry.portable import Imported, export_lines, import_changes, read_lines
from gnomon.testing.registry import new
from tests.registry import shop

DOCUMENTS = {(kind, ref): encode(definition) for kind, ref, definition in shop.collected()}
ENTITY = ("entity", "user")
HISTORY = (
    NewRevision("ána", 1_700_000_000_000_001, "first\n„one“\t\u2028", DOCUMENTS),
    NewRevision("bo", -5, "", {("entity", "lonely"): '{"format": 1}', ("group", "gone@1"): "not even JSON"}),
    NewRevision("cy", 0, "took away", {("entity", "lonely"): None, ("group", "gone@1"): None}),
    NewRevision("", 3, "nothing", {}),
)


def filled(backend, history=HISTORY):
    for base, one in enumerate(history):
        backend.swap(base, one)
    return backend


@pytest.fixture
def sqlite(tmp_path):
    """`sqlite(name)` opens a registry in a file of its own."""
    return lambda name="r": SqliteRegistry(f"sqlite:///{name}.db", root=tmp_path)


def lines(backend):
    return list(export_lines(backend))


def everything(backend):
    """All that a registry tells."""
    heads = range(backend.head() + 1)
    return backend.changes(), backend.history(), [backend.load(number) for number in heads]


def test_from_sqlite_to_postgres_and_back_nothing_is_lost(sqlite, postgres_url):
    first, there, back = filled(sqlite("a")), PostgresRegistry(postgres_url), sqlite("b")
    exported = lines(first)
    assert import_changes(there, read_lines(exported)) == Imported(4, 0)
    assert lines(there) == exported
    import_changes(back, read_lines(lines(there)))
    assert everything(back) == everything(there) == everything(first)
    assert back.changes() == HISTORY


def test_export_is_lines_of_json_that_tell_what_they_are(sqlite):
    head, first, *_ = map(json.loads, lines(filled(sqlite())))
    assert head == {"format": "gnomon-registry", "version": 1, "revisions": 4}
    assert (first["revision"], first["author"], first["time"]) == (1, "ána", 1_700_000_000_000_001)
    assert {"kind": "entity", "name": "user", "document": DOCUMENTS[ENTITY]} in first["documents"]


def test_empty_registry_is_exported_and_imported(sqlite):
    exported = lines(sqlite("a"))
    assert len(exported) == 1
    assert str(import_changes(sqlite("b"), read_lines(exported))) == "0 revisions imported"


def test_registry_that_holds_the_beginning_gets_the_rest(sqlite):
    begun = filled(sqlite("b"), HISTORY[:2])
    changes = read_lines(lines(filled(sqlite("a"))))
    assert str(import_changes(begun, changes)) == "2 revisions imported, 2 there already"
    assert begun.changes() == HISTORY
    assert import_changes(begun, changes) == Imported(0, 4)


def test_dry_run_checks_and_writes_nothing(sqlite):
    empty = sqlite("b")
    done = import_changes(empty, read_lines(lines(filled(sqlite("a")))), dry_run=True)
    assert str(done) == "4 revisions would be imported"
    assert empty.head() == 0


def test_registry_of_another_history_is_refused_and_the_revision_named(sqlite):
    other = filled(sqlite("b"), [HISTORY[0], new("eve", 9, a=None)])
    changes = read_lines(lines(filled(sqlite("a"))))
    with pytest.raises(Conflict, match=r"revision 2, by eve of 1970.*another than the export's, by bo"):
        import_changes(other, changes)
    assert other.head() == 2


def test_registry_that_is_ahead_is_refused(sqlite):
    ahead = filled(sqlite("b"))
    with pytest.raises(Conflict, match=r"revision 3, by cy of .* is not in the export"):
        import_changes(ahead, HISTORY[:2])


def test_export_that_is_cut_off_is_refused(sqlite):
    exported = lines(filled(sqlite()))
    with pytest.raises(DataError, match="cut off: 4 revisions were written, 3 are there"):
        read_lines(exported[:-1])
    with pytest.raises(DataError, match="no part of an export") as caught:
        read_lines([*exported[:-1], exported[-1][:20]])
    assert caught.value.at == "line 5"


def test_revisions_out_of_order_are_refused(sqlite):
    head, first, second, *rest = lines(filled(sqlite()))
    with pytest.raises(DataError, match="revision 2 stands where 1 should"):
        read_lines([head, second, first, *rest])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "something"}, "no export of a registry"),
        ({"version": 2}, "format version 2, and 1 is known here"),
        ({"version": "one"}, "no part of an export"),
        ({"further": 1}, "no part of an export"),
    ],
)
def test_file_of_another_kind_is_refused(sqlite, change, message):
    head, *rest = lines(filled(sqlite()))
    with pytest.raises(DataError, match=message):
        read_lines([json.dumps(json.loads(head) | change), *rest])


@pytest.mark.parametrize("given", [[], ["", "\n"], ["not JSON"], ["[]"]])
def test_what_is_no_export_at_all_is_refused(given):
    with pytest.raises(DataError, match="no part of an export") as caught:
        read_lines(given)
    assert "gnomon registry export" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([{"kind": "thing", "name": "a", "document": "{}"}], "`thing` is not a kind"),
        ([{"kind": "entity", "name": "a", "document": "{}"}] * 2, "stands there twice"),
    ],
)
def test_documents_that_make_no_sense_are_refused(documents, message):
    head = '{"format":"gnomon-registry","version":1,"revisions":1}'
    line = {"revision": 1, "author": "", "time": 0, "message": "", "documents": documents}
    with pytest.raises(DataError, match=message):
        read_lines([head, json.dumps(line)])


def test_definitions_that_cannot_be_read_are_refused_before_anything_is_written(sqlite):
    empty = sqlite()
    with pytest.raises(DataError, match="definitions cannot be read"):
        import_changes(empty, [HISTORY[0], NewRevision("eve", 0, "", {ENTITY: "{}"})])
    assert empty.head() == 0
