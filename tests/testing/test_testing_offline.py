"""The conformance class finds what it is there for: one wrong store for each promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl
import pytest

from gnomon.abc.offline import Committed
from gnomon.abc.source import Part
from gnomon.errors import NotFound
from gnomon.offline.delta import DeltaStore
from gnomon.offline.places import Folder
from gnomon.testing.offline import OfflineStoreTests
from gnomon.types import DType
from tests.faults import children

assert children.SERVER


class AppendsInTwoSteps(DeltaStore):
    def append(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        note: Mapping[str, str] | None = None,
        after: int | None = None,
    ) -> int:
        half = len(frame) // 2
        super().append(table, frame[:half], after=after)
        return super().append(table, frame[half:], note=note)


class RewritesEverything(DeltaStore):
    def append(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        note: Mapping[str, str] | None = None,
        after: int | None = None,
    ) -> int:
        if self.version(table) is not None:
            old = self.scan(table, self.schema(table)).collect()
            self.drop(table)
            frame = pl.concat([old, frame], how="diagonal")
        return super().append(table, frame, note=note, after=after)


class LosesNotes(DeltaStore):
    def append(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        note: Mapping[str, str] | None = None,
        after: int | None = None,
    ) -> int:
        return super().append(table, frame, after=after)


class LetsEveryoneWrite(DeltaStore):
    def append(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        note: Mapping[str, str] | None = None,
        after: int | None = None,
    ) -> int:
        return super().append(table, frame, note=note)


class ReadsTheNewest(DeltaStore):
    def scan(
        self,
        table: str,
        columns: Mapping[str, DType],
        *,
        parts: Sequence[Part] | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        return super().scan(table, columns, parts=parts)


class TakesAnyVersion(DeltaStore):
    def parts(self, table: str, version: int | None = None) -> tuple[Part, ...]:
        try:
            return super().parts(table, version)
        except NotFound:
            return ()


class LosesNegativeZero(DeltaStore):
    def append(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        note: Mapping[str, str] | None = None,
        after: int | None = None,
    ) -> int:
        floats = pl.col(pl.Float64)
        plain = pl.when(floats == 0).then(0.0).otherwise(floats).name.keep()
        return super().append(table, frame.with_columns(plain), note=note, after=after)


class FloorsToMicroseconds(DeltaStore):
    def append(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        note: Mapping[str, str] | None = None,
        after: int | None = None,
    ) -> int:
        fine = pl.col(pl.Time).to_physical() // 1000 * 1000
        return super().append(table, frame.with_columns(fine.cast(pl.Time)), note=note, after=after)


class EmptiesNothing(DeltaStore):
    def empty(
        self, table: str, columns: Mapping[str, DType], *, note: Mapping[str, str] | None = None, after: int
    ) -> int:
        return after + 1


class CountsFromOne(DeltaStore):
    def history(self, table: str) -> tuple[Committed, ...]:
        return super().history(table)[1:]


class KeepsWhatWasDropped(DeltaStore):
    def drop(self, table: str) -> None:
        pass


class TakesAnyName(DeltaStore):
    def append(
        self,
        table: str,
        frame: pl.DataFrame,
        *,
        note: Mapping[str, str] | None = None,
        after: int | None = None,
    ) -> int:
        return super().append(table.strip("./\n ").replace("/", "-") or "x", frame, note=note, after=after)


@pytest.mark.parametrize(
    ("wrong", "found_by", "given"),
    [
        (AppendsInTwoSteps, "test_what_was_appended_is_read", ()),
        (AppendsInTwoSteps, "test_readers_see_all_of_a_commit_or_nothing", ()),
        (RewritesEverything, "test_parts_never_change", ()),
        (LosesNotes, "test_history_tells_rows_times_and_notes", ()),
        (CountsFromOne, "test_history_tells_rows_times_and_notes", ()),
        (LetsEveryoneWrite, "test_who_relies_on_an_older_version_writes_nothing", ()),
        (ReadsTheNewest, "test_earlier_versions_are_read_as_they_were", ()),
        (TakesAnyVersion, "test_a_version_that_does_not_exist_is_an_error", ()),
        (LosesNegativeZero, "test_values_of_every_type_come_back_to_the_bit", (pl.Float64(),)),
        (FloorsToMicroseconds, "test_nanoseconds_come_back", (pl.Time(),)),
        (EmptiesNothing, "test_an_emptied_table_begins_anew_and_keeps_its_past", ()),
        (KeepsWhatWasDropped, "test_a_dropped_table_comes_back_empty", ()),
        (TakesAnyName, "test_a_name_that_could_be_a_path_is_refused", ("../a",)),
    ],
)
def test_a_wrong_store_is_found(
    tmp_path: Any, wrong: type[DeltaStore], found_by: str, given: tuple[Any, ...]
) -> None:
    check = getattr(OfflineStoreTests(), found_by)
    takes_open = "open" in check.__annotations__

    def run(store: type[DeltaStore], folder: str) -> None:
        made = partial(store, Folder(tmp_path / folder))
        check(made if takes_open else made(), *given)

    run(DeltaStore, "right")
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run(wrong, "wrong")
