"""Questions: features → a program; packed values and t → answers; answers → Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from gnomon.columns import Kind
from gnomon.define.aggregate import QUANTILES
from gnomon.kernels import answer as kernel
from gnomon.kernels import folds, lanes, uncommon
from gnomon.online.arrays import NO_BYTES, Bytes, Column, Int64s, VarColumn
from gnomon.online.codec import Layout, join_values
from gnomon.online.statuses import STATUSES
from gnomon.online.values import Read, reader, same
from gnomon.plan.layout import NONE, Output

__all__ = ["STATUSES", "Answers", "Program", "RequestRows", "answer", "make_program", "request_rows"]

_FUNCTIONS = {
    "count": folds.COUNT,
    "sum": folds.SUM,
    "mean": folds.MEAN,
    "var": folds.VAR,
    "std": folds.STD,
    "min": folds.MIN,
    "max": folds.MAX,
    "first": folds.FIRST,
    "last": folds.LAST,
    "first_k": folds.FIRST_K,
    "last_k": folds.LAST_K,
    "n_distinct": folds.N_DISTINCT,
    "mode": uncommon.MODE,
    "top_k": uncommon.TOP_K,
    "histogram": uncommon.HISTOGRAM,
    "quantile": folds.QUANTILE,
    "median": folds.QUANTILE,
    "approx_n_distinct": uncommon.APPROX_N_DISTINCT,
    "approx_quantile": uncommon.APPROX_QUANTILE,
    "decayed_sum": uncommon.DECAYED_SUM,
    "any": folds.ANY,
    "all": folds.ALL,
    "time_since_first": folds.SINCE_FIRST,
    "time_since_last": folds.SINCE_LAST,
    "rate": folds.RATE,
    "column": folds.COLUMN,
}
_TYPES = {"word": lanes.WORD, "float": lanes.FLOAT, "wide": lanes.WIDE, "bytes": lanes.BYTES}
_ENDS = ("first_k", "last_k")
_COUNTED = ("mode", "top_k", "histogram")
_LISTS = (*_ENDS, "top_k")
_REAL = ("mean", "var", "std", "median", "quantile", "approx_quantile", "decayed_sum", "rate")
_SELECTED = ("min", "max", "first", "last", "mode", "column", *_LISTS)
_BY_PLACE = ("count", "rate", "first", "last", "time_since_first", "time_since_last", "column")
"""Functions that need no codes of the values."""
_ALL = np.iinfo(np.int64).max
"""More lines than there are."""

_SOUND = kernel.PRESENT | 1 << 8


class Shape(NamedTuple):
    """How a value lies in words, and how to read it."""

    form: Literal["value", "list", "by key"]
    kind: Kind
    """Of the value, or of a list's items, or of the values by key."""
    read: Read
    key_kind: Kind = "word"
    key_read: Read = same


@dataclass(frozen=True)
class Program:
    """What is asked of the values of one group, planned once for many calls."""

    layout: Layout
    outputs: tuple[Output, ...]
    code: Int64s
    """As `kernels.answer` wants it."""
    list_lengths: Int64s
    """How many lines each list may have; three times for lists by key, whose entries have three."""
    shapes: tuple[Shape, ...]
    """Of each output: how its value lies in words."""
    types: tuple[pl.DataType, ...]
    """Of the lanes."""
    max_age: int | None = None
    plans: dict[tuple[int, ...], Any] = field(default_factory=dict, compare=False, repr=False)
    """Of `online.tree`, made when they are needed."""

    @cached_property
    def plain(self) -> tuple[bool, ...] | None:
        """Of each output, whether it is a float and no int; None where some output is neither, as it lies."""
        one_word = all(
            shape.form == "value" and shape.kind in ("word", "float") and shape.read is same
            for shape in self.shapes
        )
        return tuple(shape.kind == "float" for shape in self.shapes) if one_word else None

    @cached_property
    def real(self) -> bool:
        """Whether all outputs are floats as they lie."""
        return self.plain is not None and all(self.plain)

    @cached_property
    def uncommon(self) -> bool:
        """Whether it asks for what the kernel is compiled without, if it need not have it."""
        return any(o.by != NONE or _FUNCTIONS[o.function] >= uncommon.FIRST_UNCOMMON for o in self.outputs)

    @cached_property
    def takes_request(self) -> bool:
        """Whether any output counts the request's own row."""
        return any(output.include_request for output in self.outputs)


