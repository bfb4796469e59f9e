"""Outcomes → a JSON document, and from that a Markdown table on the screen and in the documentation.

The document keeps every turn. Works measured one at a time under the same conditions gather in one document,
each with its own date; other conditions begin a new one.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gnomon as gn
from bench.harness import Outcome, SideOutcome

BEGIN = "<!-- bench: begin, written by `python -m bench` -->"
END = "<!-- bench: end -->"
PACKAGES = ("duckdb", "lmdb", "numba", "numpy", "polars", "pyarrow")
HEADER = ("Work", "Ours", "Peers", "Ratio", "Reach", "Met?")

Document = dict[str, Any]


def document(
    outcomes: list[Outcome], conditions: Mapping[str, Any], command: str, date: str | None
) -> Document:
    """Everything about one run; `conditions` are what must be equal for figures to stand in one table."""
    works = {outcome.work: _work(outcome, command, date) for outcome in outcomes}
    return {"conditions": dict(conditions), "works": works}


def conditions(scale: str, threads: int) -> dict[str, Any]:
    """Scale, machine and versions."""
    return {"scale": scale, "machine": machine(threads), "versions": versions()}


def merged(path: Path, new: Document, order: list[str]) -> Document:
    """`new`, and what it lacks of the document at `path` if conditions are the same; in `order`."""
    works = dict(new["works"])
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        if old["conditions"] == new["conditions"]:
            works = {**old["works"], **works}
    return {**new, "works": {name: works[name] for name in order if name in works}}


def save(path: Path, content: Document) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(content: Document) -> str:
    """The table in Markdown, padded so that it reads as plain text too."""
    rows = [HEADER, *(_row(work) for work in content["works"].values())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    problems = [f"* {name}: {text}" for name, work in content["works"].items() for text in work["problems"]]
    return "\n".join([*lines, "", *problems] if problems else lines)


def section(content: Document) -> str:
    """What stands in the documentation: conditions, table, commands."""
    told = content["conditions"]
    commands: dict[tuple[str, str], list[str]] = {}
    for name, work in content["works"].items():
        commands.setdefault((work["date"] or "undated", work["command"]), []).append(name)
    runs = [f"* {date}, `{command}`: {', '.join(names)}" for (date, command), names in commands.items()]
    used = ", ".join(f"{name} {number}" for name, number in told["versions"].items())
    return "\n".join([f"{told['machine']}; {used}; scale {told['scale']}.", "", table(content), "", *runs])


def rewrite(page: str, text: str) -> str:
    """`page` with `text` between the two markers. Raises: ValueError if they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no section to rewrite: put {BEGIN} and {END} where the figures belong")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def machine(threads: int) -> str:
    """One line: processor, threads used, memory, system, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{_processor()}, {threads} threads, {memory:.0f} GB, {system}"


def versions() -> dict[str, str]:
    return {"gnomon": gn.__version__, **{name: version(name) for name in PACKAGES}}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _work(outcome: Outcome, command: str, date: str | None) -> dict[str, Any]:
    return {
        "title": outcome.title,
        "date": date,
        "command": command,
        "sizes": dict(outcome.sizes),
        "ours": _side(outcome.ours) if outcome.ours else None,
        "peers": [_side(peer) for peer in outcome.peers],
        "ratio": outcome.ratio_to(),
        "verdicts": [asdict(verdict) for verdict in outcome.verdicts],
        "problems": outcome.problems,
    }


def _side(side: SideOutcome) -> dict[str, Any]:
    return {
        "name": side.name,
        "median": side.median,
        "first": side.first,
        "turns": side.turns,
        "peak_bytes": side.peak_bytes,
        "sample": side.sample,
        "error": side.error,
    }


def _row(work: Mapping[str, Any]) -> tuple[str, ...]:
    verdicts = work["verdicts"]
    words = {True: "yes", False: "no", None: "?"}
    return (
        work["title"],
        _figures(work["ours"]) if work["ours"] else "–",
        "; ".join(f"{peer['name']} {_figures(peer)}" for peer in work["peers"]) or "–",
        "–" if work["ratio"] is None else f"{work['ratio']:.2f}",
        "; ".join(verdict["text"] for verdict in verdicts) or "–",
        "; ".join(words[verdict["met"]] for verdict in verdicts) or "–",
    )


def _figures(side: Mapping[str, Any]) -> str:
    median = side["median"]
    if side["error"] or not median:
        return "failed"
    if "request_us" in median:
        return f"{1e6 / median['request_us']:,.0f} requests/s, p99 {_three(median['p99_us'] / 1e3)} ms"
    if "seconds" in median:
        return f"{_three(median['seconds'])} s, {side['peak_bytes'] / 1e9:.1f} GB"
    return f"p50 {_three(median['p50_us'])} µs, p99 {_three(median['p99_us'])} µs"


def _three(number: float) -> str:
    """Three significant digits, never in powers of ten."""
    if number == 0:
        return "0"
    digits = max(0, 2 - int(f"{number:e}".partition("e")[2]))
    return f"{number:,.{digits}f}"
