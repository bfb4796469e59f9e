"""A training set handed over, whole or in parts, as it was computed or as it was saved."""

from __future__ import annotations

import warnings

import msgspec
import polars as pl
import pytest

import gnomon as gn
from gnomon.errors import LeakWarning, UsageError
from tests.flows.small import DAY, Clock, T, visit, visits

GROUP = visits(gn.label(gn.count(), "7d", name="next"))
HOW = gn.TimeSplit(T + 20 * DAY)


@pytest.fixture
def clock() -> Clock:
    return Clock(T + 100 * DAY)


@pytest.fixture
def asked(bare: gn.Store):
    bare.apply([GROUP])
    bare.insert(GROUP, [visit(1, T + i * DAY) for i in range(35)])
    spine = {"user": [1] * 40, "event_timestamp": [T + i * DAY for i in range(40)]}
    return bare.get_historical_features(spine, [GROUP["count_1d"], GROUP["next"]])


def test_parts_are_training_sets_themselves(asked):
    found = asked.split(HOW)
    assert list(found.parts) == ["train", "test"]
    assert str(found) == "train: 13 rows\ntest: 20 rows\nleft out: 7 rows"
    train, test = found["train"], found["test"]
    assert train.to_polars().equals(asked.to_polars().head(13))
    assert test.to_polars().equals(asked.to_polars().tail(20))
    assert len(train.to_arrow()) == len(train.to_pandas()) == len(train) == 13
    assert [len(batch) for batch in train.to_batches(10)] == [10, 3]
    assert repr(train) == "Portion('train', 13 rows)"
    with pytest.raises(UsageError, match="no part `dev`\n\nhint: parts: train, test"):
        found["dev"]


def test_a_part_of_a_part(asked):
    test = asked.split(HOW)["test"].split(gn.TimeSplit(T + 30 * DAY))
    assert [len(part) for part in test.parts.values()] == [3, 10]


def test_immature_rows_are_no_answers(asked):
    X, y = asked.split(HOW)["train"].to_sklearn()
    assert (X.shape, set(y.tolist())) == ((13, 1), {7})
    last = asked.split(HOW)["test"].to_sklearn("next", features=["count_1d", "user"])
    assert last.left_out == {"not mature": 12}
    assert last.X[0].tolist() == [1.0, 1.0]


def test_a_saved_set_splits_as_it_was_saved_and_in_other_ways(bare, asked):
    asked.save("set", split=HOW)
    kept = bare.dataset("set")
    assert kept.contents == asked.contents
    assert "40 rows, 1 feature, 1 label, revision" in repr(kept)
    for name, part in asked.split(HOW).parts.items():
        assert kept.split()[name].to_polars().equals(part.to_polars())
    assert list(kept.split(gn.WalkForward(2)).parts) == ["train_1", "test_1", "train_2", "test_2"]
    assert kept.to_sklearn().X.shape == asked.to_sklearn().X.shape
    assert kept.split().how == HOW
    asked.save("plain", split=None)
    with pytest.raises(UsageError, match="saved without a split"):
        bare.dataset("plain").split()


def test_a_split_that_cannot_be_is_refused_and_nothing_is_saved(bare, asked):
    with pytest.raises(UsageError, match="no column `x`"):
        asked.save("set", split=gn.RandomSplit(stratify="x"))
    assert asked.save("set").name == "set"


def test_a_dataset_of_before_contents_were_kept_is_read(bare, asked):
    saved = asked.save("old")
    path = saved.folder / "dataset.json"
    document = msgspec.json.decode(path.read_bytes())
    del document["contents"], document["split"]
    path.write_bytes(msgspec.json.encode(document))
    old = bare.dataset("old")
    assert old.contents.spine == ("user", "event_timestamp")
    assert old.contents.features == ("count_1d", "next", "next_mature")
    assert len(old.split(HOW)["test"]) == 20


def test_leaks_between_parts_are_warned_of_at_the_callers_line(bare, asked):
    saved = asked.save("set", split=gn.TimeSplit(T + 20 * DAY, gap="1d"))
    for ask in (lambda: asked.split("random"), saved.split):
        with pytest.warns(LeakWarning, match="label `next`") as caught:
            ask()
        assert [one.filename for one in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asked.split(HOW).leaks == ()


def test_batches_are_at_least_one_row(asked):
    with pytest.raises(UsageError, match="whole number of at least 1"):
        asked.to_batches(0)


def test_parts_hold_every_column(asked):
    found = asked.split("entity")
    assert {*map(tuple, (part.to_polars().columns for part in found.parts.values()))} == {
        ("user", "event_timestamp", "count_1d", "next", "next_mature")
    }
    assert isinstance(found["train"].to_polars(), pl.DataFrame)
