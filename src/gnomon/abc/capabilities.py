"""What an online store can do, as data: flows ask here and never for a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gnomon.errors import UsageError

ABILITIES = ("durable", "multi_process", "atomic_swap", "one_moment")
"""The fields of `Capabilities` that are yes or no; a no needs a reason."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one store can do; `reasons` says why it cannot do the rest."""

    batch_keys: int
    """Keys of a `read` in one round trip, and of an `update` in one step, >= 1."""
    durable: bool
    """A write that has returned survives the end of the process and of the machine."""
    multi_process: bool
    """Processes see each other's writes, and a forked child may go on with its parent's store."""
    atomic_swap: bool
    """`swap` is one step for every reader: old table or new table, never half of one."""
    one_moment: bool = True
    """The values of a `read` are of one moment, and up to `batch_keys` keys of an `update` change in one."""
    in_process: bool = False
    """Reading waits for no network, so that it may be done where nothing may wait long."""
    max_value_bytes: int | None = None
    """The longest value that can be stored; None: no limit that a feature store meets."""
    reasons: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Ability → why it is missing, for each that is."""

    def __post_init__(self) -> None:
        if self.batch_keys < 1:
            raise UsageError("a round trip carries at least one key", at="Capabilities.batch_keys")
        missing = {name for name in ABILITIES if not getattr(self, name)}
        if missing != set(self.reasons):
            raise UsageError(
                "give a reason for what is missing, and for nothing else: "
                + ", ".join(f"`{name}`" for name in sorted(missing ^ set(self.reasons))),
                at="Capabilities.reasons",
            )
