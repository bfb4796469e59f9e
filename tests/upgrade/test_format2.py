"""Index values of format 2 and their leaves, written by the release that made it, stay readable and mean the same.

`format2.bin`: the index of a hot key, then its leaves in order; for each its length, u32, and its bytes.
`format2.json`: the rows that they hold, and answers. Never write them anew: a release whose bytes differ has another
format.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon.online.codec import unpack
from gnomon.online.index import leaf_key, leaves_table, pack_index, read_index, tail_of
from gnomon.online.memory import MemoryStore
from gnomon.online.program import make_program
from gnomon.online.sealing import restate
from gnomon.online.tree import Place, answer
from gnomon.plan.layout import Output
from tests.upgrade.test_format1 import LAYOUT, TYPES, told

HERE = Path(__file__).parent
TABLE, KEY = "g@1#1", b"hot"
INSTANTS = [150, 1_000, 2_500, 3_100, 10_000]
ASKED = [
    Output("count", "count", pl.Int64(), window=2_000),
    Output("sum", "sum", pl.Int64(), input=0, window=2_000),
    Output("var", "var", pl.Float64(), input=1),
    Output("least", "min", pl.String(), input=2, window=900),
    Output("different", "n_distinct", pl.Int64(), input=2),
    Output("money", "sum", pl.Decimal(38, 2), input=3, where=4),
    Output("first", "first", pl.List(pl.Int64()), input=5, window=2_000, keep_nulls=True),
    Output("last", "last", pl.String(), input=2),
    Output("middle", "median", pl.Float64(), input=1, window=2_000),
]


def stored() -> list[bytes]:
    data, values = (HERE / "format2.bin").read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<I", data)
        values.append(data[4 : 4 + length])
        data = data[4 + length :]
    return values


def answers(index: bytes, leaves: list[bytes]) -> list[Any]:
    """The columns at each instant, as JSON can hold them."""
    store = MemoryStore()
    names = read_index(LAYOUT, index, "here").names(range(len(leaves)))
    store.load(TABLE, [(KEY, index)])
    store.load(
        leaves_table(TABLE), [(leaf_key(KEY, name), leaf) for name, leaf in zip(names, leaves, strict=True)]
    )
    program = make_program(LAYOUT, TYPES, ASKED)
    found = []
    for t in INSTANTS:
        told_at = answer(program, [index], np.array([t]), place=Place(store, TABLE, [KEY]))
        found.append([[repr(column[0]) for column in told_at.columns()], told_at.event_times.tolist()])
    return found


def test_rows_and_answers_are_what_they_were() -> None:
    index, *leaves = stored()
    wanted = json.loads((HERE / "format2.json").read_text())
    assert told(unpack(LAYOUT, [*leaves, tail_of(index)])) == wanted["rows"]
    assert answers(index, leaves) == wanted["answers"]


def test_an_index_is_written_as_it_was_then() -> None:
    value, *leaves = stored()
    index = read_index(LAYOUT, value, "here")
    anew = restate(LAYOUT, index.views, index, leaves, unpack(LAYOUT, leaves))
    assert pack_index(LAYOUT, anew, bytes(tail_of(value))) == value
