"""The pages of the documentation: their code blocks, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    ]
)

_FENCE = re.compile(r"^( *)(`{3,})([^`\n]*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$")
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    """`python`, `console`, …; empty if not told."""
    title: str
    """The file that it is the content of; empty for code to run."""
    line: int
    """Of the page, where the code begins, from 1."""
    text: str


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        at += 1
        if opening is None:
            continue
        indent, fence, info = opening.groups()
        first = at
        while lines[at].strip() != fence:
            at += 1
        text = "\n".join(line.removeprefix(indent) for line in lines[first:at]) + "\n"
        title = _TITLE.search(info)
        yield Block((info.split() or [""])[0], title[1] if title else "", first + 1, text)
        at += 1


def prose(page: Path) -> str:
    """A page without its fenced blocks and code spans."""
    kept, fence = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        found = _FENCE.match(line)
        if found and not fence:
            fence = found[2]
        elif fence:
            fence = "" if line.strip() == fence else fence
        else:
            kept.append(line)
    return "\n".join(kept)


def links(page: Path) -> list[str]:
    """Targets of all links."""
    return _LINK.findall(re.sub(r"`[^`]*`", "", prose(page)))


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may end with, as GitHub names them."""
    found: set[str] = set()
    for line in prose(page).splitlines():
        heading = _HEADING.match(line)
        if heading:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "").lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            number = sum(
                known == slug or re.fullmatch(re.escape(slug) + r"-\d+", known) is not None for known in found
            )
            found.add(f"{slug}-{number}" if number else slug)
    return found
