"""The code in the documentation runs, page by page, from top to bottom, in an empty folder.

* ```` ```python ```` runs in one namespace a page.
* ```` ```python title="name" ```` and other blocks with a title become that file.
* ```` ```console ```` runs the lines that begin with `$ gnomon`; what a page shows below is not compared.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks

RUN = [
    page for page in PAGES if page.name == "README.md" or {"tutorial", "how-to", "concepts"} & {*page.parts}
]
LANGUAGES = {"python", "console"}
INSTALLING = ("make ", "pip ", "python3 -m venv", ". .venv", "git ", ".venv/bin/", ".ci/")
"""Commands of other tools. They are run when a release is tried in a fresh clone, not here."""


def with_code(page: Path) -> bool:
    return any(block.language in LANGUAGES or block.title for block in blocks(page))


@pytest.mark.parametrize("page", [p for p in RUN if with_code(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_blocks_run_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    namespace: dict[str, Any] = {"__name__": f"docs_{page.stem.replace('-', '_')}"}
    for block in blocks(page):
        if block.title:
            target = tmp_path / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            run_python(page, block, namespace)
        elif block.language == "console":
            run_console(block)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]  # another page may have a features.py of its own


def run_python(page: Path, block: Block, namespace: dict[str, Any]) -> None:
    # Empty lines before it, so that errors and `inspect` find the lines of the page itself.
    text = "\n" * (block.line - 1) + textwrap.dedent(block.text)
    exec(compile(text, str(page), "exec"), namespace)  # noqa: S102 — that is what this test is for


def run_console(block: Block) -> None:
    for line in block.text.splitlines():
        if not line.startswith("$ ") or line.removeprefix("$ ").startswith(INSTALLING):
            continue
        command = line.removeprefix("$ ")
        words = shlex.split(command)
        assert words[0] == "gnomon", f"`{command}` is not run by any test"
        run = subprocess.run(
            [sys.executable, "-m", "gnomon", *words[1:]],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, f"{command}\n{run.stdout}\n{run.stderr}"


def test_readme_example_is_short():
    (example,) = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
    assert len(example.text.splitlines()) <= 30
