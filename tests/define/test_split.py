"""Splits as values: written down, read back, and refused with every problem."""

from __future__ import annotations

import msgspec
import pytest

import gnomon as gn
from gnomon.define.split import check_split, from_document, parse_split, to_document
from gnomon.errors import DefinitionError, GnomonError, UsageError
from gnomon.time import DAY, instant

EVERY = [
    gn.TimeSplit("2026-01-01"),
    gn.TimeSplit("2026-01-01", validate_from="2025-12-01", gap="7d"),
    gn.WalkForward(3),
    gn.WalkForward(2, test_from="2026-01-01", gap=0),
    gn.EntitySplit(),
    gn.EntitySplit(["user", "shop"], shares={"a": 0.5, "b": 0.25, "c": 0.25}, seed=7),
    gn.RandomSplit(),
    gn.RandomSplit(stratify="late", seed=1, shares={"train": 0.9, "test": 0.1}),
]


@pytest.mark.parametrize("split", EVERY, ids=repr)
def test_a_document_reads_back_as_the_split_it_was_made_of(split):
    text = msgspec.json.encode(to_document(split))
    assert from_document(msgspec.json.decode(text)) == split


def test_times_and_lengths_are_read_once():
    split = gn.TimeSplit("2026-01-01", gap="2d")
    assert (split.test_from, split.gap) == (instant("2026-01-01"), 2 * DAY)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("time:test_from=2026-01-01,gap=7d", gn.TimeSplit("2026-01-01", gap="7d")),
        (
            "time:test_from=2026-01-01T12:00:00Z,validate_from=2025-01-01",
            gn.TimeSplit("2026-01-01T12:00:00Z", "2025-01-01"),
        ),
        ("folds:folds=3", gn.WalkForward(3)),
        ("entity", gn.EntitySplit()),
        ("entity:keys=user+shop,seed=2", gn.EntitySplit(("user", "shop"), seed=2)),
        ("random:train=0.7,dev=0.3,stratify=y", gn.RandomSplit({"train": 0.7, "dev": 0.3}, stratify="y")),
    ],
)
def test_a_split_can_be_written_on_the_command_line(text, split):
    assert parse_split(text) == check_split(text) == split


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tme:test_from=2026-01-01", "did you mean `time`"),
        ("time", "`time` needs `test_from`"),
        ("folds:gap=1d", "`folds` needs `folds`"),
        ("time:test_from", "not of the form name=value"),
        ("time:test_from=2026-01-01,seed=1", "takes no `seed`"),
        ("folds:folds=three", "`three` is no number"),
        ("random:train=most", "`most` is no number"),
        ("time:test_from=tomorrow", "test_from: `tomorrow` is not a time"),
    ],
)
def test_text_that_is_no_split_says_what_is_wrong(text, says):
    with pytest.raises(GnomonError, match=says):
        parse_split(text)


@pytest.mark.parametrize(
    ("make", "at"),
    [
        (lambda: gn.TimeSplit(1.5, gap="-1d"), ["test_from", "gap"]),
        (lambda: gn.TimeSplit("2026-01-01", gap=-1), ["gap"]),
        (lambda: gn.TimeSplit("2026-01-01", validate_from="2026-01-01"), ["validate_from"]),
        (lambda: gn.WalkForward(0, test_from="x"), ["folds", "test_from"]),
        (lambda: gn.EntitySplit([1]), ["keys"]),
        (lambda: gn.EntitySplit(seed=-1), ["seed"]),
        (lambda: gn.RandomSplit({"train": 0.8, "test": 0.1}), ["shares"]),
        (lambda: gn.RandomSplit({"train": 1.5, "test": -0.5}), ["shares"]),
        (lambda: gn.RandomSplit({"": 1.0}, stratify=3, seed=True), ["stratify", "shares", "seed"]),
    ],
)
def test_all_problems_are_told_at_once(make, at):
    with pytest.raises(DefinitionError) as caught:
        make()
    assert [problem.at.partition("().")[2] for problem in caught.value.problems] == at


def test_what_is_no_split_is_refused():
    with pytest.raises(UsageError, match="found a float"):
        check_split(0.2)
