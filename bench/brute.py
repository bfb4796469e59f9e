"""What the answers must be, row by row: peers, and samples of our own results, are held to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Row = Mapping[str, Any]


def newest(rows: Sequence[Row], user: int, t: Any) -> Row | None:
    """The row of `user` with the greatest `ts` not after `t`; None if there is none."""
    past = [row for row in rows if row["user_id"] == user and row["ts"] <= t]
    return max(past, key=lambda row: row["ts"], default=None)


def aggregates(amounts: Sequence[float]) -> dict[str, float | int | None]:
    """count, sum, mean, min and max; the sum is exact and rounded once, as `math.fsum` does it."""
    n = len(amounts)
    if n == 0:
        return {"count": 0, "sum": None, "mean": None, "min": None, "max": None}
    total = math.fsum(amounts)
    return {"count": n, "sum": total, "mean": total / n, "min": min(amounts), "max": max(amounts)}


def quantile(amounts: Sequence[float], q: float) -> float | None:
    """h = q (n - 1), a + (b - a) f."""
    if not amounts:
        return None
    ordered = sorted(amounts)
    h = q * (len(ordered) - 1)
    k = math.floor(h)
    a, b = ordered[k], ordered[min(k + 1, len(ordered) - 1)]
    return a if h == k or a == b else a + (b - a) * (h - k)


class Events:
    """Events grouped by user, to answer a few thousand questions among millions of rows.

    Shape:  four arrays of one length, in any order; times and `known` in microseconds.
    """

    def __init__(self, users: np.ndarray, ts: np.ndarray, known: np.ndarray, amount: np.ndarray) -> None:
        order = np.argsort(users, kind="stable")
        self._users, self._ts, self._known, self._amount = (a[order] for a in (users, ts, known, amount))

    def window(self, user: int, t: int, length: int) -> dict[str, float | int | None]:
        """`aggregates` of the rows in [t - length, t) that were known at `t`."""
        return aggregates(self.amounts(user, t, length))

    def amounts(self, user: int, t: int, length: int) -> list[float]:
        """The amounts of these rows."""
        lo, hi = np.searchsorted(self._users, [user, user + 1])
        ts, known = self._ts[lo:hi], self._known[lo:hi]
        seen = (ts >= t - length) & (ts < t) & (known <= t)
        found: list[float] = self._amount[lo:hi][seen].tolist()
        return found
