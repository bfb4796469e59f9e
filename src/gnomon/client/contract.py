"""Contract: what a service promises, as a server froze it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gnomon.client.answers import unreadable
from gnomon.client.call import Reply


@dataclass(frozen=True, slots=True)
class ServedContract:
    """A contract, to be kept with a model and checked by `gnomon contract check`, which reads all of it."""

    service: str
    """With its version."""
    revision: int
    """Of the registry, when the contract was made."""
    hash: str
    """What a question pins: equal contracts promise the same."""
    text: str

    def to_json(self) -> str:
        """As a file holds it."""
        return self.text


class _Head(msgspec.Struct):
    service: str
    revision: int
    hash: str


_decode = msgspec.json.Decoder(_Head).decode


def read_contract(reply: Reply) -> ServedContract:
    """An answer to `contract`. Raises: CorruptValue for what is none."""
    try:
        head = _decode(reply.body)
        return ServedContract(head.service, head.revision, head.hash, reply.body.decode())
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise unreadable(reply, error) from None
