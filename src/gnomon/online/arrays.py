"""Columns of rows as flat arrays: the form in which lanes and ids go into a packed value and come out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gnomon.kernels import rows as kernel

Int64s: TypeAlias = NDArray[np.int64]
Bytes: TypeAlias = NDArray[np.uint8]

NO_INTS: Int64s = np.empty(0, np.int64)
NO_BYTES: Bytes = np.empty(0, np.uint8)


@dataclass(frozen=True, slots=True)
class WordColumn:
    """Values of one or two words."""

    words: Int64s
    """[n · width]; the words of a row stand side by side, the high one first. Zeros where a row is null."""
    width: int = 1
    """1, or 2 for int128 and for hashes."""
    valid: Bytes = field(default_factory=lambda: NO_BYTES)
    """[n], 0 where null; [0] where there is no null."""

    @property
    def pairs(self) -> Int64s:
        """[n, width]"""
        return self.words.reshape(-1, self.width)

    def __len__(self) -> int:
        return self.words.size // self.width

    def take(self, rows: Int64s) -> WordColumn:
        """The given rows, in their order."""
        words = self.words[rows] if self.width == 1 else self.pairs[rows].reshape(-1)
        return WordColumn(words, self.width, self.valid[rows] if self.valid.size else NO_BYTES)


@dataclass(frozen=True, slots=True)
class VarColumn:
    """Values of any number of bytes."""

    offsets: Int64s
    """[n + 1], from 0; row i is `data[offsets[i]:offsets[i + 1]]`. A null has no bytes."""
    data: Bytes
    valid: Bytes = field(default_factory=lambda: NO_BYTES)
    """[n], 0 where null; [0] where there is no null."""

    def __len__(self) -> int:
        return self.offsets.size - 1

    def take(self, rows: Int64s) -> VarColumn:
        """The given rows, in their order."""
        offsets, data = kernel.gather_bytes(self.offsets, self.data, rows)
        return VarColumn(offsets, data, self.valid[rows] if self.valid.size else NO_BYTES)

    def to_list(self) -> list[bytes]:
        """The bytes of each row; those of a null are empty."""
        data = self.data.tobytes()
        bounds = self.offsets.tolist()
        return [data[a:b] for a, b in itertools.pairwise(bounds)]


Column: TypeAlias = WordColumn | VarColumn


def joined(first: Column, second: Column) -> Column:
    """The rows of `first`, then those of `second`. Raises: TypeError where the two are of different kinds."""
    valid = NO_BYTES
    if first.valid.size or second.valid.size:
        valid = np.concatenate(
            [c.valid if c.valid.size else np.ones(len(c), np.uint8) for c in (first, second)]
        )
    if isinstance(first, WordColumn) and isinstance(second, WordColumn) and first.width == second.width:
        return WordColumn(np.concatenate([first.words, second.words]), first.width, valid)
    if isinstance(first, VarColumn) and isinstance(second, VarColumn):
        offsets = np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]])
        return VarColumn(offsets, np.concatenate([first.data, second.data]), valid)
    raise TypeError("columns of different kinds cannot be joined")
