"""Tables in bodies: read in each form, and sent as Arrow piece by piece."""

from __future__ import annotations

import io

import polars as pl
import pyarrow as pa
import pytest

from gnomon.serve.frames import arrow_pieces, as_stream, media_of, read_table, wants_json
from gnomon.serve.openapi import ARROW, JSON, PARQUET
from gnomon.serve.problems import Refused

FRAME = pl.DataFrame(
    {
        "a": [1, 2, None, 4, 5],
        "b": ["x", None, "z", "", "long enough to lie elsewhere"],
        "c": [[1], [], None, [2, 3], [4]],
    }
)


@pytest.mark.parametrize("rows", [1, 2, 5, 100])
@pytest.mark.parametrize(
    "frame", [FRAME, FRAME.clear(), FRAME.with_columns(pl.col("b").cast(pl.Categorical))]
)
def test_pieces_make_one_stream_that_others_read(frame, rows):
    stream = b"".join(arrow_pieces(frame, rows))
    assert pl.read_ipc_stream(io.BytesIO(stream)).equals(frame)
    assert pa.ipc.open_stream(stream).read_all().num_rows == len(frame)


def test_a_large_table_goes_out_in_many_pieces():
    frame = pl.DataFrame({"a": range(10_000)})
    pieces = list(arrow_pieces(frame, 100))
    assert len(pieces) == 101
    assert max(map(len, pieces)) < len(as_stream(frame)) / 10


def test_each_form_is_read(tmp_path):
    FRAME.write_parquet(tmp_path / "parquet")
    FRAME.write_ipc(tmp_path / "file", compat_level=pl.CompatLevel.oldest())
    assert read_table((tmp_path / "parquet").read_bytes(), PARQUET).equals(FRAME)
    assert read_table((tmp_path / "file").read_bytes(), ARROW).equals(FRAME)
    assert read_table(as_stream(FRAME), ARROW).equals(FRAME)


@pytest.mark.parametrize("media", [ARROW, PARQUET])
@pytest.mark.parametrize("body", [b"", b"nothing", as_stream(FRAME)[:-40]])
def test_what_is_no_table_is_refused(media, body):
    with pytest.raises(Refused) as refused:
        read_table(body, media)
    assert refused.value.status == 400


def test_forms_are_told_by_headers():
    assert media_of({}) == JSON
    assert media_of({b"content-type": b"Application/JSON; charset=utf-8"}) == JSON
    assert wants_json(None, True)
    assert not wants_json(b"*/*", False)
    assert wants_json(b"application/json", False)
    assert not wants_json(ARROW.encode(), True)
    with pytest.raises(Refused):
        wants_json(b"text/html", True)
