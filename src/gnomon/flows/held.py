"""Held: questions and the journal → what the online store would have answered, from the offline rows.

    rows      of the keys that are asked about, each with the writes that carried it
    classes   questions of one key that saw the same writes; a class has the rows of these writes, and no others
    answers   of each class, by the same functions as every other path

A row may be in several classes: once for each state of its key that is asked about. So whatever decides which version
of a row counts is left to where it is decided for all paths, and nothing is told of arrival but which rows are there.

Cost: rows × the states of their key that are asked about, within the longest window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gnomon import columns as cols
from gnomon.abc.source import Part, SourceReader
from gnomon.columns import Words
from gnomon.define.group import FeatureGroup
from gnomon.engines.part import Answer, Spine, answer_coded
from gnomon.engines.resolve import known_times, match_keys
from gnomon.errors import DataError, Gone, UsageError
from gnomon.flows.journal import Entry, hash_keys, name_of, unpack_counters
from gnomon.flows.online import lane_name
from gnomon.flows.project import Project
from gnomon.flows.read import Origin, collect_rows, stretch
from gnomon.flows.retractions import read_retractions, retracted
from gnomon.plan.identity import row_hashes
from gnomon.plan.keys import key_bytes
from gnomon.plan.layout import NONE, Layout, Output
from gnomon.plan.normal import PART, TIME, key, normalise, raw_columns
from gnomon.time import ALWAYS, NEVER, SECOND, show

TOLERANCE = SECOND
"""By how much the clocks of writers and readers may differ. Within it version counters decide what was held."""

_CODE, _ROW = "__code", "__at"
_ENTRIES = {
    "entry": pl.Int64(),
    "table": pl.String(),
    "begin": pl.Int64(),
    "end": pl.Int64(),
    "only": pl.Boolean(),
    "retracted": pl.Int64(),
}
_PARTS = {
    "entry": pl.Int64(),
    "name": pl.String(),
    "etag": pl.String(),
    "since": pl.Int64(),
    "until": pl.Int64(),
}


@dataclass(frozen=True)
class Cut:
    """When each question was asked; of logged answers also which value they were made of."""

    at: Words
    """[n]: the instant at which the store was read."""
    tables: tuple[str | None, ...] | None = None
    """[n]: the identity of the table that answered, empty for none; None: what the journal says of `at`."""
    counters: Words | None = None
    """[n]: version counters of the values read; -1: not known."""


@dataclass(frozen=True)
class Held:
    """What the online store would have answered."""

    answer: Answer
    unready: list[NDArray[np.bool_]]
    """[outputs][n]: where it could not answer yet: the value is null, without a default."""


@dataclass(frozen=True)
class Writes:
    """The journal of a group, as frames."""

    entries: list[Entry]
    online: str
    """Where the online store is that is asked about: the rows may lie in others too."""

    @cached_property
    def frame(self) -> pl.DataFrame:
        """A row an entry, in the order of their ends: `end` is NEVER for one that has none."""
        rows = [
            (i, e.table, e.begin, NEVER if e.end is None else e.end, e.only, e.retracted)
            for i, e in enumerate(self.entries)
        ]
        return pl.DataFrame(rows, schema=_ENTRIES, orient="row")

    @cached_property
    def parts(self) -> pl.DataFrame:
        """What each entry carried, by the names of parts."""
        rows = [
            (i, name, part.etag, part.since, part.end)
            for i, e in enumerate(self.entries)
            for name, part in e.parts.items()
        ]
        return pl.DataFrame(rows, schema=_PARTS, orient="row")

    def counters(self, hashes: pl.Series) -> pl.DataFrame:
        """`entry`, `hash`, `counter`: of some keys only."""
        found = [pl.DataFrame(schema={"entry": pl.Int64, "hash": pl.Int64, "counter": pl.Int64})]
        for i, entry in enumerate(self.entries):
            if entry.counters:
                keys, counters = unpack_counters(entry.counters)
                one = pl.DataFrame({"hash": keys, "counter": counters})
                one = one.filter(pl.col("hash").is_in(hashes.implode()))
                found.append(one.select(pl.lit(i, pl.Int64).alias("entry"), "hash", "counter"))
        return pl.concat(found)

    @cached_property
    def published(self) -> dict[str, Entry]:
        """The last publication of each table of the online store, by its identity, in the order of their ends."""
        told = [e for e in self.entries if e.published is not None and e.online == self.online]
        last = {e.table: e for e in told}
        return {e.table: e for e in told if last[e.table] is e}

    def tables_at(self, at: Words) -> tuple[str, ...]:
        """[n]: the table that answered at each instant; empty for none."""
        names = ["", *self.published]
        ends = np.array([e.end for e in self.published.values()], np.int64)
        return tuple(names[i] for i in np.searchsorted(ends, at, side="right").tolist())


@dataclass(frozen=True)
class Gathered:
    """The rows of some keys, and which writes carried each."""

    frame: pl.DataFrame
    """In normal form, with content."""
    codes: Words
    """[rows]: the number of each row's key."""
    active: Words
    """[rows]: when each row begins to count."""
    carried: pl.DataFrame
    """`row`, `key`, `entry`."""
    writes: Writes
    read: tuple[Part, ...]
    """What was read. The files of a cached group's table never change, whatever they are put into."""
    cached: bool
    blurred: int = ALWAYS
    """Before this instant it is not known of some rows by which of several writes they came."""

    def rewritten(self) -> pl.DataFrame:
        """Parts of a source that are no longer what a write carried: `table`, `name`, `there` (whether there is another
        now).
        """
        now = pl.DataFrame(
            {"name": [name_of(p) for p in self.read], "now": [p.etag for p in self.read]},
            schema={"name": pl.String, "now": pl.String},
        )
        told = self.writes.parts.join(self.writes.frame.select("entry", "table"), on="entry")
        met = told.join(now, on="name", how="left").filter(
            (pl.col("etag") != "") & (pl.col("now").is_null() | (pl.col("now") != pl.col("etag")))
        )
        met = met.clear() if self.cached else met
        return met.select("table", "name", there=pl.col("now").is_not_null()).unique(maintain_order=True)


