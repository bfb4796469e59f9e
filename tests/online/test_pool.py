"""Pool: connections are used again, looked at first, closed in the end, and never shared with a child."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gnomon.errors import UsageError
from gnomon.online.pool import Pool
from tests.online.processes import in_children


@dataclass
class Connection:
    number: int
    alive: bool = True
    closed: bool = False


@dataclass
class Place:
    """Where connections lead."""

    opened: list[Connection] = field(default_factory=list)

    def connect(self) -> Connection:
        self.opened.append(Connection(len(self.opened)))
        return self.opened[-1]

    def pool(self, keep: int = 64) -> Pool[Connection]:
        return Pool(
            self.connect, lambda c: c.alive, lambda c: setattr(c, "closed", True), what="the place", keep=keep
        )


def test_a_connection_is_used_again_and_not_by_two_at_a_time() -> None:
    place = Place()
    pool = place.pool()
    first, second = pool.take(), pool.take()
    assert first is not second
    pool.give(first)
    assert pool.take() is first
    assert len(place.opened) == 2


def test_an_idle_connection_that_died_is_closed_and_not_given_out() -> None:
    place = Place()
    pool = place.pool()
    taken = [pool.take() for _ in range(3)]
    for connection in taken:
        pool.give(connection)
    taken[2].alive = taken[1].alive = False
    assert pool.take() is taken[0]
    assert [connection.closed for connection in taken] == [False, True, True]
    assert pool.take() is place.opened[3]


def test_no_more_are_kept_than_asked_for() -> None:
    place = Place()
    pool = place.pool(keep=1)
    taken = [pool.take(), pool.take()]
    for connection in taken:
        pool.give(connection)
    assert [connection.closed for connection in taken] == [False, True]


def test_clearing_closes_what_is_idle_and_leaves_what_is_taken() -> None:
    place = Place()
    pool = place.pool()
    idle, taken = pool.take(), pool.take()
    pool.give(idle)
    pool.clear()
    assert (idle.closed, taken.closed) == (True, False)
    pool.give(taken)
    assert pool.take() is taken


def test_a_closed_pool_gives_nothing_and_closes_what_comes_back() -> None:
    place = Place()
    pool = place.pool()
    idle, taken = pool.take(), pool.take()
    pool.give(idle)
    pool.close()
    pool.close()
    assert (idle.closed, taken.closed) == (True, False)
    pool.give(taken)
    assert taken.closed
    with pytest.raises(UsageError, match="the place is closed"):
        pool.take()


def test_a_child_opens_its_own_and_leaves_its_parents_alone() -> None:
    place = Place()
    pool = place.pool()
    ours = pool.take()
    pool.give(ours)

    def child() -> None:
        theirs = pool.take()
        assert theirs is not ours
        pool.give(theirs)
        assert pool.take() is theirs
        pool.give(theirs)
        pool.close()
        assert theirs.closed
        assert not ours.closed

    def child_that_only_closes() -> None:
        pool.close()
        assert not ours.closed

    in_children(child, child_that_only_closes)
    assert pool.take() is ours
