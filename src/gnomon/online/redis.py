"""RedisStore: bytes by key in Redis or Valkey, one server or a cluster of them.

A table is one hash, so that every promise of the seam is one command of the server, or one short script: a read
is HMGET, which is of one moment and as fast as MGET; a table is dropped or renamed by its name, however many keys
it has; and where it lies needs no looking up, which could be out of date.

    {prefix}:{shard}:layout           → version of this layout, and the number of shards
    {prefix}:{shard}:tables           → the names of the tables, since a hash without fields is no key
    {prefix}:{shard}:table:{name}     → hash: key → value
    {prefix}:{shard}:documents        → hash: name → document

One server has the shard 0 only. In a cluster a table is cut into shards by a hash of its keys: the shard stands in
braces, by which the cluster chooses the node. Layout and documents lie in shard 0.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Self
from zlib import crc32

from gnomon.abc.capabilities import Capabilities
from gnomon.abc.online import Merge, OnlineStore, check_distinct, check_merged, check_name, closed
from gnomon.errors import Unavailable, UsageError, not_found
from gnomon.online.redis_cluster import Cluster
from gnomon.online.redis_url import Settings, parse
from gnomon.online.redis_wire import Command, Server, Wire
from gnomon.time import SECOND, sleep

# Keys of an update that are replaced in one step. The server does nothing else in that time, some milliseconds.
_UPDATE_KEYS = 1_000

# Bytes of one step, beyond which it becomes several: far below what a server takes in one command.
_STEP_BYTES = 64 << 20

# An update whose keys others change again and again gives up after so many tries, each a round trip.
_TRIES = 1_000

# Rows and bytes that `load` writes in one command. Larger ones are slower, and let other clients wait longer.
_LOAD_ROWS, _LOAD_BYTES = 500, 1 << 20

# `scan` asks for about so many bytes at a time, and remembers no more keys than this.
_SCAN_BYTES, _SCAN_KEYS = 1 << 20, 1_000_000

# A cluster moves whole values: smaller than the server's limit of 512 MB by what stands around one.
_MAX_VALUE = (512 << 20) - 1024

# The version of the layout.
_LAYOUT = 1

Row = tuple[bytes, bytes | memoryview]

# KEYS: set of tables, hash. ARGV: name of the table (none for documents); a byte a field, whose bits tell whether it
# is expected to hold something (1) and whether it is given something (2); field, expected, new, field, ….
# Returns: the places of fields that hold something else, each with what it holds.
_REPLACE = b"""
if ARGV[1] ~= '' then redis.call('SADD', KEYS[1], ARGV[1]) end
local lost, at = {}, 3
for i = 1, #ARGV[2] do
  local flags = string.byte(ARGV[2], i)
  local held = redis.call('HGET', KEYS[2], ARGV[at])
  if held ~= (flags % 2 == 1 and ARGV[at + 1]) then
    lost[#lost + 1] = i - 1
    lost[#lost + 1] = held
  elseif flags >= 2 then
    redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 2])
  else
    redis.call('HDEL', KEYS[2], ARGV[at])
  end
  at = at + 3
