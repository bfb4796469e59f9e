"""DynamoStore: bytes by key in Amazon DynamoDB.

    {prefix}          our names, by item: `t` + name of a table → where it lies · `d` + name → document · `l` → layout
    {prefix}.{…}      a table of ours is one of DynamoDB's: dropped, or read through, without touching another

Which table lies where is remembered. A read asks for that again, together with the values, so that it needs no round
trip of its own; and since all values of an answer come from the place that its requests name, no answer is half of one
table and half of what took its place. A write looks afterwards whether it went where the table lies still.

An item is replaced on the condition that it holds what was read (see `dynamodb_items`). What a process that was killed
has written of a value in several items, and not yet named, stays until its table is dropped; a table whose name is gone
and that it did not come to remove, until somebody removes it.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

from gnomon.abc.capabilities import Capabilities
from gnomon.abc.online import Merge, OnlineStore, check_distinct, check_merged, check_name
from gnomon.errors import Unavailable, UsageError, not_found
from gnomon.online.dynamodb_items import Item, chunk_names, key_of, make, name_of, token_of, value_of
from gnomon.online.dynamodb_url import Settings, parse
from gnomon.online.dynamodb_wire import Lost, Missing, Wire
from gnomon.time import sleep

# Keys that an update reads, merges and writes at a time.
_UPDATE_KEYS = 400

# A call whose keys or tables others change again and again gives up after so many tries.
_TRIES = 200

# Rows and bytes that `load` has under way at a time.
_LOAD_ROWS, _LOAD_BYTES = 400, 8 << 20

# The version of the layout, and where it is told.
_LAYOUT, _LAYOUT_KEY = b"1", b"l"

# What may not stand in the name of a table of DynamoDB.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")

_ONE_MOMENT = "DynamoDB reads and writes each item of a batch by itself"

Row = tuple[bytes, bytes | memoryview]


@dataclass(frozen=True, slots=True)
class _Held:
    """What a key held when it was read."""

    head: Item | None
    value: bytes | None


_NOTHING = _Held(None, None)


class DynamoStore(OnlineStore):
    """Bytes by key in the DynamoDB that `settings` tell of. The first use connects."""

    capabilities = Capabilities(
        batch_keys=100,
        durable=True,
        multi_process=True,
        atomic_swap=True,
        one_moment=False,
        reasons={"one_moment": _ONE_MOMENT},
    )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wire = Wire(settings)
        self._names = settings.prefix
        """The table that tells where the others lie, and holds the documents."""
        self._places: dict[str, str] = {}
        """Table → where it lay when somebody looked last."""
        self._is_ours = False
        """Whether the layout of what lies there has been looked at."""

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """Open `dynamodb://prefix?region=…&endpoint=…&profile=…&timeout=…`."""
        return cls(parse(url))

    # ---- reading

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._read([(table, keys)])[0]

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        check_name("document", document)
        return self._read(asked), self.get_meta(document)

    def _read(self, asked: Sequence[tuple[str, Sequence[bytes]]]) -> list[list[bytes | None]]:
        self._look_at_layout()
        named = {table: check_name("table", table) for table, keys in asked}
        places = {table: self._places.get(table) or self._look_up(table) for table, keys in asked if keys}
        for _ in range(_TRIES):
            wanted: dict[str, set[bytes]] = {}
            for table, keys in asked:
                if (place := places.get(table)) is not None:
                    wanted.setdefault(place, set()).update(map(name_of, keys))
            if not wanted:
                return [[None] * len(keys) for _, keys in asked]
            checks = {
                table: _table_item(named[table]) for table, place in places.items() if place is not None
            }
            wanted[self._names] = set(checks.values())
            try:
                found = self._wire.get(wanted)
                now = {table: _place_of(found[self._names].get(name)) for table, name in checks.items()}
                if all(now[table] == places[table] for table in now):
                    return self._values(asked, places, found)
            except Missing:
                # A table was dropped meanwhile, or is only being made: that one holds nothing.
                sleep(random.uniform(0, 0.01))
                now = {table: self._look_up(table) for table in places}
                now = {
                    table: place if place != places[table] or self._is_there(place) else None
                    for table, place in now.items()
                }
            except _Torn:
                continue
            self._places.update({table: place for table, place in now.items() if place is not None})
            places |= now
        raise self._changing("the tables that are read")

    def _values(
        self,
        asked: Sequence[tuple[str, Sequence[bytes]]],
        places: Mapping[str, str | None],
        found: Mapping[str, Mapping[bytes, Item]],
    ) -> list[list[bytes | None]]:
        """The values of items that were found, with what of them lies in chunks. Raises: Missing, _Torn."""
        chunks = self._chunks(found)
        values: list[list[bytes | None]] = []
        for table, keys in asked:
            place = places.get(table)
            if place is None:
                values.append([None] * len(keys))
                continue
            heads, parts = found[place], chunks.get(place, {})
            values.append([_whole(heads.get(name_of(key)), parts) for key in keys])
        return values

    def _chunks(self, found: Mapping[str, Mapping[bytes, Item]]) -> dict[str, dict[bytes, Item]]:
        wanted = {
            place: names
            for place, heads in found.items()
            if (names := [name for head in heads.values() if "c" in head for name in chunk_names(head)])
        }
        return self._wire.get(wanted) if wanted else {}

    def _held(self, place: str, keys: Sequence[bytes]) -> list[_Held]:
        """What keys hold in one place. Raises: Missing."""
        for _ in range(_TRIES):
            found = self._wire.get({place: map(name_of, keys)})
            chunks = self._chunks(found).get(place, {})
            heads = [found[place].get(name_of(key)) for key in keys]
            try:
                return [_NOTHING if head is None else _Held(head, _whole(head, chunks)) for head in heads]
            except _Torn:
                continue
        raise self._changing("the keys that are read")

    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        place = self._look_up(table)
        return iter(()) if place is None else self._scan(table, place)

    def _scan(self, table: str, place: str) -> Iterator[tuple[bytes, bytes]]:
        try:
            for page in self._wire.scan(place):
                heads = [(key, item) for item in page if (key := key_of(item)) is not None]
                yield from ((key, item["v"]["B"]) for key, item in heads if "c" not in item)
                split = [key for key, item in heads if "c" in item]
                # One at a time: each may be as large as memory allows.
                for key in split:
                    (held,) = self._held(place, [key])
                    if held.value is not None:
                        yield key, held.value
        except Missing:
            if self._look_up(table) not in (None, place):
                raise Unavailable(
                    f"in {self._settings.shown}, the table `{table}` was replaced while it was read through",
                    hint="read it again",
                ) from None

    def tables(self) -> list[str]:
        self._look_at_layout()
        try:
            keys = [key_of(item) or b"" for page in self._wire.scan(self._names, "k, x") for item in page]
        except Missing:
            return []
        return sorted(key[1:].decode() for key in keys if key[:1] == b"t")

    def get_meta(self, name: str) -> bytes | None:
        return self._document(_document_key(name)).value

    def server_time(self) -> int | None:
        return self._wire.server_time()

    # ---- writing

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        check_distinct(keys)
        self._look_at_layout()
        check_name("table", table)
        for start in range(0, len(keys), _UPDATE_KEYS):
            positions = range(start, min(start + _UPDATE_KEYS, len(keys)))
            self._where_it_lies(table, partial(self._update, keys, positions, merge))

    def _where_it_lies(self, table: str, write: Callable[[str], None]) -> None:
        """Write into a table, which is made if there is none: again, if it lies elsewhere when that is done."""
        place = self._places.get(table) or self._made(table)
        for _ in range(_TRIES):
            try:
                write(place)
            except Missing:
                place = self._made(table)
                continue
            now = self._look_up(table)
            if now == place:
                return
            place = now or self._made(table)
        raise self._changing(f"the table `{table}`")

    def _update(self, keys: Sequence[bytes], positions: Sequence[int], merge: Merge, place: str) -> None:
        held = self._held(place, [keys[i] for i in positions])
        for attempt in range(_TRIES):
            merged = merge(positions, [one.value for one in held])
            check_merged(merged, len(positions))
            lost = self._replace(place, [keys[i] for i in positions], held, merged)
            if not lost:
                return
            positions, held = [positions[at] for at, _ in lost], [now for _, now in lost]
            if attempt >= 2:
                # Others are busy with these keys: out of step with them, and with what is there then.
                sleep(random.uniform(0, min(0.005 * attempt, 0.1)))
                held = self._held(place, [keys[i] for i in positions])
        raise self._changing(f"{len(positions)} of the keys to update")

    def _replace(
        self,
        place: str,
        keys: Sequence[bytes],
        held: Sequence[_Held],
        new: Sequence[bytes | memoryview | None],
    ) -> list[tuple[int, _Held]]:
        """Write each key that still holds what was read; return the others' places and what they hold now."""
        steps = list(zip(keys, held, new, strict=True))
        refused = {
            at: item
            for at, item in enumerate(self._wire.each(partial(self._replace_one, place), steps))
            if item is not None
        }
        if not refused:
            return []
        lost = []
        now = self._held(place, [keys[at] for at in refused])
        for (at, item), one in zip(refused.items(), now, strict=True):
            if "n" in item and one.head is not None and token_of(one.head) == token_of(item):
                # A request that was made again, and found what it had written itself.
                self._wire.remove(place, chunk_names(held[at].head or {}))
            else:
                self._wire.remove(place, chunk_names(item))
                lost.append((at, one))
        return lost

    def _replace_one(self, place: str, step: tuple[bytes, _Held, bytes | memoryview | None]) -> Item | None:
        """Write one key; return what was to be written, nothing being an empty item, if it was refused."""
        key, held, new = step
        if new is held.value:
            return None
        condition = _still(held.head)
        item: Item = {}
        try:
            if new is None:
                self._wire.call("delete_item", TableName=place, Key={"k": {"B": name_of(key)}}, **condition)
            else:
                item, chunks = make(key, new)
                self._wire.write(place, chunks)
                self._wire.call("put_item", TableName=place, Item=item, **condition)
        except Lost:
            return item
        self._wire.remove(place, chunk_names(held.head or {}))
        return None

    def load(self, table: str, rows: Iterable[Row]) -> int:
        place = self._made(table)
        count = 0
        for batch in _batches(rows):
            count += len(batch)
            made = [make(key, value) for key, value in dict(batch).items()]
            for _ in range(_TRIES):
                try:
                    self._wire.write_many(place, [chunk for _, chunks in made for chunk in chunks])
                    self._wire.write_many(place, [head for head, _ in made])
                    break
                except Missing:
                    place = self._made(table)
            else:
                raise self._changing(f"the table `{table}`")
        return count

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        place = self._look_up(table)
        for _ in range(_TRIES):
            if place is None:
                return
            try:
                self._wire.each(partial(self._delete_one, place), list({*map(name_of, keys)}))
            except Missing:
                pass
            else:
                if self._look_up(table) == place:
                    return
            place = self._look_up(table)
        raise self._changing(f"the table `{table}`")

    def _delete_one(self, place: str, name: bytes) -> None:
        reply = self._wire.call(
            "delete_item", TableName=place, Key={"k": {"B": name}}, ReturnValues="ALL_OLD"
        )
        if old := reply.get("Attributes"):
            self._wire.remove(place, chunk_names(old))

    # ---- tables and documents

    def drop(self, table: str) -> None:
        key = _table_key(check_name("table", table))
        for _ in range(_TRIES):
            held = self._document(key)
            if held.value is None:
                return
            if self._replace_document(key, held, None):
                self._wire.drop_table(held.value.decode())
                return
        raise self._changing(f"the table `{table}`")

    def swap(self, new: str, name: str) -> None:
        source, target = (_table_key(check_name("table", one)) for one in (new, name))
        for _ in range(_TRIES):
            moved = self._document(source)
            if moved.head is None or moved.value is None:
                raise not_found("Table", new, self.tables())
            if new == name:
                return
            old = self._document(target)
            head, _ = make(target, moved.value)
            leave = {"TableName": self._names, "Key": {"k": moved.head["k"]}, **_still(moved.head)}
            come = {"TableName": self._names, "Item": head, **_still(old.head)}
            try:
                self._wire.call("transact_write_items", TransactItems=[{"Delete": leave}, {"Put": come}])
            except Lost:
                sleep(random.uniform(0, 0.01))
                continue
            self._places[name] = moved.value.decode()
            self._places.pop(new, None)
            if old.value is not None:
                self._wire.drop_table(old.value.decode())
            return
        raise self._changing(f"the tables `{new}` and `{name}`")

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        key = _document_key(name)
        for _ in range(_TRIES):
            held = self._document(key)
            if held.value != expected:
                return False
            if value is expected is None or self._replace_document(key, held, value):
                return True
        raise self._changing(f"the document `{name}`")

    def _document(self, key: bytes) -> _Held:
        self._look_at_layout()
        try:
            return self._held(self._names, [key])[0]
        except Missing:
            return _NOTHING

    def _replace_document(self, key: bytes, held: _Held, value: bytes | None) -> bool:
        """Write an item of ours, if it still holds what was read; tells whether it did."""
        try:
            lost = self._replace(self._names, [key], [held], [value])
        except Missing:
            self._wire.make_table(self._names)
            self._replace(self._names, [_LAYOUT_KEY], [_NOTHING], [_LAYOUT])
            lost = self._replace(self._names, [key], [held], [value])
        return not lost

    def _look_up(self, table: str) -> str | None:
        """Where a table lies; None if there is none."""
        value = self._document(_table_key(check_name("table", table))).value
        if value is None:
            self._places.pop(table, None)
            return None
        self._places[table] = place = value.decode()
        return place

    def _made(self, table: str) -> str:
        """Where a table lies, which is made if there is none."""
        key = _table_key(check_name("table", table))
        for _ in range(_TRIES):
            place = self._look_up(table)
            if place is None:
                # Its name first: what is killed before there is a table leaves nothing that nobody knows of.
                place = self._new_place(table)
                if not self._replace_document(key, _NOTHING, place.encode()):
                    continue
            if not self._is_there(place):
                self._wire.make_table(place)
                if self._look_up(table) != place:
                    self._wire.drop_table(place)
                    continue
            self._places[table] = place
            return place
        raise self._changing(f"the table `{table}`")

    def _new_place(self, table: str) -> str:
        shown = _NOT_IN_NAMES.sub("_", table)[:100]
        return f"{self._names}.{shown}.{os.urandom(6).hex()}"

    def _is_there(self, place: str | None) -> bool:
        return place is not None and self._wire.has_table(place)

    def _look_at_layout(self) -> None:
        """Learn whether what lies there is laid out as we would."""
        if self._is_ours:
            self._wire.require_open()
            return
        try:
            held = self._held(self._names, [_LAYOUT_KEY])[0].value
        except Missing:
            return  # nothing is there yet
        if held not in (None, _LAYOUT):
            raise UsageError(
                f"{self._settings.shown} has the layout `{held.decode(errors='replace')}`, "
                f"and we are to use `{_LAYOUT.decode()}`",
                at="online.url",
                hint="use the release that wrote it, or another prefix and materialize into it",
            )
        self._is_ours = held is not None

    def _changing(self, what: str) -> Unavailable:
        return Unavailable(
            f"in {self._settings.shown}, {what} change all the time",
            hint="try again when other writers are done",
        )

    def close(self) -> None:
        self._wire.close()


class _Torn(Exception):
    """A value was replaced between its head and its chunks."""


def _whole(head: Item | None, chunks: Mapping[bytes, Item]) -> bytes | None:
    if head is None:
        return None
    value = value_of(head, chunks)
    if value is None:
        raise _Torn
    return value


def _still(head: Item | None) -> dict[str, object]:
    """The condition that an item is what was read."""
    if head is None:
        return {"ConditionExpression": "attribute_not_exists(k)"}
    return {"ConditionExpression": "n = :n", "ExpressionAttributeValues": {":n": head["n"]}}


def _table_key(name: bytes) -> bytes:
    return b"t" + name


def _table_item(name: bytes) -> bytes:
    return name_of(_table_key(name))


def _document_key(name: str) -> bytes:
    return b"d" + check_name("document", name)


def _place_of(item: Item | None) -> str | None:
    return None if item is None else item["v"]["B"].decode()


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Cut rows into what is written at a time."""
    source = iter(rows)
    batch: list[Row] = []
    size = 0
    while step := list(islice(source, 25)):
        batch += step
        size += sum(len(key) + len(value) for key, value in step)
        if len(batch) >= _LOAD_ROWS or size >= _LOAD_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