def read_writes(project: Project, group: FeatureGroup) -> Writes:
    """The journal of a group. Raises: UsageError for a group that is not online, DataError without a journal."""
    if not group.online:
        raise UsageError(
            f"group `{group.ref}` is not kept online: nothing of it was ever served",
            hint='as_of="known" is what could have been known',
        )
    writes = Writes(project.journal.read(group.ref), project.journal.online)
    if not any(entry.published is not None for entry in writes.entries):
        raise DataError(
            f"the journal tells nothing of group `{group.ref}`",
            hint=f"it begins with the first `gnomon materialize {group.name}` of this release",
        )
    return writes


def gather(
    project: Project,
    group: FeatureGroup,
    layout: Layout,
    outputs: Sequence[Output],
    spine: Spine,
    writes: Writes,
) -> tuple[Gathered, Words]:
    """The rows of the keys of a spine that `outputs` can depend on, and the number of each question's key, -1: null."""
    reader = project.reader(group, layout)
    read = _parts_of(reader)
    first, last = (int(spine.t.min()), int(spine.t.max())) if len(spine.t) else (0, 0)
    since, until = stretch(layout, outputs, first, min(last, NEVER - 1))
    names = [key(i) for i in range(len(layout.keys))]
    inputs = sorted({i for o in outputs for i in o.inputs})
    frames = []
    for number, part in enumerate(read):
        raw = reader.scan([*raw_columns(layout), *reader.changes()], parts=[part])
        found = normalise(raw, layout, inputs=inputs, with_content=True)
        found = found.filter(pl.col(TIME).is_between(since, until))
        if names:
            found = found.join(spine.keys.select(names).unique().lazy(), on=names, how="semi")
        frames.append(found.with_columns(pl.lit(number, pl.Int64).alias(PART)))
    if not frames:
        nothing = normalise(reader.scan(raw_columns(layout)), layout, inputs=inputs, with_content=True)
        frames.append(nothing.with_columns(pl.lit(0, pl.Int64).alias(PART)))
    frame = collect_rows(pl.concat(frames, how="diagonal"), layout.ref, Origin(reader, layout, tuple(read)))
    q_key, row_key = match_keys(spine.keys, len(spine.t), frame, layout)
    active = np.maximum(cols.words(frame[TIME]), known_times(layout, frame, cols.words(frame[TIME])))
    rows = pl.DataFrame({"row": np.arange(len(frame)), "key": row_key, "active": active}).with_columns(
        frame[PART].alias("part")
    )
    by_part, blurred = _by_part(read, writes)
    carried = rows.join(by_part, on="part").filter(
        (pl.col("active") >= pl.col("since"))
        & ((pl.col("active") < pl.col("until")) | (pl.col("until") == NEVER))
    )
    return (
        Gathered(
            _identified(frame, layout, len(read)),
            row_key,
            active,
            carried.select("row", "key", "entry").unique(),
            writes,
            tuple(read),
            layout.cached,
            blurred,
        ),
        q_key,
    )


