"""Values of format 1, written by the release that made it, stay readable and mean the same.

`format1.bin`: for each value its length, u32, and its bytes. `format1.json`: the rows that they hold. Never
write them anew: a release whose bytes differ has another format.
"""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gnomon.online.codec import FlatRows, Layout, pack, unpack
from tests.online.made import listed, make_layout

HERE = Path(__file__).parent
TYPES: list[pl.DataType] = [
    pl.Int64(),
    pl.Float64(),
    pl.String(),
    pl.Decimal(38, 2),
    pl.Boolean(),
    pl.List(pl.Int64()),
]
LAYOUT: Layout = make_layout(TYPES, id_kind="text", declared=True, lag=60)


def stored() -> list[bytes]:
    data, values = (HERE / "format1.bin").read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<I", data)
        values.append(data[4 : 4 + length])
        data = data[4 + length :]
    return values


def told(rows: FlatRows) -> dict[str, Any]:
    """Rows as JSON can hold them."""
    keys = zip(
        rows.counter.tolist(), rows.first_activation.tolist(), rows.newest_dropped.tolist(), strict=True
    )
    return {
        "keys": [list(key) for key in keys],
        "rows": [
            [row.key, row.event_time, row.known_at, row.until, row.dead, row.row_id, *map(_plain, row.values)]
            for row in listed(LAYOUT, TYPES, rows)
        ],
        "content": rows.content.tolist(),
    }


def _plain(value: Any) -> Any:
    return repr(value) if isinstance(value, float | Decimal) else value


def test_rows_are_read_as_they_were_written() -> None:
    rows = unpack(LAYOUT, stored())
    assert told(rows) == json.loads((HERE / "format1.json").read_text())


def test_rows_are_written_as_they_were_then() -> None:
    values = stored()
    buffer, offsets = pack(LAYOUT, unpack(LAYOUT, values))
    assert buffer.tobytes() == b"".join(values)
    assert np.diff(offsets).tolist() == [len(value) for value in values]
