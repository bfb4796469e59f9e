"""quantile and median: the interpolation of the contract, to the bit."""

import math

import numpy as np
import pytest
from hypothesis import given

from gnomon.kernels import quantiles
from gnomon.kernels.words import code_float, float_codes
from tests.kernels.walks import Walk, either, long_walk

QS = np.array([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
INTS = [-(2**63), -3, 0, 1, 2**53, 2**53 + 1, 2**63 - 1]
FLOATS = float_codes(
    np.array([-np.inf, -1.7e308, -0.0, 0.0, 0.1, 0.3, 1.0, 1.7e308, np.inf, np.nan])
).tolist()


def bits(values: np.ndarray) -> list[int]:
    return np.asarray(values, np.float64).view(np.int64).tolist()


def want(codes: list[int], floats: bool) -> list[int]:
    """The formula of the contract, word by word."""
    out = []
    for q in QS.tolist():
        x = [code_float(c) if floats else float(c) for c in sorted(codes)]
        h = q * (len(x) - 1)
        f = h - math.floor(h)
        a = x[math.floor(h)]
        if f != 0 and a != x[math.floor(h) + 1]:
            a = a + (x[math.floor(h) + 1] - a) * f
        out.append(math.nan if math.isnan(a) else a)
    return bits(np.array(out))


def check(walk: Walk, floats: bool) -> None:
    wanted = [want(walk.codes(i), floats) if walk.codes(i) else None for i in range(len(walk.at))]
    ranked = (walk.code, floats, walk.order, walk.rank)
    outs = [np.full((len(QS), walk.n_out), 77.0) for _ in range(2)]
    oks = [walk.out(np.uint8) for _ in range(2)]
    rest = (walk.at, QS, walk.xcode, walk.xok)
    quantiles.replay_quantiles(*ranked, walk.tape, walk.tape_end, walk.pos, *rest, outs[0], oks[0])
    if walk.contiguous:
        quantiles.slide_quantiles(*ranked, walk.lo, walk.hi, *rest, outs[1], oks[1])
    for out, ok in zip(outs[: 1 + walk.contiguous], oks, strict=False):
        assert walk.in_order(ok) == [int(w is not None) for w in wanted]
        for i, w in enumerate(wanted):
            assert w is None or bits(out[:, walk.at[i]]) == w
    for i, w in enumerate(wanted):
        code, idx, m = walk.with_own_lane(i)
        out = np.empty(len(QS))
        assert quantiles.fold_quantiles(code, floats, idx, m, QS, np.empty(m, np.int64), out) == (m > 0)
        assert w is None or bits(out) == w


@given(either(FLOATS))
def test_floats(walk):
    check(walk, True)


@given(either(INTS))
def test_integers_become_floats_one_by_one(walk):
    check(walk, False)


@pytest.mark.parametrize("own", [False, True])
def test_long_windows(own):
    values = np.round(np.random.default_rng(2).normal(size=20_000), 3)
    check(long_walk(float_codes(values), 3, own), True)
    check(long_walk(float_codes(np.sort(values)), 3, own), True)


def test_the_median_of_an_even_number_lies_between():
    out = np.empty(1)
    code = np.array([4, 1, 3, 2])
    quantiles.fold_quantiles(code, False, np.arange(4), 4, np.array([0.5]), np.empty(4, np.int64), out)
    assert out[0] == 2.5


@pytest.mark.parametrize("shape", ["sorted", "reversed", "equal", "organ pipe", "sawtooth"])
def test_selection_from_data_in_any_shape(shape):
    n = 5001
    up = np.arange(n)
    code = {
        "sorted": up,
        "reversed": up[::-1].copy(),
        "equal": np.zeros(n, np.int64),
        "organ pipe": np.concatenate([up[: n // 2], up[: n - n // 2][::-1]]),
        "sawtooth": up % 7,
    }[shape]
    out = np.empty(len(QS))
    quantiles.fold_quantiles(code, False, up, n, QS, np.empty(n, np.int64), out)
    assert bits(out) == want(code.tolist(), False)