def blurred_until(project: Project, group: FeatureGroup, layout: Layout) -> int:
    """The instant before which it is not known of some rows by which of several writes they came online; ALWAYS where
    it is known of all.
    """
    _, blurred = _by_part(_parts_of(project.reader(group, layout)), read_writes(project, group))
    return blurred


def _parts_of(reader: SourceReader) -> dict[Part, tuple[str, ...]]:
    """What is to be read: parts as they were inserted, where these can still be read, with the names that their rows
    have in the journal.
    """
    found: dict[Part, tuple[str, ...]] = {}
    for part in reader.parts():
        origins = reader.origins(part)
        if origins and len(reader.present(origins)) == len(origins):
            found.update({origin: (name_of(origin),) for origin in origins})
        else:
            found[part] = (name_of(part), *map(name_of, origins))
    return found


def _by_part(read: dict[Part, tuple[str, ...]], writes: Writes) -> tuple[pl.DataFrame, int]:
    """`part`, `entry`, `since`, `until`: which entries carried which of the parts read; and until when that is blurred.

    Of a part whose rows came in several that are gone, each entry carried some: which ones is not known, so that its
    rows count from the last of them on.
    """
    named = pl.DataFrame(
        [(i, name, len(names) > 1) for i, names in enumerate(read.values()) for name in names],
        schema={"part": pl.Int64, "name": pl.String, "mixed": pl.Boolean},
        orient="row",
    )
    met = named.join(writes.parts, on="name").join(writes.frame, on="entry")
    plain = met.filter(~pl.col("mixed")).select("part", "entry", "since", "until")
    mixed = met.filter("mixed")
    if not len(mixed):
        return plain, ALWAYS
    ended = mixed.filter(pl.col("end") < NEVER)
    last = ended.sort("end").unique(["part", "table"], keep="last", maintain_order=True)
    spans = ended.group_by("part", "table").agg(low=pl.col("end").min(), high=pl.col("end").max())
    blurred = spans.filter(pl.col("low") < pl.col("high"))["high"].max()
    return (
        pl.concat([plain, last.select("part", "entry", "since", "until")]),
        ALWAYS if blurred is None else int(blurred),  # type: ignore[arg-type]
    )


def _identified(frame: pl.DataFrame, layout: Layout, parts: int) -> pl.DataFrame:
    """The frame without the number of the part; where rows have no ids, and a part may repeat rows of another, with
    what makes them the same.
    """
    if layout.kind == "event" and layout.event_id is None and not layout.cached and parts > 1:
        h1, h2 = row_hashes(frame, layout, frame[PART])
        frame = frame.with_columns(pl.Series("__i1", h1), pl.Series("__i2", h2))
    return frame.drop(PART)


