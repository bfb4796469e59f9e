"""Conformance of offline stores: inherit the class, give it `open`, and every promise of the seam is tried.

```python
class TestMine(OfflineStoreTests):
    @pytest.fixture
    def open(self, tmp_path):
        return functools.partial(MyStore, tmp_path)
```

What `open` returns is called in other processes too, so that it must be picklable.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import polars as pl
import pytest

from gnomon.abc.offline import NO_TABLE, OfflineStore
from gnomon.errors import Conflict, Gone, NotFound, UsageError
from gnomon.time import HOUR, stopwatch
from gnomon.types import DType

Open = Callable[[], OfflineStore]

TABLE = "group@1"
COLUMNS: dict[str, DType] = {"batch": pl.Int64(), "row": pl.Int64()}
_PROCESSES = multiprocessing.get_context("forkserver")
_TIMEOUT = 60

_NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
_NAIVE = _NOON.replace(tzinfo=None)
VALUES: dict[DType, list[Any]] = {
    pl.Int8(): [-128, None, 127],
    pl.Int64(): [-(2**63), None, 2**63 - 1],
    pl.UInt8(): [0, None, 255],
    pl.UInt32(): [0, None, 2**32 - 1],
    pl.UInt64(): [0, None, 2**64 - 1],
    pl.Float32(): [-0.0, None, float("nan"), float("inf"), 0.1],
    pl.Float64(): [-0.0, None, float("nan"), float("-inf"), 5e-324, 0.1],
    pl.Boolean(): [True, None, False],
    pl.String(): ["", None, "\0", "é\U0001f600"],
    pl.Binary(): [b"", None, b"\0\xff"],
    pl.Date(): [date(1, 1, 1), None, date(9999, 12, 31)],
    pl.Time(): [time(0), None, time(23, 59, 59, 999_999)],
    pl.Datetime("us"): [_NAIVE, None, datetime(1, 1, 1, tzinfo=UTC).replace(tzinfo=None)],
    pl.Datetime("ms"): [_NAIVE, None],
    pl.Datetime("ns"): [_NAIVE, None],
    pl.Datetime("us", "UTC"): [_NOON, None],
    pl.Datetime("us", "Europe/Berlin"): [_NOON, None],
    pl.Datetime("ns", "America/New_York"): [_NOON, None],
    pl.Duration("us"): [timedelta(days=-1, microseconds=3), None],
    pl.Duration("ns"): [timedelta(days=-1, microseconds=3), None],
    pl.Decimal(38, 2): [Decimal("-0.01"), None, Decimal("9" * 36 + ".99")],
    pl.Decimal(38, 38): [Decimal("0." + "0" * 37 + "1"), None],
    pl.Decimal(10, 0): [Decimal(-5), None],
    pl.Null(): [None, None],
    pl.List(pl.Int64()): [[1, None], None, []],
    pl.List(pl.UInt64()): [[2**64 - 1, None], None, []],
    pl.List(pl.Time()): [[time(1), None], None, []],
    pl.List(pl.Datetime("ns")): [[_NAIVE], None],
    pl.List(pl.Datetime("ms", "Europe/Berlin")): [[_NOON, None], None],
    pl.Array(pl.Float32(), 3): [[0.1, -0.0, None], None],
    pl.Array(pl.UInt64(), 1): [[2**64 - 1], None],
    pl.Array(pl.Array(pl.Int16(), 2), 2): [[[1, 2], [3, None]], None],
    pl.Struct({"a": pl.Int64(), "b": pl.String()}): [{"a": 1, "b": "x"}, None, {"a": None, "b": None}],
    pl.Struct({"a, b": pl.UInt64(), "c": pl.Decimal(20, 3)}): [{"a, b": 2**64 - 1, "c": Decimal("0.001")}],
    pl.List(pl.Struct({"a": pl.List(pl.Duration("us"))})): [[{"a": [timedelta(1)]}, {"a": None}], [None], None],
}  # fmt: skip
"""Values of every type that a column may have, nulls, extremes and empty ones among them."""


def batch(number: int, rows: int = 3) -> pl.DataFrame:
    """Rows 0 … of one commit."""
    return pl.DataFrame({"batch": [number] * rows, "row": range(rows)}, schema=COLUMNS)


def whole(
    store: OfflineStore, version: int | None = None, columns: Mapping[str, DType] = COLUMNS
) -> list[dict[str, Any]]:
    """All rows of a table, sorted."""
    frame = store.scan(TABLE, columns, version=version).collect()
    return frame.sort(frame.columns).to_dicts()


# ------------------------------------------------------------------------------------- what other processes do


def _write(told: Connection, open: Open, first: int, rows: int, wait: bool) -> None:
    """Append batches without end, telling each number when its append has returned."""
    store = open()
    if wait:
        told.send("ready")
        told.recv()
    number = first
    while True:
        store.append(TABLE, batch(number, rows))
        told.send(number)
        number += 1


def _count(told: Connection, open: Open, times: int) -> None:
    """Append the number of rows there are, again and again, as if nobody else wrote."""
    store = open()
    told.send("ready")
    told.recv()

    def step(base: int) -> None:
        n = len(whole(store))
        store.append(TABLE, pl.DataFrame({"batch": [n], "row": [0]}), after=base)

    for _ in range(times):
        store.change(TABLE, step)
    told.send("done")


def _append(told: Connection, open: Open, first: int, times: int) -> None:
    store = open()
    told.send("ready")
    told.recv()
    for number in range(first, first + times):
        store.append(TABLE, batch(number))
    told.send("done")


def _rewrite(told: Connection, open: Open, times: int) -> None:
    store = open()
    told.send("ready")
    told.recv()
    for _ in range(times):
        with suppress(Conflict):  # the other was first
            store.rewrite(TABLE, ["batch", "row"])
    told.send("done")


def _hold(told: Connection, open: Open) -> None:
    def step(_: int) -> None:
        told.send("held")
        told.recv()

    open().change(TABLE, step)


@contextmanager
def _child(work: Callable[..., None], *args: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """A process that runs `work(connection, *args)`; it is killed if it still runs when the block ends."""
    here, there = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=work, args=(there, *args))
    process.start()
    there.close()
    try:
        yield process, here
    finally:
        process.kill()
        process.join()
        here.close()


def _told(connection: Connection) -> Any:
    """What a child says next."""
    if not connection.poll(_TIMEOUT):
        pytest.fail("the other process does not answer")
    return connection.recv()


def _all_told(connection: Connection) -> list[Any]:
    """Everything that a child said before it died."""
    said = []
    try:
        while connection.poll(0):
            said.append(connection.recv())
    except (EOFError, OSError):
        pass  # it died, perhaps in the middle of a word
    return said


def _together(*works: tuple[Any, ...]) -> None:
    """Run works in a child each, all from the same moment on, to their end."""
    with ExitStack() as stack:
        connections = [stack.enter_context(_child(work, *args))[1] for work, *args in works]
        for connection in connections:
            assert _told(connection) == "ready"
        for connection in connections:
            connection.send("go")
        for connection in connections:
            assert _told(connection) == "done"


def _kill(process: BaseProcess) -> None:
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()


# ------------------------------------------------------------------------------------------------ the promises


class OfflineStoreTests:
    """Fixture `open`: a picklable function that opens the same storage anew each time, empty in each test."""

    KILLS = 4
    """How often a writer is killed."""

    @pytest.fixture
    def open(self) -> Open:
        raise NotImplementedError("override the fixture `open` with a function that opens the store")

    @pytest.fixture
    def store(self, open: Open) -> OfflineStore:
        return open()

    # ---- reading

    def test_a_table_that_does_not_exist_is_empty(self, store: OfflineStore) -> None:
        assert store.version(TABLE) is None
        assert store.history(TABLE) == ()
        assert store.schema(TABLE) == {}
        assert store.parts(TABLE) == ()
        assert store.tables() == []
        nothing = store.scan(TABLE, COLUMNS).collect()
        assert (len(nothing), dict(nothing.schema)) == (0, COLUMNS)

    def test_what_was_appended_is_read(self, store: OfflineStore) -> None:
        assert store.append(TABLE, batch(0)) == 0
        assert store.append(TABLE, batch(1)) == 1
        assert store.version(TABLE) == 1
        assert whole(store) == [*batch(0).to_dicts(), *batch(1).to_dicts()]
        assert store.schema(TABLE) == COLUMNS
        assert store.tables() == [TABLE]

    def test_columns_come_in_the_order_asked_for(self, store: OfflineStore) -> None:
        store.append(TABLE, batch(7))
        frame = store.scan(TABLE, {"row": pl.Int64(), "batch": pl.Int64()}).collect()
        assert frame.columns == ["row", "batch"]
        assert store.scan(TABLE, {"batch": pl.Int64()}).collect().to_dict(as_series=False) == {
            "batch": [7, 7, 7]
        }

    def test_scans_are_lazy_and_can_be_filtered(self, store: OfflineStore) -> None:
        for number in range(3):
            store.append(TABLE, batch(number))
        rows = store.scan(TABLE, COLUMNS).filter(pl.col("batch") == 1, pl.col("row") > 0)
        assert rows.select(pl.len()).collect().item() == 2

    def test_another_table_is_another(self, store: OfflineStore) -> None:
        store.append(TABLE, batch(0))
        store.append("group@2", batch(1))
        assert whole(store) == batch(0).to_dicts()
        assert store.tables() == [TABLE, "group@2"]

    @pytest.mark.parametrize("name", ["", "a/b", "..", ".", "../a", "a b", "a\n"])
    def test_a_name_that_could_be_a_path_is_refused(self, store: OfflineStore, name: str) -> None:
        with pytest.raises(UsageError):
            store.append(name, batch(0))

    @pytest.mark.parametrize("dtype", list(VALUES), ids=str)
    def test_values_of_every_type_come_back_to_the_bit(self, store: OfflineStore, dtype: DType) -> None:
        given = pl.DataFrame({"v": pl.Series(VALUES[dtype], dtype=dtype, strict=True)})
        store.append(TABLE, given)
        back = store.scan(TABLE, {"v": dtype}).collect()
        assert back.schema == given.schema
        assert back.equals(given), back["v"].to_list()
        if dtype.is_float():  # whose -0.0 equals 0.0
            bits, wanted = (f["v"].drop_nulls().to_numpy().tobytes() for f in (back, given))
            assert bits == wanted

    @pytest.mark.parametrize(
        "dtype",
        [pl.Datetime("ns"), pl.Datetime("ns", "Europe/Berlin"), pl.Duration("ns"), pl.Time()],
        ids=str,
    )
    def test_nanoseconds_come_back(self, store: OfflineStore, dtype: DType) -> None:
        ticks = pl.Series("v", [1, None, 999, 86_399_999_999_999])
        given = pl.DataFrame(
            {"v": ticks.cast(dtype), "l": pl.Series([[t] for t in ticks]).cast(pl.List(dtype))}
        )
        store.append(TABLE, given)
        assert store.scan(TABLE, dict(given.schema)).collect().equals(given)

    def test_categories_are_kept_as_text(self, store: OfflineStore) -> None:
        store.append(
            TABLE, pl.DataFrame({"v": ["a", None]}, schema={"v": pl.Categorical()}).with_columns(e="v")
        )
        assert store.scan(TABLE, {"v": pl.String()}).collect()["v"].to_list() == ["a", None]

    # ---- commits

    def test_a_commit_without_rows_leaves_the_rows(self, store: OfflineStore) -> None:
        store.append(TABLE, batch(0, rows=0))
        assert whole(store) == []
        assert store.schema(TABLE) == COLUMNS
        store.append(TABLE, batch(1))
        store.append(TABLE, batch(2, rows=0))
        assert whole(store) == batch(1).to_dicts()

    def test_earlier_versions_are_read_as_they_were(self, store: OfflineStore) -> None:
        versions = [store.append(TABLE, batch(number)) for number in range(3)]
        for n, version in enumerate(versions, 1):
            assert {row["batch"] for row in whole(store, version)} == set(range(n))
            assert sum(part.rows for part in store.parts(TABLE, version)) == 3 * n

    def test_a_version_that_does_not_exist_is_an_error(self, store: OfflineStore) -> None:
        store.append(TABLE, batch(0))
        for version in (1, -1):
            with pytest.raises(NotFound):
                store.parts(TABLE, version)
            with pytest.raises(NotFound):
                store.scan(TABLE, COLUMNS, version=version)

    def test_parts_never_change(self, store: OfflineStore) -> None:
        store.append(TABLE, batch(0))
        before = store.parts(TABLE)
        held = store.scan(TABLE, COLUMNS, parts=before).collect()
        store.append(TABLE, batch(1).with_columns(new=pl.lit("x")))
        after = store.parts(TABLE)
        assert set(before) < set(after)
        assert list(after) == sorted(after)
        assert store.scan(TABLE, COLUMNS, parts=before).collect().equals(held)
        added = store.scan(TABLE, COLUMNS, parts=[p for p in after if p not in before]).collect()
        assert added["batch"].to_list() == [1, 1, 1]
        assert all(part.etag and part.size > 0 for part in after)

    def test_no_parts_are_no_rows(self, store: OfflineStore) -> None:
        store.append(TABLE, batch(0))
        assert len(store.scan(TABLE, COLUMNS, parts=[]).collect()) == 0

    def test_columns_added_later_are_null_in_older_rows(self, store: OfflineStore) -> None:
        added: dict[str, DType] = {"new": pl.UInt64(), "nested": pl.Struct({"a": pl.Array(pl.Time(), 1)})}
        value = {"new": 2**64 - 1, "nested": {"a": [time(1)]}}
        nothing = dict.fromkeys(added)
        store.append(TABLE, batch(0, rows=1))
        store.append(TABLE, batch(1, rows=1).with_columns(pl.DataFrame([value], schema=added)))
        store.append(TABLE, batch(2, rows=1))
        rows = whole(store, columns={"batch": pl.Int64(), **added})
        assert rows == [{"batch": 0, **nothing}, {"batch": 1, **value}, {"batch": 2, **nothing}]
        assert list(store.schema(TABLE)) == [*COLUMNS, *added]
        assert whole(store, 0, {"batch": pl.Int64(), **added}) == [{"batch": 0, **nothing}]

    def test_history_tells_rows_times_and_notes(self, store: OfflineStore) -> None:
        store.append(TABLE, batch(0), note={"author": "ana", "gnomon.x": "1"})
        store.append(TABLE, batch(1, rows=5))
        commits = store.history(TABLE)
        assert [(c.version, c.rows) for c in commits] == [(0, 3), (1, 5)]
        assert [dict(c.note) for c in commits] == [{"author": "ana", "gnomon.x": "1"}, {}]
        assert 0 < commits[0].time <= commits[1].time

    # ---- whole tables

    def test_a_dropped_table_comes_back_empty(self, store: OfflineStore) -> None:
        store.drop(TABLE)
        store.append(TABLE, batch(0))
        store.drop(TABLE)
        assert store.version(TABLE) is None
        assert store.tables() == []
        assert store.append(TABLE, batch(1)) == 0
        assert whole(store) == batch(1).to_dicts()

    def test_an_emptied_table_begins_anew_and_keeps_its_past(self, store: OfflineStore) -> None:
        for number in range(2):
            store.append(TABLE, batch(number))
        other: dict[str, DType] = {"batch": pl.String()}
        assert store.empty(TABLE, other, note={"why": "x"}, after=1) == 2
        assert store.parts(TABLE) == ()
        assert (store.schema(TABLE), whole(store, columns=other)) == (other, [])
        assert store.append(TABLE, pl.DataFrame({"batch": ["a"]})) == 3
        assert whole(store, columns=other) == [{"batch": "a"}]
        assert whole(store, 1) == [*batch(0).to_dicts(), *batch(1).to_dicts()]
        assert store.history(TABLE)[2].note["why"] == "x"
        assert store.unneeded(TABLE, age=0) == {}

    def test_only_what_is_there_can_be_emptied(self, store: OfflineStore) -> None:
        with pytest.raises(NotFound):
            store.empty(TABLE, COLUMNS, after=NO_TABLE)
        store.append(TABLE, batch(0))
        for after in (NO_TABLE, 1):
            with pytest.raises(Conflict):
                store.empty(TABLE, COLUMNS, after=after)

    # ---- notes

    def test_notes_are_kept_beside_tables(self, open: Open) -> None:
        store = open()
        assert store.notes() == {}
        store.write_note("a-1@x", "one")
        store.write_note("a-2", "two é")
        store.write_note("b", "")
        store.write_note("a-2", "three")
        assert open().notes("a-") == {"a-1@x": "one", "a-2": "three"}
        assert open().notes() == {"a-1@x": "one", "a-2": "three", "b": ""}
        store.write_note("a-2", None)
        store.write_note("a-2", None)
        assert store.notes("a-") == {"a-1@x": "one"}
        assert store.tables() == []

    # ---- files

    def test_a_rewritten_table_has_the_same_rows_in_one_file_in_order(self, store: OfflineStore) -> None:
        for number in (2, 0, 1):
            store.append(TABLE, batch(number))
        before, inserted = whole(store), store.parts(TABLE)
        assert store.rewrite(TABLE, ["batch", "row"], note={"author": "ana"}) == 3
        (part,) = store.parts(TABLE)
        assert part.rows == 9
        assert store.scan(TABLE, COLUMNS).collect().to_dicts() == before
        assert whole(store, 2) == before
        assert [(c.rows, dict(c.note)) for c in store.history(TABLE)][3] == (0, {"author": "ana"})
        assert {p.etag for p in store.origins(TABLE, part)} == {p.etag for p in inserted}
        assert store.rewrite(TABLE, ["batch", "row"]) is None

    def test_rewriting_again_keeps_the_first_origins(self, store: OfflineStore) -> None:
        inserted = []
        for number in range(3):
            store.append(TABLE, batch(number))
            inserted += [p for p in store.parts(TABLE) if not store.origins(TABLE, p)]
            assert store.rewrite(TABLE, ["batch"]) is not None
        (part,) = store.parts(TABLE)
        assert {p.name for p in store.origins(TABLE, part)} == {p.name for p in inserted}
        assert store.present(TABLE, inserted) == tuple(inserted)

    @pytest.mark.parametrize("dtype", list(VALUES), ids=str)
    def test_values_of_every_type_survive_a_rewrite(self, store: OfflineStore, dtype: DType) -> None:
        given = pl.DataFrame({"v": pl.Series(VALUES[dtype], dtype=dtype, strict=True)}).with_row_index("n")
        store.append(TABLE, given.tail(-1))
        store.append(TABLE, given.head(1))
        store.rewrite(TABLE, ["n"])
        back = store.scan(TABLE, dict(given.schema)).collect()
        assert back.schema == given.schema
        assert back.equals(given), back["v"].to_list()
        if dtype.is_float():
            bits, wanted = (f["v"].drop_nulls().to_numpy().tobytes() for f in (back, given))
            assert bits == wanted

    def test_columns_that_older_files_lack_are_null_after_a_rewrite(self, store: OfflineStore) -> None:
        store.append(TABLE, batch(0, rows=1))
        store.append(TABLE, batch(1, rows=1).with_columns(new=pl.lit("x")))
        store.rewrite(TABLE, ["batch"])
        rows = whole(store, columns={"batch": pl.Int64(), "new": pl.String()})
        assert rows == [{"batch": 0, "new": None}, {"batch": 1, "new": "x"}]

    def test_a_table_without_rows_has_nothing_to_rewrite(self, store: OfflineStore) -> None:
        assert store.rewrite(TABLE, ["batch"]) is None

    def test_files_of_old_versions_and_of_dead_writers_are_told_when_they_are_old(
        self, store: OfflineStore
    ) -> None:
        for number in range(2):
            store.append(TABLE, batch(number))
        inserted = [p.etag for p in store.parts(TABLE)]
        store.rewrite(TABLE, ["batch"])
        assert store.unneeded(TABLE, age=HOUR) == {}
        found = store.unneeded(TABLE, age=0)
        assert set(found) == set(inserted)
        assert all(size > 0 for size in found.values())
        assert set(store.unneeded(TABLE, age=0, keep=inserted[:1])) == {inserted[1]}
        store.remove(TABLE, found)
        assert store.unneeded(TABLE, age=0) == {}
        assert len(whole(store)) == 6
        with pytest.raises(Gone):
            store.scan(TABLE, COLUMNS, version=0)
        assert store.append(TABLE, batch(2)) == 3

    # ---- processes

    def test_what_one_opens_another_has_written(self, open: Open) -> None:
        first, second = open(), open()
        first.append(TABLE, batch(0))
        assert whole(second) == batch(0).to_dicts()
        assert second.append(TABLE, batch(1)) == 1
        assert first.version(TABLE) == 1

    def test_who_relies_on_an_older_version_writes_nothing(self, open: Open) -> None:
        first, second = open(), open()
        assert first.append(TABLE, batch(0), after=NO_TABLE) == 0
        with pytest.raises(Conflict):
            second.append(TABLE, batch(1), after=NO_TABLE)
        assert second.append(TABLE, batch(1), after=0) == 1
        with pytest.raises(Conflict):
            first.append(TABLE, batch(2), after=0)
        assert {row["batch"] for row in whole(first)} == {0, 1}

    def test_appends_go_on_while_a_table_is_rewritten(self, open: Open) -> None:
        open().append(TABLE, batch(0))
        _together((_append, open, 1, 8), (_rewrite, open, 4))
        store = open()
        assert {row["batch"] for row in whole(store)} == set(range(9))
        assert len(whole(store)) == 27
        assert sum(c.rows for c in store.history(TABLE)) == 27

    def test_of_two_that_rewrite_one_is_told(self, open: Open) -> None:
        for number in range(3):
            open().append(TABLE, batch(number))
        _together((_rewrite, open, 2), (_rewrite, open, 2))
        assert len(whole(open())) == 9

    def test_readers_see_all_of_a_commit_or_nothing(self, open: Open) -> None:
        rows, seen = 20_000, 0
        with _child(_write, open, 0, rows, False) as (_, connection):
            store = open()
            while seen < 5:
                sizes = store.scan(TABLE, COLUMNS).group_by("batch").len().collect()
                assert (sizes["len"] == rows).all(), sizes
                assert len(sizes) >= seen
                seen = len(sizes)
                for number in _all_told(connection):
                    assert number < len(store.history(TABLE))

    def test_no_append_of_two_writers_is_lost(self, open: Open) -> None:
        open().append(TABLE, batch(0))
        _together((_append, open, 1, 10), (_append, open, 11, 10))
        store = open()
        assert {row["batch"] for row in whole(store)} == set(range(21))
        assert store.version(TABLE) == 20

    def test_looking_and_appending_is_one_step_while_writing(self, open: Open) -> None:
        _together((_count, open, 10), (_count, open, 10))
        assert [row["batch"] for row in whole(open())] == list(range(20))

    def test_a_dead_writer_keeps_nobody_from_writing(self, open: Open) -> None:
        store = open()
        with _child(_hold, open) as (process, connection):
            assert _told(connection) == "held"
            elapsed = stopwatch()
            _kill(process)
            assert store.change(TABLE, lambda base: store.append(TABLE, batch(0), after=base)) == 0
            assert elapsed() < _TIMEOUT / 2

    def test_a_writer_that_is_killed_leaves_the_last_whole_version(self, open: Open) -> None:
        """Killed in its first append or in a later one, it leaves nothing half there, and work goes on."""
        seed = random.randrange(2**32)
        moments = random.Random(seed)
        rows, there, spent = 50_000, 0, 0.05
        for kill in range(self.KILLS):
            with _child(_write, open, there, rows, True) as (process, connection):
                _told(connection)
                elapsed = stopwatch()
                connection.send("go")
                said = []
                if kill % 2:  # not before the first append has returned
                    said, spent = [_told(connection)], elapsed()
                process.join(moments.uniform(0, spent))
                _kill(process)
                said += _all_told(connection)
            store = open()
            sizes = store.scan(TABLE, COLUMNS).group_by("batch").len().collect()
            assert (sizes["len"] == rows).all(), f"half a commit is there; seed {seed}"
            assert {*range(there), *said} <= set(sizes["batch"]), f"a commit is lost; seed {seed}"
            assert len(sizes) <= there + len(said) + 1, f"there is more than was written; seed {seed}"
            assert len(store.history(TABLE)) == len(sizes), f"commits and rows differ; seed {seed}"
            there = len(sizes)
        open().append(TABLE, batch(there, rows))
        assert len(whole(open())) == rows * (there + 1)
