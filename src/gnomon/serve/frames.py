"""Frames: tables as they come in a body, as JSON, Arrow or Parquet, and go out as Arrow, piece by piece."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import polars as pl

from gnomon.serve.openapi import ARROW, JSON, PARQUET
from gnomon.serve.problems import Refused

_FILE = b"ARROW1"
"""How an Arrow file begins, which is another form than a stream."""
_END = b"\xff\xff\xff\xff\0\0\0\0"
"""The mark that ends an Arrow stream."""


def media_of(headers: Mapping[bytes, bytes]) -> str:
    """The form that a body says it has; JSON where it says nothing."""
    given = headers.get(b"content-type", JSON.encode()).decode("latin-1")
    return given.partition(";")[0].strip().lower()


def read_table(body: bytes, media: str) -> pl.DataFrame:
    """A table in Arrow's or Parquet's form. Raises: Refused, 400, for what is none."""
    try:
        if media == PARQUET:
            return pl.read_parquet(io.BytesIO(body))
        assert media == ARROW
        if body.startswith(_FILE):
            return pl.read_ipc(io.BytesIO(body))
        if not body.endswith(_END):
            # Read as it is, it would be a table that lacks its last rows.
            raise ValueError("it is not ended by the mark of its end, so that rows may be missing")
        return pl.read_ipc_stream(io.BytesIO(body))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        what = "Parquet" if media == PARQUET else "an Arrow stream"
        raise Refused(400, "Broken table", f"the body is not {what}: {_first_words(error)}") from None


def _first_words(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0] or type(error).__name__


def arrow_pieces(frame: pl.DataFrame, rows: int) -> Iterator[bytes]:
    """An Arrow stream, `rows` rows at a time: no more of it is in memory at once."""
    if any(isinstance(dtype, pl.Categorical | pl.Enum) for dtype in frame.dtypes):
        rows = max(1, len(frame))  # what numbers mean is said once, for all rows
    last = b""
    for i, part in enumerate(frame.iter_slices(rows) if len(frame) else [frame]):
        stream = as_stream(part)
        begin = _schema_bytes(stream) if i else 0
        last = stream[-len(_END) :]
        yield stream[begin : -len(_END)]
    yield last


def as_stream(frame: pl.DataFrame) -> bytes:
    into = io.BytesIO()
    frame.write_ipc_stream(into, compat_level=pl.CompatLevel.oldest())
    return into.getvalue()


def _schema_bytes(stream: bytes) -> int:
    """How long a stream's first message is: a mark, a length, the schema."""
    return 8 + int.from_bytes(stream[4:8], "little")


def wants_json(accept: bytes | None, otherwise: bool) -> bool:
    """Whether JSON is wanted in the place of Arrow. `otherwise`: where both are. Raises: Refused, 406, for neither."""
    text = "*/*" if accept is None else accept.decode("latin-1").lower()
    json, arrow = "json" in text, ARROW in text
    if json or arrow:
        return json and not arrow
    if "*/*" in text or "application/*" in text:
        return otherwise
    raise Refused(
        406, "No such form of answer", f"there is no answer of type `{text}`", at="Accept",
        hint=f"{JSON} or {ARROW}",
    )  # fmt: skip
