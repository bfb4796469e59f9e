"""The way to a cluster of Redis: each hash tag to the node that has it, several nodes at the same time.

The cluster has 16,384 slots; a tag belongs to one, a slot to one node. Which slot is where is learned from any
node, and learned anew when a node says that a slot has moved or cannot be reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, MovedError, TryAgainError

from gnomon.errors import Unavailable
from gnomon.online.pool import Pool
from gnomon.online.redis_url import Settings
from gnomon.online.redis_wire import Command, Reply, connections, receive, send, translated
from gnomon.time import sleep

Node: TypeAlias = tuple[str, int]
"""Host and port."""

# A slot that moves sends a command on from node to node; nodes that have not heard of each other, in a circle.
_ROUNDS = 16

# Between two tries, while some keys of a slot are here and some are there; in seconds.
_PAUSE = 0.01

_ASKING: Command = (b"ASKING",)


@dataclass(slots=True)
class _Batch:
    """Commands of one hash tag, and how far they have got."""

    slot: int
    commands: Sequence[Command]
    replies: list[Reply] = field(default_factory=list)
    asking: Node | None = None
    """The node that the next command is to be asked of, this once."""


class Cluster:
    """A cluster that `settings.hosts` are some nodes of."""

    def __init__(self, settings: Settings) -> None:
        """No connection is opened before the first command."""
        self._settings = settings
        self._pools: dict[Node, Pool[redis.Connection]] = {}
        self._owners: Sequence[Node | None] = ()
        """Slot → node; empty while it is not known."""
        self._open = True

    def run(self, tag: str, commands: Sequence[Command]) -> list[Reply]:
        return self.run_all([(tag, commands)])[0]

    def run_all(self, batches: Sequence[tuple[str, Sequence[Command]]]) -> list[list[Reply]]:
        all_of_them = [_Batch(key_slot(tag.encode()), commands) for tag, commands in batches]
        waiting = [batch for batch in all_of_them if batch.commands]
        for _ in range(_ROUNDS):
            if not waiting:
                return [batch.replies for batch in all_of_them]
            self._round(waiting)
            waiting = [batch for batch in waiting if len(batch.replies) < len(batch.commands)]
        raise Unavailable(
            f"{self._settings.shown} sends us from node to node",
            at="online.url",
            hint="try again when it has settled",
        )

    def close(self) -> None:
        self._open = False
        for pool in [*self._pools.values()]:
            pool.close()

    # ---- one round

    def _round(self, batches: Sequence[_Batch]) -> None:
        """Ask each batch's node for what is missing. Nothing is read before everything is sent."""
        by_node: dict[Node, list[_Batch]] = {}
        for batch in batches:
            by_node.setdefault(batch.asking or self._owner(batch.slot), []).append(batch)
        taken: dict[Node, redis.Connection] = {}
        answered: dict[Node, list[Reply]] = {}
        try:
            for node in by_node:
                taken[node] = self._pool(node).take()
            for node, some in by_node.items():
                send(taken[node], [command for batch in some for command in _missing(batch)])
            for node, some in by_node.items():
                answered[node] = receive(taken[node], sum(len(_missing(batch)) for batch in some))
        except redis.RedisError as error:
            self._owners = ()  # a node that is away may have a successor
            raise translated(error, self._settings.shown) from error
        finally:
            for node, connection in taken.items():
                if node in answered:
                    self._pool(node).give(connection)
                else:
                    connection.disconnect()
        for node, some in by_node.items():
            replies = iter(answered[node])
            for batch in some:
                self._note(batch, [next(replies) for _ in _missing(batch)], node)

    def _note(self, batch: _Batch, replies: Sequence[Reply], node: Node) -> None:
        """Keep the replies up to the first that sends us elsewhere."""
        if batch.asking is not None:
            replies = replies[1::2]  # each command had its ASKING before it
            batch.asking = None
        for reply in replies:
            if isinstance(reply, MovedError):
                self._owners = ()
                return
            if isinstance(reply, AskError):
                batch.asking = (reply.host or node[0], reply.port)
                return
            if isinstance(reply, TryAgainError):
                sleep(_PAUSE)
                return
            if isinstance(reply, redis.RedisError):
                raise translated(reply, self._settings.shown) from reply
            batch.replies.append(reply)

    # ---- nodes

    def _owner(self, slot: int) -> Node:
        if not self._owners:
            self._owners = self._learned()
        owner = self._owners[slot]
        if owner is None:
            self._owners = ()
            raise Unavailable(
                f"{self._settings.shown} has no node for slot {slot}",
                at="online.url",
                hint="try again when it has settled",
            )
        return owner

    def _learned(self) -> Sequence[Node | None]:
        """Ask the nodes, one after the other, until one tells."""
        failure: Exception | None = None
        for node in dict.fromkeys([*self._pools, *self._settings.hosts]):
            pool = self._pool(node)
            try:
                connection = pool.take()
                send(connection, [(b"CLUSTER", b"SLOTS")])
                told = receive(connection, 1)[0]
            except redis.RedisError as error:
                pool.clear()
                failure = translated(error, self._settings.shown)
                continue
            pool.give(connection)
            if not isinstance(told, redis.RedisError):
                owners = _owners(told, node[0])
                self._forget_all_but({owner for owner in owners if owner is not None})
                return owners
            failure = translated(told, self._settings.shown)
        assert failure is not None
        raise failure

    def _pool(self, node: Node) -> Pool[redis.Connection]:
        pool = self._pools.get(node)
        if pool is None:
            pool = self._pools.setdefault(node, connections(self._settings, *node))
            if not self._open:
                pool.close()
        return pool

    def _forget_all_but(self, nodes: set[Node]) -> None:
        for node in [*self._pools]:
            if node not in nodes:
                self._pools.pop(node).close()


def _missing(batch: _Batch) -> list[Command]:
    """The commands of a batch that have no reply yet, as its node is to be asked."""
    rest = batch.commands[len(batch.replies) :]
    return [*rest] if batch.asking is None else [word for command in rest for word in (_ASKING, command)]


def _owners(told: Sequence[Any], asked: str) -> Sequence[Node | None]:
    """Slot → node, from the reply to CLUSTER SLOTS. A node without a host is the one that was asked."""
    owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
    for first, last, primary, *_ in told:
        host, port = primary[:2]
        node = ((host or b"").decode() or asked, int(port))
        owners[first : last + 1] = [node] * (last + 1 - first)
    return owners
