"""Attempts: credentials that did not hold, counted by the address that they came from.

Only refusals are held back. Credentials that hold are let in from everywhere, so that nobody is locked out by whoever
shares his address, or the proxy before the server.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from gnomon.time import monotonic

BURST = 20
"""Failures that an address may make at once."""
PER_SECOND = 1 / 3
"""Failures that it may make again, each second."""
_ADDRESSES = 10_000
"""That are remembered; who has not failed for longest is forgotten."""
_NETWORK = 64
"""Bits of an IPv6 address that tell one customer from another: the rest he chooses."""


class Attempts:
    """Counts failures. Those of one worker: each of several counts its own."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        """`clock`: seconds."""
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Address → failures that it has left, and when that was so."""

    def __len__(self) -> int:
        return len(self._left)

    def failed(self, address: str) -> int | None:
        """Count a failure. None, or the whole seconds until another one will be looked at."""
        network, now = _network(address), self._clock()
        left, since = self._left.pop(network, (float(BURST), now))
        left = min(float(BURST), left + (now - since) * PER_SECOND)
        wait = None if left >= 1 else ceil((1 - left) / PER_SECOND)
        self._left[network] = (left - 1 if wait is None else left, now)
        if len(self._left) > _ADDRESSES:
            self._left.popitem(last=False)
        return wait


def _network(address: str) -> str:
    """What failures are counted by: an IPv4 address, the first half of an IPv6 address; anything else as it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _NETWORK), strict=False))
