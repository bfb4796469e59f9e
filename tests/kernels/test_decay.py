"""decayed_sum: weights that are near the truth and the same everywhere, terms rounded once, exact sums."""

import math
import random
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import decay
from gnomon.kernels.sums import SUM_SCRATCH
from gnomon.kernels.words import code_float
from tests.kernels.exact import bits, code_of, nearest
from tests.kernels.walks import Walk, either, long_walk

PRECISE = Context(prec=60)
HARD = [
    0.0,
    -0.0,
    0.1,
    1.0,
    -1.0,
    1e16,
    -1e16,
    1.7e308,
    -1.7e308,
    5e-324,
    2.3e-308,
    math.inf,
    -math.inf,
    math.nan,
]


def term(value: float, age: int, half_life: int) -> float:
    """The term by its definition, in plain Python."""
    if not math.isfinite(value):
        return value
    m, n = decay.weight.py_func(age, half_life)
    return math.ldexp(value * float(m), -n)


def total(terms: list[float]) -> tuple[float, int]:
    """Their exact sum, rounded once, and its `ok`."""
    if not terms:
        return 0.0, 0
    special = {v for v in terms if not math.isfinite(v)}
    if special:
        return (special.pop() if len(special) == 1 else math.nan), 1
    found = nearest(sum(map(Fraction, terms), Fraction(0)))
    return (0.0, 2) if found is None else (found, 1)


def check(walk: Walk, floats: bool, half_life: int) -> None:
    at_rows = walk.time[walk.rows]

    def value(code: int) -> float:
        return code_float(code) if floats else float(code)

    wanted = []
    for i in range(len(walk.at)):
        terms = [term(value(walk.code[p]), int(walk.t[i] - at_rows[p]), half_life) for p in walk.members[i]]
        if walk.own(i):
            terms.append(term(value(walk.xcode[i]), 0, half_life))
        wanted.append(total(terms))
    head = (walk.code, floats, at_rows, walk.t, half_life)
    outs = [np.full(walk.n_out, 77.0) for _ in range(2)]
    oks = [walk.out(np.uint8) for _ in range(2)]
    rest = (walk.at, walk.xcode, walk.xok)
    decay.replay_decayed(*head, walk.tape, walk.tape_end, walk.pos, *rest, outs[0], oks[0])
    if walk.contiguous:
        decay.slide_decayed(*head, walk.lo, walk.hi, *rest, outs[1], oks[1])
    for out, ok in zip(outs[: 1 + walk.contiguous], oks, strict=False):
        for i, (want, want_ok) in enumerate(wanted):
            assert ok[walk.at[i]] == want_ok
            assert want_ok != 1 or same(out[walk.at[i]], want)
    for i, (want, want_ok) in enumerate(wanted):
        code, idx, m = walk.with_own_lane(i)
        own = len(walk.code) if walk.own(i) else -1
        scratch = np.empty(SUM_SCRATCH, np.int64)
        word, ok = decay.fold_decayed(
            code, floats, at_rows, np.arange(len(code)), walk.t[i], half_life, idx, m, own, np.arange(m),
            np.empty(m, np.int64), scratch,
        )  # fmt: skip
        assert ok == want_ok
        assert want_ok != 1 or same(np.int64(word).view(np.float64), want)


def same(a: float, b: float) -> bool:
    return bits(a) == bits(b) or (math.isnan(a) and math.isnan(b))


@pytest.mark.parametrize("half_life", [1, 3, 10**9])
@given(walk=either([code_of(v) for v in HARD]))
def test_floats(walk, half_life):
    check(walk, True, half_life)


@given(either([-(2**63), -3, 0, 1, 2**53 + 1, 2**63 - 1]))
def test_integers_become_floats_one_by_one(walk):
    check(walk, False, 3)


def test_long_windows():
    check(long_walk(np.random.default_rng(1).normal(size=6000).view(np.int64), 2), True, 700)


def test_whole_half_lives_halve_exactly():
    for age, want in ((0, (1.0, 0)), (10, (1.0, 1)), (20, (1.0, 2)), (5, (math.sqrt(0.5), 0))):
        assert decay.weight(age, 10) == want


def test_weights_are_within_two_units_in_the_last_place():
    pick = random.Random(1)
    for _ in range(3000):
        half_life = pick.randrange(1, 10 ** pick.randrange(1, 19))
        age = pick.randrange(4 * half_life)
        m, n = decay.weight(age, half_life)
        true = PRECISE.power(Decimal(2), PRECISE.divide(Decimal(n * half_life - age), Decimal(half_life)))
        assert 0.5 <= m <= 1
        assert abs(Decimal(float(m)) - true) <= 2 * Decimal(math.ulp(m))


def test_compiled_and_interpreted_weights_are_the_same():
    """So no multiplication was fused with an addition, which would give other bits on other machines."""
    pick = random.Random(2)
    for _ in range(3000):
        half_life = pick.randrange(1, 10 ** pick.randrange(1, 19))
        age = pick.randrange(2**63 - 1) if pick.random() < 0.2 else pick.randrange(3 * half_life)
        m, n = decay.weight.py_func(age, half_life)
        assert decay.weight(age, half_life) == (float(m), n)


@given(st.floats(), st.integers(0, 2**63 - 1), st.integers(1, 2**63 - 1))
def test_a_term_is_what_it_says_at_any_age(value, age, half_life):
    for some in (half_life, 1):
        assert same(decay.decayed(value, age, some), term(value, age, some))


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2200))
def test_terms_below_the_normal_floats_are_rounded_to_even(value, halves):
    assert same(decay.decayed(value, halves * 7, 7), math.ldexp(value, -halves))


def test_an_infinity_stays_one_however_old():
    assert decay.decayed(math.inf, 2**62, 1) == math.inf
    assert math.isnan(decay.decayed(math.nan, 2**62, 1))


def test_weights_never_change():
    """They decide the bits of values that were served."""
    assert [float(decay.weight(age, 1000)[0]).hex() for age in (1, 333, 500, 999)] == KNOWN


KNOWN = ["0x1.ffa52de61c11fp-1", "0x1.9677f46057bdep-1", "0x1.6a09e667f3bcdp-1", "0x1.002d711c79a96p-1"]