def answer_held(
    project: Project,
    group: FeatureGroup,
    layout: Layout,
    outputs: Sequence[Output],
    spine: Spine,
    cut: Cut,
    *,
    strict: bool = True,
) -> Held:
    """What the online store would have answered to questions of one group.

    `strict`: refuse where rows that it held are no longer there; else compute with those that are.
    Raises: UsageError, DataError, what `answer` raises; Gone where rows have gone, if `strict`.
    """
    writes = read_writes(project, group)
    found, q_key = gather(project, group, layout, outputs, spine, writes)
    tables = _tables(writes, cut)
    if strict:
        _check_there(found, group, cut, tables)
    moments = pl.DataFrame(
        {
            "key": q_key,
            "table": tables,
            "seen": cut.at,
            "left": cut.counters if cut.counters is not None else np.full(len(q_key), -1, np.int64),
        },
        schema={"key": pl.Int64, "table": pl.String, "seen": pl.Int64, "left": pl.Int64},
    )
    code, classes = _classes(moments, touches(found, layout, spine, q_key), counted=cut.counters is not None)
    rows, row_code = _rows_of(found, classes)
    rows = _without_retracted(project, group, layout, rows, row_code, classes)
    made = answer_coded(layout, outputs, rows.drop(_CODE), spine, "known", code, cols.words(rows[_CODE]))
    return Held(made, [_unready(writes, layout, output, spine, tables) for output in outputs])


def _tables(writes: Writes, cut: Cut) -> tuple[str, ...]:
    told = writes.tables_at(cut.at)
    if cut.tables is None:
        return told
    return tuple(one if given is None else given for given, one in zip(cut.tables, told, strict=True))


def touches(found: Gathered, layout: Layout, spine: Spine, q_key: Words) -> pl.DataFrame:
    """Which entries wrote which keys: `key`, `entry`, `counter` (null where it is not known), and of the entry `table`,
    `begin`, `end`, `retracted`.
    """
    names = [key(i) for i in range(len(layout.keys))]
    if names:
        first = pl.DataFrame({"key": q_key}).with_row_index("q").filter(pl.col("key") >= 0)
        first = first.unique("key", keep="first", maintain_order=True)
        asked = spine.keys[first["q"]]
        hashes = hash_keys(key_bytes([asked[name] for name in names], len(first)))
        hashed = pl.DataFrame({"key": first["key"], "hash": hashes})
    else:
        hashed = pl.DataFrame({"key": [0], "hash": hash_keys([b""])})
    counters = found.writes.counters(hashed["hash"]).join(hashed, on="hash").drop("hash")
    entries = found.writes.frame.filter(pl.col("entry").is_not_null())
    by_rows = found.carried.select("key", "entry").unique()
    met = by_rows.join(counters, on=["key", "entry"], how="full", coalesce=True).join(entries, on="entry")
    return met.filter(~pl.col("only") | pl.col("counter").is_not_null()).drop("only")


def _classes(moments: pl.DataFrame, touches: pl.DataFrame, *, counted: bool) -> tuple[Words, pl.DataFrame]:
    """[n]: the class of each question, -1 for a null key; and of each class its `key`, `entries` and `retracted`."""
    distinct = moments.unique(maintain_order=True).with_row_index("m")
    pairs = distinct.join(touches, on=["key", "table"])
    held = pl.col("end") <= pl.col("seen")
    if counted:
        pairs = pairs.with_columns(
            accounted=pl.when(pl.col("counter") <= pl.col("left"))
            .then("counter")
            .max()
            .over("m")
            .fill_null(0)
        )
        # A write whose writer was killed has no counter to tell: one too many tells that it reached the key.
        held = (
            pl.when(pl.col("end") == NEVER)
            .then((pl.col("begin") <= pl.col("seen") + TOLERANCE) & (pl.col("left") > pl.col("accounted")))
            .when(pl.col("counter").is_null() | (pl.col("left") < 0))
            .then(held)
            .otherwise((pl.col("counter") <= pl.col("left")) | (pl.col("end") < pl.col("seen") - TOLERANCE))
        )
    chosen = (
        pairs.filter(held)
        .group_by("m")
        .agg(entries=pl.col("entry").unique().sort(), retracted=pl.col("retracted").max())
    )
    met = distinct.join(chosen, on="m", how="left", maintain_order="left").with_columns(
        pl.col("entries").list.eval(pl.element().cast(pl.String)).list.join(",").fill_null("").alias("name"),
        pl.col("retracted").fill_null(0),
    )
    classes = met.unique(["key", "name"], maintain_order=True).with_row_index(_CODE)
    numbered = met.join(classes.select("key", "name", _CODE), on=["key", "name"], how="left")
    code = moments.join(
        numbered, on=moments.columns, how="left", maintain_order="left", nulls_equal=True
    ).select(pl.when(pl.col("key") < 0).then(-1).otherwise(pl.col(_CODE).cast(pl.Int64)).alias("code"))
    kept = classes.filter(pl.col("key") >= 0).select(
        pl.col(_CODE).cast(pl.Int64), "key", "entries", "retracted"
    )
    return cols.words(code["code"]), kept


