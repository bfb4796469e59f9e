"""Rows of CSV files with fewer or more fields than the header are found, and no others."""

from __future__ import annotations

import csv
import gzip
from io import BytesIO, StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.errors import DataError
from gnomon.sources import widths
from gnomon.sources.widths import check_widths, open_text


def check(text, separator=","):
    check_widths(BytesIO(text.encode()), separator, "`f`", "f.csv")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k,x",
        "k,x\n1,2\n3,4",
        "k,x\r\n1,2\r\n\r\n3,4\r\n\r\n",
        "\nk,x\n1,2\n",
        'k,x\n1,"a\n,b"\n2,"say ""hi, there"""\n',
        'k,x\n1,"never closed, \n 2,3,4\n',
        "k\n1\n\n2\n",
        "k,x\n,\n",
    ],
)
def test_rows_as_wide_as_the_header_are_fine(text):
    check(text)


@pytest.mark.parametrize(
    ("text", "row", "found", "line"),
    [
        ("k,x\n1\n", "row 1 has 1 field, the header has 2", "f", 2),
        ("k,x\n1,2\n3,4,5\n6\n", "row 2 has 3 fields, the header has 2", "f", 3),
        ("k,x\r\n1,2\r\n\r\n3\r\n", "row 2 has 1 field", "f", 4),
        ('k,x\n1,"a\nb"\n2', "row 2 has 1 field", "f", 4),
        ("k,x\n1,2\n  \n", "row 2 has 1 field", "f", 3),
    ],
)
def test_another_width_is_told_with_row_and_line(text, row, found, line):
    with pytest.raises(DataError, match=row) as caught:
        check(text)
    assert caught.value.at == f"f.csv, line {line}"
    assert "separator" in caught.value.hint


def test_tabs_separate_and_packed_files_are_opened(tmp_path):
    check("k\tx\n1,5\t2\n", "\t")
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(b"k,x\n1\n"))
    with open_text(packed) as content, pytest.raises(DataError):
        check_widths(content, ",", "f", "f")


CELLS = st.text(st.sampled_from('ab,"\n'), max_size=6)


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=12)
    ),
    st.integers(1, 40),
    st.data(),
)
def test_blocks_of_any_size_find_the_same(rows, size, data):
    """Whatever is written by the standard library is even; without one field it is not."""
    width = len(rows[0])
    rows = [["h"] * width, *rows]
    cut = data.draw(st.none() | st.integers(1, len(rows) - 1)) if width > 1 else None
    if cut is not None:
        rows[cut] = rows[cut][:-1]
        rows[cut][0] = "not blank"
    out = StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(widths, "_BLOCK", size)
        if cut is None:
            check(out.getvalue())
        else:
            with pytest.raises(DataError, match=f"row {cut} has {width - 1}"):
                check(out.getvalue())