end
return lost
"""

# KEYS: set of tables, hash of the old name, hash of the new name. ARGV: the names. Returns whether there was a table.
_SWAP = b"""
if ARGV[3] == '0' and redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return 0 end
if ARGV[1] == ARGV[2] then return 1 end
redis.call('UNLINK', KEYS[3])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[3]) end
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[1], ARGV[2])
return 1
"""

# KEYS: set of tables, hash. ARGV: the name. UNLINK takes the hash away at once and frees it in the background.
_DROP = b"""
redis.call('UNLINK', KEYS[2])
return redis.call('SREM', KEYS[1], ARGV[1])
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one shard of a table lies, or the documents."""

    tag: str
    """What a cluster finds the node by."""
    tables: bytes
    hash: bytes
    name: bytes
    """The table; empty for the documents."""


_Shards = Sequence[_Place]


class RedisStore(OnlineStore):
    """Bytes by key in the Redis that `settings` tell of. The first use connects."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wire: Wire = Cluster(settings) if settings.cluster else Server(settings)
        self._places = _Places(settings)
        self._documents = _place(settings, 0, b"documents", b"")
        self._open = True
        self._is_ours = False
        """Whether the layout of what lies there has been looked at."""

    @classmethod
    def from_url(cls, url: str, *, root: Path) -> Self:
        """Open `redis://user:password@host:port/database?prefix=…&timeout=…`.

        `rediss://…?ca=…` is TLS, with `ca` relative to `root`; `redis+cluster://host,host?shards=…` is a cluster.
        """
        return cls(parse(url, root))

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the store can do; how its server keeps data, the server is asked for once."""
        reasons = {}
        if why := self._why_not_durable():
            reasons["durable"] = why
        if self._settings.shards > 1:
            reasons["atomic_swap"] = "the shards of a table lie on several nodes and are swapped one by one"
            reasons["one_moment"] = "the shards of a table lie on several nodes, each with moments of its own"
        return Capabilities(
            batch_keys=_UPDATE_KEYS,
            durable="durable" not in reasons,
            multi_process=True,
            atomic_swap="atomic_swap" not in reasons,
            one_moment="one_moment" not in reasons,
            max_value_bytes=_MAX_VALUE,
            reasons=reasons,
        )

    # ---- reading

    def read(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        places = self._places[table]
        if not keys:
            self._require_open()
            return []
        if len(places) > 1:
            return self._read_shards([(places, keys)])[0]
        return self._values(places[0], keys)

    def read_many(
        self, asked: Sequence[tuple[str, Sequence[bytes]]], document: str
    ) -> tuple[list[list[bytes | None]], bytes | None]:
        placed = [(self._places[table], keys) for table, keys in asked]
        wanted = (b"HGET", self._documents.hash, check_name("document", document))
        if self._settings.shards > 1:
            # Not at the same time: the document's node may answer before those that hold values.
            values = self._read_shards(placed)
            return values, self._run(self._documents.tag, wanted)[0]
        commands = [(b"HMGET", places[0].hash, *keys) for places, keys in placed if keys]
        *found, held = self._run(self._documents.tag, *commands, wanted)
        each = iter(found)
        return [next(each) if keys else [] for _, keys in asked], held

    def _values(self, place: _Place, keys: Sequence[bytes]) -> list[bytes | None]:
        values: list[bytes | None] = self._run(place.tag, (b"HMGET", place.hash, *keys))[0]
        return values

    def _read_shards(self, asked: Sequence[tuple[_Shards, Sequence[bytes]]]) -> list[list[bytes | None]]:
        """Read from all shards at the same time."""
        values: list[list[bytes | None]] = [[None] * len(keys) for _, keys in asked]
        batches: list[tuple[str, list[Command]]] = []
        targets: list[tuple[list[bytes | None], Sequence[int]]] = []
        for into, (places, keys) in zip(values, asked, strict=True):
            for place, positions in _by_shard(places, keys):
                batches.append((place.tag, [(b"HMGET", place.hash, *(keys[i] for i in positions))]))
                targets.append((into, positions))
        for (into, positions), (found,) in zip(targets, self._run_all(batches), strict=True):
            for i, value in zip(positions, found, strict=True):
                into[i] = value
        return values

    def scan(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        places = self._places[table]
        sizes = self._run_all([(place.tag, [(b"HLEN", place.hash)]) for place in places])
        return self._scan([(place, size) for place, (size,) in zip(places, sizes, strict=True)])

    def _scan(self, shards: Sequence[tuple[_Place, int]]) -> Iterator[tuple[bytes, bytes]]:
        for place, size in shards:
            # HSCAN may give a key again when the hash grows or shrinks under way, so what was given is remembered.
            # A shard of so many keys that this would be too much is gone through several times, for a part of
            # them each time.
            passes = 1 + size // _SCAN_KEYS
            for turn in range(passes):
                given: set[bytes] = set()
                for key, value in self._fields(place):
                    if key not in given and (passes == 1 or crc32(key) % passes == turn):
                        given.add(key)
                        yield key, value

    def _fields(self, place: _Place) -> Iterator[tuple[bytes, bytes]]:
        """What HSCAN gives: every field that stays at least once."""
        cursor, count = b"0", 100
        while True:
            ((cursor, found),) = self._run(place.tag, (b"HSCAN", place.hash, cursor, b"COUNT", count))
            yield from zip(found[::2], found[1::2], strict=True)
            if cursor == b"0":
                return
            size = sum(map(len, found))
            count = max(10, min(count * _SCAN_BYTES // max(size, 1), 2 * count, 10_000))

    def tables(self) -> list[str]:
        every = [_place(self._settings, shard, b"", b"") for shard in range(self._settings.shards)]
        shards = self._run_all([(place.tag, [(b"SMEMBERS", place.tables)]) for place in every])
        return sorted({name.decode() for (names,) in shards for name in names})

    def get_meta(self, name: str) -> bytes | None:
        encoded = check_name("document", name)
        value: bytes | None = self._run(self._documents.tag, (b"HGET", self._documents.hash, encoded))[0]
        return value

    def server_time(self) -> int | None:
        seconds, micros = self._run(self._documents.tag, (b"TIME",))[0]
        return int(seconds) * SECOND + int(micros)

    # ---- writing

    def update(self, table: str, keys: Sequence[bytes], merge: Merge) -> None:
        check_distinct(keys)
        places = self._places[table]
        if not keys:
            self._require_open()
        for place, positions in _by_shard(places, keys):
            for start in range(0, len(positions), _UPDATE_KEYS):
                self._update(place, keys, positions[start : start + _UPDATE_KEYS], merge)

    def _update(self, place: _Place, keys: Sequence[bytes], positions: Sequence[int], merge: Merge) -> None:
        held = self._values(place, [keys[i] for i in positions])
        for attempt in range(_TRIES):
            merged = merge(positions, list(held))
            check_merged(merged, len(positions))
            lost = self._replace(place, [keys[i] for i in positions], held, merged)
            if not lost:
                return
            positions = [positions[at] for at, _ in lost]
            held = [now for _, now in lost]
            if attempt >= 3:
                # Others are busy with these keys: out of step with them, and with what is there then.
                sleep(random.uniform(0, min(0.001 * attempt, 0.02)))
                held = self._values(place, [keys[i] for i in positions])
        raise Unavailable(
            f"in {self._settings.shown}, {len(positions)} of the keys to update change all the time",
            hint="try again when other writers are done",
        )

    def _replace(
        self,
        place: _Place,
        fields: Sequence[bytes],
        expected: Sequence[bytes | None],
        new: Sequence[bytes | memoryview | None],
    ) -> list[tuple[int, bytes | None]]:
        """Write each field that still holds what is expected; return the others' places and what they hold.

        The server compares whole values: that costs it less than a digest of them would.
        """
        steps = [_Step()]
        for i, (key, before, after) in enumerate(zip(fields, expected, new, strict=True)):
            if after is before:
                continue
            if steps[-1].size >= _STEP_BYTES:
                steps.append(_Step())
            steps[-1].add(i, key, before, after)
        if not steps[0].places and any(value is not None for value in expected):
            return []  # nothing to write, and the table is there
        return self._replaced(place, steps)

    def _replaced(self, place: _Place, steps: Sequence[_Step]) -> list[tuple[int, bytes | None]]:
        start = (b"EVAL", _REPLACE, 2, place.tables, place.hash, place.name)
        replies = self._run(place.tag, *((*start, bytes(step.flags), *step.fields) for step in steps))
        return [
            (step.places[at], held)
            for step, lost in zip(steps, replies, strict=True)
            for at, held in zip(lost[::2], lost[1::2], strict=True)
        ]

    def load(self, table: str, rows: Iterable[Row]) -> int:
        places = self._places[table]
        self._run_all([(place.tag, [(b"SADD", place.tables, place.name)]) for place in places])
        count = 0
        for batch in _batches(rows):
            count += len(batch)
            self._run_all([self._loading(place, part) for place, part in _rows_by_shard(places, batch)])
        return count

    def _loading(self, place: _Place, rows: Sequence[Row]) -> tuple[str, list[Command]]:
        fields = [part if type(part) is bytes else bytes(part) for row in rows for part in row]
        # The name after the rows: if somebody drops the table in between, there is one without rows, and not
        # rows without a table.
        return place.tag, [(b"HSET", place.hash, *fields), (b"SADD", place.tables, place.name)]

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        places = self._places[table]
        if not keys:
            self._require_open()
        for place, positions in _by_shard(places, keys):
            for start in range(0, len(positions), _UPDATE_KEYS):
                chosen = [keys[i] for i in positions[start : start + _UPDATE_KEYS]]
                self._run(place.tag, (b"HDEL", place.hash, *chosen))

    def drop(self, table: str) -> None:
        self._run_all(
            [
                (place.tag, [(b"EVAL", _DROP, 2, place.tables, place.hash, place.name)])
                for place in self._places[table]
            ]
        )

    def swap(self, new: str, name: str) -> None:
        sources, targets = self._places[new], self._places[name]
        # A shard that never got a row of the new table knows nothing of it, and yet loses what it held of the old.
        # So with several shards there is first a look at all.
        looked = len(sources) > 1
        if looked and not any(
            known
            for (known,) in self._run_all([(p.tag, [(b"SISMEMBER", p.tables, p.name)]) for p in sources])
        ):
            raise not_found("Table", new, self.tables())
        swapped = self._run_all(
            [
                (
                    old.tag,
                    [(b"EVAL", _SWAP, 3, old.tables, old.hash, to.hash, old.name, to.name, int(looked))],
                )
                for old, to in zip(sources, targets, strict=True)
            ]
        )
        if not any(was_there for (was_there,) in swapped):
            raise not_found("Table", new, self.tables())

    def set_meta(self, name: str, expected: bytes | None, value: bytes | None) -> bool:
        encoded = check_name("document", name)
        step = _Step()
        step.add(0, encoded, expected, value)
        return not self._replaced(self._documents, [step])

    def close(self) -> None:
        self._open = False
        self._wire.close()

    # ---- the servers

    def _run(self, tag: str, *commands: Command) -> list[Any]:
        if not self._is_ours:
            self._look_at_layout()
        return self._wire.run(tag, commands)

    def _run_all(self, batches: Sequence[tuple[str, Sequence[Command]]]) -> list[list[Any]]:
        if not self._is_ours:
            self._look_at_layout()
        return self._wire.run_all(batches)

    def _look_at_layout(self) -> None:
        """Say how what lies there is laid out, or learn that it is laid out otherwise."""
        key = _name(self._settings, 0, b"layout")
        ours = b"%d, shards: %d" % (_LAYOUT, self._settings.shards)
        _, held = self._wire.run(self._documents.tag, [(b"SET", key, ours, b"NX"), (b"GET", key)])
        if held != ours:
            raise UsageError(
                f"{self._settings.shown} holds the layout `{held.decode(errors='replace')}` under the prefix "
                f"`{self._settings.prefix}`, and we are to use `{ours.decode()}`",
                at="online.url",
                hint="give the same `shards` everywhere, or another `prefix` and materialize into it",
            )
        self._is_ours = True

    def _why_not_durable(self) -> str | None:
        """Why a write that has returned may be lost, in the words of the server's configuration."""
        asked = ("appendonly", "appendfsync", "maxmemory-policy")
        try:
            replies = self._run(self._documents.tag, *((b"CONFIG", b"GET", name) for name in asked))
        except UsageError:
            return "the server does not tell how it keeps its data"
        told = {name: pair[1].decode() if pair else "" for name, pair in zip(asked, replies, strict=True)}
        if told["maxmemory-policy"].startswith("allkeys"):
            return f"the server's maxmemory-policy is {told['maxmemory-policy']}: it throws tables away when it is full"
        if told["appendonly"] != "yes":
            return "the server's appendonly is off: what it wrote after its last snapshot goes with it"
        if told["appendfsync"] != "always":
            return f"the server's appendfsync is {told['appendfsync']}: a loss of power takes the last moments with it"
        return None

    def _require_open(self) -> None:
        if not self._open:
            raise closed(f"the store in {self._settings.shown}")


