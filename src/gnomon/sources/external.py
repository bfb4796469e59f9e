"""An external service: keys → one HTTP request → rows, read strictly.

The request is `{"keys": [{"currency": "EUR"}, …]}`, the answer `{"rows": [{"rate": 1.08}, null, …]}`: one row a key, in
their order, null where the service knows nothing of it. A row has every column that is wanted; more are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import polars as pl

from gnomon.config import expand
from gnomon.define.external import ExternalSource
from gnomon.errors import DataError, Unavailable, counted
from gnomon.plugins import redacted
from gnomon.time import SECOND
from gnomon.types import DType, as_dtype, dtype_text

KNOWN = "__known"
"""The column that tells whether the service knows a key."""
MOST_BYTES = 16 << 20
"""Of an answer."""

_PYTHON: tuple[tuple[type[DType], Any], ...] = (
    (pl.Boolean, bool), (pl.String, str), (pl.Binary, bytes), (pl.Date, date), (pl.Datetime, datetime),
    (pl.Time, time), (pl.Duration, timedelta), (pl.Decimal, Decimal),
)  # fmt: skip


class ExternalService:
    """Asks one service for rows of some columns. Thread-safe; connections are kept and used again."""

    def __init__(self, source: ExternalSource, columns: Mapping[str, DType]) -> None:
        self.source = source
        self.columns = dict(columns)
        at = f"external source {source.name}"
        self._url = expand(source.url, "url", at)
        headers = {name: expand(text, name, at) for name, text in source.headers}
        # Of one step: connecting, or the next bytes. The whole is limited by who waits.
        timeout = source.timeout / SECOND
        self._client = httpx2.Client(headers=headers, timeout=timeout)
        self._decoder = msgspec.json.Decoder(_answer_type(self.columns))

    def ask(self, keys: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """One row a key; a row of nulls where the service knows nothing of the key, which the column KNOWN tells.

        Raises: Unavailable if it cannot be reached or says that it failed; DataError for an answer that is not of
                its form.
        """
        body = msgspec.json.encode({"keys": keys})
        rows = self._decode(self._post(body)).rows
        if len(rows) != len(keys):
            raise DataError(f"{self} answered {counted(len(rows), 'row')} for {counted(len(keys), 'key')}")
        made: list[pl.Series] = []
        for i, (name, dtype) in enumerate(self.columns.items()):
            values = [None if row is None else getattr(row, f"c{i}") for row in rows]
            try:
                made.append(pl.Series(name, values, dtype=dtype, strict=True))
            except (TypeError, OverflowError, pl.exceptions.PolarsError):
                raise DataError(
                    f"{self} answered a `{name}` that is no {dtype_text(dtype)}",
                    hint=_first_misfit(values, dtype),
                ) from None
        return pl.DataFrame([*made, pl.Series(KNOWN, [row is not None for row in rows], dtype=pl.Boolean)])

    def close(self) -> None:
        self._client.close()

    def __str__(self) -> str:
        return f"external source `{self.source.name}`"

    def _post(self, body: bytes) -> bytes:
        where = redacted(self.source.url)
        try:
            with self._client.stream(
                "POST", self._url, content=body, headers={"content-type": "application/json"}
            ) as answer:
                if answer.status_code != 200:
                    raise Unavailable(f"{self} answered with status {answer.status_code}", at=where)
                found = bytearray()
                for chunk in answer.iter_bytes():
                    found += chunk
                    if len(found) > MOST_BYTES:
                        raise DataError(f"{self} answered more than {MOST_BYTES >> 20} MiB", at=where)
                return bytes(found)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(
                f"{self} cannot be reached: {type(error).__name__}{f': {error}' if str(error) else ''}",
                at=where,
            ) from None

    def _decode(self, body: bytes) -> Any:
        try:
            return self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(
                f"{self} answered what is not of its form: {error}", at=redacted(self.source.url)
            ) from None


def _answer_type(columns: Mapping[str, DType]) -> Any:
    """What an answer looks like: msgspec checks names and types, and says where one is wrong."""
    fields = [(f"c{i}", _python(dtype) | None) for i, dtype in enumerate(columns.values())]
    names = {f"c{i}": name for i, name in enumerate(columns)}
    row = msgspec.defstruct("Row", fields, rename=names)
    return msgspec.defstruct("Answer", [("rows", list[row | None])])  # type: ignore[valid-type]


def _python(dtype: DType) -> Any:
    for kind, found in _PYTHON:
        if isinstance(dtype, kind):
            return found
    if isinstance(dtype, pl.List | pl.Array):
        inner = _python(as_dtype(dtype.inner))
        return list[inner | None]  # type: ignore[valid-type]
    if isinstance(dtype, pl.Struct):
        return dict[str, Any]
    return float if dtype.is_float() else int


def _first_misfit(values: Sequence[Any], dtype: DType) -> str | None:
    for i, value in enumerate(values):
        try:
            pl.Series([value], dtype=dtype, strict=True)
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            return f"rows[{i}] has {value!r}"
    return None
