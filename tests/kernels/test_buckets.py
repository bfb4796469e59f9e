"""approx_quantile: the quantile of values rounded to logarithmic buckets, and how far that is from the exact one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import buckets, quantiles
from gnomon.kernels.words import code_float, float_code, float_codes
from gnomon.testing import reference_sketches
from tests.kernels.test_quantiles import bits, want
from tests.kernels.walks import Walk, either, long_walk

QS = np.array([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
HARD = [-math.inf, -1.7e308, -1.0, -5e-324, -0.0, 0.0, 5e-324, 3e-310, 1.0, 1.015, 1e300, math.inf, math.nan]
INTS = [-(2**63), -3, 0, 1, 64, 65, 2**53 + 1, 2**63 - 1]


def check(walk: Walk, floats: bool) -> None:
    wanted = [
        want([float_code(buckets.middle(c, floats)) for c in walk.codes(i)], True) if walk.codes(i) else None
        for i in range(len(walk.at))
    ]
    outs = [np.full((len(QS), walk.n_out), 77.0) for _ in range(2)]
    oks = [walk.out(np.uint8) for _ in range(2)]
    rest = (walk.at, QS, walk.xcode, walk.xok)
    buckets.replay_buckets(walk.code, floats, walk.tape, walk.tape_end, walk.pos, *rest, outs[0], oks[0])
    if walk.contiguous:
        buckets.slide_buckets(walk.code, floats, walk.lo, walk.hi, *rest, outs[1], oks[1])
    for out, ok in zip(outs[: 1 + walk.contiguous], oks, strict=False):
        assert walk.in_order(ok) == [int(w is not None) for w in wanted]
        for i, w in enumerate(wanted):
            assert w is None or bits(out[:, walk.at[i]]) == w
    for i, w in enumerate(wanted):
        code, idx, m = walk.with_own_lane(i)
        out = np.empty(len(QS))
        assert buckets.fold_buckets(code, floats, idx, m, QS, np.empty(m, np.int64), out) == (m > 0)
        assert w is None or bits(out) == w


@given(either(float_codes(np.array(HARD)).tolist()))
def test_floats(walk):
    check(walk, True)


@given(either(INTS))
def test_integers(walk):
    check(walk, False)


@pytest.mark.parametrize("own", [False, True])
def test_long_windows(own):
    values = np.random.default_rng(2).lognormal(sigma=3, size=20_000)
    check(long_walk(float_codes(values), 3, own), True)


def canonical(value):
    """The one NaN that columns hold (`columns.floats`)."""
    return math.nan if math.isnan(value) else value


@given(st.floats().map(canonical), st.floats().map(canonical))
def test_middles_are_near_and_in_order(a, b):
    near = buckets.middle(float_code(a), True)
    assert bits([near]) == bits([reference_sketches.middle(a)])
    if math.isnan(a) or math.isinf(a) or a == 0:
        assert bits([near]) == bits([a + 0.0])
    elif abs(a) >= 2.3e-308:
        assert abs(near - a) <= abs(a) / 128
    else:
        assert abs(near - a) <= 2.0**-1029
    if a <= b:
        assert near <= buckets.middle(float_code(b), True)


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_quantiles_of_one_sign_are_within_the_bound(values, q):
    code, idx = float_codes(np.array(values)), np.arange(len(values))
    found, exact, qs = np.empty(1), np.empty(1), np.array([q])
    buckets.fold_buckets(code, True, idx, len(idx), qs, np.empty(len(idx), np.int64), found)
    quantiles.fold_quantiles(code, True, idx, len(idx), qs, np.empty(len(idx), np.int64), exact)
    assert abs(found[0] - exact[0]) <= exact[0] / 128 * (1 + 1e-12)


def test_every_bucket_is_one_of_those_that_are_counted():
    for value in (math.nan, math.inf, -math.inf, 1.7976931348623157e308, -1.7976931348623157e308):
        assert 0 <= buckets._bucket(float_code(value), True) + buckets._BELOW < 2 * buckets._BELOW
    assert math.isnan(code_float(float_code(buckets.middle(float_code(math.nan), True))))