def make_program(
    layout: Layout, types: Sequence[pl.DataType], outputs: Sequence[Output], max_age: int | None = None
) -> Program:
    """Plan the outputs so that those that look at the same rows share the walk over them.

    types: of the lanes. max_age: microseconds, of a state group. Outputs name lanes by position, in `input`
    and `where`.
    """
    views: list[list[int]] = []
    walks: list[list[int]] = []
    features: list[list[int]] = []
    slots = sorted(range(len(outputs)), key=lambda slot: (_view(outputs[slot]), _walk(outputs[slot])))
    for view, of_view in groupby(slots, key=lambda slot: _view(outputs[slot])):
        needs = 0
        for walk, of_walk in groupby(of_view, key=lambda slot: _walk(outputs[slot])):
            for slot in of_walk:
                output = outputs[slot]
                needs |= _needs(output, layout)
                parameter = _parameter(output, types)
                features.append([_FUNCTIONS[output.function], slot, parameter, output.distinct])
            walks.append([*walk, len(features)])
        views.append([*view, needs, len(walks)])
    head = [0] * kernel.HEAD
    head[kernel.STATE] = layout.kind == "state"
    head[kernel.MAX_AGE] = -1 if max_age is None else max_age
    head[kernel.LAYOUT] = layout.digest
    head[kernel.LANES] = len(layout.lanes)
    head[kernel.VIEWS], head[kernel.WALKS], head[kernel.FEATURES] = len(views), len(walks), len(features)
    lane_types = [_TYPES[lane.kind] for lane in layout.lanes]
    tables = [number for table in (views, walks, features) for row in table for number in row]
    return Program(
        layout=layout,
        outputs=tuple(outputs),
        code=np.array([*head, *layout.form.tolist(), *lane_types, *tables], np.int64),
        list_lengths=np.array([length for output in outputs for length in _lines(output)], np.int64),
        shapes=tuple(_shape(output, layout, types) for output in outputs),
        types=tuple(types),
        max_age=max_age,
    )


def _view(output: Output) -> tuple[int, int, int, int]:
    return output.input, output.where, output.by, int(output.keep_nulls)


def _walk(output: Output) -> tuple[int, int, int, int]:
    return output.window, output.offset, output.limit, int(output.include_request)


def _needs(output: Output, layout: Layout) -> int:
    function = output.function
    if output.input == NONE or function in _BY_PLACE or (function in _ENDS and not output.distinct):
        return 0
    needs = lanes.NEEDS_CODES
    if function == "n_distinct" or function in _COUNTED or function in _ENDS:
        needs |= lanes.NEEDS_EQUAL
    if function == "approx_n_distinct":
        needs |= lanes.NEEDS_HASHES
    elif layout.lanes[output.input].kind in ("wide", "bytes") and function not in ("sum", "mean"):
        needs |= lanes.NEEDS_RANKS
    return needs


def _parameter(output: Output, types: Sequence[pl.DataType]) -> int:
    if output.function in _LISTS:
        return output.k
    if output.function in ("var", "std"):
        return output.ddof
    if output.function in (*QUANTILES, "median"):
        return int(np.float64(output.q).view(np.int64))
    if output.function == "decayed_sum":
        return output.half_life
    dtype = types[output.input] if output.input != NONE else None
    return dtype.scale or 0 if isinstance(dtype, pl.Decimal) else 0


def _lines(output: Output) -> list[int]:
    if output.function == "histogram" or output.by != NONE:
        return [_ALL] * uncommon.ENTRY
    return [output.k] if output.function in _LISTS else []


def _shape(output: Output, layout: Layout, types: Sequence[pl.DataType]) -> Shape:
    if output.by != NONE:
        key = layout.lanes[output.by].kind, reader(types[output.by])
        return Shape("by key", _kind(output.one, layout), reader(output.one.dtype), *key)
    if output.function == "histogram":
        return Shape("by key", "word", same, layout.lanes[output.input].kind, reader(types[output.input]))
    if output.function in _LISTS:
        return Shape("list", _kind(output, layout), reader(types[output.input]))
    return Shape("value", _kind(output, layout), reader(output.dtype))


