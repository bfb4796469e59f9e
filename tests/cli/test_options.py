"""How texts of the command line are read."""

from __future__ import annotations

import polars as pl
import pytest

from gnomon.cli.options import columns_of, features_of, nearest_project, rows_of, time_of
from gnomon.errors import UsageError


def test_one_name_is_a_service_and_more_are_features():
    assert features_of("model") == "model"
    assert features_of("group:a") == ["group:a"]
    assert features_of("group:a, group@2:b,") == ["group:a", "group@2:b"]
    with pytest.raises(UsageError, match="no features"):
        features_of(" , ")


def test_values_become_what_their_columns_are():
    types = {"user": pl.Int64(), "site": pl.String()}
    columns = columns_of(["user=7", "site=a=b", "user=8"], types, "--key")
    assert columns == {"user": [7, 8], "site": ["a=b"]}
    assert rows_of(columns, "--key") == [{"user": 7, "site": "a=b"}, {"user": 8, "site": "a=b"}]


def test_features_without_a_key_are_one_question():
    assert rows_of(columns_of([], {}, "--key"), "--key") == [{}]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["user"], "--key `user` is not of the form column=value"),
        (["usr=1", "site=a"], "--key: unknown `usr`"),
        (["user=1"], "--key is missing for `site`"),
        (["user=x", "site=a"], "`user` is Int64, and `x` is no such value"),
    ],
)
def test_wrong_keys_are_named(given, message):
    with pytest.raises(UsageError) as error:
        columns_of(given, {"user": pl.Int64(), "site": pl.String()}, "--key")
    assert error.value.what == message


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(UsageError, match="2 values of `a`, and 3 of another"):
        rows_of({"a": [1, 2], "b": [1, 2, 3]}, "--key")


def test_times_are_instants_and_errors_name_the_option():
    assert time_of(None, "--at") is None
    assert time_of("1970-01-01T00:00:01+01:00", "--at") == -3_599_000_000
    with pytest.raises(UsageError, match="--at: `soon` is not a time"):
        time_of("soon", "--at")


def test_project_is_looked_for_upwards(tmp_path):
    (tmp_path / "gnomon.toml").write_text("")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert nearest_project(below) == tmp_path
