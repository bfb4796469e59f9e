"""approx_n_distinct: a function of the set of hashes, near their number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.kernels import hyperloglog
from gnomon.kernels.hashing import word_hashes
from gnomon.testing import reference_sketches
from tests.kernels.walks import Walk, either, long_walk

HASHES = word_hashes(np.arange(12)).tolist()
EDGES = [0, -1, 1, 2**52, 2**52 - 1, -(2**63), 2**63 - 1]


def estimated(codes: list[int]) -> int:
    """The estimate of `codes`, hash by hash in plain Python."""
    registers = [0] * hyperloglog.REGISTERS
    for code in codes:
        word = code % 2**64
        level = 53 - (word % 2**52).bit_length()
        registers[word >> 52] = max(registers[word >> 52], level)
    levels = np.bincount(registers, minlength=54).astype(np.int64)
    return int(hyperloglog.estimate(levels))


def folded(codes) -> int:
    code = np.array(codes, np.int64)
    scratch = np.full(hyperloglog.SKETCH_SCRATCH, -1)
    return hyperloglog.fold_hashes(code, np.arange(len(code)), len(code), scratch)


def check(walk: Walk) -> None:
    wanted = [estimated(walk.codes(i)) for i in range(len(walk.at))]
    outs = [walk.out(), walk.out()]
    rest = (walk.at, walk.xcode, walk.xok)
    hyperloglog.replay_hashes(walk.code, walk.tape, walk.tape_end, walk.pos, *rest, outs[0])
    assert walk.in_order(outs[0]) == wanted
    if walk.contiguous:
        hyperloglog.slide_hashes(walk.code, walk.lo, walk.hi, *rest, outs[1])
        assert walk.in_order(outs[1]) == wanted
    for i in range(len(walk.at)):
        code, idx, m = walk.with_own_lane(i)
        scratch = np.full(hyperloglog.SKETCH_SCRATCH, 3)
        assert hyperloglog.fold_hashes(code, idx, m, scratch) == wanted[i]


@given(either(HASHES + EDGES))
def test_every_way_estimates_the_set(walk):
    check(walk)


@pytest.mark.parametrize("own", [False, True])
def test_long_windows(own):
    check(long_walk(word_hashes(np.random.default_rng(1).integers(0, 3000, 20_000)), 2, own))


def test_few_values_are_counted_to_one():
    """Two of them share a register now and then."""
    found = [folded(word_hashes(np.arange(n))) for n in range(60)]
    assert found[:10] == list(range(10))
    assert all(abs(estimate - n) <= 1 for n, estimate in enumerate(found))


@pytest.mark.parametrize("n", [100, 1000, 10_000, 100_000, 1_000_000])
def test_the_error_is_within_the_bound(n):
    """Four standard errors, of values that follow each other and of ones that differ in their high bits only."""
    for values in (
        np.arange(n),
        np.arange(n) << 40,
        np.random.default_rng(n).integers(-(2**63), 2**63 - 1, n),
    ):
        assert abs(folded(word_hashes(values)) / n - 1) < 4 * 1.04 / math.sqrt(hyperloglog.REGISTERS)


def test_the_standard_error_is_that_of_the_documentation():
    draws = np.random.default_rng(0)
    n = 20_000
    errors = [folded(draws.integers(-(2**63), 2**63 - 1, n)) / n - 1 for _ in range(60)]
    assert 0.008 < np.std(errors) < 0.024
    assert abs(np.mean(errors)) < 0.008


@given(st.lists(st.sampled_from(HASHES + EDGES), max_size=20), st.randoms())
def test_order_and_repetition_do_not_matter(codes, shuffled):
    again = codes + codes[::2]
    shuffled.shuffle(again)
    assert folded(again) == folded(codes)


def test_the_plain_estimator_gives_the_same():
    for n in (0, 1, 7, 500, 20_000):
        assert reference_sketches.n_distinct(range(n)) == folded(word_hashes(np.arange(n)))


def test_estimates_never_change():
    """They are values of features: another estimate for the same rows would be a change of meaning."""
    assert [folded(word_hashes(np.arange(n))) for n in (10, 1000, 12_345, 654_321)] == KNOWN


KNOWN = [10, 990, 12369, 642918]