def _kind(output: Output, layout: Layout) -> Kind:
    """How a value of the function lies in words."""
    if output.function in _REAL:
        return "float"
    if output.function in _SELECTED:
        return layout.lanes[output.input].kind
    if output.function == "sum" and layout.lanes[output.input].kind != "word":
        return layout.lanes[output.input].kind
    return "word"


# ------------------------------------------------------------------------------------------------ the request


@dataclass(frozen=True, slots=True)
class RequestRows:
    """The requests' own rows, one a key, lane by lane."""

    words: Int64s = field(default_factory=lambda: np.empty((0, 0, 3), np.int64))
    """[L, K, 3]: valid, and the two words; [0, 0, 3] for none."""
    data: Bytes = field(default_factory=lambda: NO_BYTES)


NO_REQUEST = RequestRows()


def request_rows(lanes: Sequence[Column | None], keys: int) -> RequestRows:
    """From lanes as `values.encode` makes them, one row a key; None where no output counts the lane."""
    words = np.zeros((len(lanes), keys, 3), np.int64)
    data: list[Bytes] = []
    for number, lane in enumerate(lanes):
        if lane is None:
            continue
        words[number, :, 0] = lane.valid if lane.valid.size else 1
        if isinstance(lane, VarColumn):
            words[number, :, 1] = lane.offsets[:-1] + sum(part.size for part in data)
            words[number, :, 2] = np.diff(lane.offsets)
            data.append(lane.data)
        else:
            words[number, :, 1 : 1 + lane.width] = lane.pairs
    return RequestRows(words, np.concatenate(data) if data else NO_BYTES)


# ---------------------------------------------------------------------------------------------------- answers


