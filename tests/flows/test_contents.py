"""What each column of a training set is."""

from __future__ import annotations

import pytest

import gnomon as gn
from gnomon.errors import UsageError
from gnomon.flows.contents import LabelColumn
from gnomon.flows.retrieval import Retrieval
from gnomon.time import DAY
from tests.flows.small import T, visits

GROUP = visits(gn.label(gn.count(), "1d", name="next"))


@pytest.fixture
def asked(bare: gn.Store) -> Retrieval:
    bare.apply([GROUP])
    spine = {"user": [1], "friend": [2], "event_timestamp": [T], "note": ["a"]}
    role = GROUP.renamed(prefix="friend_", keys={"user": "friend"})
    return bare.get_historical_features(spine, [role["next"], GROUP["count_1h"], GROUP["next"]])


def test_columns_are_told_apart_by_what_they_are(asked):
    contents = asked.contents
    assert contents.timestamp == "event_timestamp"
    assert contents.keys == ("friend", "user")
    assert contents.spine == ("user", "friend", "event_timestamp", "note")
    assert contents.features == ("count_1h",)
    assert contents.labels == (
        LabelColumn("friend_next", DAY, ("friend",)),
        LabelColumn("next", DAY, ("user",)),
    )


def test_a_label_is_one_or_a_column_of_the_spine(asked):
    assert asked.contents.label("next") == LabelColumn("next", DAY, ("user",))
    assert asked.contents.label("note") is None
    with pytest.raises(UsageError, match="`count_1h` is a feature"):
        asked.contents.label("count_1h")
    with pytest.raises(UsageError, match="no label `nxt`\n\nhint: did you mean `next`"):
        asked.contents.label("nxt")
