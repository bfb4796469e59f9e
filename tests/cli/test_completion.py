"""What a shell offers when somebody presses the tabulator."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli.test_main import ENVIRONMENT


def offered(*words: str) -> list[str]:
    """What bash is told for the last of the words."""
    asked = {
        "_GNOMON_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["gnomon", *words]),
        "COMP_CWORD": str(len(words)),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "gnomon"], env=ENVIRONMENT | asked, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["show", ""], ["basket_share", "customer", "last_order", "orders", "shop_model", "spending"]),
        (["show", "sp"], ["spending"]),
        (["show", "spending@"], ["spending@1"]),
        (["get", "s"], ["shop_model", "spending:"]),
        (["explain", "l"], ["last_order:"]),
        (["materialize", ""], ["last_order", "spending"]),
        (["materialize", "spending", "l"], ["last_order"]),
        (["insert", "l"], ["last_order"]),
        (["training", "spine.csv", "--features", "sh"], ["shop_model"]),
        (["show", "nothing_like_it"], []),
    ],
)
def test_registered_names_are_offered(filled, monkeypatch, words, names):
    monkeypatch.chdir(filled)
    assert offered(*words) == names


def test_project_named_before_is_the_one_that_is_asked(filled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert offered("show", "--project", str(filled), "sp") == ["spending"]
    assert offered("show", "") == []


def test_project_without_a_registry_offers_nothing_and_gets_none(shop):
    assert offered("show", "") == []
    assert not (shop / ".gnomon").exists()


@pytest.mark.parametrize("broken", ["[registry]\nurl = 3\n", "[registry]\nurl = 'nosuch://x'\n", "no toml"])
def test_project_that_cannot_be_read_offers_nothing_and_says_nothing(shop, broken):
    (shop / "gnomon.toml").write_text(broken)
    assert offered("show", "") == []


def test_registry_that_is_no_database_offers_nothing(shop):
    (shop / ".gnomon").mkdir()
    (shop / ".gnomon" / "registry.db").write_bytes(os.urandom(4096))
    assert offered("show", "") == []


def test_offering_names_loads_nothing_that_is_slow(filled):
    program = f"""
import os, sys
os.environ.update(_GNOMON_COMPLETE="complete_bash", COMP_WORDS="gnomon show ", COMP_CWORD="2")
os.chdir({str(filled)!r})
from gnomon.cli import main
try:
    main([])
except SystemExit:
    pass
print("loaded:", *[name for name in ("polars", "numba", "deltalake", "lmdb", "rich") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "loaded:"
    assert "spending" in ran.stdout