def _rows_of(found: Gathered, classes: pl.DataFrame) -> tuple[pl.DataFrame, Words]:
    """The rows of each class, with its number."""
    held = (
        classes.explode("entries")
        .select(_CODE, "key", pl.col("entries").alias("entry"))
        .join(found.carried, on=["key", "entry"])
        .select(_CODE, "row")
        .unique()
        .sort(_CODE, "row")
    )
    frame = found.frame[held["row"]].with_columns(held[_CODE])
    if "__i1" in frame.columns:
        frame = frame.unique([_CODE, "__i1", "__i2"], keep="first", maintain_order=True).drop("__i1", "__i2")
    return frame, cols.words(frame[_CODE])


def _without_retracted(
    project: Project,
    group: FeatureGroup,
    layout: Layout,
    rows: pl.DataFrame,
    codes: Words,
    classes: pl.DataFrame,
) -> pl.DataFrame:
    """The rows with the markers of what each class knew to be retracted."""
    if layout.event_id is None or not len(classes):
        return rows
    commits = pl.DataFrame({_CODE: codes}).join(classes, on=_CODE, how="left", maintain_order="left")
    made = []
    for n in sorted(set(commits["retracted"].to_list())):
        told = read_retractions(project.offline, group, layout, commits=n)
        made.append(retracted(layout, rows.filter(commits["retracted"] == n), told, apart=(_CODE,)))
    return pl.concat(made, how="diagonal") if made else rows


def _unready(
    writes: Writes, layout: Layout, output: Output, spine: Spine, tables: Iterable[str]
) -> NDArray[np.bool_]:
    """[n]: where the table could not answer an output: there was none, it lacked an input, or began too late."""
    needed = {lane_name(layout.inputs[i]) for i in (output.input, output.where, output.by) if i != NONE}
    ends = {"": NEVER}
    for entry in writes.entries:
        told = entry.published
        if told is None:
            continue
        span = 0 if layout.kind == "state" else output.span
        begins = ALWAYS if told.start == ALWAYS else NEVER if span is None else told.start + span
        ends[entry.table] = begins if needed <= set(told.lanes) else NEVER
    least = np.array([ends.get(table, ALWAYS) for table in tables], np.int64)
    early: NDArray[np.bool_] = (spine.t - layout.settling_delay < least) | (least == NEVER)
    return early


def _check_there(found: Gathered, group: FeatureGroup, cut: Cut, tables: Sequence[str]) -> None:
    """Raises: Gone where what was held cannot be read any more."""
    used = set(tables)
    lost = found.rewritten().filter(pl.col("table").is_in(list(used)))
    if len(lost):
        name, there = lost["name"][0], lost["there"][0]
        raise Gone(
            f"what the online store held of group `{group.ref}` is no longer there: `{name}` was "
            + ("rewritten since" if there else "removed since")
            + (f", and {len(lost) - 1:,} more" if len(lost) > 1 else ""),
            at=name,
            hint='ask about times after it was loaded again, or with as_of="known"',
        )
    if len(cut.at) and int(cut.at.min()) < found.blurred:
        raise Gone(
            f"of group `{group.ref}` it is not known before {show(found.blurred)} which rows were online: "
            "the files that told it were rewritten, and then removed by a vacuum",
            hint="ask about times after that, or vacuum with a longer --older-than",
        )


__all__ = [
    "TOLERANCE",
    "Cut",
    "Gathered",
    "Held",
    "Writes",
    "answer_held",
    "blurred_until",
    "gather",
    "read_writes",
    "touches",
]
