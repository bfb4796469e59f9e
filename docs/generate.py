"""Code → the pages of `docs/reference/`. `python -m docs.generate` writes them, `--check` tells what differs.

Each module of `docs/generators` makes one page, as text, from what the code says about itself. A test makes
all pages again and compares, so that the reference cannot fall behind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from docs.generators import aggregates, api, cli, configuration, errors, expressions

FOLDER = Path(__file__).parent / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "aggregates.md": aggregates.page,
    "api.md": api.page,
    "cli.md": cli.page,
    "configuration.md": configuration.page,
    "errors.md": errors.page,
    "expressions.md": expressions.page,
}
"""File name → what makes its text."""

NOTE = "<!-- Made from the code by `python -m docs.generate`; what is written here by hand is lost. -->\n\n"


def text(name: str) -> str:
    """A page as it should stand in `docs/reference/`."""
    return NOTE + PAGES[name]().rstrip() + "\n"


def stale() -> list[str]:
    """The names of pages that are missing or differ from what the code says now."""
    return [
        name
        for name in PAGES
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != text(name)
    ]


def main(arguments: list[str]) -> int:
    """Write what is stale; with `--check` only tell, and return 1 if there is any."""
    old = stale()
    FOLDER.mkdir(exist_ok=True)
    for name in old:
        if "--check" not in arguments:
            (FOLDER / name).write_text(text(name), encoding="utf-8")
        sys.stdout.write(f"{name} {'differs' if '--check' in arguments else 'written'}\n")
    return int(bool(old) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
