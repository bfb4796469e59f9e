"""Modules behind commands are loaded when a command uses them, and each name leads to one."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

from gnomon.cli import late


@pytest.mark.parametrize("name", late.__all__)
def test_each_name_stands_for_a_module_that_is_there(name):
    assert importlib.import_module(getattr(late, name).__name__)


def test_help_loads_none_of_them():
    program = (
        "import sys; from gnomon.cli import late, main; main(['serve', '--help'])\n"
        "names = [getattr(late, name).__name__ for name in late.__all__]\n"
        "print(*[name for name in names if name in sys.modules], file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=True
    )
    assert run.stderr.split() == []
    assert "Answer over HTTP" in run.stdout