class _Places(dict[str, tuple[_Place, ...]]):
    """Table → where its shards lie, made once: it is a part of every read."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def __missing__(self, table: str) -> tuple[_Place, ...]:
        name = check_name("table", table)
        shards = range(self._settings.shards)
        self[table] = places = tuple(_place(self._settings, i, b"table:" + name, name) for i in shards)
        return places


def _place(settings: Settings, shard: int, what: bytes, name: bytes) -> _Place:
    return _Place(f"{{{shard}}}", _name(settings, shard, b"tables"), _name(settings, shard, what), name)


def _name(settings: Settings, shard: int, what: bytes) -> bytes:
    """The name of a key in the server."""
    return b"%s:{%d}:%s" % (settings.prefix.encode(), shard, what)


@dataclass(slots=True)
class _Step:
    """What one call of `_REPLACE` does."""

    places: list[int] = field(default_factory=list)
    """Which of the keys asked for."""
    flags: bytearray = field(default_factory=bytearray)
    fields: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, place: int, key: bytes, expected: bytes | None, new: bytes | memoryview | None) -> None:
        self.places.append(place)
        self.flags.append((expected is not None) | (new is not None) << 1)
        self.fields += (key, expected or b"", bytes(new or b""))
        self.size += len(key) + len(expected or b"") + len(new or b"")


def _by_shard(places: _Shards, keys: Sequence[bytes]) -> Iterable[tuple[_Place, Sequence[int]]]:
    """The shards that hold some keys, with the positions of those."""
    if len(places) == 1:
        return [(places[0], range(len(keys)))] if keys else []
    found: dict[_Place, list[int]] = {}
    for i, key in enumerate(keys):
        found.setdefault(places[crc32(key) % len(places)], []).append(i)
    return found.items()


def _rows_by_shard(places: _Shards, rows: Sequence[Row]) -> Iterable[tuple[_Place, Sequence[Row]]]:
    chosen = _by_shard(places, [key for key, _ in rows])
    return ((place, [rows[i] for i in positions]) for place, positions in chosen)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Cut rows into what is written at a time."""
    source = iter(rows)
    while batch := list(islice(source, _LOAD_ROWS)):
        size, start = 0, 0
        for end, (key, value) in enumerate(batch, 1):
            size += len(key) + len(value)
            if size >= _LOAD_BYTES:
                yield batch[start:end]
                size, start = 0, end
        if batch[start:]:
            yield batch[start:]
