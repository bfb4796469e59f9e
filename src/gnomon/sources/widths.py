"""Widths: whether each row of a CSV file has as many fields as its header.

Polars fills what is missing at the end of a row with null, and drops what is too much where the last column is not
read: a row that was cut off would be one with other values. It has no option to refuse this. So the separators
outside quotes are counted before the file is read (decision 18 has the cost).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gnomon.errors import DataError, counted

_BLOCK = 1 << 22
"""Bytes; what is computed from a block fits into the processor's cache."""
_LINE, _QUOTE = ord("\n"), ord('"')

Places = NDArray[np.intp]


def open_text(file: Path) -> BinaryIO:
    """Open a text file, packed or not, for reading its bytes."""
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]


def check_widths(content: BinaryIO, separator: str, name: str, at: str) -> None:
    """Read a CSV file to its end, and refuse a row that has more or fewer fields than the header.

    Lines with nothing in them are no rows. `name`: of the file, for people; `at`: where it is.

    Raises: DataError naming the file, its row (the first after the header is 1) and line, and both numbers.
    """
    width = row = 0
    line = 1
    for block, ends, fields in _whole_rows(content, ord(separator)):
        odd = fields != width if width else np.ones(len(ends), bool)
        while odd.any():
            i = int(np.argmax(odd))
            start = int(ends[i - 1]) + 1 if i else 0
            if not block[start : ends[i]].strip(b"\r"):
                row -= 1  # nothing in it
            elif not width:
                row -= 1
                width = int(fields[i])
                odd &= fields != width
            else:
                raise DataError(
                    f"{name}: row {row + i + 1:,} has {counted(int(fields[i]), 'field')}, the header has {width:,}",
                    at=f"{at}, line {line + block.count(_LINE, 0, start):,}",
                    hint="an empty field still needs its separator, and text with a separator in it needs quotes",
                )
            odd[i] = False
        row += len(ends)
        line += int(np.count_nonzero(np.frombuffer(block, np.uint8) == _LINE))


def _whole_rows(content: BinaryIO, separator: int) -> Iterator[tuple[bytes, Places, Places]]:
    """The content in blocks that end where a row ends, each with where its rows end and how many fields they have.

    Quotes that nobody closes are left to who reads the file.
    """
    rest = b""
    # As much again as is left over, so that a row of any length is looked at about twice.
    while block := content.read(max(_BLOCK, len(rest))):
        whole = rest + block
        ends, fields = _rows(whole, separator)
        cut = int(ends[-1]) + 1 if len(ends) else 0
        if cut:
            yield whole[:cut], ends, fields
        rest = whole[cut:]
    if rest:
        yield rest + b"\n", *_rows(rest + b"\n", separator)


def _rows(block: bytes, separator: int) -> tuple[Places, Places]:
    """Where rows end, and how many fields each has. `block` begins where a row does."""
    data = np.frombuffer(block, np.uint8)
    ends = data == _LINE
    marks = ends | (data == separator)
    quotes = data == _QUOTE
    if quotes.any():
        outside = ~np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(bool)
        ends &= outside
        marks &= outside
    at = np.flatnonzero(marks)
    last = np.flatnonzero(ends[at])
    return at[last], np.diff(last, prepend=-1)
