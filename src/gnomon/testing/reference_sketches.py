"""The approximate aggregates in plain Python: the hash, the registers, the buckets, step by step.

Nothing is computed by `kernels/`; only the constants of the hash and of the estimator are the same. Instants
and durations are taken as microseconds: what a finer or coarser column would be is not known here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from gnomon.time import instant

_64 = 2**64 - 1
_PRECISION = 12
_REGISTERS = 1 << _PRECISION
_LEVELS = 64 - _PRECISION + 1


# ---------------------------------------------------------------------------------------------------- hashes


def _rotated(x: int, r: int) -> int:
    return (x << r | x >> (64 - r)) & _64


def _mixed(h1: int, h2: int, k1: int, k2: int) -> tuple[int, int]:
    """A block of MurmurHash3_x64_128."""
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
    h1 ^= _rotated(k1 * c1 & _64, 31) * c2 & _64
    h1 = ((_rotated(h1, 27) + h2) * 5 + 0x52DCE729) & _64
    h2 ^= _rotated(k2 * c2 & _64, 33) * c1 & _64
    h2 = ((_rotated(h2, 31) + h1) * 5 + 0x38495AB5) & _64
    return h1, h2


def _avalanche(x: int) -> int:
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD & _64
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53 & _64
    return x ^ x >> 33


def hash_of(value: Any) -> int:
    """The 64-bit hash of a value: the first half of that of a row which has this value alone."""
    h1 = h2 = 0
    for k1, k2 in _blocks(value):
        h1, h2 = _mixed(h1, h2, k1, k2)
    h1 = (h1 + h2) & _64
    h2 = (h2 + h1) & _64
    return (_avalanche(h1) + _avalanche(h2)) & _64


def _blocks(value: Any) -> Iterable[tuple[int, int]]:
    """What is hashed: 2 marks a word, 3 the length of a string of bytes."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        yield len(value), 3
        for at in range(0, len(value), 16):
            block = value[at : at + 16].ljust(16, b"\0")
            yield int.from_bytes(block[:8], "little"), int.from_bytes(block[8:], "little")
    elif isinstance(value, Decimal):
        sign, digits, _ = value.as_tuple()
        number = int("".join(map(str, digits))) * (-1 if sign else 1)
        yield number >> 64 & _64, 2
        yield number & _64, 2
    else:
        yield _word(value) & _64, 2


def _word(value: Any) -> int:
    if isinstance(value, float):
        return _code(value)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.toordinal() - date(1970, 1, 1).toordinal()
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, time):
        return (((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond) * 1000
    return int(value)


def _code(value: float) -> int:
    """Bits that are in the order of the values; both zeros are 0, every NaN is one."""
    if math.isnan(value):
        return 0x7FF8 << 48
    bits = int(struct.unpack("<q", struct.pack("<d", value + 0.0))[0])
    return bits if bits >= 0 else bits ^ 0x7FFF_FFFF_FFFF_FFFF


# -------------------------------------------------------------------------------------------------- registers


def n_distinct(values: Iterable[Any]) -> int:
    """HyperLogLog with the improved raw estimator of Ertl (arXiv:1702.01284)."""
    registers = [0] * _REGISTERS
    for code in map(hash_of, values):
        rest = code & (2 ** (64 - _PRECISION) - 1)
        level = _LEVELS - rest.bit_length()
        register = code >> (64 - _PRECISION)
        registers[register] = max(registers[register], level)
    if not any(registers):
        return 0
    total = _REGISTERS * _tau(1 - registers.count(_LEVELS) / _REGISTERS)
    for level in range(_LEVELS - 1, 0, -1):
        total = 0.5 * (total + registers.count(level))
    total += _REGISTERS * _sigma(registers.count(0) / _REGISTERS)
    return math.floor(0.7213475204444817 * _REGISTERS * _REGISTERS / total + 0.5)


def _sigma(x: float) -> float:
    total, weight, before = x, 1.0, -1.0
    while total != before:
        x *= x
        before = total
        total += x * weight
        weight += weight
    return total


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    total, weight, before = 1.0 - x, 1.0, -1.0
    while total != before:
        x = math.sqrt(x)
        before = total
        weight *= 0.5
        total -= (1.0 - x) * (1.0 - x) * weight
    return total / 3.0


# ---------------------------------------------------------------------------------------------------- buckets


def middle(value: float) -> float:
    """The middle of the floats with the value's sign and exponent and the first 6 bits of its mantissa."""
    if value == 0 or not math.isfinite(value):
        return value + 0.0
    mantissa, exponent = math.frexp(abs(value))
    if exponent < -1021:  # below the normal floats all have one exponent
        bucket = math.floor(math.ldexp(abs(value), 1028))
        near = math.ldexp(bucket + 0.5, -1028) if bucket else 0.0
    else:
        near = math.ldexp((math.floor(mantissa * 128) + 0.5) / 128, exponent)
    return math.copysign(near, value) if near else 0.0
