"""Answers against a plain fold of the rows that SEMANTICS §4 names, for every function and type."""

from __future__ import annotations

import itertools
import math
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.define.aggregate import QUANTILES, RULES, by_type
from gnomon.errors import CorruptValue
from gnomon.kernels.decay import weight
from gnomon.online.codec import MAX, MIN, Layout, pack, unpack
from gnomon.online.merge import Retention, merge
from gnomon.online.program import STATUSES, answer, make_program, request_rows
from gnomon.online.values import encode
from gnomon.plan.layout import NONE, Output
from gnomon.testing.reference_sketches import middle, n_distinct
from tests.online.made import Row, flat, make_layout

NOT_FOUND, EXPIRED, NULL, PRESENT, _, ERROR = STATUSES
OVERFLOW = object()
"""What cannot be computed."""
KEYS = 2
LIST = 9
"""The lane whose values cannot be compared."""
_WIDE = Context(prec=60)

# Lane 0 is the condition; the others hold values of many kinds.
TYPES: list[pl.DataType] = [
    pl.Boolean(),
    pl.Int64(),
    pl.Float64(),
    pl.Boolean(),
    pl.String(),
    pl.Decimal(38, 2),
    pl.Float32(),
    pl.Datetime("us", "UTC"),
    pl.Binary(),
    pl.List(pl.String()),
]
# For each lane, values that are worth meeting each other.
_NAN, _INF = float("nan"), float("inf")
_FIRST, _LATER = datetime(1960, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
POOLS: list[list[list[Any]]] = [
    [[True], [True, False, None]],
    [[0, 1, -5, None], [2**62, 7], [-(2**63), -1, 2**63 - 1]],
    [[0.0, -0.0, None], [_NAN, -0.0, 1.5], [_INF, -_INF, 1.5], [1.7e308, -1.7e308], [0.1, 5e-324, -2.25]],
    [[True, None], [True, False]],
    [["", "a", "ab"], ["é", "中", "😀"], ["a", "a\0", None]],
    [[Decimal("0.00"), Decimal("1.50"), None], [Decimal("-2.25"), Decimal(10**36 - 1)]],
    [[0.0, -0.0, _NAN], [0.5, 3.25, None]],
    [[_FIRST, _LATER, None]],
    [[b"", b"\xff", b"a", None]],
    [[[], ["a", None], None]],
]


# --------------------------------------------------------------------------------------------- the plain fold


def bits(value: Any) -> Any:
    """A value that compares as SEMANTICS does: the bits of floats, one NaN."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, list):
        return [bits(item) for item in value]
    if isinstance(value, dict):
        return {name: bits(item) for name, item in value.items()}
    return value


def exact(values: Sequence[Any]) -> Fraction:
    return sum((Fraction(v) for v in values), Fraction(0))


def rounded(number: Fraction) -> Any:
    try:
        return float(number)
    except OverflowError:
        return OVERFLOW


def total(values: Sequence[Any], dtype: pl.DataType) -> Any:
    """The exact sum, rounded once to the type."""
    if isinstance(values[0], float):
        special = [v for v in values if not math.isfinite(v)]
        if special:
            return math.nan if any(map(math.isnan, special)) or len(set(special)) > 1 else special[0]
        return rounded(exact(values))
    if isinstance(values[0], Decimal):
        number = exact(values)
        fits = abs(number * 100) < 10**38
        return Decimal(int(number * 100)).scaleb(-2, _WIDE) if fits else OVERFLOW
    number = exact(values)
    return int(number) if -(2**63) <= number < 2**63 else OVERFLOW


def in_floats(values: Sequence[Any]) -> Any:
    if isinstance(values[0], float):
        return total(values, pl.Float64())
    return rounded(exact(values))


def variance(values: Sequence[Any], ddof: int) -> Any:
    n = len(values)
    if n <= ddof:
        return None
    if any(isinstance(v, float) and not math.isfinite(v) for v in values):
        return math.nan
    above = rounded(n * exact([Fraction(v) ** 2 for v in values]) - exact(values) ** 2)
    return OVERFLOW if above is OVERFLOW else above / float(n * (n - ddof))


def order_key(value: Any) -> Any:
    if isinstance(value, float):
        return (1, 0, 0.0) if math.isnan(value) else (0, value, math.copysign(1.0, value))
    return value.encode() if isinstance(value, str) else value


def equality_key(value: Any) -> Any:
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value
    return value


def decayed(value: float, age: int, half_life: int) -> float:
    """A term of a decayed sum; which values `weight` has is tested beside it."""
    m, n = weight(age, half_life)
    return math.ldexp(value * m, -n) if math.isfinite(value) else value


def counted(values: Sequence[Any]) -> list[tuple[Any, int]]:
    """Each value and how often it occurs, ascending; both zeros are 0.0."""
    alike = [0.0 if isinstance(v, float) and v == 0 else v for v in values]
    found = {equality_key(v): v for v in alike}
    numbers = Counter(map(equality_key, alike))
    return sorted(((v, numbers[key]) for key, v in found.items()), key=lambda pair: order_key(pair[0]))


def folded(output: Output, rows: Sequence[tuple[int, Any]], t: int) -> Any:
    """The value of one aggregate over (event_time, value) in order; nulls are out already unless kept."""
    values = [value for _, value in rows]
    match output.function:
        case "histogram":
            return [{"key": key, "value": count} for key, count in counted(values)]
        case "top_k":
            return [key for key, _ in sorted(counted(values), key=lambda pair: -pair[1])][: output.k]
        case "count":
            return len(rows)
        case "rate":
            return len(rows) / (output.window / 1e6)
        case "approx_n_distinct":
            return n_distinct(values)
        case "n_distinct":
            return len({equality_key(v) for v in values})
        case "first_k" | "last_k":
            picked, seen = [], set()
            for value in values if output.function == "first_k" else reversed(values):
                key = equality_key(value) if output.distinct else object()
                if key not in seen and len(picked) < output.k:
                    seen.add(key)
                    picked.append(value)
            return picked
    if not rows:
        return None
    match output.function:
        case "sum":
            return total(values, output.dtype)
        case "mean":
            summed = in_floats(values)
            return OVERFLOW if summed is OVERFLOW else summed / len(values)
        case "var":
            return variance(values, output.ddof)
        case "std":
            var = variance(values, output.ddof)
            return math.sqrt(var) if isinstance(var, float) and not math.isnan(var) else var
        case "min":
            return min(values, key=order_key)
        case "max":
            numbers = [v for v in values if not (isinstance(v, float) and math.isnan(v))]
            return max(numbers or values, key=order_key)
        case "first":
            return values[0]
        case "last":
            return values[-1]
        case "any":
            return any(values)
        case "all":
            return all(values)
        case "time_since_first":
            return timedelta(microseconds=t - rows[0][0])
        case "time_since_last":
            return timedelta(microseconds=t - rows[-1][0])
        case "mode":
            return max(counted(values), key=lambda pair: pair[1])[0]
        case "decayed_sum":
            return total([decayed(float(x), t - at, output.half_life) for at, x in rows], pl.Float64())
        case "median" | "quantile" | "approx_quantile":
            ordered = [float(v) for v in sorted(values, key=order_key)]
            if output.function == "approx_quantile":
                ordered = [middle(v) for v in ordered]
            h = output.q * (len(ordered) - 1)
            a, f = ordered[int(h)], h - int(h)
            b = ordered[int(h) + 1] if f else a
            return a if f == 0 or a == b else a + (b - a) * f
    raise AssertionError(output.function)


def expected(output: Output, rows: Sequence[Row], own: Row | None, t: int) -> Any:
    """`rows`: the visible ones of the key, in order."""
    end = t - output.offset
    inside = [
        r
        for r in rows
        if r.event_time < end and (output.window == NONE or r.event_time >= end - output.window)
    ]
    if own is not None and output.include_request:
        inside.append(replace(own, event_time=t))
    if output.where != NONE:
        inside = [r for r in inside if r.values[output.where]]
    if output.by != NONE:
        pairs = {}
        for row in inside:
            key = row.values[output.by]
            if key is not None:
                alike = 0.0 if isinstance(key, float) and key == 0 else key
                pairs.setdefault(equality_key(key), (alike, []))[1].append(row)
        found = [
            {"key": key, "value": newest(output.one, same, t)}
            for key, same in sorted(pairs.values(), key=lambda pair: order_key(pair[0]))
        ]
        return OVERFLOW if any(entry["value"] is OVERFLOW for entry in found) else found
    return newest(output, inside, t)


def newest(output: Output, inside: Sequence[Row], t: int) -> Any:
    """Nulls out, then the newest of the limit."""
    if output.input == NONE:
        return folded(output, [(r.event_time, None) for r in inside][-_newest(output) :], t)
    if not output.keep_nulls:
        inside = [r for r in inside if r.values[output.input] is not None]
    return folded(output, [(r.event_time, r.values[output.input]) for r in inside[-_newest(output) :]], t)


def _newest(output: Output) -> int:
    return 10**9 if output.limit == NONE else output.limit


# -------------------------------------------------------------------------------------------------- generated


@st.composite
def outputs(draw: st.DrawFn) -> list[Output]:
    """Every function of every lane that it takes, over one or two windows."""
    made = []
    for _ in range(draw(st.integers(1, 2))):
        offset = draw(st.sampled_from([0, 0, 4]))
        window = draw(st.sampled_from([NONE, 5, 12, 1, 2**62]))
        walk = Output(
            name="",
            function="count",
            dtype=pl.Int64(),
            where=draw(st.sampled_from([NONE, 0])),
            window=window,
            offset=offset,
            limit=draw(st.sampled_from([NONE, NONE, 1, 2])),
            k=draw(st.integers(1, 4)),
            q=0.5,
            ddof=draw(st.integers(0, 1)),
            include_request=offset == 0 and draw(st.booleans()),
        )
        for function, rule in RULES.items():
            if rule.needs_window and window == NONE:
                continue
            lanes = [i for i, dtype in enumerate(TYPES) if rule.accepts(dtype)]
            for lane in [NONE, *lanes] if rule.column == "optional" else lanes:
                dtype = rule.returns(TYPES[lane] if lane != NONE else pl.Null())
                q = draw(st.sampled_from([0.0, 0.25, 0.9, 1.0])) if function in QUANTILES else 0.5
                half_life = draw(st.sampled_from([1, 3, 100])) if function == "decayed_sum" else 0
                output = replace(walk, function=function, dtype=dtype, input=lane, q=q, half_life=half_life)
                if rule.scalar and draw(st.integers(0, 3)) == 0:
                    by = draw(st.sampled_from(range(LIST)))
                    output = replace(output, by=by, dtype=by_type(TYPES[by], dtype))
                made.append(output)
                if function in ("first", "last"):
                    made.append(replace(output, keep_nulls=True))
                if function in ("first_k", "last_k") and lane != LIST:
                    made.append(replace(output, distinct=True))
    return draw(st.permutations(made)) if draw(st.booleans()) else made


any_values = st.tuples(*(st.sampled_from([v for pool in pools for v in pool]) for pools in POOLS))
few_values = st.tuples(*(st.sampled_from(pools) for pools in POOLS)).map(
    lambda chosen: st.tuples(*(st.sampled_from(pool) for pool in chosen))
)


@st.composite
def events(draw: st.DrawFn) -> list[Row]:
    rows = []
    values = draw(few_values)
    for row_id in range(draw(st.sampled_from([0, 1, 4, 10, 14]))):
        at = draw(st.integers(0, 9))
        known = at + draw(st.sampled_from([0, 0, 0, 3]))
        row = Row(draw(st.integers(0, KEYS - 1)), at, known, row_id, draw(values))
        rows.append(row)
        if draw(st.integers(0, 5)) == 0:
            rows.append(replace(row, known_at=known + 2, values=draw(values)))
        if draw(st.integers(0, 7)) == 0:
            rows.append(replace(row, known_at=known + 5, values=(), dead=True))
    return rows


def values_of(
    layout: Layout, rows: Sequence[Row], keys: int = KEYS, retention: Retention | None = None
) -> list[Any]:
    """Packed values; None for a key without rows."""
    held = unpack(layout, [None] * keys)
    merged = merge(layout, held, flat(layout, TYPES, rows, keys), retention or Retention()).rows
    buffer, offsets = pack(layout, merged)
    found = [buffer[a:b].tobytes() for a, b in itertools.pairwise(offsets)]
    return [value if any(r.key == k for r in rows) else None for k, value in enumerate(found)]


def visible(rows: Sequence[Row], key: int, t: int) -> list[Row]:
    """Ids are unique but for versions, of which the latest known one counts."""
    latest: dict[Any, Row] = {}
    for row in sorted((r for r in rows if r.key == key), key=lambda r: r.known_at):
        if row.known_at <= t:
            latest[row.row_id] = row
    alive = [row for row in latest.values() if not row.dead]
    return sorted(alive, key=lambda r: (r.event_time, r.row_id))


@settings(max_examples=150, deadline=None)
@given(
    events(),
    outputs(),
    st.sampled_from([-1, 0, 5, 9, 10, 11, 13, 20]),
    st.lists(any_values, min_size=KEYS, max_size=KEYS),
)
def test_aggregates_equal_the_plain_fold(
    rows: list[Row], asked: list[Output], t: int, requests: list[tuple[Any, ...]]
) -> None:
    layout = make_layout(TYPES, id_kind="int")
    program = make_program(layout, TYPES, asked)
    lanes = [encode(pl.Series([r[i] for r in requests], dtype=dtype)) for i, dtype in enumerate(TYPES)]
    request = request_rows(lanes, KEYS) if program.takes_request else request_rows([], 0)
    order = [1, 0, 1]
    if program.takes_request:
        order = [0, 1]
    values = values_of(layout, rows)
    answers = answer(program, [values[k] for k in order], np.full(len(order), t), request)
    columns, statuses = answers.columns(), answers.statuses
    assert not answers.errors.any()
    for j, key in enumerate(order):
        seen = visible(rows, key, t)
        own = Row(key, t, t, 0, requests[key])
        newest = [row.event_time for row in seen if row.event_time <= t]
        assert answers.event_times[j] == (max(newest) if newest else MIN)
        found = _ever_visible(rows, key, t)
        for slot, output in enumerate(asked):
            want = expected(output, seen, own, t)
            status = PRESENT if want is not None else NULL
            if not found:
                status = NOT_FOUND
            if want is OVERFLOW:
                want, status = None, ERROR
            assert bits(columns[slot][j]) == bits(want), output
            assert STATUSES[statuses[slot, j]] == status


def _ever_visible(rows: Sequence[Row], key: int, t: int) -> bool:
    return any(r.event_time <= at for at in range(-1, t + 1) for r in visible(rows, key, at))


@settings(max_examples=150, deadline=None)
@given(events(), st.integers(-1, 14), st.sampled_from([None, 0, 3]))
def test_state_columns_are_those_of_the_newest_row(rows: list[Row], t: int, max_age: int | None) -> None:
    layout = make_layout(TYPES, kind="state")
    alive = [r for r in rows if not r.dead]
    # One content an event time: ties are the business of merging.
    alive = list({(r.key, r.event_time): r for r in alive}.values())
    asked = [Output("", "column", dtype, input=i) for i, dtype in enumerate(TYPES)]
    answers = answer(make_program(layout, TYPES, asked, max_age), values_of(layout, alive), np.full(KEYS, t))
    columns = answers.columns()
    for key in range(KEYS):
        seen = [r for r in alive if r.key == key and r.known_at <= t and r.event_time <= t]
        newest = max(seen, key=lambda r: r.event_time, default=None)
        assert answers.event_times[key] == (newest.event_time if newest else MIN)
        for i in range(len(TYPES)):
            status = STATUSES[answers.statuses[i, key]]
            if newest is None:
                assert (columns[i][key], status) == (None, NOT_FOUND)
            elif max_age is not None and newest.event_time < t - max_age:
                assert (columns[i][key], status) == (None, EXPIRED)
            else:
                assert bits(columns[i][key]) == bits(newest.values[i])
                assert status == (NULL if newest.values[i] is None else PRESENT)


# ------------------------------------------------------------------------------------------------------ named


COUNT = Output("n", "count", pl.Int64())
LAST = Output("last", "last", pl.Int64(), input=1)
ROW = (True, 4, 0.5, None, "a", None, None, None, None, None)


def test_a_key_that_is_missing_has_the_values_of_no_rows() -> None:
    layout = make_layout(TYPES, id_kind="int")
    rate = Output("rate", "rate", pl.Float64(), window=10)
    some = Output("some", "last_k", pl.List(pl.String()), input=4, k=2)
    answers = answer(make_program(layout, TYPES, [COUNT, LAST, rate, some]), [None], np.array([5]))
    assert answers.columns() == [[0], [None], [0.0], [[]]]
    assert [STATUSES[code] for code in answers.statuses[:, 0]] == [NOT_FOUND] * 4
    assert answers.event_times.tolist() == [MIN]


def test_keys_whose_rows_were_let_go_are_still_known() -> None:
    layout = make_layout(TYPES, id_kind="int")
    values = values_of(layout, [Row(0, 5, 5, 1, ROW), Row(0, 7, 7, 2, ROW)], 1, Retention(100, 200))
    program = make_program(layout, TYPES, [COUNT, LAST])
    answers = answer(program, values, np.array([200]))
    assert answers.columns() == [[0], [None]]
    assert [STATUSES[code] for code in answers.statuses[:, 0]] == [PRESENT, NULL]
    assert answers.event_times.tolist() == [7]


def test_a_broken_value_is_an_error_of_its_key_alone() -> None:
    layout = make_layout(TYPES, id_kind="int")
    first, second = values_of(layout, [Row(0, 1, 1, 1, ROW), Row(1, 1, 1, 1, ROW)], 2)
    program = make_program(layout, TYPES, [COUNT, LAST])
    for i in range(len(first)):
        broken = bytearray(first)
        broken[i] ^= 0x10
        answers = answer(program, [bytes(broken), second], np.array([9, 9]))
        assert answers.columns() == [[None, 1], [None, 4]]
        assert [STATUSES[code] for code in answers.statuses[:, 0]] == [ERROR, ERROR]
        assert answers.errors[0] in (1, 2)
        assert answers.errors[1] == 0
    other = make_program(make_layout(TYPES[:3], id_kind="int"), TYPES[:3], [COUNT])
    assert answer(other, [second], np.array([9])).errors.tolist() == [3]
    with pytest.raises(CorruptValue):
        answer(program, [first[:-3]], np.array([9]))


def test_edges_are_exact_to_the_microsecond() -> None:
    layout = make_layout(TYPES, id_kind="int")
    values = values_of(
        layout, [Row(0, t, t, t, (True, v, *ROW[2:])) for t, v in ((10, 1), (20, 2), (30, 4))], 1
    )
    asked = [
        Output("s", "sum", pl.Int64(), input=1, window=20),
        Output("o", "sum", pl.Int64(), input=1, window=10, offset=5),
    ]
    program = make_program(layout, TYPES, asked)
    at = {t: [column[0] for column in answer(program, values, np.array([t])).columns()] for t in (25, 30, 31)}
    assert at == {25: [3, 1], 30: [3, 2], 31: [6, 2]}


def test_times_at_the_ends_of_the_clock_do_not_wrap() -> None:
    layout = make_layout(TYPES, id_kind="int", lag=10)
    values = values_of(layout, [Row(0, MIN, MIN + 10, 1, ROW), Row(0, MAX - 2, MAX, 2, ROW)], 1)
    asked = [
        replace(COUNT, window=2**62),
        replace(COUNT, offset=2**62),
        COUNT,
        Output("since", "time_since_first", pl.Duration("us")),
    ]
    answers = answer(make_program(layout, TYPES, asked), values, np.array([MAX - 1]))
    assert answers.columns() == [[0], [1], [1], [None]]
    assert STATUSES[answers.statuses[3, 0]] == ERROR
    early = answer(make_program(layout, TYPES, asked[:3]), values, np.array([MIN + 11]))
    assert early.columns() == [[1], [0], [1]]


def test_a_key_of_many_rows_is_ranked_and_folded() -> None:
    layout = make_layout(TYPES, id_kind="int")
    rng = np.random.default_rng(3)
    texts = [f"{n:03d}" for n in rng.integers(0, 500, 3000)]
    values = values_of(
        layout, [Row(0, i, i, i, (True, i, 0.1, True, x, *ROW[5:])) for i, x in enumerate(texts)], 1
    )
    text = pl.String()
    asked = [
        Output("least", "min", text, input=4),
        Output("most", "max", text, input=4),
        Output("different", "n_distinct", pl.Int64(), input=4),
        Output("total", "sum", pl.Float64(), input=2),
        Output("recent", "last_k", pl.List(text), input=4, k=700, distinct=True),
    ]
    found = answer(make_program(layout, TYPES, asked), values, np.array([10**6])).columns()
    assert [column[0] for column in found[:4]] == [
        min(texts),
        max(texts),
        len(set(texts)),
        math.fsum([0.1] * 3000),
    ]
    assert found[4][0] == list(dict.fromkeys(reversed(texts)))
