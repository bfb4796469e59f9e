"""The conformance class finds what it is there for: one wrong store for each promise."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import pytest

from gnomon.abc.online import Merge
from gnomon.online.memory import MemoryStore
from gnomon.testing.online import LONG_KEYS, OnlineStoreTests


class SortsKeys(MemoryStore):
    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return super().read(table, sorted(keys))


class MergesWithoutLock(MemoryStore):
    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        values = merge(range(len(keys)), self.read(table, keys))
        time.sleep(0)
        super().update(table, keys, lambda positions, old: values)


class TakesRepeatedKeys(MemoryStore):
    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        super().update(table, list(dict.fromkeys(keys)), merge)


class CutsKeys(MemoryStore):
    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return super().read(table, [key[:511] for key in keys])

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        cut = {key[:511]: key for key in keys}
        super().update(
            table, list(cut), lambda positions, old: merge(range(len(keys)), [None] * len(keys))[: len(cut)]
        )


class LosesEmptyValues(MemoryStore):
    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return [value or None for value in super().read(table, keys)]


class KeepsTheFirstRow(MemoryStore):
    def load(self, table: str, rows: Iterable[tuple[bytes, bytes | memoryview]]) -> int:
        return super().load(table, list(rows)[::-1])


class ReadsKeyByKey(MemoryStore):
    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        values = []
        for key in keys:
            values += super().read(table, [key])
            time.sleep(0.0001)
        return values


class SwapsInTwoSteps(MemoryStore):
    def swap(self, new: str, name: str) -> None:
        self.drop(name)
        time.sleep(0.001)
        super().swap(new, name)


class DropsTheNameOnly(MemoryStore):
    def drop(self, table: str) -> None:
        if table in self._tables:
            self._dropped = {table: self._tables.pop(table)}

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        self._tables.setdefault(table, getattr(self, "_dropped", {}).pop(table, {}))
        super().update(table, keys, merge)


class BelievesEveryDocument(MemoryStore):
    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        return super().set_meta(name, self.get_meta(name), value)


class StaysOpen(MemoryStore):
    def close(self) -> None:
        pass


class ScansTwice(MemoryStore):
    def scan(self, table: str):  # type: ignore[no-untyped-def]
        return iter(2 * list(super().scan(table)))


@pytest.mark.parametrize(
    ("wrong", "found_by"),
    [
        (SortsKeys, "test_read_keeps_order_and_duplicates"),
        (MergesWithoutLock, "test_concurrent_updates_of_one_key_lose_nothing"),
        (TakesRepeatedKeys, "test_a_key_twice_in_one_update_is_refused"),
        (LosesEmptyValues, "test_an_empty_value_is_a_value"),
        (KeepsTheFirstRow, "test_of_equal_keys_load_takes_the_last"),
        (ReadsKeyByKey, "test_a_read_is_of_one_moment"),
        (SwapsInTwoSteps, "test_readers_never_see_half_a_swap"),
        (DropsTheNameOnly, "test_a_dropped_table_comes_back_empty"),
        (BelievesEveryDocument, "test_documents_change_only_from_what_was_expected"),
        (StaysOpen, "test_close_can_be_repeated_and_ends_all_use"),
        (ScansTwice, "test_scan_gives_each_key_once"),
    ],
)
def test_a_wrong_store_is_found(wrong: type[MemoryStore], found_by: str) -> None:
    check = getattr(OnlineStoreTests(), found_by)
    check(MemoryStore())
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(wrong())


def test_a_store_that_cuts_long_keys_is_found() -> None:
    check = OnlineStoreTests().test_any_bytes_are_a_key_of_their_own
    check(MemoryStore(), LONG_KEYS)
    with pytest.raises(AssertionError):
        check(CutsKeys(), LONG_KEYS)
