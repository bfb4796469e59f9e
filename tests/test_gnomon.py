"""The names of the package itself: loaded late, yet seen by type checkers and by completion."""

from __future__ import annotations

import ast
import builtins
import tomllib
from pathlib import Path

import pytest

import gnomon

ROOT = Path(__file__).parents[1]


def test_version_is_the_one_that_is_packaged():
    assert gnomon.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_star_import_shadows_no_builtin():
    assert not set(gnomon.__all__) & set(dir(builtins))


def test_every_public_name_loads_and_is_listed():
    for name in gnomon.__all__:
        assert getattr(gnomon, name) is not None
        assert name in dir(gnomon)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = gnomon.no_such_name


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("avg", "mean"),
        ("stddev", "std"),
        ("variance", "var"),
        ("nunique", "n_distinct"),
        ("FeatureView", "FeatureGroup"),
        ("meen", "mean"),
    ],
)
def test_name_that_others_use_is_answered_with_ours(name, ours):
    with pytest.raises(AttributeError, match=f"did you mean `{ours}`"):
        getattr(gnomon, name)


def test_no_name_of_ours_is_taken_for_a_synonym():
    assert not gnomon._SYNONYMS.keys() & gnomon._MODULE_OF.keys()


def test_no_synonym_is_offered_that_does_not_exist():
    for name, ours in gnomon._SYNONYMS.items():
        if ours not in gnomon._MODULE_OF:
            with pytest.raises(AttributeError) as caught:
                getattr(gnomon, name)
            assert f"`{ours}`" not in str(caught.value)


def test_type_checkers_see_the_names_that_are_loaded_late():
    source = ast.parse((ROOT / "src" / "gnomon" / "__init__.py").read_text())
    [guarded] = [node for node in source.body if isinstance(node, ast.If)]
    declared = {
        alias.asname or alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == gnomon._MODULE_OF
