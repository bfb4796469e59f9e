"""X and y: numbers for what is a number, codes for text, NaN for null, and no row without a label."""

from __future__ import annotations

import importlib.util
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from gnomon.errors import MissingDependency, UsageError
from gnomon.flows.contents import Contents, LabelColumn
from gnomon.flows.matrix import to_matrix

FRAME = pl.DataFrame(
    {
        "user": [1, 2, 3, 4],
        "sold": [True, False, None, True],
        "x": [1.5, None, 2.5, float("inf")],
        "n": [1, 2, 3, None],
        "text": ["b", None, "a", "b"],
        "next": [10, 20, None, None],
        "next_mature": [True, True, True, False],
    }
)
CONTENTS = Contents(
    "at", ("user",), ("user", "sold"), ("x", "n", "text"), (LabelColumn("next", 1, ("user",)),)
)


def nan(values: Any) -> list[Any]:
    return [None if value != value else value for value in np.asarray(values).tolist()]


def test_the_one_label_is_the_answer_and_rows_without_it_are_left_out_and_counted():
    made = to_matrix(FRAME, CONTENTS)
    X, y = made
    assert y.tolist() == [10, 20]
    assert y.dtype == np.int64
    assert X.dtype == np.float64
    assert [nan(row) for row in X] == [[1.5, 1.0, 0.0], [None, 2.0, None]]
    assert (made.names, made.label) == (("x", "n", "text"), "next")
    assert made.left_out == {"not mature": 1, "null": 1}


def test_a_column_of_the_spine_can_be_the_label():
    made = to_matrix(FRAME, CONTENTS, "sold")
    assert made.y.tolist() == [True, False, True]
    assert made.left_out == {"null": 1}
    assert made.X.shape == (3, 3)


def test_text_becomes_the_number_of_its_category():
    made = to_matrix(FRAME, CONTENTS, "sold", features=["text"])
    assert made.categories == {"text": ("b",)}
    assert nan(made.X[:, 0]) == [0.0, None, 0.0]
    as_trained = to_matrix(FRAME, CONTENTS, "sold", features=["text"], categories={"text": ["a", "c"]})
    assert as_trained.categories == {"text": ("a", "c")}
    assert (nan(as_trained.X[:, 0]), as_trained.unseen) == ([None, None, None], {"text": 2})


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (True, 1.0),
        (Decimal("1.25"), 1.25),
        (date(1970, 1, 2), 86_400.0),
        (datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC), 1.5),
        (timedelta(hours=1, microseconds=250_000), 3600.25),
        (time(0, 1), 60.0),
        (np.float32(0.5), 0.5),
    ],
)
def test_every_type_that_is_a_number_becomes_one(value, number):
    frame = pl.DataFrame({"f": [value, None], "y": [1.0, 2.0]})
    X, y = to_matrix(frame, Contents("at", (), ("y",), ("f",), ()), "y")
    assert nan(X[:, 0]) == [number, None]
    assert y.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_are_seconds_in_every_unit(unit):
    frame = pl.DataFrame({"f": pl.Series([2000]).cast(pl.Datetime("ms")).cast(pl.Datetime(unit)), "y": [1]})
    assert to_matrix(frame, Contents("at", (), ("y",), ("f",), ()), "y").X.tolist() == [[2.0]]


def test_what_is_no_number_is_refused():
    frame = pl.DataFrame({"f": [[1, 2]], "y": [1]})
    with pytest.raises(UsageError, match=r"`f` is List\(Int64\), which is no number"):
        to_matrix(frame, Contents("at", (), ("y",), ("f",), ()), "y")


@pytest.mark.parametrize("name", ["next", "next_mature"])
def test_no_label_is_a_feature(name):
    with pytest.raises(UsageError, match=f"`{name}` is a label, or tells of one"):
        to_matrix(FRAME, CONTENTS, "sold", features=["x", name])
    with pytest.raises(UsageError, match="`sold` is a label"):
        to_matrix(FRAME, CONTENTS, "sold", features=["x", "sold"])


def test_columns_that_are_not_there_offer_the_nearest():
    with pytest.raises(UsageError, match="did you mean `text`"):
        to_matrix(FRAME, CONTENTS, features=["txt"])
    with pytest.raises(UsageError, match="`x` is a feature"):
        to_matrix(FRAME, CONTENTS, "x")


def test_without_one_label_it_must_be_named():
    two = (LabelColumn("next", 1, ()), LabelColumn("after", 1, ()))
    with pytest.raises(UsageError, match="labels: `next`, `after`"):
        to_matrix(FRAME, Contents("at", (), ("user",), ("x",), two))
    with pytest.raises(UsageError, match="none was asked for"):
        to_matrix(FRAME, Contents("at", (), ("user",), ("x",), ()))


def test_a_label_of_text_stays_text():
    frame = pl.DataFrame({"f": [1.0, 2.0], "y": ["no", "yes"]})
    made = to_matrix(frame, Contents("at", (), ("y",), ("f",), ()), "y")
    assert made.y.tolist() == ["no", "yes"]
    assert made.y.dtype == object


def test_names_come_along_to_pandas():
    frame = to_matrix(FRAME, CONTENTS).to_pandas()
    assert list(frame.columns) == ["x", "n", "text"]
    assert frame["n"].tolist() == [1.0, 2.0]


def test_a_model_learns_from_it():
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    x = rng.random(400)
    frame = pl.DataFrame({"x": x, "text": np.where(x > 0.7, "high", "low"), "y": x > 0.5})
    made = to_matrix(frame, Contents("at", (), ("y",), ("x", "text"), ()), "y")
    X, y = made
    model = HistGradientBoostingClassifier(
        max_iter=5, categorical_features=[name in made.categories for name in made.names]
    )
    assert model.fit(X, y).score(X, y) > 0.95


def test_tensors_are_made_where_pytorch_is_installed_and_its_line_is_printed_where_it_is_not():
    made = to_matrix(FRAME, CONTENTS)
    if importlib.util.find_spec("torch") is None:
        with pytest.raises(
            MissingDependency, match=r"needs `torch`.*\n\nhint: pip install 'gnomon\[torch\]'"
        ):
            made.to_torch()
        return
    X, y = made.to_torch()[:]
    assert (str(X.dtype), str(y.dtype)) == ("torch.float32", "torch.int64")
    assert (X.shape, y.tolist()) == ((2, 3), [10, 20])