@dataclass(eq=False)
class Answers:
    """The answers for K keys, F features each, still in words.

    Not frozen, and nobody's to change: making a frozen one takes a microsecond of each answer.
    """

    program: Program
    words: Int64s
    """The values they were taken from; bytes are read from here."""
    request: RequestRows
    lists: Int64s
    result: Int64s
    """[3F + 2, K], as `kernels.answer` describes it."""

    @property
    def statuses(self) -> Int64s:
        """[F, K] of codes, positions in `STATUSES`."""
        count = len(self.program.outputs)
        return self.result[2 * count : 3 * count] & 0xFF

    @property
    def event_times(self) -> Int64s:
        """[K]: of the newest visible row; MIN for none."""
        times: Int64s = self.result[-2]
        return times

    @property
    def errors(self) -> Int64s:
        """[K]: 0, or why the key's value cannot be read (`codec.refuse` makes the error)."""
        reasons: Int64s = self.result[-1]
        return reasons

    def columns(self) -> list[list[Any]]:
        """For each feature the Python values of all keys; None for null and for errors."""
        count = len(self.program.outputs)
        plain = self.program.plain
        if plain is not None:
            return self._numbers(plain)
        ints = self.result.tolist()
        floats = self.result[:count].view(np.float64).tolist()
        made: list[list[Any]] = []
        for slot, shape in enumerate(self.program.shapes):
            flags = ints[2 * count + slot]
            whole = flags.count(_SOUND) == len(flags)
            items: list[Any]
            if shape.form == "value":
                items = floats[slot] if shape.kind == "float" else ints[slot]
                if shape.kind in ("wide", "bytes"):
                    items = list(zip(items, ints[count + slot], strict=True))
                    if not whole:
                        # What is null has no bytes that could be read.
                        items = [
                            pair if flag >> 8 == 1 else None for pair, flag in zip(items, flags, strict=True)
                        ]
                    items = self._read(shape.kind, shape.read, items)
                elif shape.read is not same:
                    items = [shape.read(word) for word in items]
            elif shape.form == "list":
                items = [
                    self._lines(shape.kind, shape.read, first, n, 1)
                    for first, n in zip(ints[slot], ints[count + slot], strict=True)
                ]
            else:
                items = [
                    self._entries(shape, first, n)
                    for first, n in zip(ints[slot], ints[count + slot], strict=True)
                ]
            if not whole:
                items = [item if flag >> 8 == 1 else None for item, flag in zip(items, flags, strict=True)]
            made.append(items)
        return made

    def _numbers(self, plain: tuple[bool, ...]) -> list[list[Any]]:
        """The columns where all are numbers as they lie, which most answers are."""
        count = len(plain)
        if self.result.shape[1] == 1:
            # One question: no columns of one value each are made on the way.
            single = self.result[:, 0]
            reals = single[:count].view(np.float64).tolist()
            flags = single[2 * count : 3 * count].tolist()
            words = reals if self.program.real else single[:count].tolist()
            if flags.count(_SOUND) == count and words is reals:
                return [[real] for real in reals]
            return [
                [None if flag != _SOUND and flag >> 8 != 1 else real if is_real else word]
                for real, word, flag, is_real in zip(reals, words, flags, plain, strict=True)
            ]
        made: list[list[Any]] = self.result[:count].view(np.float64).tolist()
        if not self.program.real:
            ints = self.result[:count].tolist()
            made = [
                real if is_real else whole for real, whole, is_real in zip(made, ints, plain, strict=True)
            ]
        states = self.result[2 * count : 3 * count]
        for slot in np.flatnonzero((states != _SOUND).any(axis=1)).tolist():
            here = (states[slot] >> 8 == 1).tolist()
            made[slot] = [item if sound else None for item, sound in zip(made[slot], here, strict=True)]
        return made

    @cached_property
    def _all_lines(self) -> tuple[list[Any], list[Any]]:
        """Lines of lists: pairs of words, and floats."""
        first = np.ascontiguousarray(self.lists[:, 0])
        pairs = list(zip(first.tolist(), self.lists[:, 1].tolist(), strict=True))
        return pairs, first.view(np.float64).tolist()

    def _lines(self, kind: Kind, read: Read, first: int, n: int, step: int) -> list[Any]:
        """The values of `n` lines from `first` on, one in `step`."""
        items = self._all_lines[kind == "float"][first : first + n * step : step]
        return items if kind == "float" and read is same else self._read(kind, read, items)

    def _entries(self, shape: Shape, first: int, n: int) -> list[dict[str, Any]]:
        """A list of values by key: `n` entries from line `first` on."""
        keys = self._lines(shape.key_kind, shape.key_read, first, n, uncommon.ENTRY)
        states = self._all_lines[0][first + 2 : first + n * uncommon.ENTRY : uncommon.ENTRY]
        values = self._all_lines[shape.kind == "float"][
            first + 1 : first + n * uncommon.ENTRY : uncommon.ENTRY
        ]
        values = [value if ok == 1 else None for value, (ok, _) in zip(values, states, strict=True)]
        read = self._read(shape.kind, shape.read, values)
        return [{"key": key, "value": value} for key, value in zip(keys, read, strict=True)]

    def _read(self, kind: Kind, read: Read, pairs: list[Any]) -> list[Any]:
        """Values from pairs of words (from floats for floats); None stays."""
        if kind == "float":
            return [None if item is None else read(item) for item in pairs]
        if kind == "word":
            return [None if p is None else read(p[0]) for p in pairs]
        if kind == "wide":
            return [None if p is None else read((p[0] << 64) + (p[1] & _LOW)) for p in pairs]
        held, given = self.words.data.cast("B"), self.request.data.data
        return [None if p is None else read(_cut(held, given, p[0], p[1])) for p in pairs]


def _cut(held: memoryview, given: memoryview, first: int, length: int) -> bytes:
    return bytes(held[first : first + length] if first >= 0 else given[-1 - first : length - 1 - first])


_LOW = 0xFFFF_FFFF_FFFF_FFFF
_NO_LISTS = np.empty((0, 2), np.int64)


def answer(
    program: Program,
    values: Sequence[bytes | memoryview | None],
    t: Int64s,
    request: RequestRows = NO_REQUEST,
) -> Answers:
    """Answer for the values of K keys at t, already moved back by a settling delay.

    A value that cannot be read has status ERROR, and a reason in `errors`.
    Raises: CorruptValue where a value is not a whole number of words.
    """
    words, offsets = join_values(values)
    lists = _NO_LISTS
    if program.list_lengths.size:
        lists = np.empty((kernel.list_room(words, offsets, program.list_lengths), 2), np.int64)
    result = np.empty((3 * len(program.outputs) + 2, t.size), np.int64)
    kernel.answer(
        words,
        offsets,
        t,
        program.layout.lag,
        program.code,
        request.words,
        request.data,
        np.empty(uncommon.SCRATCH, np.int64) if program.uncommon else None,
        lists,
        result,
    )
    return Answers(program, words, request, lists, result)
